/**
 * `@pan/core`: train neural networks on WebGPU and prove later that a network is yours. This entry
 * runs in browsers and in Node; what needs Node (Dawn, files) is in `@pan/core/node`.
 */

export * from "./attacks";
export * from "./data";
export * from "./errors";
export { type AdapterClass, classifyAdapter } from "./gpu/adapter";
export type { CapsOptions } from "./gpu/caps";
export type { DeviceCounters } from "./gpu/counters";
export { Device, type DeviceOptions } from "./gpu/device";
export { device, type InitOptions, init } from "./gpu/init";
export type { Caps, Precision, ProductCaps, Tiling } from "./gpu/kernel";
export type { ProductOptions } from "./gpu/products";
export type { KernelTime } from "./gpu/profile";
export { type HostArray, type HostTensor, type SafetensorsDtype, type StateDict, toFloat32 } from "./io/host-tensor";
export { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "./io/safetensors";
export * from "./models";
export * from "./nn";
export * from "./optim";
export * from "./ownership";
export * from "./passport";
export * from "./tensor";
export * from "./train";
export * from "./watermarks";
