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
  write,
} from "./apply.wgsl";
import { gradSets, ofMeasured, partsOf } from "./gradients.wgsl";
import type { NormPoolSpec } from "./pool.wgsl";
import { constants, element, elementsOf, head, maximum, poolKey, sources, windowAt, z } from "./pool.wgsl";
import { behindRelu, places, storeGrad } from "./pool-gradients.wgsl";
import { inRuns, inTurns, type NormTeam, onShelf, shelf, teamGrid, teamKey, teamMain } from "./whole.wgsl";

/*
 * Backward of whole.wgsl.ts in one launch: a workgroup sums up its columns, then goes over them a
 * second time. Formulas as in gradients.wgsl.ts; the statistics were the input's own.
 */

export interface NormWholeGradSpec extends NormPoolSpec, NormTeam {
  /** dx is wanted. */
  readonly input: boolean;
  /** Of each γ and β what is to be written: their own form, or nothing. */
  readonly grads: readonly NormAffine[];
  /** The statistics were those of the first `measured` loads of each part alone. */
  readonly some: boolean;
  /**
   * A residual was added behind, and a ReLU came behind that: its gradient `dr` is that of the sum,
   * and takes the place of g.
   */
  readonly residual: boolean;
}

/** WGSL: gradient of the norm's output at load `at` of the outputs of part `k`. */
const arriving = (s: NormWholeGradSpec, at: string, k: number): string => {
  const place = partAt(at, k, "p.outputs");
  return s.residual ? `select(T(), g[${place}], y[${place}] > T())` : `g[${place}]`;
};

/**
 * WGSL: Σ dz and Σ dz·z of each part, over the winners of the windows: `plain<k>`, `weighted<k>`.
 */
function sums(s: NormWholeGradSpec): string {
  const parts = numbers(s.parts);
  return `${parts.map((k) => `  var plain${k} = T();\n  var weighted${k} = T();`).join("\n")}
  ${inRuns(s, "o", "p.positions", {
    before: parts.map((k) => `var run0_${k} = T();\n    var run1_${k} = T();`).join("\n    "),
    turn: `    ${windowAt(s)}
    let to = o * p.row + j;
${maximum(s, (e) => element(s, e), { name: "won", of: (k, e) => z(s, k, e) })}
${parts
  .map(
    (k) => `    let g${k} = ${arriving(s, "to", k)};
    ${s.residual ? `dr[${partAt("to", k, "p.outputs")}] = g${k};` : ""}
    let dz${k} = ${behindRelu(s, `g${k}`, k)};
    run0_${k} += dz${k};
    run1_${k} += dz${k} * won${k};`,
  )
  .join("\n")}`,
    after: parts.map((k) => `plain${k} += run0_${k};\n    weighted${k} += run1_${k};`).join("\n    "),
  })}
${parts
  .map(
    (k) => `  plain[${onShelf(s, k, "lane")}] = plain${k};
  weighted[${onShelf(s, k, "lane")}] = weighted${k};`,
  )
  .join("\n")}
  workgroupBarrier();
${parts.map((k) => `  plain${k} = T();\n  weighted${k} = T();`).join("\n")}
  for (var l = 0u; l < ${s.lanes}u; l++) {
${parts
  .map(
    (k) => `    plain${k} += plain[${onShelf(s, k, "l")}];
    weighted${k} += weighted[${onShelf(s, k, "l")}];`,
  )
  .join("\n")}
  }`;
}

/** WGSL: dγ and dβ of affine map `a`, summed over the parts that use it. */
function affineGrad(s: NormWholeGradSpec, a: number): string {
  const form = s.grads[a]!;
  const own = numbers(s.parts).filter((k) => affineOf(s, k)[0] === a);
  const [plain, weighted] = ["plain", "weighted"].map((sum) => own.map((k) => sum + k).join(" + "));
  return [
    hasScale(form) ? `    dgamma${a}[j] = ${weighted};` : "",
    form === "rows" ? `    dgamma${a}[p.row + j] = ${plain};` : "",
    hasShift(form) ? `    dbeta${a}[j] = ${plain};` : "",
  ].join("\n");
}

/** WGSL: v times γ of part `k`. */
const timesScale = (s: NormWholeGradSpec, v: string, k: number): string => {
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
  const each = numbers(s.parts).map((k) => {
    const dz = behindRelu(s, arriving(s, "to", k), k);
    return `    let d${k} = ${timesScale(s, s.ragged ? `select(T(), ${dz}, whole)` : dz, k)};`;
  });
  const counted = numbers(gradSets(s)).map(
    (set) => `    let mean0_${set} = ${ofMeasured(s, `total0_${set}`, "at")};
    let mean1_${set} = ${ofMeasured(s, `total1_${set}`, "at")};`,
  );
  return `${means.join("\n")}
  ${inTurns(s, "window", "p.windows")} {
    let index = window * p.row + j;
${places(s)}
${maximum(s, (e) => `at${e}`, { name: "which", of: (_, e) => `U(${e}u)` })}
${each.join("\n")}
${counted.join("\n")}
${elementsOf(s)
  .map((e) => storeGrad({ ...s, batch: true }, e))
  .join("\n")}
  }`;
}

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
      ...bind({ g: given, y: s.residual && given, dr: s.residual && out, dx: s.input && out }),
      ...bind(grads),
    };
  },
  /**
   * `positions` of the output and `windows` (those included that are not whole) are a column's,
   * `values` those that a channel's mean is of.
   */
  params: {
    loads: "u32",
    outputs: "u32",
    units: "u32",
    row: "u32",
    h: "u32",
    w: "u32",
    oh: "u32",
    ow: "u32",
    positions: "u32",
    windows: "u32",
    measured: "u32",
    values: "f32",
  },
  body: (s) => wgsl`
${head(s)}
${shelf(s, "plain", s.parts)}
${shelf(s, "weighted", s.parts)}
${teamMain(s)}
  let u = j;
${constants(s)}
${sums(s)}
  if (lane == 0u) {
${s.grads.map((_, a) => affineGrad(s, a)).join("\n")}
  }
${s.input ? inputGrads(s) : ""}
}`,
  workgroups: (s, p) => teamGrid(s, p.row),
});
