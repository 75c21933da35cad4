/**
 * Batches in parts: every exported operation on a tensor of two parts gives what it gives for each
 * part alone, forward and backward, or refuses. A new export needs a row.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import * as optim from "../../src/optim";
import * as passport from "../../src/passport";
import * as ops from "../../src/tensor";
import { RandomStream, scope, Tensor } from "../../src/tensor";
import { sizeOf } from "../../src/tensor/shape";
import { expectClose, gpu, randomData } from "../support/gpu";

beforeAll(async () => void (await gpu()));

const PARTS = 2;

/** An argument: [2N, …] in parts, the batch [N, …] that both share, or something all rows share. */
interface Input {
  /** Of one part, of the shared batch, or of the whole. */
  shape: readonly number[];
  parted: boolean;
  /** Numbers from 0 to this one, of an integer tensor. */
  below?: number;
}
const parted = (...shape: number[]): Input => ({ shape, parted: true });
const whole = (...shape: number[]): Input => ({ shape, parted: false });
const integers = (input: Input, below: number): Input => ({ ...input, below });

type Outcome = Tensor | readonly Tensor[] | ops.Sorted;
type Body = (...tensors: Tensor[]) => Outcome;

/** A call that gives what its parts give; or, `refused`, one that would mix them. */
interface Case {
  what: string;
  inputs: readonly Input[];
  f: Body;
  refused?: true;
}
const gives = (what: string, inputs: readonly Input[], f: Body): Case => ({ what, inputs, f });
const refuses = (what: string, inputs: readonly Input[], f: Body): Case => ({ what, inputs, f, refused: true });

const N = 2;
const rows = parted(N, 3);
const images = parted(N, 4, 4, 4);
const lines = parted(N, 5, 4);
const heads = parted(N, 3, 2, 4);
const attention: Body = (q, k, v) => ops.scaledDotProductAttention(q!, k!, v!);

/** Elementwise: any shape. */
const unary = (f: (x: Tensor) => Tensor): Case[] => [
  gives("rows", [rows], f),
  gives("images", [images], f),
  gives("one sample a part", [parted(1, 3)], f),
];

/**
 * Of two tensors that broadcast: in parts, shared by both parts, by all rows, or no batch at all.
 */
function binary(f: (a: Tensor, b: Tensor) => Tensor): Case[] {
  const others: [string, Input, Input][] = [
    ["of each part", rows, rows],
    ["that the parts share", rows, whole(N, 3)],
    ["that the parts share, one number a row", rows, whole(N, 1)],
    ["that the parts share, for one number a row", parted(N, 1), whole(N, 3)],
    ["that the parts share, one sample a part", parted(1, 3), whole(1, 3)],
    ["of images that the parts share", images, whole(N, 4, 4, 4)],
    ["that all rows share", rows, whole(3)],
    ["that all rows share, with a batch of 1", rows, whole(1, 3)],
    ["of one number", rows, whole()],
    ["of two dimensions that all images share", images, whole(4, 4)],
  ];
  return [
    ...others.flatMap(([what, a, b]) => [
      gives(`with another ${what}`, [a, b], f),
      gives(`with another ${what}, the other way round`, [b, a], f),
    ]),
    // The batch would be the second dimension of the result.
    refuses("with one of more dimensions", [rows, whole(4, 1, 3)], f),
    refuses("with one of more dimensions, the other way round", [whole(4, 1, 3), rows], f),
    refuses("with another of each part, of more dimensions", [rows, parted(N, 1, 3)], f),
  ];
}

const reduction = (f: (x: Tensor, axes?: ops.Axes, options?: ops.ReduceOptions) => Tensor): Case[] => [
  gives("along the last dimension", [rows], (x) => f(x, 1)),
  gives("along all but the batch, which are kept", [images], (x) => f(x, [1, 2, -1], { keepdim: true })),
  gives("along none", [rows], (x) => f(x, [])),
  refuses("along the batch", [rows], (x) => f(x, 0)),
  refuses("along the batch and others", [images], (x) => f(x, [0, 1, 2])),
  refuses("along all", [rows], (x) => f(x)),
];

const axis = (f: (x: Tensor, axis: number) => Outcome): Case[] => [
  gives("along the last dimension", [rows], (x) => f(x, -1)),
  gives("along the middle", [lines], (x) => f(x, 1)),
  refuses("along the batch", [rows], (x) => f(x, 0)),
  refuses("along the batch, counted from the end", [lines], (x) => f(x, -3)),
];

/** A map of x by weights and a bias. */
const mapped = (x: Input, w: Input, bias: Input, f: (x: Tensor, w: Tensor, bias: Tensor | null) => Tensor): Case[] => {
  const halves = ({ shape: [n, ...rest] }: Input) => parted(n! / PARTS, ...rest);
  const plain = (input: Input): Input => ({ ...input, parted: false });
  return [
    gives("of a batch", [x, w, bias], f),
    gives("without a bias", [x, w], (a, b) => f(a!, b!, null)),
    refuses("by weights in parts", [plain(x), halves(w), bias], f),
    refuses("with a bias in parts", [plain(x), w, halves(bias)], f),
  ];
};

const pooling = (f: (x: Tensor) => Tensor): Case[] => [gives("of images", [images], f)];
const lost = (inputs: readonly Input[], f: Body): Case[] => [refuses("of a batch", inputs, f)];

/** A norm of x [N, 5, 4] with γ [4] and β [4]. */
const norm = (f: (x: Tensor, gamma: Tensor, beta: Tensor) => Tensor): Case[] => [
  gives("of a batch", [lines, whole(4), whole(4)], f as Body),
  refuses("with a γ in parts", [whole(2, 5, 4), parted(2), whole(4)], f as Body),
  refuses("with a β in parts", [whole(2, 5, 4), whole(4), parted(2)], f as Body),
];

const accumulated: Body = (totals, value) => {
  ops.accumulateAt(totals!, 1, value!);
  return totals!;
};

const labels = integers(parted(N), 3);
const shared = integers(whole(N), 3);

/** Cases of each operation. */
const CASES: Record<string, Case[]> = {
  abs: unary(ops.abs),
  neg: unary(ops.neg),
  exp: unary(ops.exp),
  log: unary(ops.log),
  sqrt: unary(ops.sqrt),
  square: unary(ops.square),
  reciprocal: unary(ops.reciprocal),
  sigmoid: unary(ops.sigmoid),
  tanh: unary(ops.tanh),
  relu: unary(ops.relu),
  sign: unary(ops.sign),
  silu: unary(ops.silu),
  hardswish: unary(ops.hardswish),
  gelu: unary((x) => ops.gelu(x)),
  leakyRelu: unary((x) => ops.leakyRelu(x)),
  affine: unary((x) => ops.affine(x, 2, 1)),
  clamp: unary((x) => ops.clamp(x, 0.2, 0.7)),
  pow: [...unary((x) => ops.pow(x, 3)), ...unary((x) => ops.pow(x, 0))],
  add: [...binary(ops.add), ...unary((x) => ops.add(x, 2))],
  sub: [...binary(ops.sub), ...unary((x) => ops.sub(x, 2))],
  mul: [...binary(ops.mul), ...unary((x) => ops.mul(x, 2))],
  div: [...binary(ops.div), ...unary((x) => ops.div(x, 2)), ...unary((x) => ops.div(2, x))],
  maximum: [...binary(ops.maximum), ...unary((x) => ops.maximum(x, 0.5))],
  minimum: [...binary(ops.minimum), ...unary((x) => ops.minimum(x, 0.5))],
  equal: [...binary(ops.equal), ...unary((x) => ops.equal(x, 0.5))],
  greater: [...binary(ops.greater), ...unary((x) => ops.greater(x, 0.5))],
  greaterEqual: [...binary(ops.greaterEqual), ...unary((x) => ops.greaterEqual(x, 0.5))],
  less: [...binary(ops.less), ...unary((x) => ops.less(x, 0.5))],
  lessEqual: [...binary(ops.lessEqual), ...unary((x) => ops.lessEqual(x, 0.5))],
  where: [
    gives("of three batches", [rows, rows, rows], (c, a, b) => ops.where(ops.less(c!, 0.5), a!, b!)),
    gives("by a condition", [rows], (x) => ops.where(ops.less(x!, 0.5), x!, ops.neg(x!))),
    ...[0, 1, 2, 3, 4, 5].map((which) => {
      // Of three tensors, every choice of some, but not of all, is shared.
      const inputs = [0, 1, 2].map((i) => ((which + 1) & (1 << i) ? whole(N, 3) : rows));
      return gives(`with some that the parts share (${which})`, inputs, (c, a, b) =>
        ops.where(ops.less(c!, 0.5), a!, b!),
      );
    }),
  ],
  reshape: [
    gives("of what lies behind the batch", [images], (x) => ops.reshape(x!, [x!.shape[0]!, -1])),
    gives("of rows out of each sample", [images], (x) => ops.reshape(x!, [-1, 4])),
    gives("of one row", [rows], (x) => ops.reshape(x!, -1)),
    gives("by the batch of a tensor outside", [images], (x) => ops.reshape(x!, [N, 16, 4])),
    gives("by one row of each", [images], (x) => ops.reshape(x!, [1, N * 64])),
    gives("by rows of each, all told", [images], (x) => ops.reshape(x!, [N * 16, 4])),
    gives("by rows of all", [images], (x) => ops.reshape(x!, [x!.shape[0]! * 16, 4])),
    gives("by an open size that only rows of all leave", [lines], (x) => ops.reshape(x!, [x!.shape[0]! * 5, -1, 4])),
    refuses("by the batch of a tensor outside, or half of the own", [images], (x) => ops.reshape(x!, [N, -1, 4])),
    refuses("by rows of a tensor outside, or of the own", [images], (x) => ops.reshape(x!, [N * 4, -1, 4])),
    refuses("by one row with an open size", [images], (x) => ops.reshape(x!, [1, -1, 4])),
    refuses("with another dimension in front", [rows], (x) => ops.reshape(x!, [1, ...x!.shape])),
  ],
  flatten: [
    gives("behind the batch", [images], (x) => ops.flatten(x!)),
    gives("from the batch on", [rows], (x) => ops.flatten(x!, 0)),
  ],
  permute: [
    gives("behind the batch", [images], (x) => ops.permute(x!, [0, 3, 1, 2])),
    refuses("of the batch", [lines], (x) => ops.permute(x!, [1, 0, 2])),
  ],
  transpose: [
    gives("behind the batch", [lines], (x) => ops.transpose(x!, 1, -1)),
    refuses("of the batch", [rows], (x) => ops.transpose(x!, 0, 1)),
  ],
  narrow: [
    gives("behind the batch", [rows], (x) => ops.narrow(x!, 1, 1, 2)),
    refuses("of the batch", [rows], (x) => ops.narrow(x!, 0, 0, 2)),
  ],
  split: [
    gives("behind the batch", [rows], (x) => ops.split(x!, [1, 2], 1)),
    refuses("of the batch", [rows], (x) => ops.split(x!, [1, x!.shape[0]! - 1], 0)),
    refuses("of the batch of a tensor outside", [rows], (x) => ops.split(x!, [1, N - 1], 0)),
  ],
  pad: [
    gives("behind the batch", [rows], (x) =>
      ops.pad(x!, [
        [0, 0],
        [1, 2],
      ]),
    ),
    refuses("of the batch", [rows], (x) =>
      ops.pad(x!, [
        [0, 1],
        [0, 0],
      ]),
    ),
  ],
  flip: [
    gives("behind the batch", [lines], (x) => ops.flip(x!, [1, 2])),
    refuses("of the batch", [lines], (x) => ops.flip(x!, [0])),
  ],
  expand: [
    gives("behind the batch", [parted(N, 1, 3)], (x) => ops.expand(x!, [-1, 4, 3])),
    gives("by the own batch", [parted(N, 1, 3)], (x) => ops.expand(x!, [x!.shape[0]!, 4, 3])),
    gives("by the batch of a tensor outside", [parted(N, 1, 3)], (x) => ops.expand(x!, [N, 4, 3])),
    refuses("by a dimension in front", [rows], (x) => ops.expand(x!, [4, ...x!.shape])),
  ],
  concat: [
    gives("of batches", [rows, parted(N, 2)], (...xs) => ops.concat(xs, 1)),
    gives("with one that the parts share", [rows, whole(N, 2)], (...xs) => ops.concat(xs, 1)),
    gives("with one that the parts share, in front", [whole(N, 2), rows], (...xs) => ops.concat(xs, -1)),
    gives("with one that the parts share, one sample a part", [parted(1, 3), whole(1, 2)], (...xs) =>
      ops.concat(xs, 1),
    ),
    gives("with one that the parts share, of images", [whole(N, 4, 4, 2), images], (...xs) => ops.concat(xs, 3)),
    refuses("along the batch", [rows, rows], (...xs) => ops.concat(xs, 0)),
    refuses("along the batch, with one that is shared", [whole(N, 3), rows], (...xs) => ops.concat(xs, 0)),
  ],
  stack: [
    gives("of batches", [rows, rows], (...xs) => ops.stack(xs, 1)),
    gives("with one that the parts share", [rows, whole(N, 3)], (...xs) => ops.stack(xs, -1)),
    gives("with one that the parts share, in front", [whole(N, 3), rows], (...xs) => ops.stack(xs, 1)),
    gives("with one that the parts share, one sample a part", [parted(1, 3), whole(1, 3)], (...xs) => ops.stack(xs, 1)),
    refuses("in front of the batch", [rows, rows], (...xs) => ops.stack(xs)),
    refuses("in front of the batch, with one that is shared", [whole(N, 3), rows], (...xs) => ops.stack(xs)),
  ],
  indexSelect: [
    gives("behind the batch", [rows], (x) => ops.indexSelect(x!, 1, [2, 0, 2])),
    gives("by indices that all rows share", [rows, integers(whole(2), 3)], (x, i) => ops.indexSelect(x!, 1, i!)),
    gives("of a table, by indices in parts", [whole(3, 4), labels], (x, i) => ops.indexSelect(x!, 0, i!)),
    gives("of a table, by lists of indices in parts", [whole(3, 4), integers(parted(N, 2), 3)], (x, i) =>
      ops.indexSelect(x!, 0, i!),
    ),
    refuses("of the batch", [rows], (x) => ops.indexSelect(x!, 0, [1, 0])),
    refuses("of columns, by indices in parts", [whole(4, 3), labels], (x, i) => ops.indexSelect(x!, 1, i!)),
    refuses("of columns of a batch, by indices in parts", [rows, labels], (x, i) => ops.indexSelect(x!, 1, i!)),
  ],
  oneHot: lost([labels], (l) => ops.oneHot(l!, 3)),
  sum: reduction(ops.sum),
  mean: reduction(ops.mean),
  amax: reduction(ops.amax),
  amin: reduction(ops.amin),
  sumSquares: reduction(ops.sumSquares),
  variance: reduction((x, axes, options) => ops.variance(x, axes, { correction: 0, ...options })).filter(
    (c) => c.what !== "along none",
  ),
  norm: lost([rows], (x) => ops.norm(x!)),
  argmax: axis((x, d) => ops.argmax(x, d)),
  sort: axis((x, d) => ops.sort(x, { axis: d })),
  argsort: axis((x, d) => ops.argsort(x, { axis: d, descending: true })),
  topK: axis((x, d) => ops.topK(x, 2, { axis: d })),
  cumsum: axis((x, d) => ops.cumsum(x, d)),
  softmax: [...axis((x, d) => ops.softmax(x, d)), gives("of long lines", [parted(1, 5000)], (x) => ops.softmax(x!))],
  logSoftmax: axis((x, d) => ops.logSoftmax(x, d)),
  matmul: [
    gives("of rows by a matrix", [rows, whole(3, 4)], (a, b) => ops.matmul(a!, b!)),
    gives("of rows by a matrix of as many rows", [parted(3, 3), whole(3, 4)], (a, b) => ops.matmul(a!, b!)),
    gives("of rows by a matrix that is transposed", [parted(4, 3), whole(4, 3)], (a, b) =>
      ops.matmul(a!, b!, { transposeB: true }),
    ),
    gives("of matrices by a matrix", [lines, whole(4, 2)], (a, b) => ops.matmul(a!, b!)),
    gives("of a matrix by matrices", [whole(3, 5), lines], (a, b) => ops.matmul(a!, b!)),
    gives("of matrices by matrices", [lines, parted(N, 4, 3)], (a, b) => ops.matmul(a!, b!)),
    gives("by itself", [lines], (a) => ops.matmul(a!, a!, { transposeB: true })),
    gives("by matrices that the parts share", [lines, whole(N, 4, 3)], (a, b) => ops.matmul(a!, b!)),
    gives("of matrices that the parts share", [whole(N, 3, 5), lines], (a, b) => ops.matmul(a!, b!)),
    gives("by one matrix that the parts share, one sample a part", [parted(1, 5, 4), whole(1, 4, 3)], (a, b) =>
      ops.matmul(a!, b!),
    ),
    refuses("over the batch", [rows, rows], (a, b) => ops.matmul(a!, b!, { transposeA: true })),
    refuses("of rows by rows", [rows, rows], (a, b) => ops.matmul(a!, b!, { transposeB: true })),
    refuses("of a matrix by rows", [whole(3, 4), rows], (a, b) => ops.matmul(a!, b!)),
    refuses("of rows by matrices", [rows, whole(4, 3, 2)], (a, b) => ops.matmul(a!, b!)),
  ],
  einsum: [
    gives("of rows by a matrix", [rows, whole(3, 4)], (a, b) => ops.einsum("ni,io->no", a!, b!)),
    gives("of rows by a matrix of as many rows", [parted(3, 3), whole(3, 4)], (a, b) =>
      ops.einsum("ni,io->no", a!, b!),
    ),
    gives("of matrices by matrices", [lines, lines], (a, b) => ops.einsum("nic,njc->nij", a!, b!)),
    gives("row by row", [rows, rows], (a, b) => ops.einsum("ni,ni->n", a!, b!)),
    gives("of heads", [parted(N, 5, 2, 2), parted(N, 5, 2, 2)], (a, b) => ops.einsum("nihc,njhc->nhij", a!, b!)),
    gives("of a diagonal", [parted(N, 3, 3)], (a) => ops.einsum("nii->ni", a!)),
    gives("by matrices that the parts share", [lines, whole(N, 5, 4)], (a, b) => ops.einsum("nic,njc->nij", a!, b!)),
    gives("of shared matrices, by rows", [whole(N, 5, 4), parted(N, 4)], (a, b) => ops.einsum("nic,nc->ni", a!, b!)),
    gives("of three, one of them shared", [rows, whole(N, 4), whole(3, 4)], (a, b, w) =>
      ops.einsum("ni,nj,ij->n", a!, b!, w!),
    ),
    gives("behind an ellipsis, by what is shared", [lines, whole(N, 5, 4)], (a, b) =>
      ops.einsum("...c,...c->...", a!, b!),
    ),
    gives("by a matrix with as many rows as the batch", [parted(N, N), whole(N, 3)], (a, b) =>
      ops.einsum("ni,io->no", a!, b!),
    ),
    refuses("by what has the batch behind", [rows, whole(4, N)], (a, b) => ops.einsum("ni,on->noi", a!, b!)),
    refuses("over the batch", [rows, rows], (a, b) => ops.einsum("ni,nj->ij", a!, b!)),
    refuses("over all", [rows, rows], (a, b) => ops.einsum("ni,ni->", a!, b!)),
    refuses("of rows by rows", [rows, rows], (a, b) => ops.einsum("ni,mi->nm", a!, b!)),
    refuses("with the batch behind", [rows, whole(3, 4)], (a, b) => ops.einsum("ni,io->on", a!, b!)),
    refuses("of a diagonal of the batch, and others", [parted(1, 3, 2)], (a) => ops.einsum("iji->ij", a!)),
    refuses("of a diagonal of the batch", [parted(1, 2)], (a) => ops.einsum("ii->i", a!)),
  ],
  scaledDotProductAttention: [
    gives("of itself", [heads, heads, heads], attention),
    gives("of itself, causal", [heads, heads, heads], (q, k, v) =>
      ops.scaledDotProductAttention(q!, k!, v!, { causal: true }),
    ),
    gives("of keys that the parts share", [heads, whole(N, 3, 2, 4), whole(N, 3, 2, 4)], attention),
    gives("by queries that the parts share", [whole(N, 5, 2, 4), heads, heads], attention),
    gives("of heads that are filled up", [parted(N, 3, 2, 3), parted(N, 3, 2, 3), parted(N, 3, 2, 3)], (q, k, v) =>
      ops.scaledDotProductAttention(q!, k!, v!),
    ),
  ],
  embedding: [
    refuses("of a weight in parts", [labels, parted(3, 4)], (i, w) => ops.embedding(i!, w!)),
    refuses("of indices in parts", [labels, whole(3, 4)], (i, w) => ops.embedding(i!, w!)),
  ],
  linear: mapped(rows, whole(3, 4), whole(4), ops.linear),
  conv1d: mapped(lines, whole(2, 4, 4), whole(4), (x, w, b) => ops.conv1d(x, w, b, { padding: "same" })),
  conv2d: mapped(images, whole(2, 2, 4, 4), whole(4), (x, w, b) => ops.conv2d(x, w, b, { stride: 2 })),
  convTranspose2d: mapped(images, whole(2, 2, 4, 4), whole(4), (x, w, b) =>
    ops.convTranspose2d(x, w, b, { stride: 2 }),
  ),
  maxPool2d: pooling((x) => ops.maxPool2d(x, 2)),
  avgPool2d: pooling((x) => ops.avgPool2d(x, 2)),
  adaptiveAvgPool2d: pooling((x) => ops.adaptiveAvgPool2d(x, 3)),
  upsample2d: pooling((x) => ops.upsample2d(x, { scale: 2, mode: "bilinear" })),
  globalAvgPool: [...pooling(ops.globalAvgPool), gives("of lines", [lines], ops.globalAvgPool)],
  globalMaxPool: [...pooling(ops.globalMaxPool), gives("of lines", [lines], ops.globalMaxPool)],
  batchNorm: [
    refuses("by the batch", [lines], (x) => ops.batchNorm(x!, { training: true })),
    refuses("by running statistics", [lines, whole(4)], (x, s) =>
      ops.batchNorm(x!, { training: false, runningMean: s!.detach(), runningVar: s!.detach() }),
    ),
  ],
  groupNorm: norm((x, gamma, beta) => ops.groupNorm(x, 2, { gamma, beta, relu: true })),
  instanceNorm: norm((x, gamma, beta) => ops.instanceNorm(x, { gamma, beta })),
  layerNorm: [
    ...norm((x, gamma, beta) => ops.layerNorm(x, [4], { gamma, beta })),
    refuses("of the batch too", [rows], (x) => ops.layerNorm(x!, x!.shape)),
  ],
  rmsNorm: [
    ...norm((x, gamma, beta) => ops.add(ops.rmsNorm(x, [4], { gamma }), beta)).slice(0, 2),
    refuses("of the batch too", [rows], (x) => ops.rmsNorm(x!, x!.shape)),
  ],
  dropout: [
    gives("of nothing", [rows], (x) => ops.dropout(x!, 0, new RandomStream(1))),
    gives("of all", [rows], (x) => ops.dropout(x!, 1, new RandomStream(1))),
    gives("in evaluation", [rows], (x) => ops.dropout(x!, 0.5, new RandomStream(1), false)),
  ],
  crossEntropy: [
    ...lost([rows, labels], (x, l) => ops.crossEntropy(x!, l!)),
    refuses("with labels that the parts share", [rows, shared], (x, l) => ops.crossEntropy(x!, l!)),
    refuses("of labels in parts", [whole(PARTS * N, 3), labels], (x, l) => ops.crossEntropy(x!, l!)),
  ],
  nllLoss: [
    ...lost([rows, labels], (x, l) => ops.nllLoss(x!, l!)),
    refuses("of labels in parts", [whole(PARTS * N, 3), labels], (x, l) => ops.nllLoss(x!, l!)),
  ],
  mseLoss: [
    ...lost([rows, rows], (a, b) => ops.mseLoss(a!, b!)),
    refuses("of a target in parts", [whole(PARTS * N, 3), rows], (a, b) => ops.mseLoss(a!, b!)),
  ],
  binaryCrossEntropyWithLogits: lost([rows, rows], (a, b) => ops.binaryCrossEntropyWithLogits(a!, b!)),
  correctRows: [
    ...lost([rows, labels], (x, l) => ops.correctRows(x!, l!)),
    refuses("of labels in parts", [whole(PARTS * N, 3), labels], (x, l) => ops.correctRows(x!, l!)),
  ],
  correctCount: lost([rows, labels], (x, l) => ops.correctCount(x!, l!)),
  accumulateAt: [
    refuses("of a value in parts", [whole(3), rows], accumulated),
    refuses("into totals in parts", [parted(2), whole(2)], accumulated),
  ],
  // src/passport
  signLoss: [
    refuses("of γ in parts", [parted(2), whole(4)], (g, b) => passport.signLoss(g!, b!)),
    refuses("of bits in parts", [whole(4), parted(2)], (g, b) => passport.signLoss(g!, b!)),
  ],
  windowMeans: lost([parted(1, 4, 4, 2), whole(3, 3, 2, 4)], (p, w) => passport.windowMeans(p!, w!)),
  passportMeans: lost([parted(1, 3), parted(1, 3), whole(3, 4)], (p, q, w) => passport.passportMeans(p!, q!, w!)),
  passportGammaBeta: lost([parted(1, 3), whole(3, 4)], (m, w) => passport.passportGammaBeta(m!, w!)),
  // src/optim
  clipGradNorm: lost([rows], (p) => optim.clipGradNorm(p!, 1)),
  clipGradValue: lost([rows], (p) => {
    optim.clipGradValue(p!, 1);
    return p!;
  }),
};

/** Exports that are no operations on tensors. */
const NO_OPERATIONS = new Set([
  ...["Generator", "RandomStream", "Tensor", "keep", "memory", "scope", "noGrad", "recordStep"],
  ...["Passport", "Protected", "protect", "protectAs", "channelsOf", "branchesOf", "countSigns", "secretBranch"],
  ...["imagePassports", "randomPassport", "shufflePassport", "capacity", "decodeBytes", "decodeSignature"],
  ...["signatureBits", "signatureBytes", "signBytes", "spreadSignature"],
  ...[
    "ExponentialMovingAverage",
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "constantLR",
    "cosineLR",
    "oneCycleLR",
    "multiStepLR",
    "stepLR",
    "warmupLR",
  ],
]);

it("every exported operation has a row, which is put to the test with a batch in parts", () => {
  const exported = { ...ops, ...passport, ...optim } as Record<string, unknown>;
  const names = Object.keys(exported).filter((n) => typeof exported[n] === "function");
  expect(names.filter((n) => !CASES[n]?.length && !NO_OPERATIONS.has(n))).toEqual([]);
  expect([...Object.keys(CASES), ...NO_OPERATIONS].filter((n) => !exported[n])).toEqual([]);
  for (const [name, cases] of Object.entries(CASES))
    for (const { what, inputs } of cases)
      expect(
        inputs.some((i) => i.parted),
        `${name} ${what}`,
      ).toBe(true);
});

const listed = (outcome: Outcome): readonly Tensor[] => {
  if (outcome instanceof Tensor) return [outcome];
  return "values" in outcome && "indices" in outcome ? [outcome.values, outcome.indices] : (outcome as Tensor[]);
};

/** Elements of each argument, in all parts. */
function elementsOf({ shape, parted, below }: Input, seed: number): Float32Array | Int32Array {
  const size = sizeOf(shape) * (parted ? PARTS : 1);
  if (below !== undefined) return Int32Array.from({ length: size }, (_, i) => (i * 7 + seed) % below);
  // From 0.1 to 0.9, no two alike: logarithms and orders are told apart.
  return randomData([size], seed).map((v) => 0.5 + 0.4 * v);
}

function leaf(data: Float32Array | Int32Array, shape: readonly number[], parts: number): Tensor {
  const t = Tensor.from(data, [...shape]);
  if (t.dtype === "f32") t.requiresGrad = true;
  t.parts = parts;
  return t;
}

const wholeShape = ({ shape, parted }: Input): number[] =>
  parted ? [PARTS * shape[0]!, ...shape.slice(1)] : [...shape];

interface Found {
  outputs: Tensor[];
  gradients: (Float32Array | null)[];
}

/**
 * Outputs and gradients of one call; the gradient that comes back is `seed` of each element's
 * place.
 */
async function run(f: Body, leaves: Tensor[], seedOf: (output: number, shape: readonly number[]) => Float32Array) {
  const outputs = scope(() => {
    const found = listed(f(...leaves));
    for (const [k, y] of found.entries())
      if (y.requiresGrad && y.node) y.backward(Tensor.from(seedOf(k, y.shape), [...y.shape]), { retainGraph: true });
    return [...found];
  });
  const gradients = await Promise.all(leaves.map((t) => (t.grad ? t.grad.data() : null)));
  return { outputs, gradients } as Found;
}

describe.each(Object.entries(CASES))("%s", (_, cases) => {
  it.each(
    cases.filter((c) => !c.refused).map((c) => [c.what, c] as const),
  )("is that of each part alone: %s", async (what, { inputs, f }) => {
    const data = inputs.map((input, i) => elementsOf(input, i + 1));
    const together = await run(
      f,
      inputs.map((input, i) => leaf(data[i]!, wholeShape(input), input.parted ? PARTS : 1)),
      (k, shape) => randomData(shape, 50 + k),
    );
    expect(together.outputs.map((y) => y.parts)).toEqual(together.outputs.map(() => PARTS));
    const each: Found[] = [];
    for (let p = 0; p < PARTS; p++) {
      const own = (all: Float32Array | Int32Array, size: number) => all.slice(p * size, (p + 1) * size);
      const leaves = inputs.map(({ shape, parted }, i) =>
        leaf(parted ? own(data[i]!, sizeOf(shape)) : data[i]!, shape, 1),
      );
      const seedOf = (k: number, shape: readonly number[]) => {
        const size = sizeOf(shape);
        return randomData([PARTS * shape[0]!, ...shape.slice(1)], 50 + k).slice(p * size, (p + 1) * size);
      };
      each.push(await run(f, leaves, seedOf));
    }
    for (const [k, y] of together.outputs.entries()) {
      const parts = each.map(({ outputs }) => outputs[k]!);
      expect(y.shape, what).toEqual([PARTS * parts[0]!.shape[0]!, ...parts[0]!.shape.slice(1)]);
      const wanted = (await Promise.all(parts.map((t) => t.data()))).flatMap((d) => [...d]);
      expectClose(await y.data(), wanted, { what: `output ${k}` });
    }
    for (const [i, { parted }] of inputs.entries()) {
      const found = together.gradients[i]!;
      const parts = each.map(({ gradients }) => gradients[i]!);
      expect(found === null, `gradient of ${i}`).toBe(parts.every((g) => g === null));
      if (found === null) continue;
      const wanted = parted
        ? parts.flatMap((g) => [...g])
        : [...parts[0]!].map((g, at) => parts.reduce((s, part) => s + part[at]!, 0) + 0 * g);
      expectClose(found, wanted, { what: `gradient of ${i}` });
    }
  });

  it.each(
    cases.filter((c) => c.refused).map((c) => [c.what, c] as const),
  )("is refused where it would mix the parts: %s", (_what, { inputs, f }) => {
    const leaves = inputs.map((input, i) =>
      leaf(elementsOf(input, i + 1), wholeShape(input), input.parted ? PARTS : 1),
    );
    let error: unknown;
    try {
      scope(() => void f(...leaves));
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toMatch(/branches of a network/);
  });
});

describe("a batch in parts", () => {
  it("stays one when it is cut from the graph", async () => {
    const x = leaf(randomData([4, 3], 1), [4, 3], PARTS);
    expect(x.detach().parts).toBe(PARTS);
    expect(() => ops.sum(x.detach(), 0)).toThrow(ArgumentError);
  });

  it("is dropped out of independently", async () => {
    const x = Tensor.full([2 * 64, 4], 1);
    x.parts = PARTS;
    const y = ops.dropout(x, 0.5, new RandomStream(3));
    const found = await y.data();
    expect(y.parts).toBe(PARTS);
    expect(found.slice(0, 256)).not.toEqual(found.slice(256));
    for (const half of [found.slice(0, 256), found.slice(256)]) {
      const kept = half.filter((v) => v === 2).length;
      expect(half.every((v) => v === 0 || v === 2)).toBe(true);
      expect(kept).toBeGreaterThan(80);
      expect(kept).toBeLessThan(176);
    }
  });
});
