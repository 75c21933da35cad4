/**
 * Zeros of either sign, infinities, NaN and the ends of f32's range through every elementwise
 * kernel, reductions, softmax and losses, with their gradients, against PyTorch's numbers.
 *
 * WGSL lets an adapter take a number below 2⁻¹²⁶ for 0, and give 0 for one. Exactly that is allowed
 * for, and each function's rounding.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { BINARY, UNARY, UNARY_GRAD } from "../../shaders/elementwise.wgsl";
import * as ops from "../../src/tensor";
import { Tensor } from "../../src/tensor";
import { Golden } from "../support/golden";
import { gpu } from "../support/gpu";

const golden = new Golden("special_values");
const LEAST = 2 ** -126;
const MOST = 3.4028234663852886e38;
const isTiny = (v: number) => v !== 0 && Math.abs(v) < LEAST;

interface Case {
  name: string;
  op: string;
  inputs: number;
  grad: boolean;
  a?: string;
  b?: string;
}
type Op = (x: Tensor[], a: number, b: number) => Tensor;

const ROWS: Record<string, Op> = {
  neg: ([x]) => ops.neg(x!),
  abs: ([x]) => ops.abs(x!),
  exp: ([x]) => ops.exp(x!),
  log: ([x]) => ops.log(x!),
  sqrt: ([x]) => ops.sqrt(x!),
  square: ([x]) => ops.square(x!),
  reciprocal: ([x]) => ops.reciprocal(x!),
  sigmoid: ([x]) => ops.sigmoid(x!),
  tanh: ([x]) => ops.tanh(x!),
  relu: ([x]) => ops.relu(x!),
  leakyRelu: ([x], a) => ops.leakyRelu(x!, a),
  clamp: ([x], a, b) => ops.clamp(x!, a, b),
  affine: ([x], a, b) => ops.affine(x!, a, b),
  addNumber: ([x], a) => ops.add(x!, a),
  subNumber: ([x], a) => ops.sub(x!, a),
  mulNumber: ([x], a) => ops.mul(x!, a),
  divNumber: ([x], a) => ops.div(x!, a),
  pow: ([x], a) => ops.pow(x!, a),
  gelu: ([x]) => ops.gelu(x!),
  geluTanh: ([x]) => ops.gelu(x!, { approximate: "tanh" }),
  silu: ([x]) => ops.silu(x!),
  hardswish: ([x]) => ops.hardswish(x!),
  add: ([x, z]) => ops.add(x!, z!),
  sub: ([x, z]) => ops.sub(x!, z!),
  mul: ([x, z]) => ops.mul(x!, z!),
  div: ([x, z]) => ops.div(x!, z!),
  maximum: ([x, z]) => ops.maximum(x!, z!),
  minimum: ([x, z]) => ops.minimum(x!, z!),
  equal: ([x, z]) => ops.equal(x!, z!),
  greater: ([x, z]) => ops.greater(x!, z!),
  greaterEqual: ([x, z]) => ops.greaterEqual(x!, z!),
  less: ([x, z]) => ops.less(x!, z!),
  lessEqual: ([x, z]) => ops.lessEqual(x!, z!),
  mseLoss: ([x, z]) => ops.mseLoss(x!, z!, { reduction: "none" }),
  binaryCrossEntropyWithLogits: ([x]) =>
    ops.binaryCrossEntropyWithLogits(x!, Tensor.from(Array.from({ length: x!.size }, (_, i) => [0, 1, 0.25][i % 3]!)), {
      reduction: "none",
    }),
  sum: ([x]) => ops.sum(x!, 1),
  mean: ([x]) => ops.mean(x!, 1),
  amax: ([x]) => ops.amax(x!, 1),
  amin: ([x]) => ops.amin(x!, 1),
  argmax: ([x]) => ops.argmax(x!, 1),
  variance: ([x]) => ops.variance(x!, 1),
  softmax: ([x]) => ops.softmax(x!, 1),
  logSoftmax: ([x]) => ops.logSoftmax(x!, 1),
  crossEntropy: ([x]) => ops.crossEntropy(x!, [0, 1, 2, 3, 0, 1, 0, 3, 2], { reduction: "none" }),
};
const LINES = new Set(["sum", "mean", "amax", "amin", "argmax", "variance", "softmax", "logSoftmax", "crossEntropy"]);

/**
 * Units in the last place that a result may be off: WGSL's bounds for division, root and exp; those
 * of the package for the rest.
 */
function ulps(op: string, x: number): number {
  if (op === "exp" || op === "sigmoid" || op === "binaryCrossEntropyWithLogits" || LINES.has(op))
    return 8 + 2 * Math.min(Math.abs(x), 200);
  if (op === "pow") return 128;
  return op === "neg" || op === "abs" || op === "relu" ? 0 : 6;
}

/** A number as Python writes it. */
const number = (text = "0"): number => Number(text.replace("inf", "Infinity").replace("nan", "NaN"));

/** The greater of two zeros may be either. */
const EXTREMA = new Set(["relu", "clamp", "maximum", "minimum", "amax", "amin"]);

/** What may be off besides: y² is taken from 1, and PyTorch adds a small number to 1. */
const ABSOLUTE: Readonly<Record<string, number>> = {
  tanh: 2 ** -21,
  binaryCrossEntropyWithLogits: 2 ** -21,
  gelu: 2 ** -21,
  geluTanh: 2 ** -21,
};

/** Where PyTorch takes a distribution from 1, and gives 0 far below 0. */
const VANISHES = new Set(["gelu", "geluTanh"]);

const ulp = (v: number) => 2 ** Math.max(-149, Math.floor(Math.log2(Math.abs(v))) - 23);

function isClose(found: number, wanted: number, off: number, op = ""): boolean {
  if (Object.is(found, wanted) || (found === wanted && EXTREMA.has(op))) return true;
  if (isTiny(wanted) && found === 0) return true;
  if (wanted === 0 && VANISHES.has(op)) return Math.abs(found) < 1e-15;
  if (!Number.isFinite(found) || !Number.isFinite(wanted) || wanted === 0) return false;
  return Math.abs(found - wanted) <= off * ulp(wanted) + (ABSOLUTE[op] ?? 0);
}

/** Where the values lie that are the same but for numbers that may be taken for 0. */
function alternatives({ op, name, inputs }: Case, i: number): number[] {
  if (LINES.has(op)) return [];
  const x = Array.from({ length: inputs }, (_, k) => golden.data(`${name}.x${k}`));
  const period = op === "binaryCrossEntropyWithLogits" ? 3 : 1;
  return [...x[0]!.keys()].filter(
    (j) =>
      j !== i &&
      j % period === i % period &&
      x.every((d) => Object.is(d[j], d[i]) || (isTiny(d[i]!) && Object.is(d[j], d[i]! * 0))),
  );
}

function compare(c: Case, what: string, found: ArrayLike<number>, key: string, isSum = false): void {
  const wanted = golden.data(`${c.name}.${key}`);
  const x = golden.data(`${c.name}.x0`);
  expect(found.length, what).toBe(wanted.length);
  const wrong: string[] = [];
  for (let i = 0; i < wanted.length; i++) {
    const off = (isSum ? 2 : 1) * ulps(c.op, x[i] ?? 0);
    const fits = [i, ...(isTiny(wanted[i]!) || !LINES.has(c.op) ? alternatives(c, i) : [])].some((j) =>
      isClose(found[i]!, wanted[j]!, off, c.op),
    );
    const at = Array.from({ length: c.inputs }, (_, k) => golden.data(`${c.name}.x${k}`)[i]);
    const show = (v: number | undefined) => (Object.is(v, -0) ? "-0" : String(v));
    if (!fits) wrong.push(`${key} at ${at.map(show).join(", ")}: ${show(found[i])}, PyTorch ${show(wanted[i])}`);
  }
  expect(wrong, what).toEqual([]);
}

const ran = new Set<string>();
let stop: () => void = () => undefined;

beforeAll(async () => {
  const d = await gpu();
  const run = d.run.bind(d);
  const spy = vi.spyOn(d, "run").mockImplementation((kernel, spec, ...rest) => {
    ran.add(`${kernel.name} ${kernel.key(spec)}`);
    run(kernel, spec, ...(rest as Parameters<typeof run> extends [unknown, unknown, ...infer R] ? R : never));
  });
  stop = () => spy.mockRestore();
});
afterAll(() => stop());

const cases = golden.meta("cases") as Case[];
describe.each([...new Set(cases.map((c) => c.op))])("%s", (op) => {
  it("is PyTorch's, gradients too", async () => {
    for (const c of cases.filter((k) => k.op === op)) {
      const x = Array.from({ length: c.inputs }, (_, k) =>
        Tensor.from(golden.data(`${c.name}.x${k}`), golden.shape(`${c.name}.x${k}`)),
      );
      for (const t of x) t.requiresGrad = c.grad;
      const what = `${c.name} ${c.a ?? ""} ${c.b ?? ""}`;
      const y = ROWS[op]!(x, number(c.a), number(c.b));
      compare(c, what, await y.data(), "y");
      if (c.inputs === 2) {
        // The same pairs by broadcasting, which is another kernel.
        const n = Math.sqrt(x[0]!.size);
        const few = x[1]!.detach().view([n, n]);
        const row = ops.narrow(few, 0, 0, 1);
        if (op !== "mseLoss")
          compare(c, `${what} broadcast`, await ROWS[op]!([ops.reshape(row, [n, 1]), row], 0, 0).data(), "y");
      }
      if (!c.grad) continue;
      const soft = op === "softmax" || op === "logSoftmax";
      const seed = Array.from({ length: y.size }, (_, i) => (soft ? [0.5, -1, 2, 1][i % 4]! : 1));
      y.backward(Tensor.from(seed, y.shape));
      for (const [k, t] of x.entries()) compare(c, `${what}, gradient`, await t.grad!.data(), `dx${k}`, true);
    }
  });
});

it("sign has NaN for NaN, unlike PyTorch, which gives 0", async () => {
  const y = ops.sign(Tensor.from([Number.NaN, Infinity, -Infinity, -MOST, LEAST, 0, -0]));
  expect([...(await y.data())].map((v) => v + 0)).toEqual([Number.NaN, 1, -1, -1, 1, 0, 0]);
});

it("log near 1, tanh near 0 and the loss of sure logits keep their digits", async () => {
  const near = Float32Array.from({ length: 64 }, (_, i) => 1 + (i - 32) * 1e-5);
  const small = Float32Array.from({ length: 64 }, (_, i) => (i % 2 ? 1 : -1) * 10 ** (-i / 5));
  const sure = Float32Array.from({ length: 64 }, (_, i) => 80 - i);
  const loss = ops.binaryCrossEntropyWithLogits(Tensor.from(sure), Tensor.full([64], 1), { reduction: "none" });
  for (const [y, x, f] of [
    [ops.log(Tensor.from(near)), near, Math.log],
    [ops.tanh(Tensor.from(small)), small, Math.tanh],
    [loss, sure, (v: number) => Math.log1p(Math.exp(-v))],
  ] as const)
    for (const [i, v] of (await y.data()).entries())
      expect(Math.abs(v - f(x[i]!)), `${f.name} ${x[i]}`).toBeLessThanOrEqual(2e-5 * Math.abs(f(x[i]!)));
});

it("log is right to a few units in the last place at every exponent", async () => {
  const x = Float32Array.from({ length: 252 }, (_, i) => 1.3 * 2 ** (i - 126));
  const y = await ops.log(Tensor.from(x)).data();
  for (const [i, v] of y.entries())
    expect(Math.abs(v / Math.log(x[i]!) - 1), `log ${x[i]}`).toBeLessThanOrEqual(2 * 2 ** -23);
});

it("xᵖ of 1 and of p = NaN", async () => {
  expect([...(await ops.pow(Tensor.from([1, 2, 0, -1]), Number.NaN).data())]).toEqual([
    1,
    Number.NaN,
    Number.NaN,
    Number.NaN,
  ]);
  expect([...(await ops.pow(Tensor.from([Number.NaN, 0]), 0).data())]).toEqual([1, 1]);
});

it("norm neither overflows nor vanishes, and is NaN or infinite where an element is", async () => {
  for (const [v, wanted] of [
    [[3e20, 4e20], 5e20],
    [[3e-25, -4e-25], 5e-25],
    [[3e30, 4e-30], 3e30],
    [[3, 4], 5],
    [[MOST, MOST], Infinity],
    [[-Infinity, 1], Infinity],
    [[Infinity, Number.NaN], Number.NaN],
    [[0, 0], 0],
  ] as const) {
    const x = Tensor.from([...v]);
    x.requiresGrad = true;
    const y = ops.norm(x);
    expect(isClose(await y.item(), Math.fround(wanted), 4), `${v}`).toBe(true);
    y.backward();
    const dx = [...(await x.grad!.data())];
    if (Number.isFinite(wanted)) dx.forEach((d, i) => expect(d).toBeCloseTo(wanted ? v[i]! / wanted : 0, 5));
    else expect(dx.map(Number.isNaN)).toEqual(v.map((e) => Number.isNaN(wanted) || !Number.isFinite(e)));
  }
});

it("every elementwise kernel was among them", () => {
  const all = [
    ...Object.keys(UNARY).map((op) => `unary ${op}`),
    ...Object.keys(UNARY_GRAD).map((op) => `unary-grad ${op}`),
    ...Object.keys(BINARY).map((op) => `binary ${op}`),
  ];
  expect(all.filter((k) => !ran.has(k))).toEqual([]);
});
