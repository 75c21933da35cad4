import { ArgumentError } from "../errors";
import type { Layout } from "../nn/state";
import { type ConvOptions, conv1d, conv2d } from "../tensor/ops/conv";
import { linear } from "../tensor/ops/matmul";
import { type Pair, pair, type Shape } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";

/** The linear map W * x inside a passport layer: what the layers of all kinds differ in. */
export interface PassportMap {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly weight: { readonly shape: Shape; readonly layout: Layout };
  /** One input of the layer: batch 1. */
  readonly passport: { readonly shape: Shape; readonly layout: Layout };
  /** Options of the convolution; none for a linear map. */
  readonly options: ConvOptions;
  /** W * x, plus the bias of a layer that has one. */
  apply(x: Tensor, weight: Tensor, bias: Tensor | null): Tensor;
}

/** @throws ArgumentError unless channels and groups are whole numbers from 1 and groups divides both. */
function channelsPerGroup(inChannels: number, outChannels: number, groups: number): number {
  const whole = [inChannels, outChannels, groups].every((n) => Number.isInteger(n) && n >= 1);
  if (whole && inChannels % groups === 0 && outChannels % groups === 0) return inChannels / groups;
  throw new ArgumentError(
    `channels and groups are integers ≥ 1 and groups divides both, found ${inChannels} to ${outChannels} channels in ${groups} groups`,
  );
}

/** Where and how a two-dimensional passport layer convolves. */
export interface PlanePlacement {
  stride?: Pair | undefined;
  padding?: Pair | undefined;
  dilation?: Pair | undefined;
  groups?: number | undefined;
  /** Shape [H, W] of the layer's input: the passports have it. */
  inputSize: readonly [number, number];
}

export function planeMap(
  inChannels: number,
  outChannels: number,
  kernel: Pair,
  { stride = 1, padding = 0, dilation = 1, groups = 1, inputSize }: PlanePlacement,
): PassportMap {
  const options = { stride, padding, dilation, groups };
  const shape = [...pair(kernel), channelsPerGroup(inChannels, outChannels, groups), outChannels];
  return {
    inChannels,
    outChannels,
    weight: { shape, layout: "conv2d" },
    passport: { shape: [1, ...inputSize, inChannels], layout: "image" },
    options,
    apply: (x, w, bias) => conv2d(x, w, bias, options),
  };
}

/** Where and how a one-dimensional passport layer convolves. */
export interface LinePlacement {
  stride?: number | undefined;
  padding?: number | undefined;
  dilation?: number | undefined;
  groups?: number | undefined;
  /** Length L of the layer's input: the passports have it. */
  inputSize: number;
}

export function lineMap(
  inChannels: number,
  outChannels: number,
  kernel: number,
  { stride = 1, padding = 0, dilation = 1, groups = 1, inputSize }: LinePlacement,
): PassportMap {
  const options = { stride, padding, dilation, groups };
  return {
    inChannels,
    outChannels,
    weight: {
      shape: [kernel, channelsPerGroup(inChannels, outChannels, groups), outChannels],
      layout: "conv1d",
    },
    passport: { shape: [1, inputSize, inChannels], layout: "sequence" },
    options,
    apply: (x, w, bias) => conv1d(x, w, bias, options),
  };
}

export function rowMap(inChannels: number, outChannels: number): PassportMap {
  return {
    inChannels,
    outChannels,
    weight: { shape: [channelsPerGroup(inChannels, outChannels, 1), outChannels], layout: "linear" },
    passport: { shape: [1, inChannels], layout: "same" },
    options: {},
    apply: linear,
  };
}
