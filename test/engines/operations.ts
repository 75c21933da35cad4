/** Operations of every kind, small, each with the shapes of its operands. */
import type * as Pan from "../support/entries";

/** An operation: shapes of its operands, and how it is called. */
export type Operation = readonly [
  name: string,
  shapes: readonly (readonly number[])[],
  call: (...x: Pan.Tensor[]) => Pan.Tensor,
];

export function operationsOf(pan: typeof Pan): readonly Operation[] {
  const labels = pan.Tensor.from(Int32Array.of(0, 2, 1, 3, 4, 0), [6]);
  const positive = (x: Pan.Tensor) => pan.add(pan.abs(x), 0.1);
  return [
    [
      "add, broadcast",
      [
        [4, 1, 5],
        [3, 5],
      ],
      pan.add,
    ],
    ["sub, mul, div", [[3, 7], [3, 7], [7]], (a, b, c) => pan.div(pan.mul(pan.sub(a, b), c), positive(b))],
    [
      "maximum, minimum",
      [
        [5, 9],
        [5, 9],
      ],
      (a, b) => pan.add(pan.maximum(a, b), pan.minimum(a, pan.neg(b))),
    ],
    ["exp, log, sqrt", [[33]], (x) => pan.add(pan.log(positive(x)), pan.sqrt(pan.exp(x)))],
    ["pow, reciprocal", [[33]], (x) => pan.add(pan.pow(positive(x), 1.7), pan.reciprocal(positive(x)))],
    ["where, clamp", [[21], [21]], (a, b) => pan.where(pan.greater(a, b), pan.clamp(a, -0.5, 0.5), b)],
    ["relu, leakyRelu", [[40]], (x) => pan.add(pan.relu(x), pan.leakyRelu(x, 0.1))],
    ["gelu, silu, hardswish", [[40]], (x) => pan.add(pan.add(pan.gelu(x), pan.silu(x)), pan.hardswish(x))],
    ["sigmoid, tanh", [[40]], (x) => pan.add(pan.sigmoid(x), pan.tanh(x))],
    ["sum, mean", [[5, 6, 7]], (x) => pan.add(pan.sum(x, [0, 2]), pan.mean(x, [0, 2]))],
    ["sum of many", [[3, 5000]], (x) => pan.sum(x, [1])],
    ["variance", [[6, 50]], (x) => pan.variance(x, [1])],
    ["amax, amin", [[6, 50]], (x) => pan.sub(pan.amax(x, [1]), pan.amin(x, [1]))],
    ["norm", [[70]], pan.norm],
    ["softmax, logSoftmax", [[6, 17]], (x) => pan.add(pan.softmax(x, -1), pan.logSoftmax(x, -1))],
    ["crossEntropy", [[6, 5]], (x) => pan.crossEntropy(x, labels, { labelSmoothing: 0.1 })],
    [
      "mseLoss",
      [
        [6, 5],
        [6, 5],
      ],
      (x, y) => pan.mseLoss(x, y),
    ],
    [
      "permute, flip, pad",
      [[2, 3, 4]],
      (x) =>
        pan.pad(pan.flip(pan.permute(x, [2, 0, 1]), [1]), [
          [1, 0],
          [0, 2],
          [0, 0],
        ]),
    ],
    [
      "concat, split, narrow",
      [
        [4, 6],
        [4, 2],
      ],
      (a, b) => pan.concat([pan.split(a, [2, 4], 1)[1]!, pan.narrow(b, 1, 0, 1)], 1),
    ],
    ["indexSelect, embedding", [[7, 5]], (x) => pan.add(pan.indexSelect(x, 0, [6, 1, 1]), pan.embedding([0, 3, 6], x))],
    ["cumsum", [[3, 300]], (x) => pan.cumsum(x, 1)],
    ["sort", [[3, 50]], (x) => pan.sort(x, { axis: 1 }).values],
    ["topK", [[3, 50]], (x) => pan.topK(x, 4, { axis: 1 }).values],
    [
      "matmul",
      [
        [37, 65],
        [65, 50],
      ],
      (a, b) => pan.matmul(a, b),
    ],
    [
      "matmul of batches",
      [
        [3, 9, 16],
        [3, 16, 12],
      ],
      (a, b) => pan.matmul(a, b),
    ],
    [
      "matmul, one column",
      [
        [40, 33],
        [33, 1],
      ],
      (a, b) => pan.matmul(a, b),
    ],
    [
      "einsum",
      [
        [3, 4, 5],
        [5, 4, 6],
      ],
      (a, b) => pan.einsum("bij,jik->bk", a, b),
    ],
    ["linear", [[10, 24], [24, 8], [8]], (x, w, b) => pan.linear(x, w, b)],
    ...(
      [
        [3, 8, 5, { padding: 2 }],
        [8, 8, 3, { padding: 1 }],
        [8, 12, 3, { padding: 1, stride: 2 }],
        [16, 32, 3, { padding: 1 }],
        [16, 24, 1, {}],
        [8, 12, 3, { padding: 2, dilation: 2 }],
        [8, 12, 3, { padding: 1, groups: 4 }],
        [8, 8, 3, { padding: 1, groups: 8 }],
        [5, 7, 3, { padding: 1, stride: 2 }],
      ] as const
    ).map(
      ([i, o, k, how]): Operation => [
        `conv2d ${i} → ${o}, ${k}×${k} ${JSON.stringify(how)}`,
        [[4, 11, 9, i], [k, k, i / ("groups" in how ? how.groups : 1), o], [o]],
        (x, w, b) => pan.conv2d(x, w, b, how),
      ],
    ),
    [
      "conv2d, Winograd’s method",
      [
        [4, 16, 16, 16],
        [3, 3, 16, 32],
      ],
      (x, w) => pan.conv2d(x, w, null, { padding: 1 }),
    ],
    [
      "conv1d",
      [
        [3, 20, 6],
        [5, 6, 8],
      ],
      (x, w) => pan.conv1d(x, w, null, { padding: 2 }),
    ],
    [
      "convTranspose2d",
      [
        [2, 5, 5, 8],
        [3, 3, 6, 8],
      ],
      (x, w) => pan.convTranspose2d(x, w, null, { stride: 2, padding: 1 }),
    ],
    ["maxPool2d", [[2, 9, 9, 6]], (x) => pan.maxPool2d(x, 3, { stride: 2, padding: 1 })],
    ["avgPool2d", [[2, 9, 9, 6]], (x) => pan.avgPool2d(x, 3, { stride: 2, padding: 1 })],
    ["globalAvgPool, globalMaxPool", [[2, 9, 7, 6]], (x) => pan.add(pan.globalAvgPool(x), pan.globalMaxPool(x))],
    ["adaptiveAvgPool2d", [[2, 9, 7, 6]], (x) => pan.adaptiveAvgPool2d(x, [4, 3])],
    ["upsample2d", [[2, 5, 4, 6]], (x) => pan.upsample2d(x, { scale: 2, mode: "bilinear" })],
    ["batchNorm", [[4, 6, 6, 12], [12], [12]], (x, gamma, beta) => pan.batchNorm(x, { gamma, beta, training: true })],
    ["groupNorm", [[4, 6, 6, 12], [12], [12]], (x, gamma, beta) => pan.groupNorm(x, 3, { gamma, beta })],
    ["instanceNorm", [[4, 6, 6, 12]], (x) => pan.instanceNorm(x)],
    ["layerNorm", [[9, 40], [40], [40]], (x, gamma, beta) => pan.layerNorm(x, [40], { gamma, beta })],
    ["rmsNorm", [[9, 40], [40]], (x, gamma) => pan.rmsNorm(x, [40], { gamma })],
    [
      "attention",
      [
        [2, 3, 20, 16],
        [2, 3, 20, 16],
        [2, 3, 20, 16],
      ],
      (q, k, v) => pan.scaledDotProductAttention(q, k, v),
    ],
    [
      "attention, causal",
      [
        [2, 3, 20, 8],
        [2, 3, 20, 8],
        [2, 3, 20, 8],
      ],
      (q, k, v) => pan.scaledDotProductAttention(q, k, v, { causal: true }),
    ],
  ];
}
