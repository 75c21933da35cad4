/**
 * Classes of WebGPU adapters. Kernel choice and the default sizes of demonstrations depend on what
 * executes the kernels, a graphics card or the processor, and the two software adapters want
 * different kernels as well.
 */

/**
 * What executes the kernels:
 * - `"hardware"`: a graphics processor, discrete or integrated;
 * - `"lavapipe"`: Mesa's software Vulkan (LLVM, vectors of 8);
 * - `"swiftshader"`: Google's software Vulkan (vectors of 4), also the software fallback of Chrome;
 * - `"software"`: any other processor-bound adapter, such as Microsoft's Basic Render Driver
 *   (WARP).
 */
export type AdapterClass = "hardware" | "lavapipe" | "swiftshader" | "software";

/**
 * The fields of `GPUAdapterInfo` the classification reads; a browser may leave any of them empty.
 */
export type AdapterIdentity = Pick<GPUAdapterInfo, "vendor" | "architecture" | "device" | "description"> & {
  readonly isFallbackAdapter?: boolean;
};

/**
 * Says which class an adapter belongs to, from the strings WebGPU gives about it.
 *
 * A name decides first. Browsers hide `device` and `description`, so what names nothing falls back
 * on `isFallbackAdapter`; there `vendor: "mesa"` (the Vulkan vendor id of Mesa itself, not of a
 * card it drives) is lavapipe.
 *
 * @param info `adapter.info` or `device.adapterInfo`.
 * @returns the class; `"hardware"` where nothing speaks against it.
 */
export function classifyAdapter(info: AdapterIdentity): AdapterClass {
  const text = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`.toLowerCase();
  if (text.includes("swiftshader")) return "swiftshader";
  if (/llvmpipe|lavapipe/.test(text)) return "lavapipe";
  if (/basic render|\bwarp\b/.test(text)) return "software";
  if (info.isFallbackAdapter !== true) return "hardware";
  return info.vendor.toLowerCase() === "mesa" ? "lavapipe" : "software";
}
