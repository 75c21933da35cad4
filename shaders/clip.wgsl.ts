import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import {
  type Binding,
  defineKernel,
  linearGrid,
  linearIndex,
  linearMain,
  nanTest,
  type ParamType,
} from "../src/gpu/kernel";
import { each, inItsSlot, MOST_SLOTS, perSlot, READ, WRITE } from "./slots.wgsl";

/** Slots of the clipping kernels: a gradient each, beside one buffer of sums. */
export const clipSlots = (buffers: number): number => Math.min(MOST_SLOTS, buffers - 1);

/** WGSL: `body` for every vector v of an invocation's lane. */
const eachOf = (slots: number, body: string): string =>
  perSlot(
    slots,
    (k) =>
      `for (var i = index; 4u * i < p.size${k}; i += p.lanes) { let v = inside(g${k}[i], i, p.size${k}); ${body} }`,
  );

/**
 * Powers of two that squares are added up with besides, for numbers whose squares overflow or
 * vanish.
 */
const FAR = (2 ** -80).toExponential();
const NEAR = (2 ** 64).toExponential();

/**
 * Sums of squares: sums[offset + j] = Σ over vectors j, j + lanes, j + 2·lanes … of every slot; in
 * the next two planes those of {@link FAR} and {@link NEAR} times the numbers. `size…` counts
 * elements, so that what pads a buffer's last vector stays out.
 */
export const squaresKernel = /* @__PURE__ */ defineKernel({
  name: "clip-squares",
  key: (s: { slots: number }) => `${s.slots}`,
  bindings: ({ slots }): Record<string, Binding> => ({ sums: { access: "write" }, ...each<Binding>(slots, "g", READ) }),
  params: ({ slots }): Record<string, ParamType> => ({
    lanes: "u32",
    offset: "u32",
    plane: "u32",
    ...each<ParamType>(slots, "size", "u32"),
  }),
  body: ({ slots }) => wgsl`
fn inside(v: vec4f, i: u32, size: u32) -> vec4f {
  return select(vec4f(), v, vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u) < vec4u(size));
}
fn total(sum: vec4f) -> f32 { return (sum.x + sum.y) + (sum.z + sum.w); }
${linearMain()} {
  ${linearIndex("p.lanes")}
  var sum = vec4f();
  ${eachOf(slots, "sum += v * v;")}
  let plain = total(sum);
  var far = plain * ${FAR} * ${FAR};
  var near = plain * ${NEAR} * ${NEAR};
  // Only where squares may have overflowed or vanished they are taken again.
  if (!(plain >= ${FAR} && plain <= 3.4028234e38)) {
    var less = vec4f();
    var more = vec4f();
    ${eachOf(slots, `less += (v * ${FAR}) * (v * ${FAR}); more += (v * ${NEAR}) * (v * ${NEAR});`)}
    far = total(less);
    near = total(more);
  }
  sums[p.offset + index] = plain;
  sums[p.plane + p.offset + index] = far;
  sums[2u * p.plane + p.offset + index] = near;
}`,
  workgroups: (_, p) => linearGrid(p["lanes"]!),
});

/**
 * norm = √Σ sums, over `n4` whole vectors per plane in order: of the plane whose sum neither
 * overflowed nor lost its digits. NaN where there is one.
 */
export const normKernel = /* @__PURE__ */ defineKernel({
  name: "clip-norm",
  key: () => "",
  bindings: { sums: READ, norm: { access: "write" } },
  params: { n4: "u32" },
  body: (_: null) => wgsl`
${nanTest("f32")}
@compute @workgroup_size(1)
fn main() {
  var sums_of: array<f32, 3>;
  for (var k = 0u; k < 3u; k++) {
    var sum = vec4f();
    for (var i = 0u; i < p.n4; i++) { sum += sums[k * p.n4 + i]; }
    sums_of[k] = (sum.x + sum.y) + (sum.z + sum.w);
  }
  var root = sqrt(sums_of[0]);
  if (sums_of[0] < ${FAR}) { root = sqrt(sums_of[2]) / ${NEAR}; }
  if (sums_of[0] > 3.4028234e38) { root = sqrt(sums_of[1]) / ${FAR}; }
  norm[0] = bitcast<f32>(select(bitcast<u32>(root), bitcast<u32>(sums_of[0]), isNan(sums_of[0])));
}`,
  workgroups: () => [1, 1, 1],
});

/** WGSL: the two factors that gradients of a norm are multiplied by. */
const SCALES = `
fn scales(norm: f32) -> vec2f {
  if (isNan1(norm)) { return vec2f(1.0, norm); }
  let n = norm + p.eps;
  if (n == 0.0) { return vec2f(1.0); }
  if (n > 1e30 && n < 3.4e38 && p.limit < n) { return vec2f(${FAR}, p.limit / (n * ${FAR})); }
  return vec2f(1.0, min(1.0, p.limit / n));
}`;

/**
 * By norm: g ← g · min(1, limit / (norm + eps)), in two factors where the norm is so great that its
 * quotient might vanish; a norm of 0 leaves g, one that is NaN makes all NaN. By value: g ←
 * min(max(g, −limit), limit), NaN where it is. In place.
 */
export const clipKernel = /* @__PURE__ */ defineKernel({
  name: "clip",
  key: (s: { by: "norm" | "value"; slots: number }) => `${s.by},${s.slots}`,
  bindings: ({ by, slots }): Record<string, Binding> => ({
    ...(by === "norm" ? { norm: { access: "read" } as Binding } : {}),
    ...each<Binding>(slots, "g", WRITE),
  }),
  params: ({ slots }): Record<string, ParamType> => ({
    limit: "f32",
    eps: "f32",
    ...each<ParamType>(slots, "end", "u32"),
  }),
  body: ({ by, slots }) => wgsl`
${nanTest("f32", "isNan1")}
${nanTest("vec4f")}
${by === "norm" ? SCALES : ""}
fn clipped(g: vec4f${by === "norm" ? ", s: vec2f) -> vec4f { return g * s.x * s.y; }" : ") -> vec4f { return bitcast<vec4f>(select(bitcast<vec4u>(clamp(g, vec4f(-p.limit), vec4f(p.limit))), bitcast<vec4u>(g), isNan(g))); }"}
${linearMain()} {
  ${linearIndex(`p.end${slots - 1}`)}
  ${by === "norm" ? "let s = scales(norm[0]);" : ""}
  ${inItsSlot(slots, (k) => `g${k}[i] = clipped(g${k}[i]${by === "norm" ? ", s" : ""});`)}
}`,
  workgroups: ({ slots }, p) => linearGrid(p[`end${slots - 1}`]!),
});
