/**
 * `@pan/core`: tensors, their operations and gradients, devices, errors, and files of tensors. Runs
 * in browsers and in Node. The rest has entries of its own:
 *
 *     @pan/core/nn         layers, and the functions that networks are made of
 *     @pan/core/optim      optimisers and schedules
 *     @pan/core/data       data sets, loaders, augmentation
 *     @pan/core/train      the trainer, evaluation, checkpoints
 *     @pan/core/passport   passports in a network
 *     @pan/core/models     the papers' networks
 *     @pan/core/onnx       networks as ONNX models
 *     @pan/core/ownership  claims: bind, commit, verify, judge
 *     @pan/core/verify     verdicts from files alone, without WebGPU
 *     @pan/core/signing    keys, signatures, time stamps
 *     @pan/core/attacks    what claims are tried with
 *     @pan/core/weights    weights out of files of other programs
 *     @pan/core/node       what needs Node: Dawn, files, folders
 *
 * A name is in one of them, but for those that verifiers have a second time.
 */
import "../tensor/methods";

// errors

export * from "../errors";

// devices

export { Device, type DeviceOptions } from "../gpu/device";
export { device, type InitOptions, init } from "../gpu/init";

// files of tensors

export { type HostTensor, type StateDict, toFloat32 } from "../io/host-tensor";
export { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "../io/safetensors";

// tensors, and how long they live

export { type RecordedStep, recordStep } from "../tensor/recorded";
export type { Pair, Shape } from "../tensor/shape";
export { keep, memory, scope } from "../tensor/storage";
export { type DType, noGrad, Tensor } from "../tensor/tensor";

// random numbers

export { manualSeed } from "../nn/random";
export { Generator } from "../tensor/random";

// element by element, and other shapes

export {
  abs,
  add,
  clamp,
  div,
  equal,
  exp,
  flatten,
  greater,
  greaterEqual,
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
  reshape,
  sign,
  sqrt,
  square,
  sub,
  where,
} from "../tensor/ops/elementwise";
export { indexSelect, oneHot } from "../tensor/ops/gather";
export { concat, expand, flip, narrow, pad, permute, split, stack, transpose } from "../tensor/ops/movement";

// along dimensions

export { cumsum } from "../tensor/ops/cumsum";
export { type Axes, amax, amin, argmax, mean, norm, sum, variance } from "../tensor/ops/reduce";
export { argsort, sort, topK } from "../tensor/ops/sort";

// products

export { einsum } from "../tensor/ops/products/einsum";
export { matmul } from "../tensor/ops/products/matmul";

// what these take and give

export type { CapsOptions } from "../gpu/caps";
export type { DeviceCounters } from "../gpu/counters";
export type { Caps, Precision, ProductCaps, Tiling } from "../gpu/kernel";
export type { PoolStats } from "../gpu/pool";
export type { ProductOptions } from "../gpu/products";
export type { KernelTime } from "../gpu/profile";
export type {
  SomeAdapter,
  SomeAdapterInfo,
  SomeDevice,
  SomeGpu,
  WebGpu,
  WebGpuAdapter,
  WebGpuAdapterInfo,
  WebGpuDevice,
} from "../gpu/webgpu";
export type { HostArray, SafetensorsDtype } from "../io/host-tensor";
export type {
  NonSharedFloat32Array,
  NonSharedInt32Array,
  NonSharedUint8Array,
  NonSharedUint32Array,
} from "../io/typed-arrays";
export type { ElementsOf, NumberArray, NumberList, TensorSource } from "../tensor/elements";
export type { TensorMethods } from "../tensor/method-types";
export type { Integers } from "../tensor/ops/operands";
export type { MatmulOptions } from "../tensor/ops/products/matmul";
export type { ReduceOptions, VarianceOptions } from "../tensor/ops/reduce";
export type { Sorted, SortOptions, TopKOptions } from "../tensor/ops/sort";
export type { GeneratorState } from "../tensor/random";
export type { MemoryInfo } from "../tensor/storage";
