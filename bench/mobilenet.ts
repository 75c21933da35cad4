/**
 * MobileNet (Howard et al., 2017) in the form that circulates for CIFAR, whose stem keeps the size:
 * depthwise 3×3, then pointwise, each with a norm of its own.
 */
import { Generator } from "@pan/core";
import { BatchNorm, Conv2d, GlobalAvgPool, kaimingUniform, type Layer, Linear, Sequential } from "@pan/core/nn";

/** Sizes of a convolution without bias. */
export interface ConvSizes {
  in: number;
  out: number;
  kernel: number;
  stride: number;
  padding: number;
  /** As many as channels in a depthwise convolution, else 1. */
  groups: number;
}

/**
 * Channels behind each pair of depthwise and pointwise convolutions, and the stride of the first.
 */
const SEPARABLE = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  ...Array.from({ length: 5 }, () => [512, 1] as const),
  [1024, 2],
  [1024, 1],
] as const;

/** All convolutions in their order, `width` times the channels. */
export function mobileConvs(width: number): ConvSizes[] {
  let channels = Math.round(32 * width);
  const stem = { in: 3, out: channels, kernel: 3, stride: 1, padding: 1, groups: 1 };
  const separable = SEPARABLE.flatMap(([wide, stride]) => {
    const [from, to] = [channels, Math.round(wide * width)];
    channels = to;
    return [
      { in: from, out: from, kernel: 3, stride, padding: 1, groups: from },
      { in: from, out: to, kernel: 1, stride: 1, padding: 0, groups: 1 },
    ];
  });
  return [stem, ...separable];
}

/** Ten classes; convolution i is layer 2·i, its norm 2·i + 1. */
export function mobileNet(width: number): Sequential {
  const random = new Generator(1);
  const convs = mobileConvs(width);
  const body = convs.flatMap(({ in: from, out, kernel, ...options }): Layer[] => [
    new Conv2d(from, out, kernel, { ...options, bias: false, init: kaimingUniform, random }),
    new BatchNorm(out, { relu: true }),
  ]);
  return new Sequential(...body, new GlobalAvgPool(), new Linear(convs.at(-1)!.out, 10, { random }));
}
