/**
 * Every exported operation as a model: what ONNX Runtime computes with random numbers, for a batch
 * of another size than that of the sample, is what the operation gives; or it is refused by name. A
 * new export needs a row.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import { BatchNorm, MaxPool2d, Module, parameter, Sequential } from "../../src/nn";
import { ChannelAffine } from "../../src/nn/norm";
import { exportOnnx } from "../../src/onnx/export";
import { NOT_EXPORTED, RULES } from "../../src/onnx/rules";
import type { Network } from "../../src/passport/trace";
import * as ops from "../../src/tensor";
import { type Shape, Tensor } from "../../src/tensor";
import { unstack } from "../../src/tensor/ops/unstack";
import { keep } from "../../src/tensor/storage";
import { traceOps } from "../../src/tensor/trace";
import { gpu, randomData } from "../support/gpu";
import { channelsFirst, channelsLast, expectLike, type Fed, largestOf, runAll, runModel } from "../support/onnx";

beforeAll(async () => void (await gpu()));

/** A function as a network, with tensors of its own. */
class Of extends Module {
  readonly w: readonly Tensor[];
  constructor(
    readonly f: (x: Tensor, w: readonly Tensor[]) => unknown,
    shapes: readonly Shape[] = [],
  ) {
    super();
    this.w = shapes.map((shape, i) => parameter(Tensor.from(randomData(shape, 7 + i), shape)));
  }
  forward(x: Tensor): unknown {
    return this.f(x, this.w);
  }
}

interface Row {
  /** Of one item. */
  shape?: Shape;
  /** Shapes of tensors of the network's own. */
  w?: readonly Shape[];
  /** Integers from 0 to below this in the place of floats. */
  below?: number;
  f: (x: Tensor, w: readonly Tensor[]) => unknown;
}

const one = (f: (x: Tensor) => Tensor): Row => ({ f: (x) => f(x) });
const positive = (f: (x: Tensor) => Tensor): Row => ({ f: (x) => f(ops.add(ops.abs(x), 0.1)) });
const [IMAGE, MIXED]: Shape[] = [
  [5, 6, 4],
  [1, 1, 4],
];
const two = (f: (a: Tensor, b: ops.Operand) => Tensor): Row => ({
  w: [[4], [6, 1], MIXED!],
  f: (x, [a, b, c]) => [
    f(x, x),
    f(x, a!),
    f(x, b!),
    f(a!, x),
    f(x, c!),
    f(x, 0.3),
    f(x, ops.mean(x, [1, 2], { keepdim: true })),
    f(ops.mean(x, [1, 2]), a!),
  ],
});
const reduction = (f: typeof ops.sum): Row => ({
  f: (x) => [f(x, [1, 2]), f(x, -1), f(x, [1, 3], { keepdim: true }), f(x, 0), f(x), f(x, 2)],
});
const norm = (f: (x: Tensor, options: { gamma?: Tensor; beta?: Tensor; relu?: boolean }) => Tensor): Row => ({
  w: [[4], [4]],
  f: (x, [gamma, beta]) => [
    f(x, {}),
    f(x, { gamma: gamma!, beta: beta! }),
    f(x, { beta: beta!, relu: true }),
    f(ops.reshape(x, [x.shape[0]!, 30, 4]), { gamma: gamma! }),
  ],
});

const { abs, exp, neg, relu, sigmoid, sign, square, tanh, hardswish, silu, reciprocal } = ops;
const UNARY = { abs, exp, neg, relu, sigmoid, sign, square, tanh, hardswish, silu, reciprocal };
const { equal, greater, greaterEqual, less, lessEqual } = ops;
const COMPARISONS = { equal, greater, greaterEqual, less, lessEqual };

const ROWS: Record<string, Row> = {
  ...Object.fromEntries(Object.entries(UNARY).map(([name, f]) => [name, one(f)])),
  log: positive(ops.log),
  sqrt: positive(ops.sqrt),
  gelu: { f: (x) => [ops.gelu(x), ops.gelu(x, { approximate: "tanh" })] },
  leakyRelu: one((x) => ops.leakyRelu(x, 0.2)),
  clamp: { f: (x) => [ops.clamp(x, -0.3, 0.4), ops.clamp(x, 0.4, -0.3), ops.clamp(x, -Infinity, 0.1)] },
  pow: { f: (x) => [ops.pow(x, 3), ops.pow(ops.abs(x), 0.5), ops.pow(x, 0)] },
  affine: { f: (x) => [ops.affine(x, -2, 0.5), ops.affine(x, 1, 0), ops.affine(x, -1)] },
  add: two(ops.add),
  sub: two(ops.sub),
  mul: two(ops.mul),
  div: { ...two((a, b) => ops.div(a, typeof b === "number" ? b : ops.add(ops.square(b), 0.5))) },
  maximum: two(ops.maximum),
  minimum: two(ops.minimum),
  ...Object.fromEntries(
    Object.entries(COMPARISONS).map(([name, f]): [string, Row] => [
      name,
      { w: [[4]], f: (x, [a]) => [f(x, a!), f(x, x), f(ops.sign(x), 1)] },
    ]),
  ),
  where: { f: (x) => ops.where(ops.greater(x, 0), ops.exp(x), ops.mul(x, 3)) },
  reshape: {
    f: (x) => [
      ops.reshape(x, [x.shape[0]!, -1]),
      ops.reshape(x, [-1, 4]),
      ops.reshape(x, [x.shape[0]!, 30, 1, 4]),
      ops.reshape(x, [x.shape[0]!, 5, 1, 6, 1, 4]),
      ops.reshape(ops.reshape(x, [1, x.shape[0]!, 5, 6, 4, 1]), [x.shape[0]!, 5, 6, 4]),
      x.detach(),
      // Parts of images that lie side by side in either order.
      ops.reshape(x, [x.shape[0]!, 30, 4]),
      ops.reshape(x, [x.shape[0]!, 30, 2, 2]),
      ops.reshape(x, [x.shape[0]!, 5, 2, 3, 1, 4]),
      ops.reshape(x, [x.shape[0]!, 5, 24]),
      ops.reshape(x, [x.shape[0]! * 5, 6, 4]),
    ],
  },
  flatten: { f: (x) => [ops.flatten(x), ops.flatten(ops.permute(x, [0, 3, 1, 2])), ops.flatten(x, 2)] },
  permute: {
    f: (x) => [ops.permute(x, [0, 2, 1, 3]), ops.permute(x, [3, 0, 1, 2]), ops.exp(ops.permute(x, [1, 0, 3, 2]))],
  },
  transpose: one((x) => ops.transpose(x, 1, 3)),
  narrow: { f: (x) => [ops.narrow(x, 1, 1, 3), ops.narrow(x, -1, -2, 1), ops.narrow(x, 2, 0, 6)] },
  split: { f: (x) => ops.split(x, [1, 3], 3) },
  concat: {
    w: [[5, 6, 2]],
    f: (x, [w]) => [ops.concat([x, ops.exp(x)], 3), ops.concat([x, x], 0), ops.concat([ops.mean(x, 0), w!], -1)],
  },
  stack: { f: (x) => [ops.stack([x, ops.exp(x)]), ops.stack([x, x], -1)] },
  pad: {
    f: (x) => [
      ops.pad(
        x,
        [
          [0, 0],
          [1, 2],
          [0, 1],
          [0, 0],
        ],
        0.5,
      ),
      ops.pad(ops.reshape(x, [-1, 4]), [
        [0, 0],
        [1, 0],
      ]),
    ],
  },
  flip: { f: (x) => [ops.flip(x, [1]), ops.flip(x, [2, 3]), ops.flip(x, [])] },
  expand: {
    w: [[6, 1]],
    f: (x, [w]) => [
      ops.expand(w!, [x.shape[0]!, 5, 6, 4]),
      ops.expand(ops.mean(x, 1, { keepdim: true }), [-1, 3, 6, 4]),
      ops.expand(ops.mean(x, 0, { keepdim: true }), [2 * x.shape[0]!, 5, 6, 4]),
    ],
  },
  indexSelect: {
    f: (x) => [
      ops.indexSelect(x, 1, [3, 0, 0]),
      ops.indexSelect(x, 3, [
        [1, 2],
        [0, 0],
      ]),
    ],
  },
  embedding: { shape: [3], below: 7, w: [[7, 4]], f: (x, [w]) => ops.embedding(x, w!) },
  oneHot: { shape: [3], below: 5, f: (x) => ops.oneHot(x, 5) },
  cumsum: { f: (x) => [ops.cumsum(x, 1), ops.cumsum(x, -1)] },
  argsort: { f: (x) => [ops.argsort(x), ops.argsort(x, { axis: 1, descending: true })] },
  sort: { f: (x) => [ops.sort(x).values, ops.sort(x, { axis: 1, descending: true }).values] },
  topK: { f: (x) => [ops.topK(x, 2).values, ops.topK(x, 3, { axis: 1, largest: false }).indices] },
  sum: reduction(ops.sum),
  mean: reduction(ops.mean),
  amax: reduction(ops.amax),
  amin: reduction(ops.amin),
  sumSquares: reduction(ops.sumSquares),
  variance: {
    f: (x) => [
      ops.variance(x, [1, 2]),
      ops.variance(x, -1, { correction: 0, keepdim: true }),
      ops.variance(x, 0, { correction: 0 }),
    ],
  },
  norm: one(ops.norm),
  argmax: { f: (x) => [ops.argmax(x, -1), ops.argmax(x, 1, { keepdim: true })] },
  softmax: { f: (x) => [ops.softmax(x), ops.softmax(x, 1)] },
  logSoftmax: { f: (x) => [ops.logSoftmax(x), ops.logSoftmax(x, 2)] },
  matmul: {
    w: [
      [4, 3],
      [3, 4],
      [2, 6, 6],
    ],
    f: (x, [a, b, c]) => [
      ops.matmul(x, a!),
      ops.matmul(x, b!, { transposeB: true }),
      ops.matmul(x, x, { transposeA: true }),
      ops.matmul(x, x, { transposeB: true }),
      ops.matmul(c!, c!, { transposeA: true, transposeB: true }),
    ],
  },
  linear: {
    w: [[4, 3], [3]],
    f: (x, [w, b]) => [
      ops.linear(x, w!, b!),
      ops.linear(ops.mean(x, [1, 2]), w!, b!),
      ops.linear(ops.mean(x, [1, 2]), w!),
      ops.linear(ops.mean(x, [1, 2]), ops.permute(ops.reshape(w!, [3, 4]), [1, 0])),
    ],
  },
  einsum: { w: [[4, 3]], f: (x, [w]) => [ops.einsum("nhwi,io->nohw", x, w!), ops.einsum("nhwc,nhwc->nh", x, x)] },
  conv2d: {
    w: [[3, 3, 4, 8], [8], [3, 2, 2, 6], [3, 3, 1, 4]],
    f: (x, [w, b, g, d]) => [
      ops.conv2d(x, w!, b!, { padding: 1 }),
      ops.conv2d(x, w!, null, { stride: 2, padding: [2, 1], dilation: [1, 2] }),
      ops.conv2d(x, g!, null, { groups: 2, stride: [2, 3] }),
      ops.conv2d(x, g!, null, { groups: 2, padding: "same" }),
      ops.relu(ops.conv2d(x, d!, null, { groups: 4, padding: "same" })),
    ],
  },
  conv1d: {
    shape: [9, 4],
    w: [[3, 4, 6], [6], [4, 2, 4]],
    f: (x, [w, b, g]) => [
      ops.conv1d(x, w!, b!, { padding: 1, stride: 2 }),
      ops.conv1d(ops.relu(ops.conv1d(x, w!, b!)), ops.reshape(w!, [2, 6, 6])),
      ops.conv1d(x, g!, null, { groups: 2, dilation: 2, padding: "same" }),
    ],
  },
  convTranspose2d: {
    w: [[3, 3, 5, 4], [5], [2, 3, 3, 4]],
    f: (x, [w, b, g]) => [
      ops.convTranspose2d(x, w!, b!),
      ops.convTranspose2d(x, w!, null, { stride: 2, padding: 1, outputPadding: 1 }),
      ops.convTranspose2d(x, g!, null, { groups: 2, stride: [3, 2], dilation: [1, 2], outputPadding: [2, 0] }),
    ],
  },
  maxPool2d: {
    f: (x) => [
      ops.maxPool2d(x, 2),
      ops.maxPool2d(x, 3, { stride: 2, padding: 1, ceilMode: true }),
      ops.maxPool2d(x, 2, { stride: 3, padding: 1, ceilMode: true }),
      ops.maxPool2d(x, [2, 3], { stride: 1, dilation: [2, 1], padding: [1, 0] }),
    ],
  },
  avgPool2d: {
    f: (x) => [
      ops.avgPool2d(x, 2),
      ops.avgPool2d(x, 3, { stride: 2, padding: 1 }),
      ops.avgPool2d(x, 3, { stride: 2, padding: 1, countIncludePad: false }),
      ops.avgPool2d(x, 2, { stride: 3, padding: 1, ceilMode: true }),
      ops.avgPool2d(x, [2, 4], { stride: 3, padding: 1, ceilMode: true, countIncludePad: false }),
    ],
  },
  globalAvgPool: { f: (x) => [ops.globalAvgPool(x), ops.globalAvgPool(ops.reshape(x, [-1, 30, 4]))] },
  globalMaxPool: { f: (x) => [ops.globalMaxPool(x), ops.globalMaxPool(ops.reshape(x, [-1, 30, 4]))] },
  adaptiveAvgPool2d: {
    f: (x) =>
      [
        [1, 1],
        [5, 3],
        [2, 4],
      ].map((size) => ops.adaptiveAvgPool2d(x, size as [number, number])),
  },
  upsample2d: {
    f: (x) => [
      ops.upsample2d(x, { scale: 2 }),
      ops.upsample2d(x, { size: [7, 4] }),
      ops.upsample2d(x, { scale: [1.5, 2.3] }),
      ops.upsample2d(x, { scale: 2, mode: "bilinear" }),
      ops.upsample2d(x, { scale: [1.5, 2.3], mode: "bilinear" }),
      ops.upsample2d(x, { size: [9, 4], mode: "bilinear" }),
      ops.upsample2d(x, { size: [8, 11], mode: "bilinear", alignCorners: true }),
    ],
  },
  batchNorm: {
    w: [[4], [4], [4], [4]],
    f: (x, [gamma, beta, mean, raw]) => {
      const running = { runningMean: mean!, runningVar: ops.add(ops.square(raw!), 0.1), training: false };
      return [
        ops.batchNorm(x, running),
        ops.batchNorm(x, { ...running, gamma: gamma!, beta: beta!, relu: true, eps: 0.01 }),
        ops.batchNorm(ops.mean(x, [1, 2]), { ...running, gamma: gamma! }),
        ops.batchNorm(ops.mean(x, [1]), { ...running, beta: beta! }),
        ops.batchNorm(x, { training: false, gamma: gamma!, beta: beta! }),
      ];
    },
  },
  instanceNorm: norm(ops.instanceNorm),
  groupNorm: norm((x, options) => ops.groupNorm(x, 2, options)),
  layerNorm: {
    w: [[4], [4], IMAGE!, IMAGE!, [6, 4]],
    f: (x, [gamma, beta, whole, shift, rows]) => [
      ops.layerNorm(x, [4], { gamma: gamma!, beta: beta! }),
      ops.layerNorm(x, [4]),
      ops.layerNorm(x, IMAGE!, { gamma: whole!, beta: shift!, relu: true }),
      ops.layerNorm(x, [6, 4], { beta: rows! }),
    ],
  },
  rmsNorm: {
    w: [[4], IMAGE!],
    f: (x, [gamma, whole]) => [
      ops.rmsNorm(x, [4], { gamma: gamma!, eps: 0.1 }),
      ops.rmsNorm(x, IMAGE!, { gamma: whole! }),
    ],
  },
  scaledDotProductAttention: {
    shape: [5, 2, 4],
    w: [[3]],
    f: (x) => [
      ops.scaledDotProductAttention(x, ops.exp(x), ops.neg(x)),
      ops.scaledDotProductAttention(x, x, x, { causal: true, scale: 0.7 }),
      ops.scaledDotProductAttention(x, ops.narrow(x, 1, 0, 3), ops.narrow(x, 1, 1, 3), { causal: true }),
      ops.scaledDotProductAttention(ops.narrow(x, 3, 0, 3), ops.narrow(x, 3, 1, 3), ops.narrow(x, 3, 1, 3)),
    ],
  },
  dropout: one((x) => ops.dropout(x, 0.5, stream, false)),
};

let stream: ops.RandomStream;
beforeAll(() => void (stream = new ops.RandomStream(1)));
afterAll(() => stream.dispose());

/** Not operations, or with a reason why they are not exported. */
const REFUSED: Record<string, { f: (x: Tensor) => unknown; because: RegExp }> = {
  crossEntropy: { f: (x) => ops.crossEntropy(x, [0, 1]), because: /"crossEntropy".*loss/ },
  nllLoss: { f: (x) => ops.nllLoss(x, [0, 1]), because: /"nllLoss".*loss/ },
  mseLoss: { f: (x) => ops.mseLoss(x, x), because: /"mseLoss".*loss/ },
  binaryCrossEntropyWithLogits: { f: (x) => ops.binaryCrossEntropyWithLogits(x, x), because: /Logits".*loss/ },
  correctRows: { f: (x) => ops.correctRows(x, [0, 1]), because: /none of the operations/ },
  correctCount: { f: (x) => ops.add(ops.correctCount(x, [0, 1]), 1), because: /none of the operations/ },
  accumulateAt: {
    f: (x) => {
      const totals = Tensor.full([3], 0);
      ops.accumulateAt(totals, 0, ops.sum(x));
      return totals;
    },
    because: /"accumulateAt".*in place/,
  },
};

const OTHERS = ["Generator", "RandomStream", "Tensor", "keep", "memory", "noGrad", "recordStep", "scope"];
const used = new Set<string>();

/** Exports, runs both, compares all outputs. */
async function compare(network: Network, x: Fed, sample: Fed): Promise<void> {
  const given = sample.data instanceof Int32Array ? Tensor.from(sample.data, sample.shape) : sample.shape;
  const trace = traceOps(() => void network.forward(given instanceof Tensor ? given : Tensor.from(sample.data, given)));
  for (const { name } of trace) used.add(name);
  const expected = await runAll(network, x);
  const bytes = await exportOnnx(network, { sample: given });
  const results = await runModel(bytes, { input: channelsFirst(x) });
  const names = expected.length === 1 && !("output.0" in results) ? ["output"] : expected.map((_, i) => `output.${i}`);
  expect(Math.max(...expected.map(largestOf))).toBeGreaterThan(0);
  expected.forEach((y, i) => {
    const found = results[names[i]!]!;
    expectLike(y.data instanceof Float32Array ? channelsLast(found) : found, y);
  });
}

const fed = (batch: number, { shape = IMAGE!, below }: Row): Fed => {
  const whole = [batch, ...shape];
  const data = randomData(whole, 3);
  return { shape: whole, data: below ? Int32Array.from(data, (v) => Math.floor(((v + 1) / 2) * below)) : data };
};

describe("operations as models", () => {
  it("has a row for every export", () => {
    const exported = Object.keys(ops).filter((name) => !OTHERS.includes(name));
    expect([...Object.keys(ROWS), ...Object.keys(REFUSED)].sort()).toEqual(exported.sort());
  });

  it.each(Object.entries(ROWS))("%s", async (_, row) => {
    const network = new Of(row.f, row.w) as unknown as Network;
    await compare(network, fed(3, row), fed(2, row));
    network.dispose();
  });

  it("rows that choose: conditions and hidden keys that come in", async () => {
    const row: Row = {
      shape: [5],
      below: 2,
      w: [[1, 5, 2, 4]],
      f: (hidden, [w]) => {
        const q = ops.expand(w!, [hidden.shape[0]!, 5, 2, 4]);
        return [
          ops.scaledDotProductAttention(q, q, q, { keyPadding: hidden }),
          ops.scaledDotProductAttention(q, ops.exp(q), q, { keyPadding: hidden, causal: true }),
          ops.where(
            hidden,
            ops.expand(ops.mean(w!, [0, 2, 3]), [hidden.shape[0]!, 5]),
            Tensor.full([hidden.shape[0]!, 5], 2),
          ),
        ];
      },
    };
    const x = fed(3, row);
    // Of the last one nobody sees any key.
    x.data.fill(1, 10);
    const network = new Of(row.f, row.w) as unknown as Network;
    await compare(network, x, fed(2, row));
  });

  it("what layers and branches do beside", async () => {
    const norm = new BatchNorm(4);
    const pooled = new Sequential(new BatchNorm(4, { relu: true }), new MaxPool2d(2));
    const scale = new ChannelAffine(4, { relu: true });
    const rows = keep(Tensor.from(randomData([2, 4], 5), [2, 4]));
    class Beside extends Module {
      readonly norm = norm;
      readonly pooled = pooled;
      readonly scale = scale;
      readonly w = parameter(Tensor.from(randomData([2, 4], 6), [2, 4]));
      forward(x: Tensor): unknown {
        const [a, b] = unstack(this.w) as [Tensor, Tensor];
        const beside = this.scale.forward(ops.mul(ops.add(x, a), b));
        return [this.norm.forward(x, rows), this.pooled.forward(x), beside];
      }
    }
    const network = new Beside() as unknown as Network;
    for (const t of [norm.runningMean, norm.runningVar, scale.weight!, scale.bias!])
      t.write(randomData([4], t.version).map((v) => v * v + 0.2));
    await compare(network, fed(3, {} as Row), fed(2, {} as Row));
  });

  it.each(Object.entries(REFUSED))("%s is refused", async (_, { f, because }) => {
    const network = new Of((x) => f(x)) as unknown as Network;
    const error = await exportOnnx(network, { sample: [2, 3], batch: "fixed" }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toMatch(because);
  });

  it("uses every rule, and refuses all that is said to be refused", () => {
    expect(Object.keys(RULES).filter((name) => !used.has(name))).toEqual([]);
    expect(Object.keys(RULES).filter((name) => name in NOT_EXPORTED)).toEqual([]);
  });
});
