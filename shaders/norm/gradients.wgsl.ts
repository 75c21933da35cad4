import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, defineKernel, linearGrid, linearIndex, linearMain } from "../../src/gpu/kernel";
import {
  affined,
  affineOf,
  bind,
  flagsKey,
  fourAtATime,
  hasScale,
  hasShift,
  inputSets,
  lanesKey,
  loadType,
  type NormAffine,
  type NormLanes,
  type NormParts,
  normalised,
  numbers,
  partAt,
  partsKey,
  read,
  scaleBindings,
  scaled,
  setOf,
  shiftBindings,
  statIndex,
  statistic,
  statSets,
  statType,
  write,
} from "./apply.wgsl";

/*
 * Backward normalisation; sizes, parts and statistics as in norm.wgsl.ts. With dz = g (masked by
 * y > 0 under ReLU), z = (x − μ)·rstd and means over the S·C/G values of a group, a part has
 *
 *   dβ = Σ dz,   dγ = Σ dz·z,   dx = rstd·(γ·dz − mean(γ·dz) − z·mean(γ·dz·z));
 *
 * without mean(γ·dz) where means count as 0. Parts that share x share z too, and dx is the same
 * formula with Σ over the parts of γ·dz in the place of γ·dz.
 */

/**
 * What tells where a ReLU let gradients through: y > 0, or, where y is not the norm's own output, γ
 * ⊙ z + β > 0, computed again.
 */
export type ReluMask = "y" | "again" | "none";

/** Bindings of what {@link behindRelu} computes again. */
export const maskBindings = (s: NormLanes & NormParts & { relu: ReluMask }): Record<string, Binding> =>
  s.relu === "again" ? { ...scaleBindings(s, loadType(s)), ...shiftBindings(s, loadType(s)) } : {};

/** WGSL: dz of load `at` of part `k` from the gradient `g` of its output, with its z. */
export const behindRelu = (s: NormParts & { relu: ReluMask }, g: string, at: string, k: number, z: string): string => {
  if (s.relu === "none") return g;
  const output = s.relu === "y" ? `y[${partAt(at, k)}]` : `(${affined(s, z, "j", k)})`;
  return `select(T(), ${g}, ${output} > T())`;
};

export const maskKey = (relu: ReluMask): string => ({ y: ",relu", again: ",relu again", none: "" })[relu];

/** WGSL: gradient of the norm's output at load `at` of part `k`. */
const arriving = ({ residual }: { residual: boolean }, at: string, k: number): string => {
  const place = partAt(at, k);
  return residual ? `select(T(), g[${place}], y[${place}] > T())` : `g[${place}]`;
};

/** The parts whose gradients go into set `set` of dx, of as many as there are of x. */
export const partsOf = (s: NormParts, set: number): number[] => (s.shared ? numbers(s.parts) : [set]);
/** How many dx there are. */
export const gradSets = (s: NormParts): number => (s.shared ? 1 : s.parts);

/** WGSL: a line for each of 0, 1, … n − 1. */
export const lines = (n: number, line: (k: number) => string): string => numbers(n).map(line).join("\n");

export interface NormGradPartialSpec extends NormLanes, NormParts {
  readonly relu: ReluMask;
  /** Every row is a batch item of its own (S = 1), all summed as one. */
  readonly perRow: boolean;
  /**
   * y = max(act(·) + residual, 0): g masked by y > 0 is the gradient of both, and written to `dr`,
   * from which the kernels that follow take theirs.
   */
  readonly residual: boolean;
}

/**
 * Partial Σ dz and Σ dz·z per channel: planes of [parts, 2, batch items, splits, C], split `k`
 * taking rows k, k + splits, ….
 */
export const normGradPartialKernel = /* @__PURE__ */ defineKernel({
  name: "norm-grad-partial",
  key: (s: NormGradPartialSpec) =>
    lanesKey(s) +
    partsKey(s.relu === "again" ? s : { ...s, affine: [] }) +
    maskKey(s.relu) +
    flagsKey({ perRow: s.perRow, residual: s.residual }),
  bindings: (s) => ({
    ...bind({
      x: read(loadType(s)),
      g: read(loadType(s)),
      y: (s.relu === "y" || s.residual) && read(loadType(s)),
      stats: s.statistics !== "none" && read(statType(s)),
      part: write(loadType(s)),
      dr: s.residual && write(loadType(s)),
    }),
    ...maskBindings(s),
  }),
  params: {
    invocations: "u32",
    loads: "u32",
    units: "u32",
    splits: "u32",
    items: "u32",
    row: "u32",
    q: "u32",
  },
  body: (s) => wgsl`
alias T = ${loadType(s).type};
${linearMain()} {
  ${linearIndex("p.invocations")}
  let j = index % p.row;
  let k = index / p.row % p.splits;
  let b = index / p.row / p.splits;
  ${s.perRow || s.statistics === "none" ? "" : `let u = ${statIndex(s, "b", "j")};`}
${lines(s.parts, (k) => `  var plain${k} = T();\n  var weighted${k} = T();`)}
  for (var i = k; i < p.items; i += p.splits) {
    let at = (b * p.items + i) * p.row + j;
    ${s.perRow && s.statistics !== "none" ? `let u = ${statIndex(s, "i", "j")};` : ""}
${lines(inputSets(s), (k) => `    let z${k} = ${normalised(s, "at", "u", k)};`)}
${lines(
  s.parts,
  (k) => `    let g${k} = ${arriving(s, "at", k)};
    ${s.residual ? `dr[${partAt("at", k)}] = g${k};` : ""}
    let dz${k} = ${behindRelu(s, `g${k}`, "at", k, `z${setOf(inputSets(s), k)}`)};
    plain${k} += dz${k};
    weighted${k} += dz${k} * z${setOf(inputSets(s), k)};`,
)}
  }
${lines(
  s.parts,
  (k) => `  part[${2 * k}u * p.invocations + index] = plain${k};
  part[${2 * k + 1}u * p.invocations + index] = weighted${k};`,
)}
}`,
  workgroups: (_, p) => linearGrid(p.invocations),
});

export interface NormGradFinishSpec extends NormParts {
  /** Write the group means that dx needs. */
  readonly groups: boolean;
  /** Of each γ and β what is to be written: their own form, or nothing. */
  readonly grads: readonly NormAffine[];
}

/** WGSL expression: both partial sums of part `k` at an element of their planes. */
const pairAt = (at: string, k: number): string =>
  `vec2f(part[${partAt(`(${at})`, 2 * k, "p.plane")}], part[${partAt(`(${at})`, 2 * k + 1, "p.plane")}])`;

/** WGSL: dγ and dβ of channel `c` of affine map `a`, summed over the parts that use it. */
function affineGrad(s: NormGradFinishSpec, a: number): string {
  const form = s.grads[a]!;
  if (form === "none") return "";
  const pairs = numbers(s.parts).filter((k) => affineOf(s, k)[0] === a);
  return `  {
    var sums = vec2f();
    ${fourAtATime({
      start: "c",
      end: "p.plane",
      step: "p.row",
      load: (at) => pairs.map((k) => pairAt(at, k)),
      use: (each) => each.map((pair) => `sums += ${pair};`).join(" "),
    })}
    ${hasScale(form) ? `dgamma${a}[c] = sums.y;` : ""}
    ${form === "rows" ? `dgamma${a}[p.row + c] = sums.x;` : ""}
    ${hasShift(form) ? `dbeta${a}[c] = sums.x;` : ""}
  }`;
}

/**
 * From the partial sums: mean γ·dz and mean γ·dz·z per group (planes of `means`), then dγ and dβ a
 * channel. Sizes in scalars.
 */
export const normGradFinishKernel = /* @__PURE__ */ defineKernel({
  name: "norm-grad-finish",
  key: (s: NormGradFinishSpec) => `${partsKey(s)}${flagsKey({ groups: s.groups })},${s.grads.join("+")}`,
  bindings: (s) => {
    const [scalar, out] = [{ type: "f32" } as const, write({ type: "f32" })];
    const grads: Record<`dgamma${number}` | `dbeta${number}`, typeof out | false> = {};
    s.grads.forEach((form, a) => {
      grads[`dgamma${a}`] = hasScale(form) && out;
      grads[`dbeta${a}`] = hasShift(form) && out;
    });
    return {
      ...bind({ part: read(scalar), means: s.groups && out }),
      ...(s.groups && scaleBindings(s, scalar)),
      ...bind(grads),
    };
  },
  /**
   * `plane` is one of the partial sums, `units` is 0 without group means and `channels` 0 without
   * dγ and dβ.
   */
  params: { plane: "u32", units: "u32", channels: "u32", splits: "u32", row: "u32", q: "u32", values: "f32" },
  body: (s) => wgsl`
${linearMain()} {
  ${linearIndex("p.units + p.channels")}
${
  s.groups
    ? `  if (index < p.units) {
    let b = index / (p.row / p.q);
    let first = index % (p.row / p.q) * p.q;
${lines(
  gradSets(s),
  (set) => `    {
      var plain = 0.0;
      var weighted = 0.0;
      for (var c = first; c < first + p.q; c++) {
${partsOf(s, set)
  .map(
    (k) => `        {
          var sums = vec2f();
          ${fourAtATime({ start: "b * p.splits * p.row + c", end: "(b + 1u) * p.splits * p.row", step: "p.row", load: (at) => [pairAt(at, k)], use: ([pair]) => `sums += ${pair};` })}
          ${scaled(s, "sums", "c", k)}
          plain += sums.x;
          weighted += sums.y;
        }`,
  )
  .join("\n")}
      }
      means[${set}u * p.units + index] = plain / p.values;
      means[${gradSets(s) + set}u * p.units + index] = weighted / p.values;
    }`,
)}
    return;
  }`
    : ""
}
  let c = index - p.units;
${lines(s.grads.length, (a) => affineGrad(s, a))}
}`,
  workgroups: (_, p) => linearGrid(p.units + p.channels),
});

export interface NormGradApplySpec extends NormLanes, NormParts {
  readonly relu: ReluMask;
  /**
   * The statistics were the input's own; else constants, and dx = rstd·γ·dz (rstd = 1 without any).
   */
  readonly batch: boolean;
  /** They were those of the first `measured` loads of each part, and the others' dx is that too. */
  readonly some: boolean;
}

/** WGSL: mean `mean` of γ·dz or γ·dz·z as it counts for load `at`. */
export const ofMeasured = (s: { some: boolean }, mean: string, at: string): string =>
  s.some ? `select(T(), ${mean}, ${at} < p.measured)` : mean;

/** WGSL: what dx of one element is made of. */
export interface InputGradTerms {
  /** γ·dz of part `k`. */
  readonly d: (k: number) => string;
  readonly z: string;
  /** 1/std of part `k`. */
  readonly rstd: (k: number) => string;
  /** Mean γ·dz (plane 0) and mean γ·dz·z (1) of the group. */
  readonly mean: (plane: 0 | 1) => string;
}

/** WGSL: dx of set `set`. */
export function inputGrad(s: NormParts & { batch: boolean }, set: number, terms: InputGradTerms): string {
  const parts = partsOf(s, set);
  const rstd = (k: number) => (s.statistics === "none" ? "" : ` * ${terms.rstd(k)}`);
  const sum = parts.map(terms.d).join(" + ");
  if (!s.batch) {
    // Constants may differ from part to part even where they read the same x.
    const perPart = s.shared && statSets(s) > 1;
    return perPart ? parts.map((k) => terms.d(k) + rstd(k)).join(" + ") : `(${sum})${rstd(set)}`;
  }
  const centred = s.aboutZero ? "" : ` - ${terms.mean(0)}`;
  return `(${sum}${centred} - (${terms.z}) * ${terms.mean(1)})${rstd(set)}`;
}

/** WGSL: dx of set `set` at load `index`, from `d0`, … = γ·dz of each part. */
const inputGradAt = (s: NormGradApplySpec, set: number): string =>
  inputGrad(s, set, {
    d: (k) => `d${k}`,
    z: normalised(s, "index", "u", set),
    rstd: (k) => statistic(s, 2, "u", k),
    mean: (plane) => ofMeasured(s, `means[${plane * gradSets(s) + set}u * p.units + u]`, "index"),
  });

/** dx, one load of each part per invocation. */
export const normGradApplyKernel = /* @__PURE__ */ defineKernel({
  name: "norm-grad-apply",
  key: (s: NormGradApplySpec) =>
    lanesKey(s) + partsKey(s) + maskKey(s.relu) + flagsKey({ batch: s.batch, some: s.some }),
  bindings: (s) => ({
    ...bind({
      x: (s.batch || s.relu === "again") && read(loadType(s)),
      g: read(loadType(s)),
      y: s.relu === "y" && read(loadType(s)),
      stats: s.statistics !== "none" && read(statType(s)),
      means: s.batch && read(statType(s)),
      dx: write(loadType(s)),
    }),
    ...scaleBindings(s, loadType(s)),
    ...maskBindings(s),
  }),
  params: { loads: "u32", units: "u32", row: "u32", q: "u32", block: "u32", measured: "u32" },
  body: (s) => wgsl`
alias T = ${loadType(s).type};
${linearMain()} {
  ${linearIndex("p.loads")}
  let j = index % p.row;
  ${s.statistics === "none" ? "" : `let u = ${statIndex(s, "(index / p.block)", "j")};`}
${lines(
  s.parts,
  (k) => `  var d${k} = ${behindRelu(s, `g[${partAt("index", k)}]`, "index", k, normalised(s, "index", "u", k))};
  ${scaled(s, `d${k}`, "j", k)}`,
)}
${lines(gradSets(s), (set) => `  dx[${partAt("index", set)}] = ${inputGradAt(s, set)};`)}
}`,
  workgroups: (_, p) => linearGrid(p.loads),
});
