import { callable, flag, instance, optionsOf, whole } from "../demand";
import { ArgumentError, ShapeError } from "../errors";
import { shown } from "../io/shown";
import { conv1d, conv2d } from "../tensor/ops/conv";
import { pad } from "../tensor/ops/movement";
import { pairOf } from "../tensor/ops/operands";
import type { Generator } from "../tensor/random";
import { type Pair, type Shape, sameShape, showShape } from "../tensor/shape";
import { scope } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import { fans, kaimingUniform, uniform } from "./init";
import { Module } from "./module";
import { times } from "./print";
import { generatorOf } from "./random";
import { parameter } from "./registration";
import { type Padding, paddingOf } from "./window";

/** PyTorch's default for convolution and linear weights: U(−1/√fan-in, 1/√fan-in), which is Kaiming uniform with gain √(1/3). */
export const DEFAULT_GAIN = Math.sqrt(1 / 3);

const torchDefault = (shape: Shape, random: Generator) => kaimingUniform(shape, random, { gain: DEFAULT_GAIN });

/** @throws ArgumentError unless all are whole, and `groups` divides both numbers of channels. */
function channelsPerGroup(what: string, inputs: number, outputs: number, groups: number): number {
  const all = [inputs, outputs, groups].every((n) => Number.isInteger(n) && n >= 1);
  if (all && inputs % groups === 0 && outputs % groups === 0) return inputs / groups;
  throw new ArgumentError(
    `${what}: channels and groups are integers ≥ 1 and groups divides both, found ${shown(inputs)} to ${shown(outputs)} channels in ${shown(groups)} groups`,
  );
}

/** What both convolutions say of themselves. */
function described(
  { inChannels, outChannels, weight, bias, stride, padding, dilation, groups }: Conv2d | Conv1d,
  axes: number,
): string {
  const options = { stride, padding, dilation, groups };
  const usual: Readonly<Record<string, unknown>> = { stride: 1, padding: 0, dilation: 1, groups: 1 };
  const own = Object.entries(options).flatMap(([name, size]) =>
    size === usual[name] ? [] : [`${name} ${times(size)}`],
  );
  const kernel = times(weight.shape.slice(0, axes));
  return [`${inChannels} → ${outChannels}`, `kernel ${kernel}`, ...own, ...(bias ? [] : ["no bias"])].join(", ");
}

/** The initial weight that somebody's function makes. */
function initial(what: string, init: (shape: Shape, random: Generator) => Tensor, shape: Shape, random: Generator) {
  const weight = instance(what, "what init returns", callable(what, "init", init)(shape, random), Tensor);
  if (sameShape(weight.shape, shape)) return weight;
  throw new ShapeError(`${what}: init returns a weight ${showShape(shape)}, found ${showShape(weight.shape)}`);
}

/** Options of {@link Conv2d}; stride, dilation and groups as in {@link conv2d}. */
export interface Conv2dOptions {
  stride?: Pair;
  /** Zeros around the input (default 0); `"same"` keeps its size, at stride 1. */
  padding?: Pair | "same";
  dilation?: Pair;
  groups?: number;
  /** Learn a bias (default true). */
  bias?: boolean;
  /** Makes the initial weight (default: PyTorch's, U(±1/√fan-in)). */
  init?: (shape: Shape, random: Generator) => Tensor;
  /** Source of the initial weights (default: the common one, see {@link manualSeed}). */
  random?: Generator;
}

/**
 * 2-D convolution layer, y = x * W + b.
 *
 * Shape: x [N, H, W, I] → [N, H', W', O]. Weight [kH, kW, I/groups, O], in state dicts [O, I/groups, kH, kW].
 * Initialised as PyTorch's: U(±1/√fan-in). Formula and errors: {@link conv2d}.
 * @throws ArgumentError when `groups` does not divide the channels, for sizes and options that are none, and `padding: "same"` with a stride.
 *
 * @example
 * const conv = new Conv2d(3, 16, 3, { padding: 1 });
 */
export class Conv2d extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly stride: Pair;
  readonly padding: Pair | "same";
  readonly dilation: Pair;
  readonly groups: number;
  readonly #padding: Padding;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: Pair,
    options?: Conv2dOptions,
  ) {
    super();
    const known = ["stride", "padding", "dilation", "groups", "bias", "init", "random"] as const;
    const given = optionsOf("Conv2d", options, known);
    const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true, init = torchDefault } = given;
    const [kh, kw] = pairOf("Conv2d", "kernel", kernel, 1);
    const shape = [kh, kw, channelsPerGroup("Conv2d", inChannels, outChannels, groups), outChannels];
    this.stride = stride;
    this.padding = padding;
    this.dilation = dilation;
    this.groups = groups;
    this.#padding = paddingOf("Conv2d", padding, {
      kernel: [kh, kw],
      stride: pairOf("Conv2d", "stride", stride, 1),
      dilation: pairOf("Conv2d", "dilation", dilation, 1),
    });
    flag("Conv2d", "bias", bias);
    const random = generatorOf("Conv2d", given.random);
    this.weight = parameter(initial("Conv2d", init, shape, random), "conv2d");
    this.bias = bias ? parameter(uniform([outChannels], random, 1 / Math.sqrt(fans(shape).fanIn))) : null;
  }

  protected override describe(): string {
    return described(this, 2);
  }

  forward(x: Tensor): Tensor {
    const { stride, dilation, groups, weight, bias } = this;
    const { sides, even } = this.#padding;
    const [rows, columns] = sides as [Padding["sides"][0], Padding["sides"][0]];
    if (even) return conv2d(x, weight, bias, { stride, dilation, groups, padding: [rows[0], columns[0]] });
    return scope(() => conv2d(pad(x, [[0, 0], rows, columns, [0, 0]]), weight, bias, { stride, dilation, groups }));
  }
}

/** Options of {@link Conv1d}, over one axis; as those of {@link Conv2d}. */
export interface Conv1dOptions {
  stride?: number;
  padding?: number | "same";
  dilation?: number;
  groups?: number;
  bias?: boolean;
  random?: Generator;
}

/**
 * 1-D convolution layer over [N, L, I] → [N, L', O]. Weight [k, I/groups, O], in state dicts [O, I/groups, k]. Initialised as {@link Conv2d}.
 * @throws ArgumentError as {@link Conv2d}.
 */
export class Conv1d extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly stride: number;
  readonly padding: number | "same";
  readonly dilation: number;
  readonly groups: number;
  readonly #padding: Padding;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: number,
    options?: Conv1dOptions,
  ) {
    super();
    const given = optionsOf("Conv1d", options, ["stride", "padding", "dilation", "groups", "bias", "random"]);
    const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true } = given;
    whole("Conv1d", "kernel", kernel);
    const shape = [kernel, channelsPerGroup("Conv1d", inChannels, outChannels, groups), outChannels];
    this.stride = whole("Conv1d", "stride", stride);
    this.padding = padding;
    this.dilation = whole("Conv1d", "dilation", dilation);
    this.groups = groups;
    this.#padding = paddingOf("Conv1d", padding, { kernel: [kernel], stride: [stride], dilation: [dilation] });
    flag("Conv1d", "bias", bias);
    const random = generatorOf("Conv1d", given.random);
    this.weight = parameter(kaimingUniform(shape, random, { gain: DEFAULT_GAIN }), "conv1d");
    this.bias = bias ? parameter(uniform([outChannels], random, 1 / Math.sqrt(fans(shape).fanIn))) : null;
  }

  protected override describe(): string {
    return described(this, 1);
  }

  forward(x: Tensor): Tensor {
    const { stride, dilation, groups, weight, bias } = this;
    const { sides, even } = this.#padding;
    const [along] = sides as [Padding["sides"][0]];
    if (even) return conv1d(x, weight, bias, { stride, dilation, groups, padding: along[0] });
    return scope(() => conv1d(pad(x, [[0, 0], along, [0, 0]]), weight, bias, { stride, dilation, groups }));
  }
}
