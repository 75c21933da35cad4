import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain, nanTest } from "../src/gpu/kernel";
import { GAUSSIAN, GELU_TANH } from "./gaussian.wgsl";
import { LOGARITHM, POWER, TANH } from "./power.wgsl";

/**
 * y = f(x) where x is not NaN; `p.a` and `p.b` are the function's constants. Expressions take and
 * give `vec4f`.
 */
export const UNARY = {
  abs: "abs(x)",
  sign: "sign(x)",
  exp: "exp(x)",
  log: "logarithm(x)",
  sqrt: "sqrt(x)",
  square: "x * x",
  reciprocal: "1.0 / x",
  divide: "x / p.a",
  sigmoid: "1.0 / (1.0 + exp(-x))",
  tanh: "hyperbolic(x)",
  relu: "max(x, vec4f())",
  leakyRelu: "select(p.a * x, x, x > vec4f())",
  affine: "p.a * x + p.b",
  clamp: "min(max(x, vec4f(p.a)), vec4f(p.b))",
  pow: "power(x, p.a)",
  gelu: "x * gaussian(x)",
  geluTanh: "x / (1.0 + exp(-cubic(x)))",
  silu: "x / (1.0 + exp(-x))",
  hardswish: "x * (clamp(x + 3.0, vec4f(), vec4f(6.0)) / 6.0)",
} as const;

/** Where a function of numbers is NaN: built-in ones may give anything there. */
const UNDEFINED: Partial<Record<keyof typeof UNARY, string>> = {
  log: "x < vec4f()",
  sqrt: "x < vec4f()",
  // −∞ times 0, as PyTorch has it.
  ...Object.fromEntries(["gelu", "geluTanh", "silu", "hardswish"].map((f) => [f, "x < vec4f(-3.4028234e38)"])),
};

/** WGSL: 1 / (1 + e⁻ˢ). */
const SIGMOID_OF_S = "(1.0 / (1.0 + exp(-s)))";

/** dL/dx from g = dL/dy and s, which is x or y (whichever the forward saved). */
export const UNARY_GRAD = {
  abs: "g * (select(vec4f(), vec4f(1.0), s > vec4f()) - select(vec4f(), vec4f(1.0), s < vec4f()))",
  expOfY: "g * s",
  log: "g / s",
  sqrtOfY: "g / (2.0 * s)",
  square: "g * (2.0 * s)",
  reciprocalOfY: "-g * (s * s)",
  sigmoidOfY: "g * (1.0 - s) * s",
  tanhOfY: "g * (1.0 - s * s)",
  reluOfY: "select(g, vec4f(), s <= vec4f())",
  leakyReluOfX: "select(p.a * g, g, s > vec4f())",
  clampOfX: "select(vec4f(), g, (s >= vec4f(p.a)) & (s <= vec4f(p.b)))",
  powOfX: "g * (p.a * power(s, p.b))",
  geluOfX: "g * (gaussian(s) + s * (exp(-0.5 * s * s) * 0.3989422804))",
  geluTanhOfX: "g * geluTanhSlope(s)",
  siluOfX: `g * ${SIGMOID_OF_S} * (1.0 + s * (1.0 - ${SIGMOID_OF_S}))`,
  hardswishOfX: "select(select(g * (s / 3.0 + 0.5), g, s >= vec4f(3.0)), vec4f(), s <= vec4f(-3.0))",
} as const;

const HOLDS = (comparison: string) => `select(T(), T() + 1.0, (${comparison}) & !isNan(a) & !isNan(b))`;

/** y = f(a, b). Comparisons give 1 or 0, and 0 where a number is NaN. */
export const BINARY = {
  add: "a + b",
  sub: "a - b",
  mul: "a * b",
  div: "a / b",
  max: "select(max(a, b), a + b, isNan(a) | isNan(b))",
  min: "select(min(a, b), a + b, isNan(a) | isNan(b))",
  equal: HOLDS("a == b"),
  greater: HOLDS("a > b"),
  greaterEqual: HOLDS("a >= b"),
  less: HOLDS("a < b"),
  lessEqual: HOLDS("a <= b"),
  // Share of a maximum's gradient that goes to a, and a share of a gradient: 0 of infinity is 0.
  share: "select(select(T() + 1.0, T() + 0.5, a == b), T(), (a < b) & !isNan(a) & !isNan(b))",
  part: "select(a * b, T(), b == T())",
} as const;

export type UnaryOp = keyof typeof UNARY;
export type UnaryGradOp = keyof typeof UNARY_GRAD;
export type BinaryOp = keyof typeof BINARY;

const VEC = { type: "vec4f" } as const;

/** WGSL: the functions that an expression calls. */
const functions = (expression: string): string =>
  [
    ["logarithm", LOGARITHM],
    ["hyperbolic", TANH],
    ["power", POWER],
    ["gaussian", GAUSSIAN],
    ["cubic", GELU_TANH],
    ["geluTanhSlope", GELU_TANH],
  ]
    .filter(([name]) => expression.includes(`${name}(`))
    .map(([, source]) => source)
    .join("\n");

/**
 * Elementwise y = f(x), NaN for NaN, four elements per invocation. `n4` is the number of vectors,
 * rounded up.
 */
export const unaryKernel = /* @__PURE__ */ defineKernel({
  name: "unary",
  key: (op: UnaryOp) => op,
  bindings: { x: { access: "read", ...VEC }, y: { access: "write", ...VEC } },
  params: { n4: "u32", a: "f32", b: "f32" },
  body: (op) => wgsl`
${nanTest("vec4f")}
${functions(UNARY[op])}
${linearMain()} {
  ${linearIndex("p.n4")}
  let x = x[index];
  var bits = bitcast<vec4u>(${UNARY[op]});
  ${UNDEFINED[op] ? `bits = select(bits, vec4u(0x7fc00000u), ${UNDEFINED[op]});` : ""}
  y[index] = bitcast<vec4f>(select(bits, bitcast<vec4u>(x), isNan(x)));
}`,
  workgroups: (_, p) => linearGrid(p.n4),
});

/** Gradient of a unary function from the output's gradient and the saved input or output. */
export const unaryGradKernel = /* @__PURE__ */ defineKernel({
  name: "unary-grad",
  key: (op: UnaryGradOp) => op,
  bindings: { g: { access: "read", ...VEC }, s: { access: "read", ...VEC }, dx: { access: "write", ...VEC } },
  params: { n4: "u32", a: "f32", b: "f32" },
  body: (op) => wgsl`
${nanTest("vec4f")}
${functions(UNARY_GRAD[op])}
${linearMain()} {
  ${linearIndex("p.n4")}
  let g = g[index];
  let s = s[index];
  dx[index] = ${UNARY_GRAD[op]};
}`,
  workgroups: (_, p) => linearGrid(p.n4),
});

/** y = f(a, b) over equal shapes, four elements per invocation. */
export const binaryKernel = /* @__PURE__ */ defineKernel({
  name: "binary",
  key: (op: BinaryOp) => op,
  bindings: { a: { access: "read", ...VEC }, b: { access: "read", ...VEC }, y: { access: "write", ...VEC } },
  params: { n4: "u32" },
  body: (op) => wgsl`
alias T = vec4f;
${nanTest("vec4f")}
${linearMain()} {
  ${linearIndex("p.n4")}
  let a = a[index];
  let b = b[index];
  y[index] = ${BINARY[op]};
}`,
  workgroups: (_, p) => linearGrid(p.n4),
});

/** y += a · x, in place; `n4` vectors. */
export const accumulateKernel = /* @__PURE__ */ defineKernel({
  name: "accumulate",
  key: () => "",
  bindings: { x: { access: "read", ...VEC }, y: { access: "write", ...VEC } },
  params: { n4: "u32", a: "f32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.n4")}
  y[index] = y[index] + p.a * x[index];
}`,
  workgroups: (_, p) => linearGrid(p.n4),
});

/** y = value; the bits of any 32-bit type, `n4` vectors. */
export const fillKernel = /* @__PURE__ */ defineKernel({
  name: "fill",
  key: () => "",
  bindings: { y: { access: "write", type: "u32" } },
  params: { n: "u32", bits: "u32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.n")}
  y[index] = p.bits;
}`,
  workgroups: (_, p) => linearGrid(p.n),
});

const WORDS = { type: "vec4u" } as const;

/**
 * y = c ≠ 0 ? a : b over equal shapes, of any 32-bit type. `mask` are the bits of c that tell it
 * from 0: all but the sign of floats.
 */
export const selectKernel = /* @__PURE__ */ defineKernel({
  name: "select",
  key: () => "",
  bindings: {
    c: { access: "read", ...WORDS },
    a: { access: "read", ...WORDS },
    b: { access: "read", ...WORDS },
    y: { access: "write", ...WORDS },
  },
  params: { n4: "u32", mask: "u32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.n4")}
  y[index] = select(b[index], a[index], (c[index] & vec4u(p.mask)) != vec4u());
}`,
  workgroups: (_, p) => linearGrid(p.n4),
});

/** Number of dimensions after collapsing that the strided kernels are compiled for. */
export type StridedRank = 2 | 4 | 8;

const AXES = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const axes = (rank: StridedRank) => AXES.slice(0, rank);

/** Parameters `name0 … ` of `rank` axes. */
const axisParams = <N extends string, T extends "u32" | "i32">(rank: StridedRank, name: N, type: T) =>
  Object.fromEntries(axes(rank).map((d) => [`${name}${d}`, type])) as Record<`${N}${(typeof AXES)[number]}`, T>;

/** Sizes, and offset and strides of two operands; up to rank 4 they fit into immediates. */
const stridedParams = ({ rank }: { rank: StridedRank }) =>
  ({
    count: "u32",
    o_a: "i32",
    o_b: "i32",
    ...axisParams(rank, "n", "u32"),
    ...axisParams(rank, "a", "i32"),
    ...axisParams(rank, "b", "i32"),
  }) as const;

/**
 * WGSL: splits `index` over the sizes `p.n0 …` (last fastest) and adds up the offsets of each
 * operand. A division a dimension, and none for the first: software adapters divide one number at a
 * time.
 */
const walk = (rank: StridedRank, operands: readonly string[]) => `
  var rest = index;
${operands.map((o) => `  var at_${o} = p.o_${o};`).join("\n")}
${axes(rank)
  .reverse()
  .map((d) => {
    const add = operands.map((o) => `at_${o} += i * p.${o}${d};`).join(" ");
    return d === 0
      ? `  { let i = i32(rest); ${add} }`
      : `  { let above = rest / p.n${d}; let i = i32(rest - above * p.n${d}); rest = above; ${add} }`;
  })
  .join("\n")}`;

/** y = f(a, b) with broadcasting: strides are 0 along broadcast axes. y is contiguous. */
export const binaryStridedKernel = /* @__PURE__ */ defineKernel({
  name: "binary-strided",
  key: (s: { op: BinaryOp; rank: StridedRank }) => `${s.op},${s.rank}`,
  bindings: { x: { access: "read" }, z: { access: "read" }, y: { access: "write" } },
  params: stridedParams,
  body: ({ op, rank }) => wgsl`
alias T = f32;
${nanTest("f32")}
${linearMain()} {
  ${linearIndex("p.count")}
  ${walk(rank, ["a", "b"])}
  let a = x[at_a];
  let b = z[at_b];
  y[index] = ${BINARY[op]};
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/**
 * Copies a strided region of x to a strided region of y, any 32-bit type: transpose, slice, concat,
 * pad, flip and expand are all this.
 */
export const copyStridedKernel = /* @__PURE__ */ defineKernel({
  name: "copy-strided",
  key: (s: { rank: StridedRank }) => `${s.rank}`,
  bindings: { x: { access: "read", type: "u32" }, y: { access: "write", type: "u32" } },
  params: stridedParams,
  body: ({ rank }) => wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  ${walk(rank, ["a", "b"])}
  y[at_b] = x[at_a];
}`,
  workgroups: (_, p) => linearGrid(p.count),
});
