import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, defineKernel, linearGrid, linearIndex, linearMain, nanTest } from "../src/gpu/kernel";

/** Largest number of f16. */
const LARGEST_HALF = 65504;

/** Whether numbers are packed by what they are beyond a mean of theirs. */
interface HalvesSpec {
  readonly centred: boolean;
}

/** How means lie beside the numbers that they are of: see {@link centreOf}. */
const PLACES = { plane: "u32", block: "u32", columns: "u32", each: "u32" } as const;

/**
 * The mean of number i: means are [blocks, groups], in two planes that are added up; a block is so
 * many numbers in a row, and `each` neighbouring columns have one.
 */
const centreOf = wgsl`
fn centreOf(i: u32) -> f32 {
  let at = min((i / p.block) * (p.columns / p.each) + (i % p.columns) / p.each, p.plane - 1u);
  return centre[at] + centre[p.plane + at];
}
fn centresOf(i: u32) -> vec4f {
  return vec4f(centreOf(i), centreOf(i + 1u), centreOf(i + 2u), centreOf(i + 3u));
}`;

const centreBinding = ({ centred }: HalvesSpec): Record<string, Binding> =>
  centred ? { centre: { access: "read" } } : {};

/**
 * y = x (− its mean, where it is `centred`) in f16, four numbers in two words; NaN for NaN. A
 * number beyond f16's largest becomes that, with its sign, and `beyond` counts it (vectors that
 * hold one). `n` numbers in `n4` vectors; what lies behind the last number is somebody else's, and
 * becomes 0.
 */
export const packHalvesKernel = /* @__PURE__ */ defineKernel({
  name: "pack-halves",
  key: ({ centred }: HalvesSpec) => (centred ? "centred" : ""),
  bindings: (s: HalvesSpec): Record<string, Binding> => ({
    x: { access: "read", type: "vec4f" },
    y: { access: "write", type: "vec2u" },
    beyond: { access: "write", type: "atomic<u32>" },
    ...centreBinding(s),
  }),
  params: { n: "u32", n4: "u32", ...PLACES },
  body: ({ centred }) => wgsl`
${nanTest("vec4f")}
${centred ? centreOf : ""}
${linearMain()} {
  ${linearIndex("p.n4")}
  let there = vec4u(4u * index) + vec4u(0u, 1u, 2u, 3u) < vec4u(p.n);
  let x = select(vec4f(), x[index]${centred ? " - centresOf(4u * index)" : ""}, there);
  let nan = isNan(x);
  let c = select(clamp(x, vec4f(-${LARGEST_HALF}.0), vec4f(${LARGEST_HALF}.0)), vec4f(), nan);
  if (any((abs(x) > vec4f(${LARGEST_HALF}.0)) & !nan)) { atomicAdd(&beyond[0], 1u); }
  // Built-in packing may give anything for NaN.
  let low = select(vec2u(), vec2u(0x7e00u), nan.xz);
  let high = select(vec2u(), vec2u(0x7e000000u), nan.yw);
  y[index] = vec2u(pack2x16float(c.xy), pack2x16float(c.zw)) | low | high;
}`,
  workgroups: (_, p) => linearGrid(p.n4),
});

/** y = x, which {@link packHalvesKernel} packed; `n4` vectors. */
export const unpackHalvesKernel = /* @__PURE__ */ defineKernel({
  name: "unpack-halves",
  key: ({ centred }: HalvesSpec) => (centred ? "centred" : ""),
  bindings: (s: HalvesSpec): Record<string, Binding> => ({
    x: { access: "read", type: "vec2u" },
    y: { access: "write", type: "vec4f" },
    ...centreBinding(s),
  }),
  params: { n4: "u32", ...PLACES },
  body: ({ centred }) => wgsl`
${centred ? centreOf : ""}
${linearMain()} {
  ${linearIndex("p.n4")}
  let x = x[index];
  y[index] = vec4f(unpack2x16float(x.x), unpack2x16float(x.y))${centred ? " + centresOf(4u * index)" : ""};
}`,
  workgroups: (_, p) => linearGrid(p.n4),
});
