import { ArgumentError, GpuError } from "../errors";
import { shown } from "../io/shown";
import type { Caps, Precision, ProductCaps, Tiling } from "./kernel";

/** How a device computes matrix products and convolutions. */
export interface ProductOptions {
  /**
   * Form of the kernels (default `"auto"`): `"workgroup"` stages blocks in workgroup memory, best
   * on graphics processors; `"subgroup"` hands one operand round a subgroup of up to 8, best on
   * software adapters that have such; `"registers"` needs neither. `"auto"` takes the first that
   * suits the adapter. A form that the device cannot run gives way to the next;
   * `device.caps.tiling` says which it is.
   */
  tiling?: Tiling | "auto";
  /**
   * What operands of matrix products and convolutions are rounded to (default `"f32"`: nothing).
   * `"f16"` halves the traffic of workgroup memory and needs the WebGPU feature `shader-f16` and
   * the `"workgroup"` form, which it chooses. Tensors stay f32, and so do products and sums:
   *
   *     y = Σ_k f32(f16(a_k)) · f32(f16(b_k)),  f16(v) = v·(1 + ε), |ε| ≤ 2⁻¹¹
   *
   * so that each product errs by 2⁻¹¹ of itself, typically, and 2⁻¹⁰ at most. This holds for
   * operands of 2⁻¹⁴ to 65504 in magnitude: smaller ones lose digits and may become 0 (gradients of
   * large batches do: scale the loss up), larger ones overflow, and the result is then infinite or
   * not a number. Products too small to be worth a block stay f32.
   */
  precision?: Precision;
  /**
   * Winograd's method for 3×3 convolutions of stride 1, dilation 1, one group and padding up to 2
   * (default `"auto"`: on software adapters, where it is faster; `true`: wherever its transforms
   * fit into a binding; `false`: never).
   */
  winograd?: boolean | "auto";
}

/**
 * Workgroups of the blocks: what every core WebGPU adapter grants, and compatibility mode does not.
 */
const INVOCATIONS = 256;
const STORAGE = 16_384;
/** Subgroups that the subgroup form is written for: the software adapters'. */
const WIDEST = 8;

const TILINGS = ["auto", "workgroup", "subgroup", "registers"];
const PRECISIONS = ["f32", "f16"];

/** @throws ArgumentError for an option that is not one of the above. */
export function checkProductOptions({ tiling = "auto", precision = "f32", winograd = "auto" }: ProductOptions): void {
  if (!TILINGS.includes(tiling))
    throw new ArgumentError(`tiling is one of ${TILINGS.join(", ")}, found ${shown(tiling)}`);
  if (!PRECISIONS.includes(precision))
    throw new ArgumentError(`precision is one of ${PRECISIONS.join(", ")}, found ${shown(precision)}`);
  if (![true, false, "auto"].includes(winograd))
    throw new ArgumentError(`winograd is true, false or "auto", found ${shown(winograd)}`);
}

/**
 * Adds to `caps` how products are computed on this device.
 * @throws ArgumentError for an option that is not one of the above, or f16 with another form than
 * blocks.
 * @throws GpuError when f16 is asked of a device that cannot compute with it.
 */
export function productCaps(caps: Caps, gpu: GPUDevice, options: ProductOptions): ProductCaps {
  checkProductOptions(options);
  const { tiling = "auto", precision = "f32", winograd = "auto" } = options;
  const maxWorkgroupStorage = gpu.limits.maxComputeWorkgroupStorageSize;
  const blocks = caps.maxInvocations >= INVOCATIONS && maxWorkgroupStorage >= STORAGE;
  if (precision === "f16") {
    if (tiling !== "auto" && tiling !== "workgroup")
      throw new ArgumentError(`precision "f16" is for tiling "workgroup" (or "auto"), found tiling "${tiling}"`);
    if (!gpu.features.has("shader-f16"))
      throw new GpuError(
        'precision "f16" needs the WebGPU feature "shader-f16", which this device lacks: request the device with it where the adapter has it, or use "f32"',
      );
    if (!blocks)
      throw new GpuError(
        `precision "f16" needs ${INVOCATIONS} invocations a workgroup and ${STORAGE} bytes of workgroup memory, this device grants ${caps.maxInvocations} and ${maxWorkgroupStorage}: use "f32"`,
      );
  }
  const lanes = caps.subgroupSize > 1 && caps.subgroupSize <= WIDEST;
  const suits = caps.adapter === "hardware" || precision === "f16" ? "workgroup" : "subgroup";
  const wanted = tiling === "auto" ? suits : tiling;
  const form = wanted === "workgroup" && !blocks ? "subgroup" : wanted;
  return {
    ...caps,
    tiling: form === "subgroup" && !lanes ? "registers" : form,
    precision,
    winograd,
    maxWorkgroupStorage,
  };
}
