import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain, nanTest } from "../../src/gpu/kernel";
import {
  affineOf,
  bind,
  flagsKey,
  hasScale,
  hasShift,
  inputSets,
  lanesKey,
  loadType,
  type NormLanes,
  type NormParts,
  numbers,
  partAt,
  partsKey,
  read,
  scaleBindings,
  setOf,
  shiftBindings,
  statIndex,
  statistic,
  statSets,
  statType,
  write,
} from "./apply.wgsl";

/*
 * Normalisation with the maximum over windows behind it, both ways; sizes, parts and statistics as
 * in norm.wgsl.ts. x is [N, h, w, C], windows are k×k and lie side by side:
 *
 *   y = act(max over the window of v),   v = γ ⊙ z + β,   z = (x − μ)·rstd,
 *
 * the same as the maximum of act(v), act being monotone. The gradient of an output goes to the
 * first maximum of its window in row-major order, which is found again from x: neither the
 * full-size output nor the full-size gradient is ever in memory. A NaN wins over numbers, the last
 * of several. `outputs` are the loads of y in one part.
 */

/** What the kernels with windows are compiled for. */
export interface NormPoolSpec extends NormLanes, NormParts {
  readonly relu: boolean;
  /** Rows and columns of a window, k; 1 where nothing is pooled. */
  readonly window: number;
  /** h or w is no multiple of k: the last rows or columns are in no window. */
  readonly ragged: boolean;
}

export const poolKey = (s: NormPoolSpec): string =>
  `${lanesKey(s)}${partsKey(s)},${s.window}${flagsKey({ relu: s.relu, ragged: s.ragged })}`;

/** What the values v are made of. */
export const sources = (s: NormPoolSpec) => ({
  ...bind({ x: read(loadType(s)), stats: s.statistics !== "none" && read(statType(s)) }),
  ...scaleBindings(s, loadType(s)),
  ...shiftBindings(s, loadType(s)),
});

/** Sizes: loads of x and of y in one part, images h×w and what is left of them, oh×ow. */
export const GEOMETRY = {
  loads: "u32",
  outputs: "u32",
  units: "u32",
  row: "u32",
  q: "u32",
  h: "u32",
  w: "u32",
  oh: "u32",
  ow: "u32",
} as const;

export const head = (s: NormPoolSpec): string => {
  const [T, U, B] = s.width === 4 ? (["vec4f", "vec4u", "vec4<bool>"] as const) : (["f32", "u32", "bool"] as const);
  return `alias T = ${T};
alias U = ${U};
alias B = ${B};
${nanTest(T)}
fn beats(v: T, best: T) -> B { return isNan(v) | (!isNan(best) & (v > best)); }`;
};

/** WGSL: the γ and β of load `j` of a row in registers, `scale<a>` and `plus<a>`. */
export const affineConstants = (s: NormParts): string =>
  s.affine
    .map((form, a) =>
      [
        hasScale(form) ? `  let scale${a} = gamma${a}[j];` : "",
        form === "rows" ? `  let plus${a} = gamma${a}[p.row + j];` : "",
        hasShift(form) ? `  let plus${a} = beta${a}[j];` : "",
      ].join("\n"),
    )
    .join("\n");

/**
 * WGSL: statistics `u` and the γ and β of load `j` of a row in registers, as a window's elements
 * have them in common.
 */
export const constants = (s: NormParts): string =>
  [
    ...numbers(s.statistics === "none" ? 0 : statSets(s)).map(
      (k) => `  let first${k} = ${statistic(s, 0, "u", k)};
  let rest${k} = ${statistic(s, 1, "u", k)};
  let rstd${k} = ${statistic(s, 2, "u", k)};`,
    ),
    affineConstants(s),
  ].join("\n");

export const elementsOf = ({ window }: NormPoolSpec): number[] => numbers(window * window);

/** WGSL: where element `e` of the window at `at` lies. */
export const element = ({ window }: NormPoolSpec, e: number): string =>
  e ? `(at + (${Math.floor(e / window)}u * p.w + ${e % window}u) * p.row)` : "at";

/** WGSL: z of load `at`, in the set of part `k`. */
const normalisedAt = (s: NormPoolSpec, at: string, k: number): string => {
  const x = `x[${s.shared ? at : partAt(at, k)}]`;
  const set = setOf(statSets(s), k);
  return s.statistics === "none" ? x : `(${x} - first${set} - rest${set}) * rstd${set}`;
};

/** Name of z of element `e` for part `k`. */
export const z = (s: NormPoolSpec, k: number, e: number): string => `z${setOf(inputSets(s), k)}_${e}`;

/** WGSL: v of part `k` from its z. */
const beforeAct = (s: NormPoolSpec, k: number, e: number): string => {
  const [a, form] = affineOf(s, k);
  const scaled = hasScale(form) ? `${z(s, k, e)} * scale${a}` : z(s, k, e);
  return form === "rows" || hasShift(form) ? `${scaled} + plus${a}` : scaled;
};

/**
 * WGSL: z of every element of the window, and by part k the maximum `best<k>` with what is known of
 * its element.
 * @param at where an element lies
 * @param known name and value of that, by part and element
 */
export function maximum(
  s: NormPoolSpec,
  at: (e: number) => string,
  known?: { name: string; of: (k: number, e: number) => string },
): string {
  const step = (k: number, e: number): string => {
    if (e === 0) {
      const start = known ? `\n  var ${known.name}${k} = ${known.of(k, 0)};` : "";
      return `  var best${k} = ${beforeAct(s, k, 0)};${start}`;
    }
    return `  {
    let v = ${beforeAct(s, k, e)};
    let wins = beats(v, best${k});
    best${k} = select(best${k}, v, wins);
    ${known ? `${known.name}${k} = select(${known.name}${k}, ${known.of(k, e)}, wins);` : ""}
  }`;
  };
  return elementsOf(s)
    .flatMap((e) => [
      ...numbers(inputSets(s)).map((k) => `  let z${k}_${e} = ${normalisedAt(s, at(e), k)};`),
      ...numbers(s.parts).map((k) => step(k, e)),
    ])
    .join("\n");
}

/**
 * WGSL: `at`, the first load of the window of output position `o` in load `j` of a row, of the part
 * whose column begins at `start`.
 */
export const windowAt = ({ window, ragged }: NormPoolSpec, start = "j"): string => {
  if (window === 1) return `let at = o * p.row + ${start};`;
  const line = ragged
    ? `(o / p.ow / p.oh * p.h + o / p.ow % p.oh * ${window}u)`
    : // Without rows left over, the lines of all images follow each other as their windows do.
      `(o / p.ow * ${window}u)`;
  return `let at = (${line} * p.w + o % p.ow * ${window}u) * p.row + ${start};`;
};

/** y, one load of each part per invocation. */
export const normPoolKernel = /* @__PURE__ */ defineKernel({
  name: "norm-pool",
  key: poolKey,
  bindings: (s: NormPoolSpec) => ({ ...sources(s), y: write(loadType(s)) }),
  params: { ...GEOMETRY, block: "u32" },
  body: (s) => wgsl`
${head(s)}
${linearMain()} {
  ${linearIndex("p.outputs")}
  let j = index % p.row;
  let o = index / p.row;
  ${windowAt(s)}
  ${s.statistics === "none" ? "" : `let u = ${statIndex(s, "(at / p.block)", "j")};`}
${constants(s)}
${maximum(s, (e) => element(s, e))}
${numbers(s.parts)
  .map((k) => {
    const act = s.relu ? `select(best${k}, T(), best${k} < T())` : `best${k}`;
    return `  y[${partAt("index", k, "p.outputs")}] = ${act};`;
  })
  .join("\n")}
}`,
  workgroups: (_, p) => linearGrid(p.outputs),
});
