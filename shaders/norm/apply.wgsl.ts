import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, defineKernel, linearGrid, linearIndex, linearMain } from "../../src/gpu/kernel";

/*
 * Forward normalisation of x seen as [B, S, C]: statistics over the S rows and C/G channels of each
 * (batch item b, group g).
 *
 * Sizes are counted in elements of the loaded type, `vec4f` or `f32`: `row` is a row of C channels,
 * `q` a group's part of it, `block` the S rows of a batch item. Statistics live in one buffer of
 * three planes: shift, mean − shift, 1/std.
 *
 * A batch may be made of parts of equal size that lie one after the other in y and g, with γ and β
 * for each. `loads` and `units` (statistics) are those of one part; an invocation does the same
 * load of every part.
 */

/** How a normalisation kernel loads x. */
export interface NormLanes {
  /** Channels a load; 4 where no load straddles two rows or two groups of several channels. */
  readonly width: 1 | 4;
  /**
   * A group has several channels, and one statistic for all of them; else every channel of a load
   * has its own.
   */
  readonly grouped: boolean;
}

/** γ alone, β alone, both as tensors of their own, both as the rows of one, or neither. */
export type NormAffine = "scale" | "shift" | "both" | "rows" | "none";

/** What the parts of a batch have in common and what is each one's own. */
export interface NormParts {
  readonly parts: number;
  /** All parts read the same x; else theirs lie one after the other in it. */
  readonly shared: boolean;
  /** Statistics of each part, the same for all, or none at all: then z = x. */
  readonly statistics: "each" | "one" | "none";
  /** γ and β of each part, or (a single entry) the same for all. */
  readonly affine: readonly NormAffine[];
  /** Means count as 0, and the mean square of x stands for its variance (RMS norm). */
  readonly aboutZero?: boolean;
}

type Typed = Required<Pick<Binding, "type">>;
/** WGSL type of a load of x. */
export const loadType = ({ width }: Pick<NormLanes, "width">): Typed => ({ type: width === 4 ? "vec4f" : "f32" });
/** WGSL type of the statistics that go with a load: one scalar, or one per channel. */
export const statType = (l: NormLanes): Typed => (l.grouped ? { type: "f32" } : loadType(l));
export const lanesKey = (l: NormLanes): string => `${l.width}${l.grouped ? "g" : "c"}`;
/** `flag,` for every flag that is set. */
export const flagsKey = (flags: Readonly<Record<string, boolean>>): string =>
  Object.keys(flags)
    .filter((f) => flags[f])
    .map((f) => "," + f)
    .join("");
export const partsKey = (s: NormParts): string =>
  `,${s.parts}${s.shared ? "s" : ""},${s.statistics},${s.affine.join("+")}${s.aboutZero ? ",0" : ""}`;

/** Bindings without those that a specification does not use. */
export const bind = <N extends string>(all: Record<N, Binding | false>): Record<N, Binding> =>
  Object.fromEntries(Object.entries(all).filter(([, b]) => b)) as Record<N, Binding>;

export const read = (t: Typed): Binding => ({ access: "read", ...t });
export const write = (t: Typed): Binding => ({ access: "write", ...t });

/** 0, 1, … n − 1. */
export const numbers = (n: number): number[] => Array.from({ length: n }, (_, k) => k);

/** WGSL: number of the statistic of load `j` of a row in batch item `b`. */
export const statIndex = (l: NormLanes, b: string, j: string): string =>
  l.grouped ? `${b} * (p.row / p.q) + ${j} / p.q` : `${b} * p.row + ${j}`;

/** WGSL: place `at` of part `k`, where each has `size` of them. */
export const partAt = (at: string, k: number, size = "p.loads"): string => (k ? `(${at} + ${k}u * ${size})` : at);

/**
 * WGSL: a loop over positions `start`, `start` + `step`, … below `end`. `load` gives expressions of
 * what is read at a position, `use` what is done with their values, one position after the other:
 * the loads of four positions are under way at a time, as loops that sum a little of much memory do
 * nothing but wait for them.
 */
export function fourAtATime(o: {
  readonly start: string;
  readonly end: string;
  readonly step: string;
  readonly load: (at: string) => readonly string[];
  readonly use: (values: readonly string[], at: string) => string;
}): string {
  const at = (j: number) => (j ? `at + ${j}u * ${o.step}` : "at");
  const loads = (j: number) =>
    o
      .load(at(j))
      .map((value, i) => `let v${j}_${i} = ${value};`)
      .join(" ");
  const use = (j: number) =>
    o.use(
      o.load("").map((_, i) => `v${j}_${i}`),
      at(j),
    );
  const four = [0, 1, 2, 3];
  return `{
      var at = ${o.start};
      for (; at + 3u * ${o.step} < ${o.end}; at += 4u * ${o.step}) {
        ${four.map(loads).join("\n        ")}
        ${four.map(use).join("\n        ")}
      }
      for (; at < ${o.end}; at += ${o.step}) { ${loads(0)} ${use(0)} }
    }`;
}

/** Sets of statistics, by part. */
export const statSets = (s: NormParts): number => (s.statistics === "each" ? s.parts : 1);
/** Distinct normalised inputs z, by part. */
export const inputSets = (s: NormParts): number => (s.shared && statSets(s) === 1 ? 1 : s.parts);
/** Of several sets the one of part `k`, of a single one this. */
export const setOf = (sets: number, k: number): number => (sets > 1 ? k : 0);

/** WGSL: plane `m` (shift, mean − shift, 1/std) of statistic `u` for part `k`. */
export const statistic = (s: NormParts, m: 0 | 1 | 2, u: string, k: number): string => {
  const sets = statSets(s);
  return `stats[${m * sets + setOf(sets, k)}u * p.units + ${u}]`;
};

/** WGSL: z of load `at` of part `k`, with its statistic `u`. */
export const normalised = (s: NormParts, at: string, u: string, k: number): string => {
  const x = `x[${s.shared ? at : partAt(at, k)}]`;
  return s.statistics === "none"
    ? x
    : `(${x} - ${statistic(s, 0, u, k)} - ${statistic(s, 1, u, k)}) * ${statistic(s, 2, u, k)}`;
};

export const hasScale = (form: NormAffine): boolean => form !== "none" && form !== "shift";
export const hasShift = (form: NormAffine): boolean => form === "shift" || form === "both";

/** Number and form of the γ and β of part `k`. */
export const affineOf = (s: NormParts, k: number): [number: number, form: NormAffine] => {
  const a = setOf(s.affine.length, k);
  return [a, s.affine[a]!];
};

/** WGSL: v = v times γ of part `k`, at place `j` of a row. */
export const scaled = (s: NormParts, v: string, j: string, k: number): string => {
  const [a, form] = affineOf(s, k);
  return hasScale(form) ? `${v} *= gamma${a}[${j}];` : "";
};

/** Bindings `gamma0`, …: the scales, and for `rows` the shifts behind them. */
export const scaleBindings = (s: NormParts, type: Typed): Record<`gamma${number}`, Binding> =>
  bind(Object.fromEntries(s.affine.map((form, a) => [`gamma${a}`, hasScale(form) && read(type)])));

/** Bindings `beta0`, …: the shifts that are tensors of their own. */
export const shiftBindings = (s: NormParts, type: Typed): Record<`beta${number}`, Binding> =>
  bind(Object.fromEntries(s.affine.map((form, a) => [`beta${a}`, hasShift(form) && read(type)])));

/** WGSL: γ ⊙ z + β of part `k`, at place `j` of a row. */
export const affined = (s: NormParts, z: string, j: string, k: number): string => {
  const [a, form] = affineOf(s, k);
  const v = hasScale(form) ? `(${z}) * gamma${a}[${j}]` : z;
  if (form === "rows") return `${v} + gamma${a}[p.row + ${j}]`;
  return hasShift(form) ? `${v} + beta${a}[${j}]` : v;
};

/** What comes behind γ and β. */
export interface NormEnd {
  readonly relu: boolean;
  /** r of y's shape is added to what the ReLU (if any) leaves, and a ReLU comes behind the sum. */
  readonly residual: boolean;
}

const rectified = (v: string): string => `select(${v}, T(), ${v} < T())`;

/** WGSL: the output at `place` from the value `v` (a name) before it. */
export const ended = ({ relu, residual }: NormEnd, v: string, place: string): string => {
  const act = relu ? rectified(v) : v;
  return residual ? `rectified(${act} + r[${place}])` : act;
};

/** WGSL: what {@link ended} calls. */
export const endFunctions = ({ residual }: NormEnd): string =>
  residual ? `fn rectified(v: T) -> T { return ${rectified("v")}; }` : "";

export interface NormApplySpec extends NormLanes, NormParts, NormEnd {}

/** y = act(γ ⊙ z + β), z = (x − μ)·rstd: one load of each part per invocation. */
export const normApplyKernel = /* @__PURE__ */ defineKernel({
  name: "norm-apply",
  key: (s: NormApplySpec) => lanesKey(s) + partsKey(s) + flagsKey({ relu: s.relu, residual: s.residual }),
  bindings: (s) => ({
    ...bind({
      x: read(loadType(s)),
      r: s.residual && read(loadType(s)),
      stats: s.statistics !== "none" && read(statType(s)),
    }),
    ...scaleBindings(s, loadType(s)),
    ...shiftBindings(s, loadType(s)),
    y: write(loadType(s)),
  }),
  params: { loads: "u32", units: "u32", row: "u32", q: "u32", block: "u32" },
  body: (s) => wgsl`
alias T = ${loadType(s).type};
${endFunctions(s)}
${linearMain()} {
  ${linearIndex("p.loads")}
  let j = index % p.row;
  ${s.statistics === "none" ? "" : `let u = ${statIndex(s, "(index / p.block)", "j")};`}
${numbers(inputSets(s))
  .map((k) => `  let z${k} = ${normalised(s, "index", "u", k)};`)
  .join("\n")}
${numbers(s.parts)
  .map(
    (k) => `  {
    let v = ${affined(s, `z${setOf(inputSets(s), k)}`, "j", k)};
    y[${partAt("index", k)}] = ${ended(s, "v", partAt("index", k))};
  }`,
  )
  .join("\n")}
}`,
  workgroups: (_, p) => linearGrid(p.loads),
});
