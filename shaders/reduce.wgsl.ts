import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Caps, defineKernel, linearGrid, linearIndex, linearMain, nanTest } from "../src/gpu/kernel";

const ADD = "a + b";
/** The greater (smaller) of a and b; NaN when either is. */
const MAX = "select(select(max(a, b), b, isNan(b)), a, isNan(a))";
const MIN = "select(select(min(a, b), b, isNan(b)), a, isNan(a))";

/**
 * Reductions y = join over the reduced elements of map(x, c), where c is one value for each output.
 * `again` reduces the partial results of a reduction in several stages.
 */
const REDUCE = {
  sum: { map: "x", join: ADD, again: "sum" },
  sumSquares: { map: "x * x", join: ADD, again: "sum" },
  centredSquares: { map: "(x - c) * (x - c)", join: ADD, again: "sum" },
  ties: { map: "select(T(), T() + 1.0, x == c)", join: ADD, again: "sum" },
  amax: { map: "x", join: MAX, again: "amax" },
  amin: { map: "x", join: MIN, again: "amin" },
} as const;

export type ReduceOp = keyof typeof REDUCE;

/** The reduction that joins partial results of `op`. */
export const partialOp = (op: ReduceOp): ReduceOp => REDUCE[op].again;

/** Whether `op` compares with, or subtracts, a value for each output. */
export const usesCentre = (op: ReduceOp): boolean => /\bc\b/.test(REDUCE[op].map);

/**
 * Number of kept and of reduced dimensions a reduction kernel is compiled for, after merging
 * neighbours.
 */
export type ReduceRank = 1 | 2 | 4;

/**
 * What a reduction reads at once: single elements; four neighbouring outputs (`columns`: the
 * innermost dimension is kept and divisible by 4); four elements of one output (`rows`: it is
 * reduced and divisible by 4). Sizes, strides and offsets count these.
 */
export type ReduceVector = "none" | "columns" | "rows";

export interface ReduceSpec {
  readonly op: ReduceOp;
  readonly rank: ReduceRank;
  readonly vector: ReduceVector;
}

const digits = (rank: number): number[] => [0, 1, 2, 3, 4, 5, 6, 7].slice(0, rank);

/** Parameters `name0 …` for `rank` dimensions. */
const perDigit = <N extends string>(rank: number, name: N) =>
  Object.fromEntries(digits(rank).map((d) => [`${name}${d}`, "u32"])) as Record<`${N}${0 | 1 | 2 | 3}`, "u32">;

/**
 * WGSL: declares `${name}0 …`, the digits of `value` over the sizes `p.${size}0 …` (last fastest).
 */
const split = (rank: number, value: string, name: string, size: string) =>
  `var ${name}_rest = ${value};` +
  digits(rank)
    .reverse()
    .map((d) =>
      d
        ? ` let ${name}${d} = ${name}_rest % p.${size}${d}; ${name}_rest = ${name}_rest / p.${size}${d};`
        : ` let ${name}0 = ${name}_rest;`,
    )
    .join("");

const dot = (rank: number, a: string, b: string) =>
  digits(rank)
    .map((d) => `${a}${d} * ${b}${d}`)
    .join(" + ");

/** WGSL: adds the step's digits to the position's, with carries. */
const advance = (rank: number) =>
  digits(rank)
    .reverse()
    .map((d) => (d ? `i${d} += t${d}; if (i${d} >= p.r_n${d}) { i${d} -= p.r_n${d}; i${d - 1} += 1u; }` : "i0 += t0;"))
    .join("\n    ");

/**
 * One invocation reduces every `lanes`-th element of one output, in order of position: neighbouring
 * invocations read neighbouring elements, and the result does not depend on the schedule. There
 * must be at least `lanes` elements, so no neutral element is needed. Invocation = output ·
 * kept_div + lane · lane_div.
 */
export const reduceKernel = /* @__PURE__ */ defineKernel({
  name: "reduce",
  key: (s: ReduceSpec) => `${s.op},${s.rank},${s.vector}`,
  bindings: ({ vector }) =>
    ({
      x: { access: "read", type: vector === "none" ? "f32" : "vec4f" },
      c: { access: "read", type: vector === "columns" ? "vec4f" : "f32" },
      y: { access: "write", type: vector === "columns" ? "vec4f" : "f32" },
    }) as const,
  params: ({ rank }) =>
    ({
      outputs: "u32",
      length: "u32",
      lanes: "u32",
      kept_div: "u32",
      lane_div: "u32",
      scale: "f32",
      ...perDigit(rank, "k_n"),
      ...perDigit(rank, "k_s"),
      ...perDigit(rank, "r_n"),
      ...perDigit(rank, "r_s"),
    }) as const,
  body: ({ op, rank, vector }) => wgsl`
alias T = ${vector === "none" ? "f32" : "vec4f"};
${nanTest(vector === "none" ? "f32" : "vec4f")}
${nanTest("f32", "isNan1")}
fn take(x: T, c: T) -> T { return ${REDUCE[op].map}; }
fn join(a: T, b: T) -> T { return ${REDUCE[op].join}; }
fn join1(a: f32, b: f32) -> f32 { return ${REDUCE[op].join.replaceAll("isNan", "isNan1")}; }
${linearMain()} {
  ${linearIndex("p.outputs * p.lanes")}
  let output = (index / p.kept_div) % p.outputs;
  let lane = (index / p.lane_div) % p.lanes;
  ${split(rank, "output", "k", "k_n")}
  let base = ${dot(rank, "k", "p.k_s")};
  ${split(rank, "p.lanes", "t", "r_n")}
  ${split(rank, "lane", "start", "r_n")}
  ${digits(rank)
    .map((d) => `var i${d} = start${d};`)
    .join(" ")}
  let c = T(${usesCentre(op) ? "c[output]" : ""});
  var total = take(x[base + ${dot(rank, "i", "p.r_s")}], c);
  var j = lane + p.lanes;
  // Four loads are under way at a time; joined one after the other, as they would be alone.
  for (; j + 3u * p.lanes < p.length; j += 4u * p.lanes) {
    ${[0, 1, 2, 3].map((i) => `${advance(rank)} let v${i} = x[base + ${dot(rank, "i", "p.r_s")}];`).join("\n    ")}
    ${[0, 1, 2, 3].map((i) => `total = join(total, take(v${i}, c));`).join(" ")}
  }
  for (; j < p.length; j += p.lanes) {
    ${advance(rank)}
    total = join(total, take(x[base + ${dot(rank, "i", "p.r_s")}], c));
  }
  y[index] = p.scale * ${vector === "rows" ? "join1(join1(total.x, total.y), join1(total.z, total.w))" : "total"};
}`,
  workgroups: (_, p) => linearGrid(p.outputs * p.lanes),
});

/**
 * How many lanes share a reduction of `length` elements to `outputs` results; above 1, their
 * partial results need another stage.
 */
export function reduceLanes(outputs: number, length: number, caps: Caps): number {
  const hardware = caps.adapter === "hardware";
  // A software adapter is busy with a few hundred invocations and pays half a millisecond a
  // dispatch.
  const [busy, share] = hardware ? [65_536, 128] : [512, 512];
  if (length <= 4 * share) return 1;
  const forSpeed = Math.min(Math.ceil(length / share), Math.ceil(busy / outputs));
  // However many outputs there are: f32 sums of many thousand terms in a row lose digits.
  const forDigits = Math.ceil(length / 8192);
  const lanes = Math.max(forSpeed, forDigits);
  return lanes > 1 ? Math.ceil(lanes / 4) * 4 : 1;
}

/**
 * dL/dx of a reduction from g = dL/dy; c is the centre or the result, d a second value for each
 * output.
 */
const REDUCE_GRAD = {
  sum: "p.scale * g",
  sumSquares: "2.0 * x * g",
  centredSquares: "p.scale * (x - c) * g",
  // Where the result is NaN there are no ties, and 0 / 0 is NaN.
  extremum: "select(0.0, g, x == c) / d",
  norm: "select(x / c * g, 0.0, c == 0.0)",
} as const;

export type ReduceGradOp = keyof typeof REDUCE_GRAD;

/**
 * Spreads values of the outputs over the reduced elements; strides `s` are 0 along reduced
 * dimensions.
 */
export const reduceGradKernel = /* @__PURE__ */ defineKernel({
  name: "reduce-grad",
  key: (s: { op: ReduceGradOp; rank: 2 | 4 | 8 }) => `${s.op},${s.rank}`,
  bindings: {
    g: { access: "read" },
    x: { access: "read" },
    c: { access: "read" },
    d: { access: "read" },
    dx: { access: "write" },
  },
  params: ({ rank }) => ({ count: "u32", scale: "f32", ...perDigit(rank, "n"), ...perDigit(rank, "s") }) as const,
  body: ({ op, rank }) => wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  ${split(rank, "index", "i", "n")}
  let output = ${dot(rank, "i", "p.s")};
  let g = g[output];
  ${/\bx\b/.test(REDUCE_GRAD[op]) ? "let x = x[index];" : ""}
  ${/\bc\b/.test(REDUCE_GRAD[op]) ? "let c = c[output];" : ""}
  ${/\bd\b/.test(REDUCE_GRAD[op]) ? "let d = d[output];" : ""}
  dx[index] = ${REDUCE_GRAD[op]};
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/**
 * WGSL: declares `best`, the first position of the greatest of `x[base + i · step]`, i < n; the
 * first NaN is greater than all.
 */
const ARGMAX = (base: string, step: string, n: string) => /* wgsl */ `
  var best = 0u;
  var most = x[${base}];
  for (var i = 1u; i < ${n}; i++) {
    let v = x[${base} + i * ${step}];
    if (!isNan(most) && (isNan(v) || v > most)) { best = i; most = v; }
  }`;

/** Position of the greatest element along the middle of [outer, n, inner]. */
export const argmaxKernel = /* @__PURE__ */ defineKernel({
  name: "argmax",
  key: () => "",
  bindings: { x: { access: "read" }, y: { access: "write", type: "u32" } },
  params: { count: "u32", n: "u32", inner: "u32" },
  body: (_: null) => wgsl`
${nanTest("f32")}
${linearMain()} {
  ${linearIndex("p.count")}
  let base = index / p.inner * p.n * p.inner + index % p.inner;
  ${ARGMAX("base", "p.inner", "p.n")}
  y[index] = best;
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/** 1 for every row of [rows, n] whose greatest element stands at the row's label, else 0. */
export const correctKernel = /* @__PURE__ */ defineKernel({
  name: "correct",
  key: () => "",
  bindings: { x: { access: "read" }, labels: { access: "read", type: "u32" }, y: { access: "write" } },
  params: { rows: "u32", n: "u32" },
  body: (_: null) => wgsl`
${nanTest("f32")}
${linearMain()} {
  ${linearIndex("p.rows")}
  let base = index * p.n;
  ${ARGMAX("base", "1u", "p.n")}
  y[index] = select(0.0, 1.0, best == labels[index]);
}`,
  workgroups: (_, p) => linearGrid(p.rows),
});

/** totals[slot] += weight · Σ x over the first `n` elements, in order, by one invocation. */
export const accumulateAtKernel = /* @__PURE__ */ defineKernel({
  name: "accumulate-at",
  key: () => "",
  bindings: { x: { access: "read" }, totals: { access: "write" } },
  params: { n: "u32", slot: "u32", weight: "f32" },
  body: (_: null) => wgsl`
${linearMain(1)} {
  ${linearIndex("1u", 1)}
  var total = 0.0;
  for (var i = 0u; i < p.n; i++) { total += x[i]; }
  totals[p.slot] += p.weight * total;
}`,
  workgroups: () => [1, 1, 1],
});
