import { callable, flag, instance, optionsOf, whole } from "../demand";
import { ArgumentError, ShapeError } from "../errors";
import { shown } from "../io/shown";
import { pad } from "../tensor/ops/movement";
import { pairOf } from "../tensor/ops/operands";
import { type Padding, paddingOf } from "../tensor/ops/padding";
import { conv1d, conv2d } from "../tensor/ops/products/conv";
import type { ConvOptions, LineConvOptions } from "../tensor/ops/products/geometry";
import type { Generator } from "../tensor/random";
import { type Pair, type Shape, sameShape, showShape } from "../tensor/shape";
import { scope } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import { fans, kaimingUniform, uniform } from "./init";
import { Module } from "./module";
import { currentPass } from "./pass";
import { times } from "./print";
import { generatorOf } from "./random";
import { parameter } from "./registration";

/**
 * PyTorch's default for convolution and linear weights: U(−1/√fan-in, 1/√fan-in), which is Kaiming
 * uniform with gain √(1/3).
 */
export const DEFAULT_GAIN = Math.sqrt(1 / 3);

const torchDefault = (shape: Shape, random: Generator) => kaimingUniform(shape, random, { gain: DEFAULT_GAIN });

/** @throws ArgumentError unless all are whole, and `groups` divides both numbers of channels. */
export function channelsPerGroup(what: string, inputs: number, outputs: number, groups: number): number {
  const all = [inputs, outputs, groups].every((n) => Number.isInteger(n) && n >= 1);
  if (all && inputs % groups === 0 && outputs % groups === 0) return inputs / groups;
  throw new ArgumentError(
    `${what}: channels and groups are integers ≥ 1 and groups divides both, found ${shown(inputs)} to ${shown(outputs)} channels in ${shown(groups)} groups`,
  );
}

/** The initial weight that somebody's function makes. */
function initial(what: string, init: (shape: Shape, random: Generator) => Tensor, shape: Shape, random: Generator) {
  const weight = instance(what, "what init returns", callable(what, "init", init)(shape, random), Tensor);
  if (sameShape(weight.shape, shape)) return weight;
  throw new ShapeError(`${what}: init returns a weight ${showShape(shape)}, found ${showShape(weight.shape)}`);
}

/** Options of {@link Conv2d}; stride, dilation and groups as in {@link conv2d}. */
export interface Conv2dOptions {
  /** Step between output positions (default 1). */
  stride?: Pair;
  /** Zeros around the input (default 0); `"same"` keeps its size, at stride 1, `"valid"` is 0. */
  padding?: Pair | "same" | "valid";
  /** Distance between taps (default 1). */
  dilation?: Pair;
  /** Channels are split into this many independent convolutions (default 1). */
  groups?: number;
  /** Learn a bias (default true). */
  bias?: boolean;
  /** Makes the initial weight (default: PyTorch's, U(±1/√fan-in)). */
  init?: (shape: Shape, random: Generator) => Tensor;
  /** Source of the initial weights (default: the common one, see `manualSeed`). */
  random?: Generator;
}

/** Options of {@link Conv1d}, over one axis; as those of {@link Conv2d}. */
export interface Conv1dOptions {
  /** Step between output positions (default 1). */
  stride?: number;
  /**
   * Zeros on both sides of the input (default 0); `"same"` keeps its length, at stride 1, `"valid"`
   * is 0.
   */
  padding?: number | "same" | "valid";
  /** Distance between taps (default 1). */
  dilation?: number;
  /** Channels are split into this many independent convolutions (default 1). */
  groups?: number;
  /** Learn a bias (default true). */
  bias?: boolean;
  /** Source of the initial weights (default: the common one, see `manualSeed`). */
  random?: Generator;
}

/**
 * What convolutions over one axis and over two have in common. `Size`: a number for all axes, or
 * one for each.
 */
export abstract class Convolution<Size extends Pair> extends Module {
  /** [kernel sizes, I/groups, O]; in state dicts [O, I/groups, kernel sizes]. */
  readonly weight: Tensor;
  /** [O]; null where none is learned. */
  readonly bias: Tensor | null;
  readonly stride: Size;
  readonly padding: Size | "same" | "valid";
  readonly dilation: Size;
  readonly groups: number;
  readonly #padding: Padding;

  protected constructor(
    what: "Conv1d" | "Conv2d",
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: Size,
    given: Omit<Conv2dOptions, "stride" | "padding" | "dilation"> & {
      stride?: Size;
      padding?: Size | "same" | "valid";
      dilation?: Size;
    },
  ) {
    super();
    const { padding = 0 as Size, stride = 1 as Size, dilation = 1 as Size } = given;
    const { groups = 1, bias = true, init = torchDefault } = given;
    const sizes = (name: string, size: Size) =>
      what === "Conv1d" ? [whole(what, name, size)] : pairOf(what, name, size, 1);
    const window = sizes("kernel", kernel);
    const shape = [...window, channelsPerGroup(what, inChannels, outChannels, groups), outChannels];
    this.stride = stride;
    this.padding = padding;
    this.dilation = dilation;
    this.groups = groups;
    const steps = { stride: sizes("stride", stride), dilation: sizes("dilation", dilation) };
    this.#padding = paddingOf(what, padding, { kernel: window, ...steps });
    flag(what, "bias", bias);
    const random = generatorOf(what, given.random);
    this.weight = parameter(initial(what, init, shape, random), what === "Conv1d" ? "conv1d" : "conv2d");
    this.bias = bias ? parameter(uniform([outChannels], random, 1 / Math.sqrt(fans(shape).fanIn))) : null;
  }

  /** x with zeros around it where the two sides of an axis get different ones; else as it is. */
  padded(x: Tensor): Tensor {
    const { sides, even } = this.#padding;
    return even ? x : pad(x, [[0, 0], ...sides, [0, 0]]);
  }

  forward(x: Tensor): Tensor {
    const y = this.#padding.even ? this.convolve(x) : scope(() => this.convolve(this.padded(x)));
    currentPass()?.mapped?.(this, x, y);
    return y;
  }

  /** Zeros on either side of each axis, along which the kernel moves. */
  get paddings(): readonly (readonly [before: number, after: number])[] {
    return this.#padding.sides;
  }

  /** The operation, for an input as `padded` gives it. */
  protected abstract convolve(x: Tensor): Tensor;

  /** Zeros on either side of each axis that an input gets which `padded` gave. */
  protected get evenPadding(): readonly number[] {
    const { sides, even } = this.#padding;
    return sides.map(([before]) => (even ? before : 0));
  }

  protected override describe(): string {
    const { inChannels, outChannels, weight, bias, stride, padding, dilation, groups } = this;
    const usual: Readonly<Record<string, unknown>> = { stride: 1, padding: 0, dilation: 1, groups: 1 };
    const own = Object.entries({ stride, padding, dilation, groups }).flatMap(([name, size]) =>
      size === usual[name] ? [] : [`${name} ${times(size)}`],
    );
    const kernel = times(weight.shape.slice(0, -2));
    return [`${inChannels} → ${outChannels}`, `kernel ${kernel}`, ...own, ...(bias ? [] : ["no bias"])].join(", ");
  }
}

/**
 * 2-D convolution layer, y = x * W + b.
 *
 * Shape: x [N, H, W, I] → [N, H', W', O]. Weight [kH, kW, I/groups, O], in state dicts
 * [O, I/groups, kH, kW]. Initialised as PyTorch's: U(±1/√fan-in). Formula and errors:
 * {@link conv2d}.
 * @throws ArgumentError when `groups` does not divide the channels, for sizes and options that are
 * none, and `padding: "same"` with a stride.
 *
 * @example
 * const conv = new Conv2d(3, 16, 3, { padding: 1 });
 */
export class Conv2d extends Convolution<Pair> {
  constructor(inChannels: number, outChannels: number, kernel: Pair, options?: Conv2dOptions) {
    const known = ["stride", "padding", "dilation", "groups", "bias", "init", "random"] as const;
    super("Conv2d", inChannels, outChannels, kernel, optionsOf("Conv2d", options, known));
  }

  /** Options of the operation for an input as `padded` gives it. */
  get options(): ConvOptions {
    const { stride, dilation, groups } = this;
    return { stride, dilation, groups, padding: this.evenPadding as [number, number] };
  }

  protected override convolve(x: Tensor): Tensor {
    return conv2d(x, this.weight, this.bias, this.options);
  }
}

/**
 * 1-D convolution layer over [N, L, I] → [N, L', O]. Weight [k, I/groups, O], in state dicts
 * [O, I/groups, k]. Initialised as {@link Conv2d}.
 * @throws ArgumentError as {@link Conv2d}.
 */
export class Conv1d extends Convolution<number> {
  constructor(inChannels: number, outChannels: number, kernel: number, options?: Conv1dOptions) {
    const known = ["stride", "padding", "dilation", "groups", "bias", "random"] as const;
    super("Conv1d", inChannels, outChannels, kernel, optionsOf("Conv1d", options, known));
  }

  /** Options of the operation for an input as `padded` gives it. */
  get options(): LineConvOptions {
    const { stride, dilation, groups } = this;
    return { stride, dilation, groups, padding: this.evenPadding[0]! };
  }

  protected override convolve(x: Tensor): Tensor {
    return conv1d(x, this.weight, this.bias, this.options);
  }
}
