/**
 * The WebGPU types that public declarations speak of. They are the program's own, from wherever it
 * has them: `lib.dom.d.ts` since TypeScript 6, `@webgpu/types` before. A declaration that named
 * them, or asked for one of the two, would not compile beside the other, nor where there is
 * neither. What stands in for them in such a program is enough to go from `dawn()` to `init()`.
 */

/** A `GPU`, as `navigator.gpu` is one. */
export type WebGpu = typeof globalThis extends { GPU: { prototype: infer T } } ? T : SomeGpu;

/** A `GPUAdapter`. */
export type WebGpuAdapter = typeof globalThis extends { GPUAdapter: { prototype: infer T } } ? T : SomeAdapter;

/** A `GPUAdapterInfo`. */
export type WebGpuAdapterInfo = typeof globalThis extends { GPUAdapterInfo: { prototype: infer T } }
  ? T
  : SomeAdapterInfo;

/** A `GPUDevice`. */
export type WebGpuDevice = typeof globalThis extends { GPUDevice: { prototype: infer T } } ? T : SomeDevice;

/** A `GPUBuffer`. */
export type WebGpuBuffer = typeof globalThis extends { GPUBuffer: { prototype: infer T } } ? T : object;

/** A `GPUBufferDescriptor`. */
export type WebGpuBufferDescriptor = Parameters<WebGpuDevice["createBuffer"]>[0];

/** A `GPUBindGroup`. */
export type WebGpuBindGroup = typeof globalThis extends { GPUBindGroup: { prototype: infer T } } ? T : object;

/** A `GPUBindGroupLayout`. */
export type WebGpuBindGroupLayout = typeof globalThis extends { GPUBindGroupLayout: { prototype: infer T } }
  ? T
  : object;

/** A `GPUComputePipeline`. */
export type WebGpuComputePipeline = typeof globalThis extends { GPUComputePipeline: { prototype: infer T } }
  ? T
  : object;

/** What is used of a `GPU`, where a program knows no such type. */
export interface SomeGpu {
  requestAdapter(options?: object): Promise<SomeAdapter | null>;
}

/** What is used of a `GPUAdapter`, where a program knows no such type. */
export interface SomeAdapter {
  readonly info: SomeAdapterInfo;
  requestDevice(descriptor?: object): Promise<SomeDevice>;
}

/** What is used of a `GPUAdapterInfo`, where a program knows no such type. */
export interface SomeAdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
}

/** What is used of a `GPUDevice`, where a program knows no such type. */
export interface SomeDevice {
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  createBuffer(descriptor: object): object;
  destroy(): void;
}
