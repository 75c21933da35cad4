import { flag, optionsOf } from "../demand";
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";
import { linear } from "../tensor/ops/products/matmul";
import type { Generator } from "../tensor/random";
import type { Tensor } from "../tensor/tensor";
import { DEFAULT_GAIN } from "./conv";
import { kaimingUniform, uniform } from "./init";
import { Module } from "./module";
import { currentPass } from "./pass";
import { generatorOf } from "./random";
import { parameter } from "./registration";

/** Options of {@link Linear}. */
export interface LinearOptions {
  /** Learn a bias (default true). */
  bias?: boolean;
  /** Source of the initial weights (default: the common one, see `manualSeed`). */
  random?: Generator;
}

/**
 * Fully connected layer, y = x · W + b.
 *
 * Shape: x [..., I] → [..., O]. Weight [I, O], in state dicts [O, I]. Initialised as PyTorch's:
 * U(±1/√I).
 * @throws ArgumentError for numbers of features that are no whole numbers, and options that are
 * none.
 */
export class Linear extends Module {
  /** [in, out]; in state dicts [out, in]. */
  readonly weight: Tensor;
  /** [out]; null where none is learned. */
  readonly bias: Tensor | null;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options?: LinearOptions,
  ) {
    super();
    const given = optionsOf("Linear", options, ["bias", "random"]);
    const { bias = true } = given;
    if (![inFeatures, outFeatures].every((n) => Number.isSafeInteger(n) && n >= 0))
      throw new ArgumentError(
        `Linear: whole numbers of features from 0 expected, found ${shown(inFeatures)} to ${shown(outFeatures)}`,
      );
    flag("Linear", "bias", bias);
    const random = generatorOf("Linear", given.random);
    this.weight = parameter(kaimingUniform([inFeatures, outFeatures], random, { gain: DEFAULT_GAIN }), "linear");
    this.bias = bias ? parameter(uniform([outFeatures], random, inFeatures > 0 ? 1 / Math.sqrt(inFeatures) : 0)) : null;
  }

  protected override describe(): string {
    return `${this.inFeatures} → ${this.outFeatures}${this.bias ? "" : ", no bias"}`;
  }

  forward(x: Tensor): Tensor {
    const y = linear(x, this.weight, this.bias);
    currentPass()?.mapped?.(this, x, y);
    return y;
  }
}
