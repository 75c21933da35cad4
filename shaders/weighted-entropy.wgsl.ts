import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain, nanTest } from "../src/gpu/kernel";
import { IS_FINITE, NAN, STATISTICS } from "./softmax.wgsl";

/** What distinguishes a weighted cross-entropy from the plain one. */
export interface WeightedEntropySpec {
  /** Classes have weights; else each has 1. */
  readonly weighted: boolean;
  /** Rows with one label are left out. */
  readonly ignoring: boolean;
}

const keyOf = (s: WeightedEntropySpec): string => `${s.weighted ? "w" : ""}${s.ignoring ? "i" : ""}`;
const weightBinding = (s: WeightedEntropySpec) => (s.weighted ? { weights: { access: "read" } as const } : {});
const weightOf = (s: WeightedEntropySpec, c: string): string => (s.weighted ? `weights[${c}]` : "1.0");
const isIgnored = (s: WeightedEntropySpec): string => (s.ignoring ? "label == p.ignored" : "false");

/**
 * Cross-entropy of each row of logits [rows, n] with weights w of the classes: with log p = x − m −
 * log Σ exp(x − m), −(1 − ε) w_label log p_label − ε/n Σ w_c log p_c; 0 for an ignored row.
 *
 * `share` is w_label, 0 for an ignored row. `stats` keeps (m, log Σ, (1 − ε) w_label + ε/n Σ
 * w_c, 0) for the gradient, or (m, −1, …) for a row that gives NaN. A label outside 0 … n − 1 gives
 * NaN too.
 */
export const weightedEntropyKernel = /* @__PURE__ */ defineKernel({
  name: "weighted-entropy",
  key: keyOf,
  bindings: (s: WeightedEntropySpec) => ({
    x: { access: "read" },
    labels: { access: "read", type: "u32" },
    ...weightBinding(s),
    loss: { access: "write", type: "u32" },
    share: { access: "write" },
    stats: { access: "write", type: "vec4f" },
  }),
  params: { rows: "u32", n: "u32", smoothing: "f32", ignored: "u32" },
  body: (s) => wgsl`
${nanTest("f32")}
${IS_FINITE}
${linearMain()} {
  ${linearIndex("p.rows")}
  let label = labels[index];
  if (${isIgnored(s)}) {
    loss[index] = 0u;
    share[index] = 0.0;
    stats[index] = vec4f();
    return;
  }
  let base = index * p.n;
  ${STATISTICS("base", "1u", "p.n")}
  let known = label < p.n;
  let at = select(0u, label, known);
  let shift = most + log(total);
  let mine = ${weightOf(s, "at")};
  var value = (p.smoothing - 1.0) * mine * (x[base + at] - shift);
  var mass = (1.0 - p.smoothing) * mine;
  if (p.smoothing > 0.0) {
    var all = vec2f();
    for (var i = 0u; i < p.n; i++) { all += ${weightOf(s, "i")} * vec2f(x[base + i] - shift, 1.0); }
    all *= p.smoothing / f32(p.n);
    value -= all.x;
    mass += all.y;
  }
  share[index] = mine;
  stats[index] = vec4f(most, select(-1.0, log(total), sound), mass, 0.0);
  loss[index] = select(${NAN}, bitcast<u32>(value), known && sound);
}`,
  workgroups: (_, p) => linearGrid(p.rows),
});

/**
 * dL/dlogits = g · (mass · softmax − target), target = (1 − ε) w_label at the label plus ε/n · w_c;
 * the rows' g lie `g_step` apart (0: one for all). 0 for an ignored row.
 */
export const weightedEntropyGradKernel = /* @__PURE__ */ defineKernel({
  name: "weighted-entropy-grad",
  key: keyOf,
  bindings: (s: WeightedEntropySpec) => ({
    g: { access: "read" },
    x: { access: "read" },
    labels: { access: "read", type: "u32" },
    ...weightBinding(s),
    stats: { access: "read", type: "vec4f" },
    dx: { access: "write", type: "u32" },
  }),
  params: { count: "u32", n: "u32", g_step: "u32", smoothing: "f32", ignored: "u32" },
  body: (s) => wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let row = index / p.n;
  let c = index % p.n;
  let label = labels[row];
  let known = stats[row];
  let wanted = ${weightOf(s, "c")} * (p.smoothing / f32(p.n) + select(0.0, 1.0 - p.smoothing, c == label));
  let value = g[row * p.g_step] * (known.z * exp(x[index] - known.x - known.y) - wanted);
  let bits = select(${NAN}, bitcast<u32>(value), label < p.n && known.y > -0.5);
  dx[index] = select(bits, 0u, ${isIgnored(s)});
}`,
  workgroups: (_, p) => linearGrid(p.count),
});
