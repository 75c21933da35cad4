import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "./kernel";
import { bind, flagsKey, lanesKey, loadType, type NormLanes, read, statIndex, statType, write } from "./norm.wgsl";

/*
 * Backward normalisation; sizes and statistics as in norm.wgsl.ts. With dz = g (masked by y > 0 under ReLU), z = (x − μ)·rstd
 * and means over the S·C/G values of a group:
 *
 *   dβ = Σ dz,   dγ = Σ dz·z,   dx = rstd·(γ·dz − mean(γ·dz) − z·mean(γ·dz·z)).
 */

/** WGSL: dz of load `at`. */
const masked = (relu: boolean, at: string) => (relu ? `select(T(), g[${at}], y[${at}] > T())` : `g[${at}]`);
/** WGSL: z of load `at`, with statistic `u`. */
const normalised = (at: string, u: string) =>
  `(x[${at}] - stats[${u}] - stats[p.units + ${u}]) * stats[2u * p.units + ${u}]`;

/**
 * Partial Σ dz and Σ dz·z a channel: plane 0 and 1 of [batch items, splits, C], split `k` taking rows k, k + splits, ….
 * `perRow`: every row is a batch item of its own (S = 1), all summed as one.
 */
export const normGradPartialKernel = defineKernel({
  name: "norm-grad-partial",
  key: (s: NormLanes & { relu: boolean; perRow: boolean }) =>
    lanesKey(s) + flagsKey({ relu: s.relu, perRow: s.perRow }),
  bindings: (s) =>
    bind({
      x: read(loadType(s)),
      g: read(loadType(s)),
      y: s.relu && read(loadType(s)),
      stats: read(statType(s)),
      part: write(loadType(s)),
    }),
  params: { invocations: "u32", units: "u32", splits: "u32", items: "u32", row: "u32", q: "u32" },
  body: (s) => wgsl`
alias T = ${loadType(s).type};
${linearMain()} {
  ${linearIndex("p.invocations")}
  let j = index % p.row;
  let k = index / p.row % p.splits;
  let b = index / p.row / p.splits;
  ${s.perRow ? "" : `let u = ${statIndex(s, "b", "j")};`}
  var plain = T();
  var weighted = T();
  for (var i = k; i < p.items; i += p.splits) {
    let at = (b * p.items + i) * p.row + j;
    ${s.perRow ? `let u = ${statIndex(s, "i", "j")};` : ""}
    let dz = ${masked(s.relu, "at")};
    plain += dz;
    weighted += dz * (${normalised("at", "u")});
  }
  part[index] = plain;
  part[p.invocations + index] = weighted;
}`,
  workgroups: (_, p) => linearGrid(p.invocations),
});

export interface NormGradFinishSpec {
  readonly gamma: boolean;
  /** Write the group means that dx needs. */
  readonly groups: boolean;
  /** Write dγ and dβ. */
  readonly affine: boolean;
}

/** From the partial sums: mean γ·dz and mean γ·dz·z a group (planes of `means`), then dγ and dβ a channel. Sizes in scalars. */
export const normGradFinishKernel = defineKernel({
  name: "norm-grad-finish",
  key: (s: NormGradFinishSpec) => flagsKey({ gamma: s.gamma && s.groups, groups: s.groups, affine: s.affine }).slice(1),
  bindings: (s) => {
    const out = write({ type: "f32" });
    return bind({
      part: read({ type: "f32" }),
      gamma: s.gamma && s.groups && read({ type: "f32" }),
      means: s.groups && out,
      dgamma: s.affine && out,
      dbeta: s.affine && out,
    });
  },
  /** `parts` is a plane of the partial sums, `units` is 0 without group means and `channels` 0 without dγ and dβ. */
  params: { parts: "u32", units: "u32", channels: "u32", splits: "u32", row: "u32", q: "u32", values: "f32" },
  body: (s) => wgsl`
${linearMain()} {
  ${linearIndex("p.units + p.channels")}
  var plain = 0.0;
  var weighted = 0.0;
${
  s.groups
    ? `  if (index < p.units) {
    let b = index / (p.row / p.q);
    let first = index % (p.row / p.q) * p.q;
    for (var c = first; c < first + p.q; c++) {
      var sums = vec2f();
      for (var k = 0u; k < p.splits; k++) {
        let at = (b * p.splits + k) * p.row + c;
        sums += vec2f(part[at], part[p.parts + at]);
      }
      ${s.gamma ? "sums *= gamma[c];" : ""}
      plain += sums.x;
      weighted += sums.y;
    }
    means[index] = plain / p.values;
    means[p.units + index] = weighted / p.values;
    return;
  }`
    : ""
}
${
  s.affine
    ? `  let c = index - p.units;
  for (var at = c; at < p.parts; at += p.row) {
    plain += part[at];
    weighted += part[p.parts + at];
  }
  dbeta[c] = plain;
  dgamma[c] = weighted;`
    : ""
}
}`,
  workgroups: (_, p) => linearGrid(p.units + p.channels),
});

/** Mean γ·dz and mean γ·dz·z of groups within one row (S = 1), one group an invocation. */
export const normGradRowsKernel = defineKernel({
  name: "norm-grad-rows",
  key: (s: { width: 1 | 4; relu: boolean; gamma: boolean }) => s.width + flagsKey({ relu: s.relu, gamma: s.gamma }),
  bindings: (s) => {
    const load = read(loadType({ ...s, grouped: true }));
    return bind({
      x: load,
      g: load,
      y: s.relu && load,
      stats: read({ type: "f32" }),
      gamma: s.gamma && load,
      means: write({ type: "f32" }),
    });
  },
  params: { units: "u32", row: "u32", q: "u32", values: "f32" },
  body: (s) => wgsl`
alias T = ${loadType({ ...s, grouped: true }).type};
${linearMain()} {
  ${linearIndex("p.units")}
  let first = index * p.q;
  var plain = T();
  var weighted = T();
  for (var i = 0u; i < p.q; i++) {
    let at = first + i;
    let d = ${s.gamma ? "gamma[at % p.row] * " : ""}${masked(s.relu, "at")};
    plain += d;
    weighted += d * (${normalised("at", "index")});
  }
  means[index] = ${s.width === 4 ? "dot(plain, vec4f(1.0))" : "plain"} / p.values;
  means[p.units + index] = ${s.width === 4 ? "dot(weighted, vec4f(1.0))" : "weighted"} / p.values;
}`,
  workgroups: (_, p) => linearGrid(p.units),
});

export interface NormGradApplySpec extends NormLanes {
  readonly relu: boolean;
  readonly gamma: boolean;
  /** The statistics were the input's own; else constants, and dx = rstd·γ·dz. */
  readonly batch: boolean;
}

/** dx, one load an invocation. */
export const normGradApplyKernel = defineKernel({
  name: "norm-grad-apply",
  key: (s: NormGradApplySpec) => lanesKey(s) + flagsKey({ relu: s.relu, gamma: s.gamma, batch: s.batch }),
  bindings: (s) =>
    bind({
      x: s.batch && read(loadType(s)),
      g: read(loadType(s)),
      y: s.relu && read(loadType(s)),
      stats: read(statType(s)),
      gamma: s.gamma && read(loadType(s)),
      means: s.batch && read(statType(s)),
      dx: write(loadType(s)),
    }),
  params: { loads: "u32", units: "u32", row: "u32", q: "u32", block: "u32" },
  body: (s) => wgsl`
alias T = ${loadType(s).type};
${linearMain()} {
  ${linearIndex("p.loads")}
  let j = index % p.row;
  let u = ${statIndex(s, "(index / p.block)", "j")};
  var d = ${masked(s.relu, "index")};
  ${s.gamma ? "d *= gamma[j];" : ""}
  ${s.batch ? `d -= means[u] + (${normalised("index", "u")}) * means[p.units + u];` : ""}
  dx[index] = d * stats[2u * p.units + u];
}`,
  workgroups: (_, p) => linearGrid(p.loads),
});
