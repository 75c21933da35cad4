/** Layers that give images of another size. */
import { optionsOf } from "../demand";
import { pairOf } from "../tensor/ops/operands";
import { adaptiveAvgPool2d, checkUpsample, type UpsampleOptions, upsample2d } from "../tensor/ops/resize";
import type { Pair } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";
import { Module } from "./module";
import { times } from "./print";

/**
 * Means over windows that divide the image evenly. Shape: [N, H, W, C] → [N, oh, ow, C]. Formula
 * and errors: {@link adaptiveAvgPool2d}.
 * @throws ArgumentError for sizes that are none.
 */
export class AdaptiveAvgPool2d extends Module {
  constructor(readonly size: Pair) {
    super();
    pairOf("AdaptiveAvgPool2d", "size", size, 1);
  }

  protected override describe(): string {
    return `size ${times(this.size)}`;
  }

  forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.size);
  }
}

/**
 * Images of another size. Shape: [N, H, W, C] → [N, H', W', C]. Formula and errors:
 * {@link upsample2d}.
 * @throws ArgumentError for options that are none.
 *
 * @example
 * const up = new Upsample({ scale: 2, mode: "bilinear" });
 */
export class Upsample extends Module {
  readonly options: UpsampleOptions;

  constructor(options: UpsampleOptions) {
    super();
    this.options = optionsOf("Upsample", options, ["size", "scale", "mode", "alignCorners"]);
    checkUpsample("Upsample", this.options);
  }

  protected override describe(): string {
    const { size, scale, mode = "nearest", alignCorners } = this.options;
    const to = size === undefined ? `scale ${times(scale!)}` : `size ${times(size)}`;
    return `${to}, ${mode}${alignCorners ? ", corners aligned" : ""}`;
  }

  forward(x: Tensor): Tensor {
    return upsample2d(x, this.options);
  }
}
