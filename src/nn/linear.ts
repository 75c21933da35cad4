import { linear } from "../tensor/ops/matmul";
import type { Generator } from "../tensor/random";
import type { Tensor } from "../tensor/tensor";
import { DEFAULT_GAIN } from "./conv";
import { kaimingUniform, uniform } from "./init";
import { Module, parameter } from "./module";

/**
 * Fully connected layer, y = x · W + b.
 *
 * Shape: x [..., I] → [..., O]. Weight [I, O], in state dicts [O, I]. Initialised as PyTorch's: U(±1/√I).
 */
export class Linear extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    { bias = true, random }: { bias?: boolean; random: Generator },
  ) {
    super();
    this.weight = parameter(kaimingUniform([inFeatures, outFeatures], random, { gain: DEFAULT_GAIN }), "linear");
    this.bias = bias ? parameter(uniform([outFeatures], random, inFeatures > 0 ? 1 / Math.sqrt(inFeatures) : 0)) : null;
  }

  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}
