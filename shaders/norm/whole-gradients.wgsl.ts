import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, defineKernel } from "../../src/gpu/kernel";
import {
  affineOf,
  bind,
  flagsKey,
  hasScale,
  hasShift,
  loadType,
  type NormAffine,
  numbers,
  partAt,
  read,
  statSets,
  write,
} from "./apply.wgsl";
import { gradSets, ofMeasured, partsOf } from "./gradients.wgsl";
import { element, elementsOf, head, maximum, poolKey, sources, windowAt, z } from "./pool.wgsl";
import { behindRelu, places, storeGrad } from "./pool-gradients.wgsl";
import {
  begins,
  inRuns,
  inTurns,
  isFirst,
  type NormTeamSpec,
  ofPart,
  onShelf,
  planeOf,
  seen,
  shelf,
  sliceSum,
  teamConstants,
  teamGrid,
  teamKey,
  teamMain,
} from "./team.wgsl";

/*
 * Backward of whole.wgsl.ts: a workgroup sums up its columns, then goes over them a second time; or
 * those that share a column sum up their slices of it in a launch before. Formulas as in
 * gradients.wgsl.ts; the statistics were the input's own.
 */

interface Residual {
  /**
   * A residual was added behind, and a ReLU came behind that: its gradient `dr` is that of the sum,
   * and takes the place of g. It is written with the sums.
   */
  readonly residual: boolean;
}

export interface NormGradSumsSpec extends NormTeamSpec, Residual {}

export interface NormWholeGradSpec extends NormTeamSpec, Residual {
  /** dx is wanted. */
  readonly input: boolean;
  /** Of each γ and β what is to be written: their own form, or nothing. */
  readonly grads: readonly NormAffine[];
  /** The statistics were those of the first `measured` loads of each part alone. */
  readonly some: boolean;
}

/** WGSL: gradient of the norm's output at load `at` of the outputs of part `k`. */
const arriving = ({ residual }: Residual, at: string, k: number): string => {
  const place = partAt(at, k, "p.outputs");
  return residual ? `select(T(), g[${place}], y[${place}] > T())` : `g[${place}]`;
};

/** WGSL: statistics of this column, γ and β, in registers; and where it begins. */
function constants(s: NormTeamSpec): string {
  const sets = statSets(s);
  const known = numbers(statSets(seen(s))).map(
    (k) => `  let first${k} = stats[${planeOf(s, sets, 0, k)} * p.row + j];
  let rest${k} = stats[${planeOf(s, sets, 1, k)} * p.row + j];
  let rstd${k} = stats[${planeOf(s, sets, 2, k)} * p.row + j];`,
  );
  return `  let startX = ${begins(s, "p.loads")};
  let startY = ${begins(s, "p.outputs")};
${known.join("\n")}
${teamConstants(s)}`;
}

const lines = ({ parts }: NormTeamSpec, line: (k: number) => string): string => numbers(parts).map(line).join("\n");

/** WGSL: Σ dz and Σ dz·z of what is on the shelves in the places below `count`, in order. */
const summed = (s: NormTeamSpec, count: string): string => `  workgroupBarrier();
${lines(s, (k) => `  var plain${k} = T();\n  var weighted${k} = T();`)}
  for (var l = 0u; l < ${count}; l++) {
${lines(
  s,
  (k) => `    plain${k} += plain[${onShelf(s, k, "l")}];
    weighted${k} += weighted[${onShelf(s, k, "l")}];`,
)}
  }`;

/** WGSL: the sums of this workgroup's rows, over the winners of the windows. */
const ownSums = (s: NormTeamSpec & Residual): string => `  {
${lines(s, (k) => `    var all0_${k} = T();\n    var all1_${k} = T();`)}
  ${inRuns(s, "o", "p.positions", {
    before: lines(s, (k) => `var run0_${k} = T();\n    var run1_${k} = T();`),
    turn: `    ${windowAt(s, "startX")}
    let to = o * p.row + startY;
${maximum(s, (e) => element(s, e), { name: "won", of: (k, e) => z(s, k, e) })}
${lines(
  s,
  (k) => `    let g${k} = ${arriving(s, "to", k)};
    ${s.residual ? `dr[${partAt("to", k, "p.outputs")}] = g${k};` : ""}
    let dz${k} = ${behindRelu(s, `g${k}`, k)};
    run0_${k} += dz${k};
    run1_${k} += dz${k} * won${k};`,
)}`,
    after: lines(s, (k) => `all0_${k} += run0_${k};\n    all1_${k} += run1_${k};`),
  })}
${lines(
  s,
  (k) => `    plain[${onShelf(s, k, "lane")}] = all0_${k};
    weighted[${onShelf(s, k, "lane")}] = all1_${k};`,
)}
  }
${summed(s, `${s.lanes}u`)}`;

/** WGSL: those of all slices of the launch before. */
const sumsOfSlices = (s: NormTeamSpec, parts: number): string => `  if (lane < p.earlier) {
${lines(
  s,
  (k) => `    plain[${onShelf(s, k, "lane")}] = ${sliceSum(s, parts, 0, k, "lane")};
    weighted[${onShelf(s, k, "lane")}] = ${sliceSum(s, parts, 1, k, "lane")};`,
)}
  }
${summed(s, "p.earlier")}`;

/** WGSL: dγ and dβ of affine map `a`, summed over the parts that use it. */
function affineGrad(s: NormWholeGradSpec, a: number): string {
  const form = s.grads[a]!;
  if (form === "none") return "";
  // A workgroup of one part has its sums alone.
  const own = s.apart ? [0] : numbers(s.parts).filter((k) => affineOf(s, k)[0] === a);
  const [plain, weighted] = ["plain", "weighted"].map((sum) => own.map((k) => sum + k).join(" + "));
  const stores = [
    hasScale(form) ? `dgamma${a}[j] = ${weighted};` : "",
    form === "rows" ? `dgamma${a}[p.row + j] = ${plain};` : "",
    hasShift(form) ? `dbeta${a}[j] = ${plain};` : "",
  ];
  return ofPart(s, a, stores.join(" "));
}

/** WGSL: v times γ of part `k`. */
const timesScale = (s: NormTeamSpec, v: string, k: number): string => {
  const [a, form] = affineOf(s, k);
  return hasScale(form) ? `${v} * scale${a}` : v;
};

/** WGSL: dx of the elements of every window. */
function inputGrads(s: NormWholeGradSpec): string {
  const means = numbers(gradSets(s)).map((set) => {
    const mean = (sum: string) =>
      `(${partsOf(s, set)
        .map((k) => timesScale(s, sum + k, k))
        .join(" + ")}) / p.values`;
    return `  let total0_${set} = ${mean("plain")};
  let total1_${set} = ${mean("weighted")};`;
  });
  const counted = numbers(gradSets(s)).map(
    (set) => `    let mean0_${set} = ${ofMeasured(s, `total0_${set}`, "(at - startX)")};
    let mean1_${set} = ${ofMeasured(s, `total1_${set}`, "(at - startX)")};`,
  );
  return `${means.join("\n")}
  ${inTurns(s, "o", "p.windows")} {
${places(s, "startX", "startY")}
${maximum(s, (e) => `at${e}`, { name: "which", of: (_, e) => `U(${e}u)` })}
${lines(s, (k) => {
  const dz = behindRelu(s, arriving(s, "to", k), k);
  return `    let d${k} = ${timesScale(s, s.ragged ? `select(T(), ${dz}, whole)` : dz, k)};`;
})}
${counted.join("\n")}
${elementsOf(s)
  .map((e) => storeGrad({ ...s, batch: true }, e))
  .join("\n")}
  }`;
}

const IMAGE_SIZES = { loads: "u32", outputs: "u32", row: "u32", h: "u32", w: "u32", oh: "u32", ow: "u32" } as const;

/** Σ dz and Σ dz·z of each slice of every column, for {@link normWholeGradKernel}. */
export const normGradSumsKernel = /* @__PURE__ */ defineKernel({
  name: "norm-grad-sums",
  key: (s: NormGradSumsSpec) => `${teamKey(s)}${poolKey(s)}${flagsKey({ residual: s.residual })}`,
  bindings: (s) => {
    const [given, out] = [read(loadType(s)), write(loadType(s))];
    return {
      ...sources(s),
      ...bind({ g: given, y: s.residual && given, dr: s.residual && out, sums: out }),
    };
  },
  /** `positions` of the output are a column's. */
  params: { ...IMAGE_SIZES, positions: "u32", slices: "u32" },
  body: (s) => {
    const one = seen(s);
    return wgsl`
${head(s)}
${shelf(s, "plain", one.parts)}
${shelf(s, "weighted", one.parts)}
${teamMain(s)}
${constants(s)}
${ownSums(one)}
  if (lane == 0u) {
${lines(
  one,
  (k) => `    ${sliceSum(one, s.parts, 0, k, "slice")} = plain${k};
    ${sliceSum(one, s.parts, 1, k, "slice")} = weighted${k};`,
)}
  }
}`;
  },
  workgroups: (s, p) => teamGrid(s, p),
});

/** dγ, dβ, dx and the residual's gradient, those that are wanted. */
export const normWholeGradKernel = /* @__PURE__ */ defineKernel({
  name: "norm-whole-grad",
  key: (s: NormWholeGradSpec) =>
    `${teamKey(s)}${poolKey(s)},${s.grads.join("+")}${flagsKey({ input: s.input, some: s.some, residual: s.residual })}`,
  bindings: (s) => {
    const [given, out] = [read(loadType(s)), write(loadType(s))];
    const grads: Record<`dgamma${number}` | `dbeta${number}`, Binding | false> = {};
    s.grads.forEach((form, a) => {
      grads[`dgamma${a}`] = hasScale(form) && out;
      grads[`dbeta${a}`] = hasShift(form) && out;
    });
    return {
      ...sources(s),
      ...bind({
        g: given,
        y: s.residual && given,
        sums: s.sliced && given,
        dr: s.residual && out,
        dx: s.input && out,
      }),
      ...bind(grads),
    };
  },
  /**
   * `positions` of the output and `windows` (those included that are not whole) are a column's,
   * `values` those that a channel's mean is of, `earlier` the slices that the sums are of.
   */
  params: {
    ...IMAGE_SIZES,
    positions: "u32",
    windows: "u32",
    measured: "u32",
    values: "f32",
    slices: "u32",
    earlier: "u32",
  },
  body: (s) => {
    const one = seen(s);
    return wgsl`
${head(s)}
${shelf(s, "plain", one.parts)}
${shelf(s, "weighted", one.parts)}
${teamMain(s)}
${constants(s)}
${s.sliced ? sumsOfSlices(one, s.parts) : ownSums(one)}
  if (${isFirst(s)}) {
${s.grads.map((_, a) => affineGrad(s, a)).join("\n")}
  }
${s.input ? inputGrads(one) : ""}
}`;
  },
  workgroups: (s, p) => teamGrid(s, p),
});
