import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, defineKernel, linearGrid, linearIndex, linearMain } from "../../src/gpu/kernel";
import { bind, fourAtATime, lanesKey, loadType, type NormLanes, numbers, read, statType, write } from "./apply.wgsl";

/*
 * Statistics of a normalisation; sizes and planes as in norm.wgsl.ts. The shift is the first value
 * of each group. A mean far from zero in units of the deviation does not fit into one f32: x −
 * shift is exact for such data, and what is left of the mean is small.
 */

/** Which statistics move which running ones. */
export interface NormTracking {
  /** Sets of statistics, one per part, in the order of the parts; `units` are those of all. */
  readonly sets: number;
  /**
   * By part, the number of the running set that moves: two parts may move one, each in its turn.
   * Empty where nothing is tracked.
   */
  readonly running: readonly number[];
  /** Means count as 0, as in {@link NormParts}. */
  readonly aboutZero?: boolean;
}

/** Running sets that there are. */
export const runningSets = (running: readonly number[]): number => Math.max(-1, ...running) + 1;

/** Bindings of as many running means and variances. */
export const runningBindings = (
  count: number,
  binding: Binding,
): Record<`runningMean${number}` | `runningVar${number}`, Binding> =>
  Object.fromEntries(
    numbers(count).flatMap((r) => [
      [`runningMean${r}`, binding],
      [`runningVar${r}`, binding],
    ]),
  );

const trackingKey = (t: NormTracking): string => `${t.sets},${t.running.join("+")}${t.aboutZero ? ",0" : ""}`;

/**
 * WGSL: statistic `u` (of a WGSL type) of set `k` from `shift`, `mean`, `m2` and `count`; moves the
 * running ones of channel `first` towards it.
 */
const finish = ({ sets, running, aboutZero }: NormTracking, k: number, type: string): string => `
    stats[u] = ${aboutZero ? `${type}()` : "shift"};
    stats[p.units + u] = ${aboutZero ? `${type}()` : "mean"};
    stats[2u * p.units + u] = 1.0 / sqrt(m2 / count + ${aboutZero ? "(shift + mean) * (shift + mean) + " : ""}p.eps);
${(sets === 1 ? running : running.slice(k, k + 1))
  .map(
    (r) => `    runningMean${r}[first] = (1.0 - p.momentum) * runningMean${r}[first] + p.momentum * (shift + mean);
    runningVar${r}[first] = (1.0 - p.momentum) * runningVar${r}[first] + p.momentum * (m2 / (count - 1.0));`,
  )
  .join("\n")}`;

/**
 * WGSL: `count`, `mean` and `m2` of loads `start`, `start` + `step`, … below `end` of a group,
 * about its `shift`, by Welford's update.
 * @param load what is read at a place
 */
export const momentsOf = (
  s: NormLanes,
  o: Record<"start" | "end" | "step", string> & { readonly load: (at: string) => string },
): string => `    var n = 0.0;
    var means = T();
    var squares = T();
    ${fourAtATime({
      ...o,
      load: (at) => [`${o.load(at)} - shift`],
      use: ([v]) => `{ n += 1.0;
        let d = ${v} - means;
        means += d / n;
        squares += d * (${v} - means); }`,
    })}
${
  s.grouped && s.width === 4
    ? `    let count = 4.0 * n;
    let mean = dot(means, vec4f(0.25));
    let apart = means - mean;
    let m2 = dot(squares, vec4f(1.0)) + n * dot(apart, apart);`
    : `    let count = n;
    let mean = means;
    let m2 = squares;`
}`;

/** What {@link normStatsKernel} writes: moments of each split, or (one split) the statistics. */
export type NormStatsSpec = NormLanes & NormTracking & { readonly partial: boolean };

/**
 * Mean and sum of squared deviations, split `k` of `splits` taking loads k, k + splits, … of its
 * group. Neighbouring invocations read neighbouring memory: along a row where
 * channels are on their own, else along a group.
 */
export const normStatsKernel = /* @__PURE__ */ defineKernel({
  name: "norm-stats",
  key: (s: NormStatsSpec) => `${lanesKey(s)},${s.partial ? "partial" : trackingKey(s)}`,
  bindings: (s) => ({
    ...bind({
      x: read(loadType(s)),
      part: s.partial && write(statType(s)),
      stats: !s.partial && write(statType(s)),
    }),
    ...(s.partial ? {} : runningBindings(runningSets(s.running), write(statType(s)))),
  }),
  params: {
    invocations: "u32",
    units: "u32",
    splits: "u32",
    items: "u32",
    row: "u32",
    q: "u32",
    block: "u32",
    eps: "f32",
    momentum: "f32",
  },
  body: (s) => wgsl`
alias T = ${loadType(s).type};
alias A = ${statType(s).type};
${linearMain()} {
  ${linearIndex("p.invocations")}
${
  s.grouped
    ? `  let k = index % p.splits;
  let first = index / p.splits;`
    : `  let k = index / p.row % p.splits;
  let first = index / p.row / p.splits * p.row + index % p.row;`
}
${numbers(s.partial ? 1 : s.sets)
  .map(
    (set) => `  {
    let u = first + ${set}u * (p.units / ${s.sets}u);
    let base = u / (p.row / p.q) * p.block + u % (p.row / p.q) * p.q;
    let shift = ${s.grouped && s.width === 4 ? "x[base].x" : "x[base]"};
${momentsOf(s, {
  start: "k",
  end: "p.items",
  step: "p.splits",
  load: (i) => `x[base + ${s.grouped ? `(${i}) / p.q * p.row + (${i}) % p.q` : `(${i}) * p.row`}]`,
})}
${
  s.partial
    ? `    part[k * p.units + u] = mean;
    part[(p.splits + k) * p.units + u] = m2;`
    : finish(s, set, "A")
}
  }`,
  )
  .join("\n")}
}`,
  workgroups: (_, p) => linearGrid(p.invocations),
});

/**
 * Merges the partial moments of one group per invocation, in the order of the splits.
 * Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
 * variances", 1979.
 */
export const normMergeKernel = /* @__PURE__ */ defineKernel({
  name: "norm-merge",
  key: (s: NormTracking) => trackingKey(s),
  bindings: (s) => ({
    ...bind({ x: read({ type: "f32" }), part: read({ type: "f32" }), stats: write({ type: "f32" }) }),
    ...runningBindings(runningSets(s.running), write({ type: "f32" })),
  }),
  /** Sizes in scalars, but `items` in loads of `width`. */
  params: {
    units: "u32",
    splits: "u32",
    items: "u32",
    width: "u32",
    row: "u32",
    q: "u32",
    block: "u32",
    eps: "f32",
    momentum: "f32",
  },
  body: (s) => wgsl`
${linearMain()} {
  ${linearIndex(`p.units / ${s.sets}u`)}
  let first = index;
${numbers(s.sets)
  .map(
    (set) => `  {
    let u = first + ${set}u * (p.units / ${s.sets}u);
    let shift = x[u / (p.row / p.q) * p.block + u % (p.row / p.q) * p.q];
    var count = 0.0;
    var mean = 0.0;
    var m2 = 0.0;
    ${fourAtATime({
      start: "0u",
      end: "p.splits",
      step: "1u",
      load: (k) => [`part[(${k}) * p.units + u]`, `part[(p.splits + ${k}) * p.units + u]`],
      use: ([mean, squares], k) => `{ let n = f32((p.items - (${k}) + p.splits - 1u) / p.splits * p.width);
        let d = ${mean} - mean;
        let share = n / (count + n);
        mean += d * share;
        m2 += ${squares} + d * d * count * share;
        count += n; }`,
    })}
    ${finish(s, set, "f32")}
  }`,
  )
  .join("\n")}
}`,
  workgroups: (s, p) => linearGrid(p.units / s.sets),
  // Of x one number a group, though all of it is bound.
  loads: (_, p) => p.units * (2 * p.splits + 1),
});

/**
 * Statistics planes of `sets` parts from the running mean and variance of each, or from the same
 * ones for all (one set).
 */
export const normRunningKernel = /* @__PURE__ */ defineKernel({
  name: "norm-running",
  key: (s: { sets: number }) => `${s.sets}`,
  bindings: (s) => ({
    ...runningBindings(s.sets, { access: "read" }),
    ...bind({ stats: write({ type: "f32" }) }),
  }),
  /** `units` of one set. */
  params: { units: "u32", eps: "f32" },
  body: (s) => wgsl`
${linearMain()} {
  ${linearIndex("p.units")}
${numbers(s.sets)
  .map(
    (r) => `  stats[${r}u * p.units + index] = runningMean${r}[index];
  stats[${s.sets + r}u * p.units + index] = 0.0;
  stats[${2 * s.sets + r}u * p.units + index] = 1.0 / sqrt(runningVar${r}[index] + p.eps);`,
  )
  .join("\n")}
}`,
  workgroups: (_, p) => linearGrid(p.units),
});
