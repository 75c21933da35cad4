/**
 * `@pan/core/nn`: layers and containers, initialisation, and the functions that networks are made
 * of, as `torch.nn` and `torch.nn.functional`.
 */
import "../tensor/methods";

// modules

export { Module } from "../nn/module";
export { penalise } from "../nn/pass";
export { recompute } from "../nn/recompute";
export { buffer, parameter } from "../nn/registration";
export type { HostState, LoadReport } from "../nn/state-dict";

// initialisation

export { kaimingNormal, kaimingUniform, xavierNormal, xavierUniform } from "../nn/init";

// layers

export { MultiheadAttention } from "../nn/attention";
export { BatchNorm } from "../nn/batch-norm";
export { Conv1d, Conv2d } from "../nn/conv";
export { ConvTranspose2d } from "../nn/conv-transpose";
export { Embedding } from "../nn/embedding";
export {
  AvgPool2d,
  Dropout,
  Flatten,
  GELU,
  GlobalAvgPool,
  Hardswish,
  Identity,
  type Layer,
  LeakyReLU,
  MaxPool2d,
  ReLU,
  Sequential,
  SiLU,
} from "../nn/layers";
export { Linear } from "../nn/linear";
export { GroupNorm, InstanceNorm, LayerNorm, RMSNorm } from "../nn/norm";
export { AdaptiveAvgPool2d, Upsample } from "../nn/resize";

// activations

export { gelu, hardswish, silu } from "../tensor/ops/activations";
export { affine, leakyRelu, relu, sigmoid, tanh } from "../tensor/ops/elementwise";
export { dropout, RandomStream } from "../tensor/ops/random";
export { logSoftmax, softmax } from "../tensor/ops/softmax";

// maps

export { scaledDotProductAttention } from "../tensor/ops/attention";
export { embedding } from "../tensor/ops/gather";
export { conv1d, conv2d } from "../tensor/ops/products/conv";
export { convTranspose2d } from "../tensor/ops/products/conv-transpose";
export { linear } from "../tensor/ops/products/matmul";

// normalisation

export { batchNorm, groupNorm, instanceNorm, layerNorm, rmsNorm } from "../tensor/ops/norm/norm";

// pooling and resizing

export { avgPool2d, globalAvgPool, globalMaxPool, maxPool2d } from "../tensor/ops/pool";
export { adaptiveAvgPool2d, upsample2d } from "../tensor/ops/resize";

// losses

export { binaryCrossEntropyWithLogits, crossEntropy, mseLoss, nllLoss, type Reduction } from "../tensor/ops/loss";
export { correctCount } from "../tensor/ops/metrics";

// what these take and give

export type { AttentionMask, MultiheadAttentionOptions } from "../nn/attention";
export type { BatchNormOptions } from "../nn/batch-norm";
export type { Conv1dOptions, Conv2dOptions, Convolution } from "../nn/conv";
export type { ConvTranspose2dOptions } from "../nn/conv-transpose";
export type { EmbeddingLayerOptions } from "../nn/embedding";
export type { KaimingOptions } from "../nn/init";
export type { DropoutOptions, Pool2d, PoolLayerOptions } from "../nn/layers";
export type { LinearOptions } from "../nn/linear";
export type { ModuleChild, ModuleVisitor } from "../nn/module";
export type { Norm, NormOptions } from "../nn/norm";
export type { Computed } from "../nn/recompute";
export type { Registration } from "../nn/registration";
export type { ParameterFilter } from "../nn/select";
export type { Layout } from "../nn/state";
export type { Child, ModulePlace, TensorPlace, Visitor } from "../nn/traversal";
export type { GeluOptions } from "../tensor/ops/activations";
export type { AttentionOptions } from "../tensor/ops/attention";
export type { EmbeddingOptions } from "../tensor/ops/gather";
export type { CrossEntropyOptions, LossOptions } from "../tensor/ops/loss";
export type { Affine, AffinePair } from "../tensor/ops/norm/affine";
export type { BatchNormFunctionOptions, NormFunctionOptions } from "../tensor/ops/norm/norm";
export type { Over } from "../tensor/ops/norm/over";
export type { AvgPoolOptions, MaxPoolOptions } from "../tensor/ops/pool";
export type { ConvTransposeOptions } from "../tensor/ops/products/conv-transpose";
export type { ConvOptions, LineConvOptions } from "../tensor/ops/products/geometry";
export type { RandomStreamState } from "../tensor/ops/random";
export type { UpsampleOptions } from "../tensor/ops/resize";
