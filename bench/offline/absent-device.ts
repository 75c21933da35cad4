/**
 * A graphics processor that is not here: it says what it can do, takes whatever it is given, and
 * runs none of it. Kernels are chosen for it, and commands put together, as for a real one.
 */

/** What kernels are chosen by. */
export interface Abilities {
  readonly info: Readonly<Record<string, string | number>>;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

/**
 * What WebGPU offers on cards of today. Dawn says of AMD's that a subgroup has 32 to 64 lanes, so
 * that no kernel counts on a size.
 */
export const GRAPHICS_CARD: Abilities = {
  info: {
    vendor: "",
    architecture: "",
    device: "",
    description: "a card that is not here",
    subgroupMinSize: 32,
    subgroupMaxSize: 64,
  },
  features: ["subgroups", "timestamp-query", "shader-f16"],
  limits: {
    maxComputeInvocationsPerWorkgroup: 1024,
    maxComputeWorkgroupSizeX: 1024,
    maxComputeWorkgroupStorageSize: 32_768,
    maxComputeWorkgroupsPerDimension: 65_535,
    maxStorageBuffersPerShaderStage: 10,
    maxStorageBufferBindingSize: 2 ** 31 - 4,
    maxBufferSize: 2 ** 31,
    maxImmediateSize: 64,
  },
};

const ignore = (): void => undefined;

/** @returns the device, and the WGSL of each shader module it was given, by its label. */
export function absentDevice({ info, features, limits }: Abilities): {
  gpu: GPUDevice;
  sources: ReadonlyMap<string, string>;
} {
  const sources = new Map<string, string>();
  const pass = {
    setPipeline: ignore,
    setBindGroup: ignore,
    setImmediates: ignore,
    dispatchWorkgroups: ignore,
    end: ignore,
  };
  const encoder = { beginComputePass: () => pass, copyBufferToBuffer: ignore, finish: () => ({}) };
  const gpu = {
    adapterInfo: info,
    features: new Set(features),
    limits,
    // It is never lost.
    lost: new Promise<never>(ignore),
    queue: { submit: ignore, writeBuffer: ignore, onSubmittedWorkDone: async () => undefined },
    addEventListener: ignore,
    pushErrorScope: ignore,
    popErrorScope: async () => null,
    destroy: ignore,
    createBuffer: ({ size }: { size: number }) => ({ size, destroy: ignore }),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createBindGroup: () => ({}),
    createShaderModule: ({ label, code }: { label: string; code: string }) => {
      sources.set(label, code);
      return {};
    },
    createComputePipelineAsync: async () => ({}),
    createCommandEncoder: () => encoder,
  };
  return { gpu: gpu as unknown as GPUDevice, sources };
}
