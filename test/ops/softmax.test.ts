import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import {
  binaryCrossEntropyWithLogits,
  crossEntropy,
  mseLoss,
  nllLoss,
  type Reduction,
} from "../../src/tensor/ops/loss";
import { logSoftmax, softmax } from "../../src/tensor/ops/softmax";
import { Generator } from "../../src/tensor/random";
import { type Shape, sizeOf } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { computed, expectClose, gpu, gradcheck, randomData } from "../support/gpu";

const reductions = ["mean", "sum", "none"] as const;
const softmaxes = { softmax, logSoftmax } as const;
type Name = keyof typeof softmaxes;

const leaf = (data: Float32Array, shape: Shape): Tensor => {
  const t = Tensor.from(data, shape);
  t.requiresGrad = true;
  return t;
};

/** Log softmax of one line, in double precision. */
function logProbabilities(v: number[]): number[] {
  const most = Math.max(...v);
  const total = Math.log(v.reduce((s, x) => s + Math.exp(x - most), 0));
  return v.map((x) => x - most - total);
}

/** Values and gradients of either softmax along `axis`. */
function oracle(op: Name, data: Float32Array, g: Float32Array, shape: Shape, axis: number) {
  const d = axis < 0 ? axis + shape.length : axis;
  const n = shape[d]!;
  const inner = sizeOf(shape.slice(d + 1));
  const y = new Float64Array(data.length);
  const dx = new Float64Array(data.length);
  for (let line = 0; line < data.length / n; line++) {
    const at = Array.from({ length: n }, (_, i) => Math.floor(line / inner) * n * inner + (line % inner) + i * inner);
    const logs = logProbabilities(at.map((i) => data[i]!));
    const gs = at.map((i) => g[i]!);
    const total =
      op === "softmax" ? gs.reduce((s, v, i) => s + v * Math.exp(logs[i]!), 0) : gs.reduce((s, v) => s + v, 0);
    at.forEach((i, k) => {
      const p = Math.exp(logs[k]!);
      y[i] = op === "softmax" ? p : logs[k]!;
      dx[i] = op === "softmax" ? p * (gs[k]! - total) : gs[k]! - p * total;
    });
  }
  return { y, dx };
}

/**
 * What a reduction makes of values, and the factor by which each element's gradient is multiplied.
 */
function reduced(
  values: number[],
  reduction: Reduction,
  seeds: Float32Array,
): { y: number[]; factor: (i: number) => number } {
  if (reduction === "none") return { y: values, factor: (i) => seeds[i]! };
  const share = reduction === "mean" ? 1 / values.length : 1;
  return { y: [values.reduce((s, v) => s + v, 0) * share], factor: () => seeds[0]! * share };
}

beforeAll(gpu);

describe("softmax against plain JavaScript", () => {
  const g = new Generator(21);
  const random = Array.from({ length: 10 }, () => {
    const shape = Array.from({ length: 1 + g.integer(4) }, () => 1 + g.integer(9));
    return [shape, g.integer(shape.length) - (g.uniform(0, 1) < 0.5 ? shape.length : 0)] as const;
  });
  const nasty = [
    [[1, 1], -1],
    [[4, 1, 3], 1],
    [[65, 3], 0],
    [[2, 1025], 1],
    [[2, 4099], 1],
    [[4097, 2], 0],
  ] as const;
  it.each(["softmax", "logSoftmax"] as const)("%s", async (op) => {
    for (const [i, [shape, axis]] of [...nasty, ...random].entries()) {
      const [data, seeds] = [randomData(shape, i, 8), randomData(shape, i + 50)];
      const x = leaf(data, shape);
      const y = softmaxes[op](x, axis);
      const expected = oracle(op, data, seeds, shape, axis);
      expectClose(await y.data(), expected.y, { what: `[${shape}] ${axis}` });
      y.backward(Tensor.from(seeds, shape));
      expectClose(await x.grad!.data(), expected.dx, { what: `gradient [${shape}] ${axis}` });
    }
  });

  it("is stable far from 0, and lines with NaN are NaN alone", async () => {
    const x = Tensor.from(
      Float32Array.of(1e4, 1e4 + 1, 9e3, -1e4, -1e4, -1e4, 1, Number.NaN, 2, -Infinity, 0, 0),
      [4, 3],
    );
    const y = await softmax(x).data();
    expectClose(y.slice(0, 6), [1 / (1 + Math.E), Math.E / (1 + Math.E), 0, 1 / 3, 1 / 3, 1 / 3]);
    expect([...y.slice(6, 9)]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expectClose(y.slice(9), [0, 0.5, 0.5]);
    expectClose((await logSoftmax(x).data()).slice(9), [-Infinity, -Math.LN2, -Math.LN2]);
  });
});

it("NaN and +∞ reach every value and gradient of their line, short or long", async () => {
  for (const bad of [Number.NaN, Infinity]) {
    for (const n of [5, 4100]) {
      for (const f of [softmax, logSoftmax]) {
        const x = leaf(randomData([2, n], 1), [2, n]);
        const data = randomData([2, n], 1);
        data[3] = bad;
        x.write(data);
        const y = f(x);
        expect([...(await y.data())].map(Number.isNaN)).toEqual(Array.from({ length: 2 * n }, (_, i) => i < n));
        y.backward(Tensor.full([2, n], 1));
        expect([...(await x.grad!.data())].map(Number.isNaN)).toEqual(Array.from({ length: 2 * n }, (_, i) => i < n));
      }
    }
    const x = leaf(Float32Array.of(1, bad, 2, 1, 2, 3), [2, 3]);
    const y = crossEntropy(x, Tensor.from(Int32Array.of(0, 0), [2]), { reduction: "none" });
    expect([...(await y.data())].map(Number.isNaN)).toEqual([true, false]);
    y.backward(Tensor.full([2], 1));
    expect([...(await x.grad!.data())].map(Number.isNaN)).toEqual([true, true, true, false, false, false]);
  }
});

describe("losses against plain JavaScript", () => {
  const shapes = [
    [1, 1],
    [1, 7],
    [5, 1],
    [13, 10],
    [67, 3],
    [3, 129],
  ] as const;

  it.each(reductions)("crossEntropy and nllLoss, %s", async (reduction) => {
    for (const [i, [rows, classes]] of shapes.entries()) {
      const labelSmoothing = i % 2 ? 0.2 : 0;
      const data = randomData([rows, classes], i, 10);
      const pick = new Generator(i);
      const labels = Array.from({ length: rows }, () => pick.integer(classes));
      const target =
        i % 3 ? Tensor.from(Int32Array.from(labels), [rows]) : Tensor.from(Uint32Array.from(labels), [rows]);
      const lines = labels.map((_, r) => [...data.slice(r * classes, (r + 1) * classes)]);
      const seeds = randomData([rows], i + 9);

      const logs = lines.map(logProbabilities);
      const wanted = (r: number, c: number) => labelSmoothing / classes + (c === labels[r] ? 1 - labelSmoothing : 0);
      const ce = reduced(
        logs.map((l, r) => -l.reduce((s, v, c) => s + v * wanted(r, c), 0)),
        reduction,
        seeds,
      );
      const x = leaf(data, [rows, classes]);
      const y = crossEntropy(x, target, { reduction, labelSmoothing });
      expect(y.shape).toEqual(reduction === "none" ? [rows] : []);
      expectClose(await y.data(), ce.y, { what: `crossEntropy ${rows}×${classes}` });
      y.backward(Tensor.from(seeds.slice(0, y.size), y.shape));
      expectClose(
        await x.grad!.data(),
        logs.flatMap((l, r) => l.map((v, c) => ce.factor(r) * (Math.exp(v) - wanted(r, c)))),
        { what: "its gradient" },
      );

      const nll = reduced(
        lines.map((l, r) => -l[labels[r]!]!),
        reduction,
        seeds,
      );
      const z = leaf(data, [rows, classes]);
      const n = nllLoss(z, target, { reduction });
      expectClose(await n.data(), nll.y, { what: `nllLoss ${rows}×${classes}` });
      n.backward(Tensor.from(seeds.slice(0, n.size), n.shape));
      expectClose(
        await z.grad!.data(),
        lines.flatMap((l, r) => l.map((_, c) => (c === labels[r] ? -nll.factor(r) : 0))),
        { what: "its gradient" },
      );
    }
  });

  it.each(reductions)("crossEntropy with weights of classes and ignored rows, %s", async (reduction) => {
    for (const [i, [rows, classes]] of shapes.entries()) {
      for (const [labelSmoothing, ignoreIndex, isWeighted] of [
        [0, -100, true],
        [0.2, -1, true],
        [0.3, 0, false],
        [0.1, undefined, true],
      ] as const) {
        const data = randomData([rows, classes], i, 10);
        const weights = randomData([classes], i + 3).map((v) => (isWeighted ? Math.abs(v) + 0.1 : 1));
        const pick = new Generator(i);
        const labels = Array.from({ length: rows }, (_, r) =>
          r % 3 === 1 && ignoreIndex !== undefined ? ignoreIndex : pick.integer(classes),
        );
        const seeds = randomData([rows], i + 9);
        const kept = labels.map((l) => l !== ignoreIndex);
        const total = labels.reduce((s, l, r) => (kept[r] ? s + weights[l]! : s), 0);
        const logs = labels.map((_, r) => logProbabilities([...data.slice(r * classes, (r + 1) * classes)]));
        const wanted = (r: number, c: number) =>
          weights[c]! * (labelSmoothing / classes + (c === labels[r] ? 1 - labelSmoothing : 0));
        const values = logs.map((l, r) => (kept[r] ? -l.reduce((s, v, c) => s + v * wanted(r, c), 0) : 0));
        const factor = (r: number) =>
          reduction === "none" ? seeds[r]! : seeds[0]! / (reduction === "mean" ? total : 1);
        const dx = logs.flatMap((l, r) => {
          const mass = l.reduce((s, _, c) => s + wanted(r, c), 0);
          return l.map((v, c) => (kept[r] ? factor(r) * (mass * Math.exp(v) - wanted(r, c)) : 0));
        });
        const x = leaf(data, [rows, classes]);
        const weight = isWeighted ? Tensor.from(weights) : null;
        const y = crossEntropy(x, labels, { reduction, labelSmoothing, ignoreIndex, weight });
        const all = values.reduce((s, v) => s + v, 0);
        const what = `${rows}×${classes}, ${ignoreIndex}`;
        expect(y.shape).toEqual(reduction === "none" ? [rows] : []);
        expectClose(await y.data(), reduction === "none" ? values : [reduction === "mean" ? all / total : all], {
          what,
        });
        y.backward(Tensor.from(seeds.slice(0, y.size), y.shape));
        expectClose(await x.grad!.data(), dx, { what: `gradient ${what}` });
      }
    }
  });

  it.each(reductions)("crossEntropy with probabilities, %s", async (reduction) => {
    for (const [i, [rows, classes]] of shapes.entries()) {
      const labelSmoothing = i % 2 ? 0.2 : 0;
      const [data, seeds] = [randomData([rows, classes], i, 10), randomData([rows], i + 9)];
      const given = randomData([rows, classes], i + 4).map(Math.abs);
      const weights = randomData([classes], i + 3).map((v) => Math.abs(v) + 0.1);
      const weigh = i % 3 !== 1;
      const factorOf = (c: number) => (weigh ? weights[c]! : 1);
      const wanted = (r: number, c: number) =>
        factorOf(c) * (labelSmoothing / classes + (1 - labelSmoothing) * given[r * classes + c]!);
      const logs = Array.from({ length: rows }, (_, r) =>
        logProbabilities([...data.slice(r * classes, (r + 1) * classes)]),
      );
      const ce = reduced(
        logs.map((l, r) => -l.reduce((s, v, c) => s + v * wanted(r, c), 0)),
        reduction,
        seeds,
      );
      const [x, t] = [leaf(data, [rows, classes]), leaf(given, [rows, classes])];
      const weight = weigh ? leaf(weights, [classes]) : null;
      const y = crossEntropy(x, t, { reduction, labelSmoothing, weight });
      expect(y.shape).toEqual(reduction === "none" ? [rows] : []);
      expectClose(await y.data(), ce.y, { what: `${rows}×${classes}` });
      y.backward(Tensor.from(seeds.slice(0, y.size), y.shape));
      const dx = logs.flatMap((l, r) => {
        const mass = l.reduce((s, _, c) => s + wanted(r, c), 0);
        return l.map((v, c) => ce.factor(r) * (mass * Math.exp(v) - wanted(r, c)));
      });
      expectClose(await x.grad!.data(), dx, { what: "gradient of logits" });
      const dt = logs.flatMap((l, r) => l.map((v, c) => -ce.factor(r) * factorOf(c) * (1 - labelSmoothing) * v));
      expectClose(await t.grad!.data(), dt, { what: "gradient of probabilities" });
      expect(weight?.grad ?? null).toBeNull();
    }
  });

  it("probabilities of one class alone are labels", async () => {
    const data = randomData([4, 3], 1, 5);
    const sure = Tensor.from([0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0], [4, 3]);
    const [a, b] = [leaf(data, [4, 3]), leaf(data, [4, 3])];
    const [hard, soft] = [crossEntropy(a, [1, 0, 2, 1]), crossEntropy(b, sure)];
    expectClose(await soft.data(), await hard.data());
    hard.backward();
    soft.backward();
    expectClose(await b.grad!.data(), await a.grad!.data());
    expect(() => crossEntropy(a, sure, { ignoreIndex: 0 })).toThrow(/ignoreIndex is undefined with probabilities/);
    expect(() => crossEntropy(a, Tensor.full([4, 2], 0.5))).toThrow(/probabilities of shape \[4, 3\]/);
  });

  it("what is ignored adds nothing, whatever its logits are; other labels that are no class make NaN", async () => {
    const x = leaf(Float32Array.of(1, 2, 3, Number.NaN, Infinity, 0, 3, 2, 1), [3, 3]);
    const ignoreIndex = -7;
    const mean = crossEntropy(x, [0, -7, 0], { ignoreIndex });
    const without = crossEntropy(Tensor.from([1, 2, 3, 3, 2, 1], [2, 3]), [0, 0]);
    expectClose(await mean.data(), await without.data());
    mean.backward();
    expect([...(await x.grad!.data())].slice(3, 6)).toEqual([0, 0, 0]);
    for (const labels of [[0, -7, -8], [0, -7, 3], Tensor.from(Int32Array.of(-9, 0, 1))])
      expect(() => crossEntropy(x, labels, { ignoreIndex })).toThrow(/from 0 to 2 or -7, found (-8|3|-9)/);
    const hidden = crossEntropy(x, [0, -7, -3], { ignoreIndex, reduction: "none" });
    expect([...(await hidden.data())].map(Number.isNaN)).toEqual([false, false, true]);
    const made = crossEntropy(x, computed(Tensor.from(Int32Array.of(1, -7, 5))), { ignoreIndex, reduction: "none" });
    expect([...(await made.data())].map(Number.isNaN)).toEqual([false, false, true]);
  });

  it.each(reductions)("mseLoss and binaryCrossEntropyWithLogits, %s", async (reduction) => {
    for (const [i, shape] of [[], [1], [7], [3, 5], [2, 3, 71]].entries()) {
      const [xs, ts] = [randomData(shape, i, 20), randomData(shape, i + 5).map((v) => (v + 1) / 2)];
      xs[0] = 0;
      const seeds = randomData(shape, i + 7);
      const cases = [
        [
          mseLoss,
          (x: number, t: number) => (x - t) ** 2,
          (x: number, t: number) => 2 * (x - t),
          (x: number, t: number) => 2 * (t - x),
        ],
        [
          binaryCrossEntropyWithLogits,
          (x: number, t: number) => Math.max(x, 0) - x * t + Math.log1p(Math.exp(-Math.abs(x))),
          (x: number, t: number) => 1 / (1 + Math.exp(-x)) - t,
          (x: number) => -x,
        ],
      ] as const;
      for (const [f, value, byX, byT] of cases) {
        const [x, t] = [leaf(xs, shape), leaf(ts, shape)];
        const y = f(x, t, { reduction });
        const expected = reduced(
          [...xs].map((v, k) => value(v, ts[k]!)),
          reduction,
          seeds,
        );
        expectClose(await y.data(), expected.y);
        y.backward(Tensor.from(seeds.slice(0, y.size), y.shape));
        expectClose(
          await x.grad!.data(),
          [...xs].map((v, k) => expected.factor(k) * byX(v, ts[k]!)),
        );
        expectClose(
          await t.grad!.data(),
          [...xs].map((v, k) => expected.factor(k) * byT(v, ts[k]!)),
        );
      }
    }
  });

  it("a computed label that is no class makes its row NaN, and nothing else; one of the host is refused", async () => {
    for (const label of [-1, 3, -100, 2 ** 31 - 1]) {
      for (const f of [crossEntropy, nllLoss]) {
        const x = leaf(randomData([3, 3], 1), [3, 3]);
        const known = Tensor.from(Int32Array.of(0, label, 2), [3]);
        for (const given of [known, known.view([3]), [0, label, 2]])
          expect(() => f(x, given)).toThrow(/labels are whole numbers from 0 to 2, found (-|3|2147483647)/);
        expect(() => f(x, [0, 1.5, 2])).toThrow(ArgumentError);
        expect(() => f(x, [0, 1])).toThrow(ShapeError);
        const labels = computed(known);
        const y = f(x, labels, { reduction: "none" });
        expect([...(await y.data())].map(Number.isNaN)).toEqual([false, true, false]);
        y.backward(Tensor.full([3], 1));
        expect([...(await x.grad!.data())].map(Number.isNaN)).toEqual([0, 0, 0, 1, 1, 1, 0, 0, 0].map(Boolean));
        expect(await f(x, labels).item()).toBeNaN();
      }
    }
  });

  it("crossEntropy is stable far from 0, and takes −∞ for impossible classes", async () => {
    const x = leaf(Float32Array.of(1e4, 1e4 + 2, 9e3, 1, -Infinity, 1), [2, 3]);
    const y = crossEntropy(x, Tensor.from(Int32Array.of(0, 2), [2]), { reduction: "none" });
    expectClose(await y.data(), [Math.log(1 + Math.exp(2)), Math.LN2]);
    y.backward(Tensor.full([2], 1));
    const p = 1 / (1 + Math.exp(2));
    expectClose(await x.grad!.data(), [p - 1, 1 - p, 0, 0.5, 0, -0.5]);
  });
});

describe("softmax and losses against PyTorch", () => {
  const golden = new Golden("softmax");
  const tensor = (name: string) => leaf(golden.data(name), golden.shape(name));
  const labelsOf = (name: string) => Tensor.from(Int32Array.from(golden.data(name)), golden.shape(name));
  const compare = async (name: string, y: Tensor, inputs: Record<string, Tensor>) => {
    expect(y.shape).toEqual(golden.shape(`${name}.y`));
    expectClose(await y.data(), golden.data(`${name}.y`));
    y.backward(tensor(`${name}.g`));
    for (const [k, t] of Object.entries(inputs))
      expectClose(await t.grad!.data(), golden.data(`${name}.d${k}`), { what: `gradient of ${k}` });
  };

  it.each(golden.meta("softmaxes") as { name: string; op: Name; axis: number }[])("$name", async ({
    name,
    op,
    axis,
  }) => {
    const x = tensor(`${name}.x`);
    await compare(name, softmaxes[op](x, axis), { x });
  });

  it.each(
    golden.meta("losses") as { name: string; op: string; reduction: Reduction; labelSmoothing?: number }[],
  )("$name", async (c) => {
    const [x, labels] = [tensor(`${c.name}.x`), labelsOf(`${c.name}.labels`)];
    const y =
      c.op === "nllLoss"
        ? nllLoss(x, labels, { reduction: c.reduction })
        : crossEntropy(x, labels, { reduction: c.reduction, labelSmoothing: c.labelSmoothing! });
    await compare(c.name, y, { x });
  });

  it.each(
    golden.meta("weighted") as {
      name: string;
      reduction: Reduction;
      labelSmoothing: number;
      ignoreIndex?: number;
    }[],
  )("$name: $reduction, smoothing $labelSmoothing, ignored $ignoreIndex", async ({ name, ...options }) => {
    const [x, labels] = [tensor(`${name}.x`), labelsOf(`${name}.labels`)];
    const weight = golden.has(`${name}.w`) ? tensor(`${name}.w`) : null;
    await compare(name, crossEntropy(x, labels, { ...options, weight }), { x });
  });

  it.each(
    golden.meta("soft") as { name: string; reduction: Reduction; labelSmoothing: number }[],
  )("$name: $reduction, smoothing $labelSmoothing", async ({ name, ...options }) => {
    const [x, t] = [tensor(`${name}.x`), tensor(`${name}.t`)];
    const weight = golden.has(`${name}.w`) ? tensor(`${name}.w`) : null;
    await compare(name, crossEntropy(x, t, { ...options, weight }), { x, t });
  });

  it.each(golden.meta("pairs") as { name: string; op: string; reduction: Reduction }[])("$name", async ({
    name,
    op,
    reduction,
  }) => {
    const [x, t] = [tensor(`${name}.x`), tensor(`${name}.t`)];
    await compare(name, (op === "mseLoss" ? mseLoss : binaryCrossEntropyWithLogits)(x, t, { reduction }), { x, t });
  });
});

describe("softmax and losses by finite differences", () => {
  const input = (shape: Shape, seed: number) => ({ shape, data: randomData(shape, seed, 2) });
  const labels = () => Tensor.from(Int32Array.of(1, 0, 3), [3]);
  it("softmax", () => gradcheck((x) => softmax(x, 1), [input([2, 5, 3], 1)]));
  it("logSoftmax", () => gradcheck((x) => logSoftmax(x, 0), [input([5, 3], 2)]));
  it("crossEntropy", () => gradcheck((x) => crossEntropy(x, labels(), { labelSmoothing: 0.1 }), [input([3, 4], 3)]));
  it("crossEntropy with weights", () =>
    gradcheck(
      (x) => {
        const weight = Tensor.from([0.5, 2, 1, 3]);
        return crossEntropy(x, Tensor.from(Int32Array.of(1, -1, 3)), { labelSmoothing: 0.1, ignoreIndex: -1, weight });
      },
      [input([3, 4], 3)],
    ));
  it("crossEntropy with probabilities", () =>
    gradcheck((x, t) => crossEntropy(x, t, { labelSmoothing: 0.1 }), [input([3, 4], 3), input([3, 4], 9)]));
  it("nllLoss", () => gradcheck((x) => nllLoss(x, labels(), { reduction: "none" }), [input([3, 4], 4)]));
  it("mseLoss", () => gradcheck((x, t) => mseLoss(x, t), [input([3, 4], 5), input([3, 4], 6)]));
  it("binaryCrossEntropyWithLogits", () =>
    gradcheck((x, t) => binaryCrossEntropyWithLogits(x, t, { reduction: "sum" }), [input([7], 7), input([7], 8)]));
});

describe("edges of softmax and losses", () => {
  it("empty tensors", async () => {
    expect((await softmax(Tensor.empty([0, 3])).data()).length).toBe(0);
    expect((await logSoftmax(Tensor.empty([3, 0])).data()).length).toBe(0);
    const [x, labels] = [leaf(new Float32Array(0), [0, 3]), Tensor.empty([0], "i32")];
    const y = crossEntropy(x, labels);
    expect(await y.item()).toBeNaN();
    y.backward();
    expect(x.grad!.shape).toEqual([0, 3]);
    expect(await crossEntropy(x, labels, { reduction: "sum" }).item()).toBe(0);
    expect(await crossEntropy(x, labels, { ignoreIndex: -1 }).item()).toBeNaN();
    expect(await crossEntropy(x, labels, { weight: Tensor.full([3], 1), reduction: "sum" }).item()).toBe(0);
    expect(await mseLoss(Tensor.empty([0]), Tensor.empty([0])).item()).toBeNaN();
  });

  it("refuses what does not fit", () => {
    const x = Tensor.full([2, 3], 0);
    const labels = Tensor.full([2], 0, "i32");
    expect(() => softmax(x, 2)).toThrow(ShapeError);
    expect(() => softmax(labels)).toThrow(ShapeError);
    expect(() => crossEntropy(Tensor.full([2, 3, 1], 0), labels)).toThrow(ShapeError);
    expect(() => crossEntropy(x, Tensor.full([3], 0, "i32"))).toThrow(/\[2\]/);
    expect(() => nllLoss(x, Tensor.full([2], 0))).toThrow(ShapeError);
    expect(() => nllLoss(Tensor.empty([2, 0]), labels)).toThrow(ShapeError);
    expect(() => mseLoss(x, Tensor.full([3], 0))).toThrow(ShapeError);
    expect(() => binaryCrossEntropyWithLogits(x, labels)).toThrow(ShapeError);
    expect(() => crossEntropy(x, labels, { labelSmoothing: 1.5 })).toThrow(ArgumentError);
    expect(() => crossEntropy(x, labels, { weight: Tensor.full([2], 1) })).toThrow(/weight of shape \[3\]/);
    expect(() => crossEntropy(x, labels, { weight: Tensor.full([3], 1, "i32") })).toThrow(ShapeError);
    expect(() => crossEntropy(x, labels, { ignoreIndex: 0.5 })).toThrow(ArgumentError);
    expect(() => crossEntropy(x, labels, { ignoreIndex: 2 ** 31 })).toThrow(/ignoreIndex/);
    expect(() => mseLoss(x, x, { reduction: "average" as Reduction })).toThrow(ArgumentError);
  });

  it("leaves no memory behind, in few dispatches", async () => {
    const device = await gpu();
    const x = leaf(randomData([4, 3], 1), [4, 3]);
    const labels = Tensor.full([4], 1, "u32");
    scope(() => crossEntropy(x, labels).backward());
    const before = memory();
    const dispatches = device.counters.dispatches;
    x.zeroGrad();
    const loss = crossEntropy(x, labels);
    expect(device.counters.dispatches - dispatches).toBe(2);
    loss.backward();
    loss.dispose();
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages });
    for (const reduction of reductions) {
      x.zeroGrad();
      const weighted = crossEntropy(x, labels, { ignoreIndex: 7, reduction });
      scope(() => weighted.backward(Tensor.full(weighted.shape, 1)));
      weighted.dispose();
      expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages });
    }
  });
});
