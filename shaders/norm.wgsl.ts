import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, defineKernel, linearGrid, linearIndex, linearMain } from "./kernel";

/*
 * Forward normalisation of x seen as [B, S, C]: statistics over the S rows and C/G channels of each (batch item b, group g).
 *
 * Sizes are counted in elements of the loaded type, `vec4f` or `f32`: `row` is a row of C channels, `q` a group's part of it,
 * `block` the S rows of a batch item. Statistics live in one buffer of three planes of B·G: shift, mean − shift, 1/std.
 * The shift is the first value of each group. A mean far from zero in units of the deviation does not fit into one f32:
 * x − shift is exact for such data, and what is left of the mean is small.
 */

/** How a normalisation kernel loads x. */
export interface NormLanes {
  /** Channels a load; 4 where no load straddles two rows or two groups of several channels. */
  readonly width: 1 | 4;
  /** A group has several channels, and one statistic for all of them; else every channel of a load has its own. */
  readonly grouped: boolean;
}

type Typed = Required<Pick<Binding, "type">>;
/** WGSL type of a load of x. */
export const loadType = ({ width }: NormLanes): Typed => ({ type: width === 4 ? "vec4f" : "f32" });
/** WGSL type of the statistics that go with a load: one scalar, or one a channel. */
export const statType = (l: NormLanes): Typed => (l.grouped ? { type: "f32" } : loadType(l));
export const lanesKey = (l: NormLanes): string => `${l.width}${l.grouped ? "g" : "c"}`;
/** `flag,` for every flag that is set. */
export const flagsKey = (flags: Readonly<Record<string, boolean>>): string =>
  Object.keys(flags)
    .filter((f) => flags[f])
    .map((f) => "," + f)
    .join("");

/** Bindings without those that a specification does not use. */
export const bind = <N extends string>(all: Record<N, Binding | false>): Record<N, Binding> =>
  Object.fromEntries(Object.entries(all).filter(([, b]) => b)) as Record<N, Binding>;

export const read = (t: Typed): Binding => ({ access: "read", ...t });
export const write = (t: Typed): Binding => ({ access: "write", ...t });

/** WGSL: number of the statistic of load `j` of a row in batch item `b`. */
export const statIndex = (l: NormLanes, b: string, j: string): string =>
  l.grouped ? `${b} * (p.row / p.q) + ${j} / p.q` : `${b} * p.row + ${j}`;

/** WGSL: stores a group's statistics, and moves the running ones towards them. */
const finish = (running: boolean) => `
  stats[u] = shift;
  stats[p.units + u] = mean;
  stats[2u * p.units + u] = 1.0 / sqrt(m2 / count + p.eps);
${
  running
    ? `  runningMean[u] = (1.0 - p.momentum) * runningMean[u] + p.momentum * (shift + mean);
  runningVar[u] = (1.0 - p.momentum) * runningVar[u] + p.momentum * (m2 / (count - 1.0));`
    : ""
}`;

/** What {@link normStatsKernel} writes: partial moments, or (one split) the statistics, without or with running ones. */
export type NormStatsOutput = "partial" | "whole" | "running";

/**
 * Mean and sum of squared deviations by Welford's update, split `k` of `splits` taking loads k, k + splits, … of its group.
 * Neighbouring invocations read neighbouring memory: along a row where channels are on their own, else along a group.
 */
export const normStatsKernel = defineKernel({
  name: "norm-stats",
  key: (s: NormLanes & { output: NormStatsOutput }) => `${lanesKey(s)},${s.output}`,
  bindings: (s) => {
    const running = s.output === "running" && write(statType(s));
    return bind({
      x: read(loadType(s)),
      part: s.output === "partial" && write(statType(s)),
      stats: s.output !== "partial" && write(statType(s)),
      runningMean: running,
      runningVar: running,
    });
  },
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
  let u = index / p.splits;
  let base = u / (p.row / p.q) * p.block + u % (p.row / p.q) * p.q;
  let shift = ${s.width === 4 ? "x[base].x" : "x[base]"};`
    : `  let k = index / p.row % p.splits;
  let b = index / p.row / p.splits;
  let u = b * p.row + index % p.row;
  let base = b * p.block + index % p.row;
  let shift = x[base];`
}
  var n = 0.0;
  var means = T();
  var squares = T();
  for (var i = k; i < p.items; i += p.splits) {
    let v = x[base + ${s.grouped ? "i / p.q * p.row + i % p.q" : "i * p.row"}] - shift;
    n += 1.0;
    let d = v - means;
    means += d / n;
    squares += d * (v - means);
  }
${
  s.grouped && s.width === 4
    ? `  let count = 4.0 * n;
  let mean = dot(means, vec4f(0.25));
  let apart = means - mean;
  let m2 = dot(squares, vec4f(1.0)) + n * dot(apart, apart);`
    : `  let count = n;
  let mean = means;
  let m2 = squares;`
}
${
  s.output === "partial"
    ? `  part[k * p.units + u] = mean;
  part[(p.splits + k) * p.units + u] = m2;`
    : finish(s.output === "running")
}
}`,
  workgroups: (_, p) => linearGrid(p.invocations),
});

/**
 * Merges the partial moments of one group an invocation, in the order of the splits.
 * Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
 */
export const normMergeKernel = defineKernel({
  name: "norm-merge",
  key: (s: { running: boolean }) => (s.running ? "running" : ""),
  bindings: (s) => {
    const running = s.running && write({ type: "f32" });
    return bind({
      x: read({ type: "f32" }),
      part: read({ type: "f32" }),
      stats: write({ type: "f32" }),
      runningMean: running,
      runningVar: running,
    });
  },
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
  ${linearIndex("p.units")}
  let u = index;
  let shift = x[u / (p.row / p.q) * p.block + u % (p.row / p.q) * p.q];
  var count = 0.0;
  var mean = 0.0;
  var m2 = 0.0;
  for (var k = 0u; k < p.splits; k++) {
    let n = f32((p.items - k + p.splits - 1u) / p.splits * p.width);
    let d = part[k * p.units + u] - mean;
    let share = n / (count + n);
    mean += d * share;
    m2 += part[(p.splits + k) * p.units + u] + d * d * count * share;
    count += n;
  }
  ${finish(s.running)}
}`,
  workgroups: (_, p) => linearGrid(p.units),
});

/** Statistics planes from running mean and variance. */
export const normRunningKernel = defineKernel({
  name: "norm-running",
  key: () => "",
  bindings: { runningMean: { access: "read" }, runningVar: { access: "read" }, stats: { access: "write" } },
  params: { units: "u32", eps: "f32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.units")}
  stats[index] = runningMean[index];
  stats[p.units + index] = 0.0;
  stats[2u * p.units + index] = 1.0 / sqrt(runningVar[index] + p.eps);
}`,
  workgroups: (_, p) => linearGrid(p.units),
});

export interface NormApplySpec extends NormLanes {
  readonly gamma: boolean;
  readonly beta: boolean;
  readonly relu: boolean;
}

/** y = act(γ ⊙ (x − μ)·rstd + β), one load an invocation. */
export const normApplyKernel = defineKernel({
  name: "norm-apply",
  key: (s: NormApplySpec) => lanesKey(s) + flagsKey({ gamma: s.gamma, beta: s.beta, relu: s.relu }),
  bindings: (s) =>
    bind({
      x: read(loadType(s)),
      stats: read(statType(s)),
      gamma: s.gamma && read(loadType(s)),
      beta: s.beta && read(loadType(s)),
      y: write(loadType(s)),
    }),
  params: { loads: "u32", units: "u32", row: "u32", q: "u32", block: "u32" },
  body: (s) => wgsl`
alias T = ${loadType(s).type};
${linearMain()} {
  ${linearIndex("p.loads")}
  let j = index % p.row;
  let u = ${statIndex(s, "(index / p.block)", "j")};
  var v = (x[index] - stats[u] - stats[p.units + u]) * stats[2u * p.units + u];
  ${s.gamma ? "v *= gamma[j];" : ""}
  ${s.beta ? "v += beta[j];" : ""}
  y[index] = ${s.relu ? "select(v, T(), v < T())" : "v"};
}`,
  workgroups: (_, p) => linearGrid(p.loads),
});
