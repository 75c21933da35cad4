import { ArgumentError } from "../errors";
import { conv1d, conv2d } from "../tensor/ops/conv";
import type { Generator } from "../tensor/random";
import { type Pair, pair, type Shape } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";
import { fans, kaimingUniform, uniform } from "./init";
import { Module, parameter } from "./module";

/** PyTorch's default for convolution and linear weights: U(−1/√fan-in, 1/√fan-in), which is Kaiming uniform with gain √(1/3). */
export const DEFAULT_GAIN = Math.sqrt(1 / 3);

const torchDefault = (shape: Shape, random: Generator) => kaimingUniform(shape, random, { gain: DEFAULT_GAIN });

/** @throws ArgumentError unless all are whole, and `groups` divides both numbers of channels. */
function channelsPerGroup(what: string, inputs: number, outputs: number, groups: number): number {
  const whole = [inputs, outputs, groups].every((n) => Number.isInteger(n) && n >= 1);
  if (whole && inputs % groups === 0 && outputs % groups === 0) return inputs / groups;
  throw new ArgumentError(
    `${what}: channels and groups are integers ≥ 1 and groups divides both, found ${inputs} to ${outputs} channels in ${groups} groups`,
  );
}

/** Options of {@link Conv2d}; stride, padding, dilation and groups as in {@link conv2d}. */
export interface Conv2dOptions {
  stride?: Pair;
  padding?: Pair;
  dilation?: Pair;
  groups?: number;
  /** Learn a bias (default true). */
  bias?: boolean;
  /** Makes the initial weight (default: PyTorch's, U(±1/√fan-in)). */
  init?: (shape: Shape, random: Generator) => Tensor;
  /** Source of the initial weights. */
  random: Generator;
}

/**
 * 2-D convolution layer, y = x * W + b.
 *
 * Shape: x [N, H, W, I] → [N, H', W', O]. Weight [kH, kW, I/groups, O], in state dicts [O, I/groups, kH, kW].
 * Initialised as PyTorch's: U(±1/√fan-in). Formula and errors: {@link conv2d}.
 * @throws ArgumentError when `groups` does not divide the channels.
 *
 * @example
 * const conv = new Conv2d(3, 16, 3, { padding: 1, random: new Generator(1) });
 */
export class Conv2d extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
  readonly groups: number;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: Pair,
    { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true, init = torchDefault, random }: Conv2dOptions,
  ) {
    super();
    const [kh, kw] = pair(kernel);
    const shape = [kh, kw, channelsPerGroup("Conv2d", inChannels, outChannels, groups), outChannels];
    this.stride = stride;
    this.padding = padding;
    this.dilation = dilation;
    this.groups = groups;
    this.weight = parameter(init(shape, random), "conv2d");
    this.bias = bias ? parameter(uniform([outChannels], random, 1 / Math.sqrt(fans(shape).fanIn))) : null;
  }

  forward(x: Tensor): Tensor {
    return conv2d(x, this.weight, this.bias, this);
  }
}

/** Options of {@link Conv1d}, over one axis. */
export interface Conv1dOptions {
  stride?: number;
  padding?: number;
  dilation?: number;
  groups?: number;
  bias?: boolean;
  random: Generator;
}

/**
 * 1-D convolution layer over [N, L, I] → [N, L', O]. Weight [k, I/groups, O], in state dicts [O, I/groups, k]. Initialised as {@link Conv2d}.
 * @throws ArgumentError when `groups` does not divide the channels.
 */
export class Conv1d extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
  readonly groups: number;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: number,
    { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true, random }: Conv1dOptions,
  ) {
    super();
    const shape = [kernel, channelsPerGroup("Conv1d", inChannels, outChannels, groups), outChannels];
    this.stride = stride;
    this.padding = padding;
    this.dilation = dilation;
    this.groups = groups;
    this.weight = parameter(kaimingUniform(shape, random, { gain: DEFAULT_GAIN }), "conv1d");
    this.bias = bias ? parameter(uniform([outChannels], random, 1 / Math.sqrt(fans(shape).fanIn))) : null;
  }

  forward(x: Tensor): Tensor {
    return conv1d(x, this.weight, this.bias, this);
  }
}
