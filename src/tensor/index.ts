export type { ElementsOf, NumberArray, NumberList, TensorSource } from "./elements";
export { type GeluOptions, gelu, hardswish, silu } from "./ops/activations";
export { type AttentionOptions, scaledDotProductAttention } from "./ops/attention";
export { cumsum } from "./ops/cumsum";
export {
  abs,
  add,
  affine,
  clamp,
  div,
  equal,
  exp,
  flatten,
  greater,
  greaterEqual,
  leakyRelu,
  less,
  lessEqual,
  log,
  maximum,
  minimum,
  mul,
  neg,
  type Operand,
  pow,
  reciprocal,
  relu,
  reshape,
  sigmoid,
  sign,
  sqrt,
  square,
  sub,
  tanh,
  where,
} from "./ops/elementwise";
export { type EmbeddingOptions, embedding, indexSelect, oneHot } from "./ops/gather";
export {
  binaryCrossEntropyWithLogits,
  type CrossEntropyOptions,
  crossEntropy,
  type LossOptions,
  mseLoss,
  nllLoss,
  type Reduction,
} from "./ops/loss";
export { accumulateAt, correctCount, correctRows } from "./ops/metrics";
export { concat, expand, flip, narrow, pad, permute, split, stack, transpose } from "./ops/movement";
export type { Affine, AffinePair } from "./ops/norm/affine";
export { batchNorm, groupNorm, instanceNorm, layerNorm, rmsNorm } from "./ops/norm/norm";
export type { Integers } from "./ops/operands";
export {
  type AvgPoolOptions,
  avgPool2d,
  globalAvgPool,
  globalMaxPool,
  type MaxPoolOptions,
  maxPool2d,
} from "./ops/pool";
export { conv1d, conv2d } from "./ops/products/conv";
export { type ConvTransposeOptions, convTranspose2d } from "./ops/products/conv-transpose";
export { einsum } from "./ops/products/einsum";
export type { ConvOptions, LineConvOptions } from "./ops/products/geometry";
export { linear, type MatmulOptions, matmul } from "./ops/products/matmul";
export { dropout, RandomStream, type RandomStreamState } from "./ops/random";
export {
  type Axes,
  amax,
  amin,
  argmax,
  mean,
  norm,
  type ReduceOptions,
  sum,
  sumSquares,
  type VarianceOptions,
  variance,
} from "./ops/reduce";
export { adaptiveAvgPool2d, type UpsampleOptions, upsample2d } from "./ops/resize";
export { logSoftmax, softmax } from "./ops/softmax";
export { argsort, type Sorted, type SortOptions, sort, type TopKOptions, topK } from "./ops/sort";
export { Generator, type GeneratorState } from "./random";
export { type RecordedStep, recordStep } from "./recorded";
export type { Pair, Shape } from "./shape";
export { keep, type MemoryInfo, memory, scope } from "./storage";
export { type DType, noGrad, Tensor } from "./tensor";
