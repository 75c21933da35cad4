import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain, nanTest } from "../src/gpu/kernel";

/** Bits of a NaN; it is stored through u32 bindings, see {@link nanTest}. */
export const NAN = "0x7fc00000u";

export const IS_FINITE = "fn isFinite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }";

/**
 * WGSL: `most` and `total` = Σ exp(x − most) over the line `x[base + i · step]`, i < n, and whether
 * they are `sound`: not when x has NaN or +∞, or −∞ alone.
 */
export const STATISTICS = (base: string, step: string, n: string) => /* wgsl */ `
  var most = x[${base}];
  var sound = !isNan(most);
  for (var i = 1u; i < ${n}; i++) {
    let v = x[${base} + i * ${step}];
    sound = sound && !isNan(v);
    most = max(most, v);
  }
  sound = sound && isFinite(most);
  var total = 0.0;
  for (var i = 0u; i < ${n}; i++) { total += exp(x[${base} + i * ${step}] - most); }`;

/** WGSL: the first element of line `index` of [outer, n, inner]. */
const LINE = "let base = index / p.inner * p.n * p.inner + index % p.inner;";

export type SoftmaxOp = "softmax" | "logSoftmax";

/** Softmax, or its logarithm, along the middle of [outer, n, inner]; one invocation a line. */
export const softmaxKernel = /* @__PURE__ */ defineKernel({
  name: "softmax",
  key: (op: SoftmaxOp) => op,
  bindings: { x: { access: "read" }, y: { access: "write", type: "u32" } },
  params: { lines: "u32", n: "u32", inner: "u32" },
  body: (op) => wgsl`
${nanTest("f32")}
${IS_FINITE}
${linearMain()} {
  ${linearIndex("p.lines")}
  ${LINE}
  ${STATISTICS("base", "p.inner", "p.n")}
  ${op === "softmax" ? "let scale = 1.0 / total;" : "let shift = log(total);"}
  for (var i = 0u; i < p.n; i++) {
    let at = base + i * p.inner;
    let value = ${op === "softmax" ? "exp(x[at] - most) * scale" : "x[at] - most - shift"};
    y[at] = select(${NAN}, bitcast<u32>(value), sound);
  }
}`,
  workgroups: (_, p) => linearGrid(p.lines),
});

/**
 * Gradient of {@link softmaxKernel} from its output: y (g − Σ g y), or g − eʸ Σ g for the
 * logarithm.
 */
export const softmaxGradKernel = /* @__PURE__ */ defineKernel({
  name: "softmax-grad",
  key: (op: SoftmaxOp) => op,
  bindings: { g: { access: "read" }, y: { access: "read" }, dx: { access: "write", type: "u32" } },
  params: { lines: "u32", n: "u32", inner: "u32" },
  body: (op) => wgsl`
${nanTest("f32")}
${linearMain()} {
  ${linearIndex("p.lines")}
  ${LINE}
  var total = 0.0;
  for (var i = 0u; i < p.n; i++) {
    let at = base + i * p.inner;
    total += ${op === "softmax" ? "g[at] * y[at]" : "g[at]"};
  }
  for (var i = 0u; i < p.n; i++) {
    let at = base + i * p.inner;
    let value = ${op === "softmax" ? "y[at] * (g[at] - total)" : "g[at] - exp(y[at]) * total"};
    dx[at] = select(bitcast<u32>(value), ${NAN}, isNan(y[at]));
  }
}`,
  workgroups: (_, p) => linearGrid(p.lines),
});

/**
 * Cross-entropy of each row of logits [rows, n], shifted: log Σ exp(x − m) − (1 − ε)(x_label − m) −
 * ε·mean(x − m). Keeps (m, log Σ) for the gradient, or (m, −1) for a row that gives NaN. A label
 * outside 0 … n − 1 gives NaN too.
 */
export const crossEntropyKernel = /* @__PURE__ */ defineKernel({
  name: "cross-entropy",
  key: () => "",
  bindings: {
    x: { access: "read" },
    labels: { access: "read", type: "u32" },
    loss: { access: "write", type: "u32" },
    stats: { access: "write", type: "vec2f" },
  },
  params: { rows: "u32", n: "u32", smoothing: "f32" },
  body: (_: null) => wgsl`
${nanTest("f32")}
${IS_FINITE}
${linearMain()} {
  ${linearIndex("p.rows")}
  let base = index * p.n;
  ${STATISTICS("base", "1u", "p.n")}
  let label = labels[index];
  let known = label < p.n;
  var value = log(total) - (1.0 - p.smoothing) * (x[base + select(0u, label, known)] - most);
  if (p.smoothing > 0.0) {
    var sum = 0.0;
    for (var i = 0u; i < p.n; i++) { sum += x[base + i] - most; }
    value -= p.smoothing * sum / f32(p.n);
  }
  stats[index] = vec2f(most, select(-1.0, log(total), sound));
  loss[index] = select(${NAN}, bitcast<u32>(value), known && sound);
}`,
  workgroups: (_, p) => linearGrid(p.rows),
});

/** dL/dlogits = scale · g · (softmax − target); the rows' g lie `g_step` apart (0: one for all). */
export const crossEntropyGradKernel = /* @__PURE__ */ defineKernel({
  name: "cross-entropy-grad",
  key: () => "",
  bindings: {
    g: { access: "read" },
    x: { access: "read" },
    labels: { access: "read", type: "u32" },
    stats: { access: "read", type: "vec2f" },
    dx: { access: "write", type: "u32" },
  },
  params: { count: "u32", n: "u32", g_step: "u32", scale: "f32", smoothing: "f32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let row = index / p.n;
  let label = labels[row];
  let wanted = p.smoothing / f32(p.n) + select(0.0, 1.0 - p.smoothing, index % p.n == label);
  let softmax = exp(x[index] - stats[row].x - stats[row].y);
  let value = p.scale * g[row * p.g_step] * (softmax - wanted);
  dx[index] = select(${NAN}, bitcast<u32>(value), label < p.n && stats[row].y > -0.5);
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/** −x_label of each row of [rows, n]; NaN for a label outside 0 … n − 1. */
export const nllKernel = /* @__PURE__ */ defineKernel({
  name: "nll",
  key: () => "",
  bindings: { x: { access: "read" }, labels: { access: "read", type: "u32" }, loss: { access: "write", type: "u32" } },
  params: { rows: "u32", n: "u32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.rows")}
  let label = labels[index];
  let known = label < p.n;
  loss[index] = select(${NAN}, bitcast<u32>(-x[index * p.n + select(0u, label, known)]), known);
}`,
  workgroups: (_, p) => linearGrid(p.rows),
});

/** Gradient of {@link nllKernel}: −scale · g at the label, 0 elsewhere. */
export const nllGradKernel = /* @__PURE__ */ defineKernel({
  name: "nll-grad",
  key: () => "",
  bindings: { g: { access: "read" }, labels: { access: "read", type: "u32" }, dx: { access: "write", type: "u32" } },
  params: { count: "u32", n: "u32", g_step: "u32", scale: "f32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let row = index / p.n;
  let label = labels[row];
  let value = select(0.0, -p.scale * g[row * p.g_step], index % p.n == label);
  dx[index] = select(${NAN}, bitcast<u32>(value), label < p.n);
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/** Losses of pairs (x, t): value, derivative by x, derivative by t. */
const PAIR = {
  squared: { y: "(x - t) * (x - t)", dx: "2.0 * (x - t)", dt: "2.0 * (t - x)" },
  // No exponential overflows, and a sure and right logit has the small loss it should: log(1 + u)
  // by its series.
  logits: {
    y: "(1.0 - t) * x + max(-x, 0.0) + logOnePlus(exp(-abs(x)))",
    dx: "select(exp(x) / (1.0 + exp(x)), 1.0 / (1.0 + exp(-x)), x >= 0.0) - t",
    dt: "-x",
  },
} as const;

export type PairLoss = keyof typeof PAIR;

/** Elementwise loss of x towards t. */
export const pairLossKernel = /* @__PURE__ */ defineKernel({
  name: "pair-loss",
  key: (loss: PairLoss) => loss,
  bindings: { x: { access: "read" }, t: { access: "read" }, y: { access: "write" } },
  params: { count: "u32" },
  body: (loss) => wgsl`
/// log(1 + u) for u from 0 to 1: 2 · atanh of u / (2 + u).
fn logOnePlus(u: f32) -> f32 {
  let s = u / (2.0 + u);
  let z = s * s;
  return 2.0 * s * (1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0 + z * (1.0 / 11.0 + z * (1.0 / 13.0)))))));
}
${linearMain()} {
  ${linearIndex("p.count")}
  let x = x[index];
  let t = t[index];
  y[index] = ${PAIR[loss].y};
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/**
 * Gradient of {@link pairLossKernel} by x or by t, times scale · g; g's elements lie `g_step`
 * apart.
 */
export const pairLossGradKernel = /* @__PURE__ */ defineKernel({
  name: "pair-loss-grad",
  key: (s: { loss: PairLoss; by: "dx" | "dt" }) => `${s.loss},${s.by}`,
  bindings: { g: { access: "read" }, x: { access: "read" }, t: { access: "read" }, d: { access: "write" } },
  params: { count: "u32", g_step: "u32", scale: "f32" },
  body: ({ loss, by }) => wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let x = x[index];
  let t = t[index];
  d[index] = p.scale * g[index * p.g_step] * (${PAIR[loss][by]});
}`,
  workgroups: (_, p) => linearGrid(p.count),
});
