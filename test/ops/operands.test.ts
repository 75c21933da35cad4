/**
 * Every exported function that takes tensors, and every argument of it: a tensor of each element
 * type is computed with or refused, anything else is refused by name. A new export needs a row.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, PanError, ShapeError } from "../../src/errors";
import * as optim from "../../src/optim";
import * as passport from "../../src/passport";
import * as ops from "../../src/tensor";
import { RandomStream, scope, Tensor } from "../../src/tensor";
import { conv2dInputGradient, conv2dWeightGradient } from "../../src/tensor/ops/products/conv";
import { gpu } from "../support/gpu";

type DType = "f32" | "i32" | "u32";
type Args = Record<string, unknown>;

const FLOAT: readonly DType[] = ["f32"];
const INTEGER: readonly DType[] = ["i32", "u32"];
const ANY: readonly DType[] = ["f32", "i32", "u32"];

interface Row {
  /** Makes working arguments, in order; tensors have the first type that is taken. */
  args: () => Args;
  /** Types that each tensor argument takes. */
  takes: Readonly<Record<string, readonly DType[]>>;
  /** Tensor arguments that null is allowed for. */
  optional?: readonly string[];
  /** Arguments whose types must agree: they are changed together. */
  together?: readonly string[];
  /** What a number, or a list, may stand for. */
  numbers?: readonly string[];
  lists?: readonly string[];
  /** Other arguments with values that are refused, and what the message has in it. */
  refuses?: readonly (readonly [argument: string, value: unknown, message: RegExp | undefined])[];
  /** Moves elements only: integers come out as the floats do. */
  moves?: boolean;
}

const t = (shape: readonly number[], dtype: DType = "f32") =>
  Tensor.from(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => (i % 2) + (dtype === "f32" ? 0.25 * i : 0)),
    [...shape],
    dtype,
  );
const bad = (argument: string, values: readonly unknown[], message?: RegExp) =>
  values.map((v) => [argument, v, message] as const);
const NO_NUMBER = [undefined, null, "1", [1], {}];
const NO_WHOLE = [null, "1", 1.5, Number.NaN, {}];
const NO_FLAG = [null, 1, "yes", {}];
const NO_OPTIONS = [null, 3, "x", [1]];

const unary: Row = { args: () => ({ x: t([2, 3]) }), takes: { x: FLOAT } };
const binary: Row = { args: () => ({ a: t([2, 3]), b: t([3]) }), takes: { a: FLOAT, b: FLOAT }, numbers: ["b"] };
const reduction: Row = {
  args: () => ({ x: t([2, 3]), axes: 1, options: { keepdim: false } }),
  takes: { x: FLOAT },
  refuses: [
    ...bad("axes", [null, "1", 1.5, 2, [0, 0], [5], {}], /axes|dimension/),
    ...bad("options", [...NO_OPTIONS, { keepdim: 1 }, { keepdims: true }], /options|keepdim/),
  ],
};
const softmaxRow: Row = {
  args: () => ({ x: t([2, 3]), axis: 1 }),
  takes: { x: FLOAT },
  refuses: bad("axis", [null, "1", 1.5, 2, Number.NaN, [1]], /dimension/),
};
const sorting: Row = {
  args: () => ({ x: t([2, 3]), options: { axis: 0, descending: true } }),
  takes: { x: ANY },
  refuses: bad(
    "options",
    [...NO_OPTIONS, { axis: 2 }, { axis: "0" }, { axis: null }, { descending: 1 }, { stable: true }],
    /options|dimension|descending/,
  ),
};
const labelled = (scores: string): Row => ({
  args: () => ({ [scores]: t([2, 3]), labels: t([2], "i32"), options: {} }),
  takes: { [scores]: FLOAT, labels: INTEGER },
  lists: ["labels"],
  refuses: [
    ...bad(
      "labels",
      [[0, 3], [0, -1], [0, 0.5], [0, Number.NaN], [0], [0, 1, 2], [[0, 1]], Float32Array.of(0, 0.5)],
      /labels/,
    ),
    ...bad("options", [...NO_OPTIONS, { reduction: "average" }, { reduction: null }], /options|reduction/),
  ],
});
const counted: Row = {
  args: () => ({ logits: t([2, 3]), labels: t([2], "i32") }),
  takes: { logits: FLOAT, labels: INTEGER },
  lists: ["labels"],
  refuses: bad("labels", [[0, 0.5], [0]], /labels/),
};
const pairs = (a: string, b: string): Row => ({
  args: () => ({ [a]: t([2, 3]), [b]: t([2, 3]), options: {} }),
  takes: { [a]: FLOAT, [b]: FLOAT },
  refuses: bad("options", [...NO_OPTIONS, { reduction: "average" }], /options|reduction/),
});
const norm = (extra: Args): Args => ({
  options: { gamma: t([4]), beta: t([4]), ...extra },
});
const NORM_OPTIONS = [
  ...NO_OPTIONS,
  { eps: -1 },
  { eps: "x" },
  { relu: 1 },
  { gamma: t0 },
  { beta: [1, 2, 3, 4] },
  { pool: 1.5 },
];
/** What is no tensor, where γ is meant. */
function t0() {}
const CONV = [
  ...NO_OPTIONS,
  { stride: 0 },
  { stride: 1.5 },
  { stride: "2" },
  { stride: Number.NaN },
  { padding: -1 },
  { padding: "full" },
  { padding: "same", stride: 2 },
  { dilation: 0 },
  { groups: 0 },
  { groups: 3 },
];
const moved = (args: () => Args, refuses: Row["refuses"] = []): Row => ({
  args,
  takes: { x: ANY },
  refuses,
  moves: true,
});

/** Arguments of the tensor operations. */
const ROWS: Record<string, Row> = {
  abs: unary,
  exp: unary,
  log: unary,
  neg: unary,
  reciprocal: unary,
  relu: unary,
  sigmoid: unary,
  sign: unary,
  sqrt: unary,
  square: unary,
  tanh: unary,
  norm: unary,
  silu: unary,
  hardswish: unary,
  gelu: {
    args: () => ({ x: t([3]), options: { approximate: "tanh" } }),
    takes: { x: FLOAT },
    refuses: bad(
      "options",
      [...NO_OPTIONS, { approximate: "erf" }, { approximate: true }, { approximate: null }, { exact: true }],
      /options|approximate/,
    ),
  },
  affine: {
    args: () => ({ x: t([3]), a: 2, b: 1 }),
    takes: { x: FLOAT },
    refuses: [...bad("a", NO_NUMBER, /a is/), ...bad("b", NO_NUMBER.slice(1), /b is/)],
  },
  leakyRelu: {
    args: () => ({ x: t([3]), slope: 0.1 }),
    takes: { x: FLOAT },
    refuses: bad("slope", [null, "1", Number.NaN, {}], /slope/),
  },
  pow: { args: () => ({ x: t([3]), p: 2 }), takes: { x: FLOAT }, refuses: bad("p", NO_NUMBER, /p is/) },
  clamp: {
    args: () => ({ x: t([3]), low: 0, high: 1 }),
    takes: { x: FLOAT },
    refuses: [...bad("low", [...NO_NUMBER, Number.NaN], /low/), ...bad("high", [...NO_NUMBER, Number.NaN], /high/)],
  },
  add: binary,
  sub: binary,
  mul: binary,
  maximum: { ...binary, numbers: ["a", "b"] },
  minimum: { ...binary, numbers: ["a", "b"] },
  div: { ...binary, numbers: ["a", "b"] },
  equal: { ...binary, numbers: ["a", "b"] },
  greater: { ...binary, numbers: ["a", "b"] },
  greaterEqual: { ...binary, numbers: ["a", "b"] },
  less: { ...binary, numbers: ["a", "b"] },
  lessEqual: { ...binary, numbers: ["a", "b"] },
  where: {
    args: () => ({ condition: t([4]), a: t([4]), b: t([4]) }),
    takes: { condition: ANY, a: ANY, b: ANY },
    together: ["a", "b"],
  },
  reshape: moved(
    () => ({ x: t([2, 3]), shape: [3, 2] }),
    bad("shape", [undefined, null, "6", [4], [-1, -1], [2, 1.5], [-2, -3], ["6"], {}], /reshape/),
  ),
  flatten: moved(() => ({ x: t([2, 3]), start: 0 }), bad("start", [2, 0.5, "1", null], /dimension/)),
  permute: moved(
    () => ({ x: t([2, 3]), dims: [1, 0] }),
    bad("dims", [undefined, 1, [0], [0, 0], [0, 2], ["0", "1"]], /permute/),
  ),
  transpose: moved(
    () => ({ x: t([2, 3]), a: 0, b: 1 }),
    [...bad("a", [undefined, "0", 2, 0.5], /dimension/), ...bad("b", [undefined, 2], /dimension/)],
  ),
  narrow: moved(
    () => ({ x: t([2, 3]), axis: 1, start: 1, length: 2 }),
    [
      ...bad("axis", [undefined, 2, "1"], /dimension/),
      ...bad("start", [undefined, -4, 0.5, 2, Number.NaN], /start|elements/),
      ...bad("length", [undefined, -1, 0.5, 3, "1"], /length|elements/),
    ],
  ),
  flip: moved(() => ({ x: t([2, 3]), axes: [0, 1] }), bad("axes", [undefined, null, 5, [0, 0], [2], ["0"]], /flip/)),
  pad: moved(
    () => ({
      x: t([2, 3]),
      pads: [
        [1, 0],
        [0, 2],
      ],
      value: 3,
    }),
    [
      ...bad(
        "pads",
        [
          undefined,
          1,
          [1, 1],
          [[1, 1]],
          [
            [0, -1],
            [0, 0],
          ],
          [
            [0, 0.5],
            [0, 0],
          ],
        ],
        /pads/,
      ),
      ...bad("value", [null, "0", {}], /value/),
    ],
  ),
  expand: moved(
    () => ({ x: t([1, 3]), shape: [2, 3] }),
    bad("shape", [undefined, "2", 5, [3], [2, 4], [1.5, 3]], /expand/),
  ),
  split: moved(
    () => ({ x: t([2, 3]), sizes: [1, 2], axis: 1 }),
    [
      ...bad("sizes", [undefined, "x", 5, [1, 1], [1.5, 1.5], [4, -1]], /sizes/),
      ...bad("axis", [undefined, 2], /dimension/),
    ],
  ),
  concat: {
    args: () => ({ xs: [t([2, 3]), t([1, 3])], axis: 0 }),
    takes: {},
    refuses: [
      ...bad("xs", [undefined, null, [], [t, 1], "ab", [undefined]], /xs/),
      ...bad("axis", [undefined, 2, 0.5], /dimension/),
    ],
  },
  stack: {
    args: () => ({ xs: [t([3]), t([3])], axis: 0 }),
    takes: {},
    refuses: [...bad("xs", [undefined, [], [1], { length: 1 }], /xs/), ...bad("axis", [2, 0.5, null], /dimension/)],
  },
  indexSelect: {
    args: () => ({ x: t([2, 3]), axis: 0, indices: t([3], "i32") }),
    takes: { x: ANY, indices: INTEGER },
    lists: ["indices"],
    refuses: [
      ...bad("indices", [[2], [-1], [0.5], "0", {}], /indices/),
      ...bad("axis", [undefined, 2, "0"], /dimension/),
    ],
  },
  embedding: {
    args: () => ({ indices: t([3], "i32"), weight: t([2, 3]), options: {} }),
    takes: { indices: INTEGER, weight: FLOAT },
    lists: ["indices"],
    refuses: [
      ...bad("indices", [[2], [-1], [0.5], "0", {}], /indices/),
      ...bad("options", [...NO_OPTIONS, { paddingIdx: 2 }, { paddingIdx: "0" }, { padding: 0 }], /options|paddingIdx/),
    ],
  },
  oneHot: {
    args: () => ({ labels: t([3], "i32"), classes: 2 }),
    takes: { labels: INTEGER },
    lists: ["labels"],
    refuses: [
      ...bad("labels", [[2], [-1], [0.5], {}], /labels/),
      ...bad("classes", [undefined, 0, ...NO_WHOLE], /classes/),
    ],
  },
  sum: reduction,
  mean: reduction,
  amax: reduction,
  amin: reduction,
  sumSquares: reduction,
  variance: {
    args: () => ({ x: t([2, 3]), axes: 1, options: {} }),
    takes: { x: FLOAT },
    refuses: bad(
      "options",
      [...NO_OPTIONS, { correction: -1 }, { correction: Number.NaN }, { keepdim: 1 }, { unbiased: false }],
      /options.*correction|correction|keepdim|an object of options/,
    ),
  },
  argmax: { ...softmaxRow, refuses: bad("axis", [undefined, null, "1", 1.5, 2, [1]], /axis|dimension/) },
  sort: sorting,
  argsort: sorting,
  topK: {
    args: () => ({ x: t([2, 3]), k: 2, options: { axis: -1, largest: true } }),
    takes: { x: ANY },
    refuses: [
      ...bad("k", [undefined, -1, 4, ...NO_WHOLE], /k is a whole number from 0 to 3/),
      ...bad("options", [...NO_OPTIONS, { axis: 2 }, { largest: 1 }, { sorted: false }], /options|dimension|largest/),
    ],
  },
  cumsum: { ...softmaxRow, refuses: bad("axis", [undefined, null, "1", 1.5, 2, Number.NaN, [1]], /dimension/) },
  softmax: softmaxRow,
  logSoftmax: softmaxRow,
  scaledDotProductAttention: {
    args: () => ({ q: t([2, 3, 1, 4]), k: t([2, 3, 1, 4]), v: t([2, 3, 1, 4]), options: {} }),
    takes: { q: FLOAT, k: FLOAT, v: FLOAT },
    refuses: bad(
      "options",
      [
        ...[...NO_OPTIONS, { causal: 1 }, { scale: "1" }, { scale: Number.NaN }, { scale: Infinity }],
        ...[
          { keyPadding: [1, 0, 0] },
          { keyPadding: 1 },
          { keyPadding: [[0.5]] },
          { keyPadding: [["a"]] },
          { mask: 1 },
        ],
      ],
      /options|causal|scale|keyPadding/,
    ),
  },
  matmul: {
    args: () => ({ a: t([2, 3]), b: t([3, 4]), options: {} }),
    takes: { a: FLOAT, b: FLOAT },
    refuses: bad("options", [...NO_OPTIONS, { transposeA: 1 }, { transposeB: "yes" }], /options|transpose/),
  },
  einsum: {
    args: () => ({ equation: "ij,jk->ik", "operand 0": t([2, 3]), "operand 1": t([3, 4]) }),
    takes: { "operand 0": FLOAT, "operand 1": FLOAT },
    refuses: bad(
      "equation",
      [
        ...[undefined, null, 3, ["ij"], "ij,jk->ik->i", "i1,jk", "ij;jk", "i..j,jk", "...i...,jk", "ij,jk->il"],
        ...["ij,jk->ii", "ij", "ij,jk,kl", "i,jk", "ijk,jk", "ij,k...lm", "ii,jk", "ij,ik", ".ij,jk", "ij.,jk"],
      ],
      /equation is|operand/,
    ),
  },
  linear: {
    args: () => ({ x: t([2, 3]), w: t([3, 4]), bias: t([4]) }),
    takes: { x: FLOAT, w: FLOAT, bias: FLOAT },
    optional: ["bias"],
  },
  conv1d: {
    args: () => ({ x: t([1, 5, 2]), w: t([3, 2, 4]), bias: t([4]), options: {} }),
    takes: { x: FLOAT, w: FLOAT, bias: FLOAT },
    optional: ["bias"],
    refuses: bad("options", [...CONV, { stride: [1, 1] }], /options|stride|padding|dilation|groups/),
  },
  conv2d: {
    args: () => ({ x: t([1, 4, 5, 2]), w: t([3, 3, 2, 4]), bias: t([4]), options: {} }),
    takes: { x: FLOAT, w: FLOAT, bias: FLOAT },
    optional: ["bias"],
    refuses: bad(
      "options",
      [...CONV, { stride: [1, 2, 3] }, { padding: [1] }],
      /options|stride|padding|dilation|groups/,
    ),
  },
  convTranspose2d: {
    args: () => ({ x: t([1, 4, 5, 4]), w: t([3, 3, 2, 4]), bias: t([2]), options: {} }),
    takes: { x: FLOAT, w: FLOAT, bias: FLOAT },
    optional: ["bias"],
    refuses: bad(
      "options",
      [
        ...CONV.filter((o) => typeof o !== "object" || o === null || !("padding" in o && o.padding === "same")),
        ...[{ padding: "same" }, { outputPadding: 1 }, { outputPadding: -1 }, { stride: 2, outputPadding: [2, 0] }],
      ],
      /options|stride|[pP]adding|dilation|groups/,
    ),
  },
  maxPool2d: {
    args: () => ({ x: t([1, 4, 4, 2]), kernel: 2, options: {} }),
    takes: { x: FLOAT },
    refuses: [
      ...bad("kernel", [undefined, 0, "2", [2], 1.5, Number.NaN, {}], /kernel/),
      ...bad(
        "options",
        [...NO_OPTIONS, { stride: 0 }, { padding: -1 }, { padding: "same" }, { dilation: 0.5 }, { ceilMode: 1 }],
        /options|stride|padding|dilation|ceilMode/,
      ),
    ],
  },
  avgPool2d: {
    args: () => ({ x: t([1, 4, 4, 2]), kernel: 2, options: {} }),
    takes: { x: FLOAT },
    refuses: [
      ...bad("kernel", [undefined, 0, "2", [2], 1.5], /kernel/),
      ...bad(
        "options",
        [...NO_OPTIONS, { stride: 0 }, { countIncludePad: 1 }, { ceilMode: null }],
        /options|stride|countIncludePad|ceilMode/,
      ),
    ],
  },
  adaptiveAvgPool2d: {
    args: () => ({ x: t([1, 4, 4, 2]), size: 2 }),
    takes: { x: FLOAT },
    refuses: bad("size", [undefined, 0, "2", [2], 1.5, Number.NaN, {}], /size/),
  },
  upsample2d: {
    args: () => ({ x: t([1, 4, 4, 2]), options: { scale: 2 } }),
    takes: { x: FLOAT },
    refuses: bad(
      "options",
      [
        ...[undefined, ...NO_OPTIONS, {}, { scale: 0 }, { scale: "2" }, { scale: [2] }, { scale: Number.NaN }],
        ...[{ size: 0 }, { size: 1.5 }, { size: 2, scale: 2 }, { scale: 2, mode: "cubic" }, { scale: 0.1 }],
        ...[
          { scale: 2, mode: "bilinear", alignCorners: 1 },
          { scale: 2, alignCorners: true },
        ],
      ],
      /options|size|scale|mode|alignCorners/,
    ),
  },
  globalAvgPool: { args: () => ({ x: t([1, 4, 2]) }), takes: { x: FLOAT } },
  globalMaxPool: { args: () => ({ x: t([1, 4, 2]) }), takes: { x: FLOAT } },
  batchNorm: {
    args: () => ({ x: t([2, 3, 4]), ...norm({ training: true }) }),
    takes: { x: FLOAT },
    refuses: bad(
      "options",
      [
        undefined,
        ...NORM_OPTIONS.map((o) => (typeof o === "object" && !Array.isArray(o) && o ? { training: true, ...o } : o)),
        {},
        { training: 1 },
        { training: true, momentum: 2 },
      ],
      /options|eps|relu|gamma|beta|pool|training|momentum/,
    ),
  },
  groupNorm: {
    args: () => ({ x: t([2, 3, 4]), groups: 2, ...norm({}) }),
    takes: { x: FLOAT },
    refuses: [
      ...bad("options", NORM_OPTIONS, /options|eps|relu|gamma|beta|pool/),
      ...bad("groups", [undefined, 3, 0, 1.5, "2"], /groups/),
    ],
  },
  instanceNorm: {
    args: () => ({ x: t([2, 3, 4]), ...norm({}) }),
    takes: { x: FLOAT },
    refuses: bad("options", NORM_OPTIONS, /options|eps|relu|gamma|beta|pool/),
  },
  layerNorm: {
    args: () => ({ x: t([2, 3, 4]), normalizedShape: [4], ...norm({}) }),
    takes: { x: FLOAT },
    refuses: [
      ...bad("options", NORM_OPTIONS.slice(0, -1), /options|eps|relu|gamma|beta/),
      ...bad("normalizedShape", [undefined, "4", 5, [3], [], ["4"]], /layerNorm/),
    ],
  },
  rmsNorm: {
    args: () => ({ x: t([2, 3, 4]), normalizedShape: [4], options: { gamma: t([4]) } }),
    takes: { x: FLOAT },
    refuses: [
      ...bad("options", [...NORM_OPTIONS, { beta: t0 }], /options|eps|relu|gamma|beta|pool/),
      ...bad("normalizedShape", [undefined, "4", 5, [3], [], ["4"]], /rmsNorm/),
    ],
  },
  dropout: {
    args: () => ({ x: t([4]), p: 0.5, stream: new RandomStream(1), training: true }),
    takes: { x: FLOAT },
    refuses: [
      ...bad("p", [...NO_NUMBER, -0.1, 1.1, Number.NaN], /p is/),
      ...bad("stream", [undefined, null, 1, {}], /stream/),
      ...bad("training", NO_FLAG, /training/),
    ],
  },
  crossEntropy: {
    ...labelled("logits"),
    refuses: [
      ...(labelled("logits").refuses ?? []),
      ...bad(
        "options",
        [{ weight: [1, 1, 1] }, { weight: 2 }, { ignoreIndex: "x" }, { ignoreIndex: 0.5 }, { ignoreIndex: null }],
        /weight|ignoreIndex/,
      ),
    ],
  },
  nllLoss: labelled("logProbs"),
  mseLoss: pairs("x", "target"),
  binaryCrossEntropyWithLogits: pairs("logits", "targets"),
  correctRows: counted,
  correctCount: counted,
  accumulateAt: {
    args: () => ({ totals: t([3]), slot: 1, value: t([2]), weight: 1 }),
    takes: { totals: FLOAT, value: FLOAT },
    refuses: [...bad("slot", [undefined, -1, 3, ...NO_WHOLE], /slot/), ...bad("weight", [null, "1", {}], /weight/)],
  },
};

/**
 * Arguments of functions of other folders that take tensors; the first word of messages is theirs.
 */
const OTHERS: Record<string, Row> = {
  signLoss: {
    args: () => ({ gamma: t([4]), bits: t([4]), options: {}, before: t([]) }),
    takes: { gamma: FLOAT, bits: FLOAT, before: FLOAT },
    optional: ["before"],
    refuses: bad(
      "options",
      [...NO_OPTIONS, { alpha: -1 }, { margin: Number.NaN }, { l2: "x" }],
      /options|alpha|margin|l2/,
    ),
  },
  windowMeans: {
    args: () => ({ passport: t([1, 4, 4, 2]), weight: t([3, 3, 2, 4]), options: {} }),
    takes: { passport: FLOAT, weight: FLOAT },
    refuses: bad("options", [...NO_OPTIONS, { stride: 0 }, { padding: "full" }]),
  },
  passportMeans: {
    args: () => ({ gamma: t([1, 2]), beta: t([1, 2]), weight: t([2, 3]), options: {} }),
    takes: { gamma: FLOAT, beta: FLOAT, weight: FLOAT },
  },
  passportGammaBeta: {
    args: () => ({ means: t([2, 3]), weight: t([3, 4]), groups: 1, bias: t([4]) }),
    takes: { means: FLOAT, weight: FLOAT, bias: FLOAT },
    optional: ["bias"],
    refuses: bad("groups", [0, ...NO_WHOLE], /groups/),
  },
  clipGradNorm: {
    args: () => ({ params: t([3]), maxNorm: 1, options: {} }),
    takes: { params: FLOAT },
    lists: ["params"],
    refuses: [
      ...bad("params", [[1], [undefined], 3, "ab"], /params/),
      ...bad("maxNorm", [...NO_NUMBER, -1, Number.NaN], /maxNorm/),
      ...bad("options", [...NO_OPTIONS, { eps: -1 }, { eps: Infinity }], /options|eps/),
    ],
  },
  clipGradValue: {
    args: () => ({ params: t([3]), limit: 1 }),
    takes: { params: FLOAT },
    lists: ["params"],
    refuses: [...bad("params", [[1], 3, {}], /params/), ...bad("limit", [...NO_NUMBER, -1, Infinity], /limit/)],
  },
};

/** Exports that take no tensors to compute with. */
const NO_OPERATIONS = new Set([
  "Generator",
  "RandomStream",
  "Tensor",
  "keep",
  "memory",
  "scope",
  "noGrad",
  "recordStep",
  // src/passport: modules, which have tests of their own, and functions of texts and host arrays.
  "Passport",
  "channelsOf",
  "protectAs",
  "Protected",
  "protect",
  "branchesOf",
  "countSigns",
  "secretBranch",
  "imagePassports",
  "randomPassport",
  "shufflePassport",
  "capacity",
  "decodeBytes",
  "decodeSignature",
  "signatureBits",
  "signatureBytes",
  "signBytes",
  "spreadSignature",
  // src/optim
  "SGD",
  "Adam",
  "AdamW",
  "Optimizer",
  "ExponentialMovingAverage",
  "constantLR",
  "cosineLR",
  "oneCycleLR",
  "multiStepLR",
  "stepLR",
  "warmupLR",
]);

type Fn = (...args: unknown[]) => unknown;
const exported = { ...ops, ...passport, ...optim } as unknown as Record<string, Fn>;
const rows = { ...ROWS, ...OTHERS };

/** Calls a function with arguments of which some are others; what it makes is freed. */
const call = (name: string, change: Args = {}) =>
  scope(() => exported[name]!(...Object.values({ ...rows[name]!.args(), ...change })));

/** The error of such a call. */
function failure(name: string, change: Args): unknown {
  try {
    scope(() => void call(name, change));
  } catch (e) {
    return e;
  }
  return undefined;
}

/** The same elements as another type. */
const retyped = (name: string, argument: string, dtype: DType): Tensor => {
  const given = rows[name]!.args()[argument] as Tensor;
  return t(given.shape, dtype);
};

beforeAll(gpu);

it("every exported function has a row, or takes no tensors", () => {
  const names = Object.entries(exported)
    .filter(([, f]) => typeof f === "function")
    .map(([n]) => n);
  expect(names.filter((n) => !rows[n] && !NO_OPERATIONS.has(n))).toEqual([]);
  expect(Object.keys(rows).filter((n) => !exported[n])).toEqual([]);
});

describe.each(Object.keys(rows))("%s", (name) => {
  const { takes, optional = [], together = [], numbers = [], lists = [], refuses = [], args } = rows[name]!;

  it("takes each type it declares and refuses the others, saying which argument it was", async () => {
    for (const [argument, types] of Object.entries(takes)) {
      for (const dtype of ANY) {
        const changed = together.includes(argument) ? together : [argument];
        const change = scope(() => Object.fromEntries(changed.map((a) => [a, retyped(name, a, dtype)])));
        const e = failure(name, change);
        if (types.includes(dtype)) expect(e, `${name}: ${argument} of ${dtype}`).toBeUndefined();
        else {
          expect(e, `${name}: ${argument} of ${dtype}`).toBeInstanceOf(ShapeError);
          expect((e as Error).message).toMatch(new RegExp(`^${name}: ${argument}.*${types.join(" or ")}.*${dtype}`));
        }
      }
    }
    for (const argument of together) {
      const e = failure(name, { [argument]: retyped(name, argument, "i32") });
      expect(e, `${name}: ${argument} of another type than the others`).toBeInstanceOf(ShapeError);
    }
    await (await gpu()).sync();
  });

  it("refuses what is no tensor, and options that are none", () => {
    for (const argument of Object.keys(takes)) {
      const fine = (v: unknown) =>
        (optional.includes(argument) && v == null) ||
        (numbers.includes(argument) && typeof v === "number") ||
        (lists.includes(argument) && (Array.isArray(v) || ArrayBuffer.isView(v)));
      // undefined is a missing argument: those behind it are left as they are.
      for (const v of [
        undefined,
        null,
        3,
        Number.NaN,
        "x",
        true,
        {},
        [1, 2],
        Float32Array.of(1),
        () => 1,
        Promise.resolve(),
      ]) {
        if (fine(v)) continue;
        const e = failure(name, { [argument]: v });
        expect(e, `${name}: ${argument} = ${String(v)}`).toBeInstanceOf(PanError);
        expect((e as Error).message).toMatch(new RegExp(`^${name}: ${argument}`));
      }
    }
    for (const [argument, value, message] of refuses) {
      expect(Object.keys(args()), name).toContain(argument);
      const e = failure(name, { [argument]: value });
      expect(e, `${name}: ${argument} = ${JSON.stringify(value)}`).toBeInstanceOf(PanError);
      expect((e as Error).message).toMatch(new RegExp(`^(${name}|conv2d)`));
      if (message) expect((e as Error).message).toMatch(message);
      expect((e as Error).message.length).toBeLessThan(400);
    }
    if ("options" in args()) {
      // A misspelt name beside those that are right.
      const e = failure(name, { options: { ...(args()["options"] as object), misspelt: 1 } });
      expect(e, `${name}: an option that there is not`).toBeInstanceOf(ArgumentError);
      expect((e as Error).message).toMatch(new RegExp(`^${name}: it has no option "misspelt"; its options are `));
    }
    expect(
      failure(name, Object.fromEntries(Object.keys(args()).map((a) => [a, undefined]))),
      `${name}()`,
    ).toBeInstanceOf(PanError);
  });
});

describe("integers", () => {
  const LARGE = [2 ** 31 - 1, -(2 ** 31), -1, 1, 16777217, 0x7fc00001 | 0];

  it("are moved bit for bit, whatever number their bits would be as a float", async () => {
    for (const [name, { moves, args }] of Object.entries(ROWS)) {
      if (!moves) continue;
      for (const dtype of ["i32", "u32"] as const) {
        const { shape } = args()["x"] as Tensor;
        const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => LARGE[i % LARGE.length]!);
        const x = Tensor.from(dtype === "u32" ? values.map((v) => v >>> 0) : values, [...shape], dtype);
        // The same moves of the places as floats tell where each element comes from; 1000 is what
        // pad() puts in.
        const places = Tensor.from(
          values.map((_, i) => i),
          [...shape],
          "f32",
        );
        const outer = (v: unknown) => [v].flat() as Tensor[];
        const padding = name === "pad" ? { value: 1000 } : {};
        const [found, from] = [outer(call(name, { x, ...padding })), outer(call(name, { x: places, ...padding }))];
        for (const [k, y] of found.entries()) {
          expect(y.dtype, name).toBe(dtype);
          const at = [...(await from[k]!.data())];
          const wanted = at.map((i) => (i === 1000 ? 1000 : dtype === "u32" ? values[i]! >>> 0 : values[i]!));
          expect([...(await y.data<"i32">())], name).toEqual(wanted);
        }
      }
    }
  });

  it("are joined, chosen and selected bit for bit; types are not mixed", async () => {
    const a = Tensor.from(Int32Array.from(LARGE), [6]);
    const b = Tensor.from(
      Int32Array.from(LARGE, (v) => ~v),
      [6],
    );
    const read = async (x: Tensor) => [...(await x.data<"i32">())];
    expect(await read(ops.concat([a, b], 0))).toEqual([...LARGE, ...LARGE.map((v) => ~v)]);
    expect(await read(ops.stack([a, b]))).toEqual([...LARGE, ...LARGE.map((v) => ~v)]);
    expect(await read(ops.indexSelect(a, 0, [5, 0]))).toEqual([LARGE[5], LARGE[0]]);
    for (const condition of [
      Tensor.from(Int32Array.of(0, 1, -1, 0, 2 ** 30, 0), [6]),
      Tensor.from(Uint32Array.of(0, 1, 2 ** 31, 0, 7, 0), [6]),
      Tensor.from(Float32Array.of(0, 1, Number.NaN, -0, -Infinity, 0), [6]),
    ]) {
      expect(await read(ops.where(condition, a, b))).toEqual(LARGE.map((v, i) => ([1, 2, 4].includes(i) ? v : ~v)));
    }
    const mixed = [a, Tensor.from(Uint32Array.from(LARGE), [6])];
    for (const f of [() => ops.concat(mixed, 0), () => ops.stack(mixed)])
      expect(f).toThrow(/^(concat|stack): xs are tensors of one type/);
    expect(() => ops.pad(a, [[1, 1]], 0.5)).toThrow(/pad: value/);
  });
});

describe("padding of convolutions in words", () => {
  it.each([
    { kernel: [3, 3], dilation: [1, 1] },
    { kernel: [2, 4], dilation: [1, 1] },
    { kernel: [4, 3], dilation: [1, 2] },
    { kernel: [2, 1], dilation: [3, 1] },
  ])('"same" with kernel $kernel and dilation $dilation pads the rest below and to the right', async ({
    kernel,
    dilation,
  }) => {
    const x = t([2, 5, 6, 3]);
    const w = t([...kernel, 3, 4]);
    const total = kernel.map((k, d) => dilation[d]! * (k - 1));
    const around = total.map((n) => [Math.floor(n / 2), n - Math.floor(n / 2)] as const);
    const options = { dilation: dilation as [number, number] };
    const outputs = await Promise.all(
      [
        (a: Tensor) => ops.conv2d(a, w, null, { ...options, padding: "same" }),
        (a: Tensor) => ops.conv2d(ops.pad(a, [[0, 0], ...around, [0, 0]]), w, null, { ...options, padding: "valid" }),
      ].map(async (f) => {
        const [a, seed] = [t([2, 5, 6, 3]), t([2, 5, 6, 4])];
        a.requiresGrad = true;
        w.requiresGrad = true;
        w.zeroGrad();
        const y = f(a);
        expect(y.shape).toEqual([2, 5, 6, 4]);
        y.backward(seed);
        return [[...(await y.data())], [...(await a.grad!.data())], [...(await w.grad!.data())]];
      }),
    );
    for (const [k, part] of outputs[0]!.entries())
      part.forEach((v, i) => expect(Math.abs(v - outputs[1]![k]![i]!)).toBeLessThan(1e-3 * (1 + Math.abs(v))));
    expect(conv2dInputGradient(t([2, 5, 6, 4]), w, [5, 6], { ...options, padding: "same" }).shape).toEqual(x.shape);
    expect(
      conv2dWeightGradient(x, t([2, 5, 6, 4]), kernel as [number, number], { ...options, padding: "same" }).shape,
    ).toEqual(w.shape);
  });

  it("in one dimension too", async () => {
    const [x, w] = [t([1, 6, 2]), t([4, 2, 3])];
    const y = ops.conv1d(x, w, null, { padding: "same" });
    const z = ops.conv1d(
      ops.pad(x, [
        [0, 0],
        [1, 2],
        [0, 0],
      ]),
      w,
      null,
      { padding: "valid" },
    );
    expect([...(await y.data())]).toEqual([...(await z.data())]);
    expect(() => ops.conv1d(x, w, null, { padding: "same", stride: 2 })).toThrow(ArgumentError);
  });
});
