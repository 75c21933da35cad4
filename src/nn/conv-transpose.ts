import { flag, optionsOf, refuse } from "../demand";
import { pairOf } from "../tensor/ops/operands";
import { type ConvTransposeOptions, convTranspose2d } from "../tensor/ops/products/conv-transpose";
import type { Generator } from "../tensor/random";
import type { Pair } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";
import { channelsPerGroup, DEFAULT_GAIN } from "./conv";
import { fans, kaimingUniform, uniform } from "./init";
import { Module } from "./module";
import { times } from "./print";
import { generatorOf } from "./random";
import { parameter } from "./registration";

/** Options of {@link ConvTranspose2d}; sizes and groups as in {@link convTranspose2d}. */
export interface ConvTranspose2dOptions extends ConvTransposeOptions {
  /** Learn a bias (default true). */
  bias?: boolean;
  /** Source of the initial weights (default: the common one, see `manualSeed`). */
  random?: Generator;
}

/**
 * Transposed 2-D convolution layer.
 *
 * Shape: x [N, H, W, I] → [N, H', W', O]. Weight [kH, kW, O/groups, I], in state dicts
 * [I, O/groups, kH, kW]. Initialised as PyTorch's: U(±1/√(kH·kW·O/groups)). Formula and errors:
 * {@link convTranspose2d}.
 * @throws ArgumentError when `groups` does not divide the channels, and for sizes and options that
 * are none.
 *
 * @example
 * const up = new ConvTranspose2d(16, 8, 2, { stride: 2 });
 */
export class ConvTranspose2d extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly options: ConvTransposeOptions;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: Pair,
    options?: ConvTranspose2dOptions,
  ) {
    super();
    const what = "ConvTranspose2d";
    const known = ["stride", "padding", "outputPadding", "dilation", "groups", "bias", "random"] as const;
    const { bias = true, random, ...sizes } = optionsOf(what, options, known);
    const { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1 } = sizes;
    const steps = pairOf(what, "stride", stride, 1);
    pairOf(what, "padding", padding, 0);
    pairOf(what, "dilation", dilation, 1);
    const more = pairOf(what, "outputPadding", outputPadding, 0);
    if (more.some((m, a) => m >= steps[a]!)) refuse(what, "outputPadding", "less than the stride", outputPadding);
    // Roles are exchanged: the weight is that of the convolution from outputs to inputs.
    const perGroup = channelsPerGroup(what, outChannels, inChannels, groups);
    const shape = [...pairOf(what, "kernel", kernel, 1), perGroup, inChannels];
    const generator = generatorOf(what, random);
    this.options = sizes;
    this.weight = parameter(kaimingUniform(shape, generator, { gain: DEFAULT_GAIN }), "conv2d");
    const bound = 1 / Math.sqrt(fans(shape).fanIn);
    this.bias = flag(what, "bias", bias) ? parameter(uniform([outChannels], generator, bound)) : null;
  }

  protected override describe(): string {
    const own = Object.entries(this.options).flatMap(([name, size]) =>
      size === undefined ? [] : [`${name} ${times(size)}`],
    );
    const kernel = `kernel ${times(this.weight.shape.slice(0, 2))}`;
    return [`${this.inChannels} → ${this.outChannels}`, kernel, ...own, ...(this.bias ? [] : ["no bias"])].join(", ");
  }

  forward(x: Tensor): Tensor {
    return convTranspose2d(x, this.weight, this.bias, this.options);
  }
}
