import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../../src/gpu/kernel";
import {
  affineOf,
  bind,
  flagsKey,
  hasScale,
  loadType,
  numbers,
  partAt,
  read,
  setOf,
  statIndex,
  statSets,
  statType,
  write,
} from "./apply.wgsl";
import { gradSets, inputGrad, ofMeasured } from "./gradients.wgsl";
import {
  constants,
  element,
  elementsOf,
  GEOMETRY,
  head,
  maximum,
  type NormPoolSpec,
  poolKey,
  sources,
  windowAt,
  z,
} from "./pool.wgsl";

/*
 * Backward of norm-pool.wgsl.ts, from the gradient g of its outputs; formulas as in
 * norm-grad.wgsl.ts, dz being 0 but at the winner of each window. Between these kernels comes
 * `norm-grad-finish`.
 *
 * With γ and β of two parts, one pair of them as rows, no kernel binds more than eight buffers,
 * which every device has.
 */

/** WGSL: dz of part `k` from the gradient `g` of its output. */
export const behindRelu = ({ relu }: NormPoolSpec, g: string, k: number): string =>
  relu ? `select(T(), ${g}, best${k} > T())` : g;

/** WGSL: dz of part `k` from g at load `at` of the outputs. */
const masked = (s: NormPoolSpec, at: string, k: number): string => behindRelu(s, `g[${partAt(at, k, "p.outputs")}]`, k);

/**
 * Partial Σ dz and Σ dz·z per channel, as `norm-grad-partial` writes them, over the winners of the
 * windows: no other element has a dz. Split `k` takes output positions k, k + splits, … of the
 * `items` in its batch item.
 */
export const normPoolGradPartialKernel = /* @__PURE__ */ defineKernel({
  name: "norm-pool-grad-partial",
  key: poolKey,
  bindings: (s: NormPoolSpec) => ({ ...sources(s), ...bind({ g: read(loadType(s)), part: write(loadType(s)) }) }),
  params: { ...GEOMETRY, invocations: "u32", splits: "u32", items: "u32" },
  body: (s) => wgsl`
${head(s)}
${linearMain()} {
  ${linearIndex("p.invocations")}
  let j = index % p.row;
  let k = index / p.row % p.splits;
  let b = index / p.row / p.splits;
  ${s.statistics === "none" ? "" : `let u = ${statIndex(s, "b", "j")};`}
${constants(s)}
${numbers(s.parts)
  .map((k) => `  var plain${k} = T();\n  var weighted${k} = T();`)
  .join("\n")}
  for (var i = k; i < p.items; i += p.splits) {
    let o = b * p.items + i;
    ${windowAt(s)}
${maximum(s, (e) => element(s, e), { name: "won", of: (k, e) => z(s, k, e) })}
${numbers(s.parts)
  .map(
    (k) => `    let dz${k} = ${masked(s, "(o * p.row + j)", k)};
    plain${k} += dz${k};
    weighted${k} += dz${k} * won${k};`,
  )
  .join("\n")}
  }
${numbers(s.parts)
  .map(
    (k) => `  part[${2 * k}u * p.invocations + index] = plain${k};
  part[${2 * k + 1}u * p.invocations + index] = weighted${k};`,
  )
  .join("\n")}
}`,
  workgroups: (_, p) => linearGrid(p.invocations),
});

export interface NormPoolGradApplySpec extends NormPoolSpec {
  /** The statistics were the input's own, and every element has their part of the gradient. */
  readonly batch: boolean;
  /** They were those of the first `measured` loads of each part alone. */
  readonly some: boolean;
}

/**
 * WGSL: places of the elements of window `o`, in the column that begins at `startX` in x and at
 * `startY` in the outputs; of windows that reach past the image, whose `whole` is false, those that
 * are `in` it.
 */
export function places(s: NormPoolSpec, startX = "j", startY = "j"): string {
  if (!s.ragged) {
    return `  ${windowAt(s, startX)}
  let to = o * p.row + ${startY};
${elementsOf(s)
  .map((e) => `  let at${e} = ${element(s, e)};`)
  .join("\n")}`;
  }
  const k = s.window;
  return `  let across = (p.w + ${k - 1}u) / ${k}u;
  let down = (p.h + ${k - 1}u) / ${k}u;
  let column = o % across;
  let line = o / across % down;
  let image = o / across / down;
  let at = ((image * p.h + line * ${k}u) * p.w + column * ${k}u) * p.row + ${startX};
  let whole = (line < p.oh) & (column < p.ow);
  let to = select(0u, ((image * p.oh + line) * p.ow + column) * p.row + ${startY}, whole);
${elementsOf(s)
  .map(
    (e) => `  let in${e} = (line * ${k}u + ${Math.floor(e / k)}u < p.h) & (column * ${k}u + ${e % k}u < p.w);
  let at${e} = select(at, ${element(s, e)}, in${e});`,
  )
  .join("\n")}`;
}

/** WGSL: dx of element `e` of the window. */
export function storeGrad(s: NormPoolGradApplySpec, e: number): string {
  const stores = numbers(gradSets(s)).map((set) => {
    const dx = inputGrad(s, set, {
      d: (k) => `select(T(), d${k}, which${k} == U(${e}u))`,
      z: z(s, set, e),
      rstd: (k) => `rstd${setOf(statSets(s), k)}`,
      mean: (plane) => `mean${plane}_${set}`,
    });
    return `dx[${partAt(`at${e}`, set)}] = ${dx};`;
  });
  return s.ragged ? `  if (in${e}) { ${stores.join(" ")} }` : `  ${stores.join("\n  ")}`;
}

/** dx of all elements of one window per invocation, those included that lie in no whole window. */
export const normPoolGradApplyKernel = /* @__PURE__ */ defineKernel({
  name: "norm-pool-grad-apply",
  key: (s: NormPoolGradApplySpec) => poolKey(s) + flagsKey({ batch: s.batch, some: s.some }),
  bindings: (s) => ({
    ...sources(s),
    ...bind({ g: read(loadType(s)), means: s.batch && read(statType(s)), dx: write(loadType(s)) }),
  }),
  /** `windows`: in loads, of one part, those included that are not whole. */
  params: { ...GEOMETRY, windows: "u32", block: "u32", measured: "u32" },
  body: (s) => wgsl`
${head(s)}
${linearMain()} {
  ${linearIndex("p.windows")}
  let j = index % p.row;
  let o = index / p.row;
${places(s)}
  ${s.statistics === "none" ? "" : `let u = ${statIndex(s, "(at / p.block)", "j")};`}
${constants(s)}
${maximum(s, (e) => `at${e}`, { name: "which", of: (_, e) => `U(${e}u)` })}
${numbers(s.parts)
  .map((k) => {
    const [a, form] = affineOf(s, k);
    const dz = s.ragged ? `select(T(), ${masked(s, "to", k)}, whole)` : masked(s, "to", k);
    return `  let d${k} = ${hasScale(form) ? `${dz} * scale${a}` : dz};`;
  })
  .join("\n")}
${(s.batch ? numbers(gradSets(s)) : [])
  .map(
    (set) => `  let mean0_${set} = ${ofMeasured(s, `means[${set}u * p.units + u]`, "at")};
  let mean1_${set} = ${ofMeasured(s, `means[${gradSets(s) + set}u * p.units + u]`, "at")};`,
  )
  .join("\n")}
${elementsOf(s)
  .map((e) => storeGrad(s, e))
  .join("\n")}
}`,
  workgroups: (_, p) => linearGrid(p.windows),
});
