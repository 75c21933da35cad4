import { classifyAdapter } from "./adapter";
import type { ProductCaps } from "./kernel";
import { type ProductOptions, productCaps } from "./products";

/** Which of its abilities a device uses. */
export interface CapsOptions extends ProductOptions {
  /** Use subgroup operations where the adapter has them (default true). */
  subgroups?: boolean;
}

/**
 * What kernels may rely on: subgroups of one size only, as the kernels are written for a size known
 * beforehand.
 * @throws ArgumentError, GpuError for product options that do not hold together, or that the device
 * cannot meet.
 */
export function deviceCaps(gpu: GPUDevice, info: GPUAdapterInfo, options: CapsOptions): ProductCaps {
  const subgroups = (options.subgroups ?? true) && gpu.features.has("subgroups" as GPUFeatureName);
  const { subgroupMinSize: least, subgroupMaxSize: most } = info as {
    subgroupMinSize?: number;
    subgroupMaxSize?: number;
  };
  const { limits } = gpu;
  const caps = {
    adapter: classifyAdapter(info),
    subgroupSize: subgroups && least !== undefined && least === most ? least : 0,
    maxInvocations: Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX),
    maxStorageBuffers: limits.maxStorageBuffersPerShaderStage,
  };
  return productCaps(caps, gpu, options);
}
