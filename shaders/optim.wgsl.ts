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

/**
 * The update rules of the optimisers. A rule names the hyper-parameters it reads (`hyper`, all of
 * them data in a buffer), the state it keeps an element (`states`), and what it needs of the
 * parameter's step count (`counted`: two numbers that `tickKernel` derives from it, `c.x` and
 * `c.y`). `update` gives the new weight from w, the gradient g, and the state: the first at `at` of
 * `s`, the second `p.plane` vectors behind it.
 *
 * PyTorch's options are coefficients here, so that each rule is one formula: Nesterov momentum
 * steps along 1·d + μ·m and heavy ball along 0·d + 1·m; L2 decay adds `l2`·w to the gradient and
 * decoupled decay multiplies w by `shrink`.
 */
export const RULES = {
  sgd: {
    hyper: ["lr", "l2"],
    states: [],
    counted: false,
    update: "return w - lr * (g + l2 * w);",
    tick: "",
  },
  momentum: {
    hyper: ["lr", "l2", "momentum", "fresh", "carried"],
    states: ["momentum_buffer"],
    counted: false,
    update: `
  let d = g + l2 * w;
  let m = momentum * s[at] + d;
  s[at] = m;
  return w - lr * (fresh * d + carried * m);`,
    tick: "",
  },
  dampened: {
    hyper: ["lr", "l2", "momentum", "fresh", "carried", "gain"],
    states: ["momentum_buffer"],
    counted: true,
    update: `
  let d = g + l2 * w;
  let m = momentum * s[at] + c.x * d;
  s[at] = m;
  return w - lr * (fresh * d + carried * m);`,
    tick: "return vec2f(select(gain, 1.0, t == 1.0), 0.0);",
  },
  adam: {
    hyper: ["lr", "l2", "shrink", "beta1", "rest1", "log1", "beta2", "rest2", "log2", "eps"],
    states: ["exp_avg", "exp_avg_sq"],
    counted: true,
    update: `
  let d = g + l2 * w;
  let m = beta1 * s[at] + rest1 * d;
  let v = beta2 * s[p.plane + at] + rest2 * d * d;
  s[at] = m;
  s[p.plane + at] = v;
  return shrink * w - lr * c.x * (m / (sqrt(v) / c.y + eps));`,
    tick: "return vec2f(1.0 / complement(t * log1), sqrt(complement(t * log2)));",
  },
} as const;

export type RuleName = keyof typeof RULES;

/**
 * Numbers kept for each parameter of a counted rule: its step count t, and the two that follow from
 * it.
 */
export const COUNT_ENTRY = 3;

/**
 * Gradients clipped by one dispatch: past twelve the slots' sizes no longer fit into immediates.
 */
const MOST_CLIPPED = 12;

/**
 * Parameters updated by one dispatch: past so many the slots' sizes no longer fit into immediates,
 * and kernels compile for longer.
 */
const mostUpdated = (rule: RuleName): number => (RULES[rule].counted ? 4 : 5);

/**
 * Slots of {@link updateKernel} on a device that binds `buffers` storage buffers: a weight and a
 * gradient each.
 */
export const updateSlots = (rule: RuleName, buffers: number): number =>
  Math.min(mostUpdated(rule), Math.floor((buffers - (RULES[rule].states.length ? 2 : 1)) / 2));

/** Slots of the clipping kernels: a gradient each, beside one buffer of sums. */
export const clipSlots = (buffers: number): number => Math.min(MOST_CLIPPED, buffers - 1);

const READ = { access: "read", type: "vec4f" } as const;
const WRITE = { access: "write", type: "vec4f" } as const;

const slotsOf = (count: number): number[] => Array.from({ length: count }, (_, k) => k);
const each = <T>(count: number, name: string, value: T): Record<string, T> =>
  Object.fromEntries(slotsOf(count).map((k) => [name + k, value]));
/** WGSL: one line a slot. */
const perSlot = (count: number, line: (slot: number) => string): string => slotsOf(count).map(line).join("\n");

/**
 * WGSL: `body(k)` for the slot k that vector `index` falls into, `i` being its number within the
 * slot; `p.end0 …` are running totals.
 */
const inItsSlot = (count: number, body: (slot: number) => string): string =>
  slotsOf(count)
    .map((k) => `if (index < p.end${k}) { let i = index - ${k === 0 ? "0u" : `p.end${k - 1}`}; ${body(k)} }`)
    .join("\n  else ");

/** WGSL: the rule's hyper-parameters by name, from `p.base` on. */
const namedHyper = (rule: RuleName): string =>
  RULES[rule].hyper.map((name, i) => `let ${name} = hyper[p.base + ${i}u];`).join("\n  ");

/**
 * One step of up to {@link updateSlots} parameters, four elements per invocation: w_k ← update(w_k,
 * g_k, state). `end…` are running totals of vectors, `state…` where a slot's state begins in `s`,
 * in vectors, `plane` how far apart states are, `count…` where its {@link COUNT_ENTRY} lies in
 * `hyper`, `base` where the hyper-parameters lie there.
 */
export const updateKernel = /* @__PURE__ */ defineKernel({
  name: "optimizer-update",
  key: (s: { rule: RuleName; slots: number }) => `${s.rule},${s.slots}`,
  bindings: ({ rule, slots }): Record<string, Binding> => ({
    hyper: { access: "read" },
    ...(RULES[rule].states.length ? { s: WRITE as Binding } : {}),
    ...each<Binding>(slots, "w", WRITE),
    ...each<Binding>(slots, "g", READ),
  }),
  params: ({ rule, slots }): Record<string, ParamType> => ({
    base: "u32",
    ...(RULES[rule].states.length > 1 ? { plane: "u32" as ParamType } : {}),
    ...each<ParamType>(slots, "end", "u32"),
    ...(RULES[rule].states.length ? each<ParamType>(slots, "state", "u32") : {}),
    ...(RULES[rule].counted ? each<ParamType>(slots, "count", "u32") : {}),
  }),
  body: ({ rule, slots }) => {
    const { states, counted } = RULES[rule];
    const arguments_ = (k: number) =>
      `w${k}[i], g${k}[i]${states.length ? `, p.state${k} + i` : ""}${counted ? `, vec2f(hyper[p.count${k} + 1u], hyper[p.count${k} + 2u])` : ""}`;
    return wgsl`
fn update(w: vec4f, g: vec4f${states.length ? ", at: u32" : ""}${counted ? ", c: vec2f" : ""}) -> vec4f {
  ${namedHyper(rule)}
  ${RULES[rule].update}
}
${linearMain()} {
  ${linearIndex(`p.end${slots - 1}`)}
  ${inItsSlot(slots, (k) => `w${k}[i] = update(${arguments_(k)});`)}
}`;
  },
  workgroups: ({ slots }, p) => linearGrid(p[`end${slots - 1}`]!),
});

/** Slots of {@link averageKernel}: a weight each, beside the averages and what they are made by. */
export const averageSlots = (buffers: number): number => Math.min(MOST_CLIPPED, buffers - 2);

/**
 * Averages of up to {@link averageSlots} weights, side by side in `averages`: `update` makes a ←
 * kept · a + fresh · w, with both factors in `factors`; `swap` exchanges them with the weights.
 * `end…` are running totals of vectors.
 */
export const averageKernel = /* @__PURE__ */ defineKernel({
  name: "weight-average",
  key: (s: { does: "update" | "swap"; slots: number }) => `${s.does},${s.slots}`,
  bindings: ({ does, slots }): Record<string, Binding> => ({
    ...(does === "update" ? { factors: { access: "read" } as Binding } : {}),
    averages: WRITE,
    ...each<Binding>(slots, "w", does === "update" ? READ : WRITE),
  }),
  params: ({ slots }): Record<string, ParamType> => each<ParamType>(slots, "end", "u32"),
  body: ({ does, slots }) => wgsl`
${linearMain()} {
  ${linearIndex(`p.end${slots - 1}`)}
  let average = averages[index];
  ${inItsSlot(slots, (k) =>
    does === "update"
      ? `averages[index] = factors[0] * average + factors[1] * w${k}[i];`
      : `averages[index] = w${k}[i]; w${k}[i] = average;`,
  )}
}`,
  workgroups: ({ slots }, p) => linearGrid(p[`end${slots - 1}`]!),
});

/**
 * t ← t + 1 for `parameters` neighbouring entries from `first` on, and what the rule derives from
 * t. A dispatch of its own: the update reads the count in many invocations, so none of them may
 * change it.
 */
export const tickKernel = /* @__PURE__ */ defineKernel({
  name: "optimizer-tick",
  key: (s: { rule: RuleName }) => s.rule,
  bindings: { hyper: { access: "write" } },
  params: { base: "u32", first: "u32", parameters: "u32" },
  body: ({ rule }) => wgsl`
// 1 - exp(x) for x <= 0; by its series near 0, where the difference would cancel (1 - 0.999 has an f32 error of 3e-5).
fn complement(x: f32) -> f32 {
  if (x < -0.5) { return 1.0 - exp(x); }
  var sum = 1.0;
  for (var k = 8.0; k > 1.0; k -= 1.0) { sum = 1.0 + sum * x / k; }
  return -x * sum;
}
fn derived(t: f32) -> vec2f {
  ${namedHyper(rule)}
  ${RULES[rule].tick}
}
${linearMain()} {
  ${linearIndex("p.parameters")}
  let at = p.first + ${COUNT_ENTRY}u * index;
  let t = hyper[at] + 1.0;
  let c = derived(t);
  hyper[at] = t;
  hyper[at + 1u] = c.x;
  hyper[at + 2u] = c.y;
}`,
  workgroups: (_, p) => linearGrid(p.parameters),
});

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
