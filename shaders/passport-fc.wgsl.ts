import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel } from "../src/gpu/kernel";
import { bind, read, write } from "./norm/apply.wgsl";

/*
 * The FC of a passport, rows = act(raw · A) · B for raw [2, O], A [O, H], B [H, O] and act(x) = x
 * where x > 0, else slope · x: by one workgroup in either direction, as so few numbers are done
 * with before another launch would have begun.
 */

/** Sizes and the workgroup: it is compiled for them. */
export interface PassportFcSpec {
  /** O. */
  readonly channels: number;
  /** H. */
  readonly hidden: number;
  readonly lanes: number;
}

/** Invocations that share a sum over the channels. */
const SHARES = 8;
/** Bytes of workgroup memory that the kernels take. */
export const fcWorkgroupBytes = (hidden: number): number => 8 * hidden * (SHARES + 1);

const fcKey = ({ channels, hidden, lanes }: PassportFcSpec): string => `${channels},${hidden},${lanes}`;

/** WGSL: declarations, and the head of the entry point. A pair is a value of both rows. */
const head = ({ channels, hidden, lanes }: PassportFcSpec): string => /* wgsl */ `
const O = ${channels}u;
const H = ${hidden}u;
const LANES = ${lanes}u;
var<workgroup> shares: array<vec2f, ${SHARES * hidden}>;
var<workgroup> inner: array<vec2f, ${hidden}>;
@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lid: u32) {`;

/**
 * WGSL: `inner[h] = end` of the sum over the channels o of `term`, shared by several invocations.
 */
const sumOverChannels = (term: string, end: string): string => /* wgsl */ `
  for (var t = lid; t < H * ${SHARES}u; t += LANES) {
    let h = t / ${SHARES}u;
    var sum = vec2f();
    for (var o = t % ${SHARES}u; o < O; o += ${SHARES}u) { sum += ${term}; }
    shares[t] = sum;
  }
  workgroupBarrier();
  for (var h = lid; h < H; h += LANES) {
    var sum = vec2f();
    for (var k = 0u; k < ${SHARES}u; k++) { sum += shares[h * ${SHARES}u + k]; }
    ${end}
  }
  workgroupBarrier();`;

/** Rows, and the hidden values act(raw · A) that their gradients need. */
export const passportFcKernel = /* @__PURE__ */ defineKernel({
  name: "passport-fc",
  key: fcKey,
  bindings: {
    raw: { access: "read" },
    a: { access: "read" },
    b: { access: "read" },
    hidden: { access: "write" },
    rows: { access: "write" },
  },
  params: { slope: "f32" },
  body: (s: PassportFcSpec) => wgsl`
${head(s)}
${sumOverChannels(
  "vec2f(raw[o], raw[O + o]) * a[o * H + h]",
  `let v = select(p.slope * sum, sum, sum > vec2f());
    inner[h] = v;
    hidden[h] = v.x;
    hidden[H + h] = v.y;`,
)}
  for (var o = lid; o < O; o += LANES) {
    var sum = vec2f();
    for (var h = 0u; h < H; h++) { sum += inner[h] * b[h * O + o]; }
    rows[o] = sum.x;
    rows[O + o] = sum.y;
  }
}`,
  workgroups: () => [1, 1, 1],
  operations: (s) => 8 * s.channels * s.hidden,
});

export interface PassportFcGradSpec extends PassportFcSpec {
  /** The gradient of raw is wanted. */
  readonly input: boolean;
  /** Those of A and B are. */
  readonly weights: boolean;
}

/**
 * With d = ∂L/∂rows and e = act′ ⊙ (d · Bᵀ): dB = hiddenᵀ · d, dA = rawᵀ · e, draw = e · Aᵀ.
 */
export const passportFcGradKernel = /* @__PURE__ */ defineKernel({
  name: "passport-fc-grad",
  key: (s: PassportFcGradSpec) => `${fcKey(s)}${s.input ? ",input" : ""}${s.weights ? ",weights" : ""}`,
  bindings: (s) =>
    bind({
      d: read({ type: "f32" }),
      hidden: read({ type: "f32" }),
      raw: s.weights && read({ type: "f32" }),
      a: s.input && read({ type: "f32" }),
      b: read({ type: "f32" }),
      draw: s.input && write({ type: "f32" }),
      da: s.weights && write({ type: "f32" }),
      db: s.weights && write({ type: "f32" }),
    }),
  /** `adds`: the input's gradient is added to what is there. */
  params: { slope: "f32", adds: "u32" },
  body: (s) => wgsl`
${head(s)}
${sumOverChannels(
  "vec2f(d[o], d[O + o]) * b[h * O + o]",
  "inner[h] = select(p.slope * sum, sum, vec2f(hidden[h], hidden[H + h]) > vec2f());",
)}
${
  s.weights
    ? `  for (var i = lid; i < O * H; i += LANES) {
    let h = i / O;
    let o = i % O;
    db[i] = hidden[h] * d[o] + hidden[H + h] * d[O + o];
  }
  for (var i = lid; i < O * H; i += LANES) {
    let o = i / H;
    let e = inner[i % H];
    da[i] = raw[o] * e.x + raw[O + o] * e.y;
  }`
    : ""
}
${
  s.input
    ? `  for (var o = lid; o < O; o += LANES) {
    var sum = vec2f();
    for (var h = 0u; h < H; h++) { sum += inner[h] * a[o * H + h]; }
    if (p.adds != 0u) { sum += vec2f(draw[o], draw[O + o]); }
    draw[o] = sum.x;
    draw[O + o] = sum.y;
  }`
    : ""
}
}`,
  workgroups: () => [1, 1, 1],
  operations: (s) => (8 + (s.input ? 4 : 0) + (s.weights ? 8 : 0)) * s.channels * s.hidden,
});
