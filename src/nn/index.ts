export { type AttentionMask, MultiheadAttention, type MultiheadAttentionOptions } from "./attention";
export { BatchNorm, type BatchNormOptions } from "./batch-norm";
export { Conv1d, type Conv1dOptions, Conv2d, type Conv2dOptions } from "./conv";
export { ConvTranspose2d, type ConvTranspose2dOptions } from "./conv-transpose";
export { Embedding, type EmbeddingLayerOptions } from "./embedding";
export { fans, gain, type KaimingOptions, kaimingNormal, kaimingUniform, xavierNormal, xavierUniform } from "./init";
export {
  AvgPool2d,
  Dropout,
  type DropoutOptions,
  Flatten,
  GELU,
  GlobalAvgPool,
  Hardswish,
  Identity,
  type Layer,
  LeakyReLU,
  MaxPool2d,
  type PoolLayerOptions,
  ReLU,
  Sequential,
  SiLU,
} from "./layers";
export { Linear, type LinearOptions } from "./linear";
export { Module, type ModuleChild, type ModuleVisitor } from "./module";
export { ChannelAffine, GroupNorm, InstanceNorm, LayerNorm, Norm, type NormOptions, RMSNorm } from "./norm";
export { manualSeed } from "./random";
export { buffer, parameter, type Registration } from "./registration";
export { AdaptiveAvgPool2d, Upsample } from "./resize";
export type { ParameterFilter } from "./select";
export type { Layout } from "./state";
export type { HostState, LoadReport } from "./state-dict";
