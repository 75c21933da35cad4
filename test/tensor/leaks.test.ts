/**
 * Every operation used outside a scope makes exactly its results: nothing it needed on the way
 * stays behind.
 */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import * as T from "../../src/tensor";
import { memory, Tensor } from "../../src/tensor";
import { gpu, randomTensor } from "../support/gpu";

beforeAll(async () => void (await gpu()));

let inputs: Tensor[];
let labels: Tensor;
let stream: T.RandomStream;
beforeEach(() => {
  // image, weight, matrix, vector, positive image
  inputs = [[2, 6, 6, 4], [3, 3, 4, 8], [6, 4], [4], [2, 6, 6, 4]].map((shape, i) => randomTensor(shape, i + 1));
  labels = Tensor.from(Int32Array.of(0, 1, 2, 3, 0, 1), [6]);
  stream = new T.RandomStream(1);
});
afterEach(() => {
  for (const t of [...inputs, labels]) t.dispose();
  stream.dispose();
});

type Op = (x: Tensor, w: Tensor, m: Tensor, v: Tensor, x2: Tensor) => Tensor | Tensor[];

const OPS: Record<string, Op> = {
  "add, sub, mul, div": (x, _w, _m, v, x2) => [T.add(x, v), T.sub(x, x2), T.mul(x, v), T.div(x, x2)],
  "with numbers": (x) => [
    T.add(x, 1),
    T.sub(x, 1),
    T.mul(x, 2),
    T.div(x, 2),
    T.div(1, x),
    T.maximum(x, 0),
    T.minimum(x, 0),
  ],
  unary: (x) =>
    [T.abs, T.exp, T.log, T.neg, T.relu, T.sigmoid, T.sign, T.sqrt, T.square, T.tanh, T.reciprocal].map((f) => f(x)),
  "leakyRelu, clamp, pow": (x) => [T.leakyRelu(x), T.clamp(x, -1, 1), T.pow(x, 2), T.affine(x, 2, 1)],
  "compare, where": (x, _w, _m, _v, x2) => [T.greater(x, 0), T.less(x, x2), T.where(x, x, x2)],
  "reshape, flatten": (x) => [T.reshape(x, [2, -1]), T.flatten(x)],
  "conv2d, conv1d": (x, w) => {
    const [sequence, taps] = [T.reshape(x, [2, 36, 4]), T.reshape(w, [9, 4, 8])];
    return [T.conv2d(x, w), T.conv1d(sequence, taps), sequence, taps];
  },
  "matmul, linear": (x, _w, m, v) => {
    const w = T.reshape(v, [4, 1]);
    return [T.matmul(m, m, { transposeB: true }), T.linear(x, w), w];
  },
  movement: (x, _w, m) => [
    T.permute(x, [0, 3, 1, 2]),
    T.transpose(m, 0, 1),
    T.narrow(x, 1, 1, 2),
    T.concat([m, m], 0),
    T.stack([m, m]),
    T.flip(m, [0]),
  ],
  "pad, expand, split": (_x, _w, m, v) => [
    T.pad(m, [
      [1, 0],
      [0, 2],
    ]),
    T.expand(v, [3, 4]),
    ...T.split(m, [2, 4], 0),
  ],
  reductions: (x) => [
    T.sum(x),
    T.mean(x, [1, 2]),
    T.amax(x, 3),
    T.amin(x),
    T.variance(x),
    T.variance(x, [0, 1]),
    T.norm(x),
    T.sumSquares(x),
    T.argmax(x, 3),
  ],
  "softmax and losses": (_x, _w, m) => [
    T.softmax(m),
    T.logSoftmax(m),
    T.crossEntropy(m, labels),
    T.crossEntropy(m, labels, { labelSmoothing: 0.1 }),
    T.nllLoss(m, labels),
  ],
  "pair losses": (x, _w, _m, _v, x2) => [T.mseLoss(x, x2), T.binaryCrossEntropyWithLogits(x, x2)],
  metrics: (_x, _w, m) => [T.correctRows(m, labels), T.correctCount(m, labels)],
  norms: (x, _w, _m, v) => [
    T.batchNorm(x, { gamma: v, beta: v, training: true }),
    T.groupNorm(x, 2),
    T.instanceNorm(x, { gamma: v }),
    T.layerNorm(x, [6, 4]),
  ],
  pooling: (x) => [
    T.maxPool2d(x, 2),
    T.avgPool2d(x, 3, { stride: 1, padding: 1 }),
    T.globalAvgPool(x),
    T.globalMaxPool(x),
  ],
  "gather, one-hot": (x) => [T.indexSelect(x, 3, labels), T.oneHot(labels, 4)],
  embedding: (_x, _w, m) => [T.embedding(labels, m), T.embedding([0, 1], m)],
  attention: (x) => {
    // Rows of three are filled up to whole vectors.
    const odd = T.reshape(x, [2, 6, 8, 3]);
    return [odd, T.scaledDotProductAttention(x, x, x), T.scaledDotProductAttention(odd, odd, odd)];
  },
  random: (x) => [stream.uniform([5]), stream.normal([5]), stream.bernoulli([5], 0.5), T.dropout(x, 0.5, stream)],
};

describe.each([false, true])("outside a scope, with requiresGrad %s", (requiresGrad) => {
  it.each(Object.entries(OPS))("%s", (_name, op) => {
    const [x, w, m, v, x2] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor];
    for (const t of inputs) t.requiresGrad = requiresGrad;
    const before = memory();
    const more = ([] as Tensor[]).concat(op(x, w, m, v, x2));
    const made = memory().tensors - before.tensors;
    for (const t of more) t.dispose();
    expect(made).toBe(more.length);
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  });
});
