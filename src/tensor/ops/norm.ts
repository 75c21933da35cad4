import { ArgumentError, ShapeError } from "../../errors";
import { type Shape, sameShape, showShape, sizeOf } from "../shape";
import type { Tensor } from "../tensor";
import type { Parted } from "./norm-layout";
import { batchNormParts, groupNormParts, instanceNormParts } from "./norm-parts";
import { type NormOptions, normalise, OWN } from "./normalise";
import { expectNumbers, expectOptions, expectTensors } from "./operands";

export type { NormOptions } from "./normalise";

/** Options of {@link batchNorm}. */
export interface BatchNormOptions extends NormOptions {
  /** Running mean `[C]`, updated in place in training; given together with the variance or not at all. */
  runningMean?: Tensor | null | undefined;
  /** Running (unbiased) variance `[C]`. */
  runningVar?: Tensor | null | undefined;
  /** Normalise by the batch's statistics; else by the running ones where given. */
  training: boolean;
  /** Weight of the new batch in the running statistics (default 0.1). */
  momentum?: number | undefined;
}

/**
 * Batch normalisation of x `[…, C]`: y = act(γ ⊙ (x − μ) / √(σ² + eps) + β), μ and σ² over all but the last dimension.
 *
 * In training σ² is the biased variance of the batch, and running statistics move as in PyTorch:
 * `running = (1 − momentum)·running + momentum·batch` with the unbiased variance, in place on the GPU.
 * Otherwise the running statistics are constants; without any, the batch's own are used in evaluation too.
 *
 * With `pool` k, y is the maximum over k×k windows of that, `[N, ⌊H/k⌋, ⌊W/k⌋, C]`: the same as `maxPool2d(…, k)` behind it, gradients included, without anything of x's size in between.
 *
 * @param x `[N, C]`, `[N, L, C]`, `[N, H, W, C]`, …
 * @throws ShapeError for γ, β or running statistics that are not `[C]`, for batch statistics of fewer than two values a channel, and with `pool`
 * for anything but images `[N, H, W, C]` that a window fits into.
 * @throws ArgumentError for eps below 0, momentum outside 0 … 1, only one of the running statistics, or a `pool` that is no whole number from 1.
 *
 * Source: Ioffe, Szegedy, "Batch normalization", ICML 2015.
 */
export function batchNorm(x: Tensor, given: BatchNormOptions): Tensor {
  expectOptions("batchNorm", given);
  const { runningMean: mean, runningVar: variance, ...options } = given;
  if (!mean !== !variance) {
    throw new ArgumentError(
      `batchNorm: runningMean and runningVar belong together, only ${mean ? "runningMean" : "runningVar"} was given`,
    );
  }
  return batchNormParts(x, whole(options), { ...options, running: mean && variance ? [{ mean, variance }] : [] });
}

/**
 * Group normalisation of x `[N, …, C]`: y = act(γ ⊙ (x − μ) / √(σ² + eps) + β), μ and σ² (biased) over the middle dimensions
 * and the C / groups neighbouring channels of each group, for each item of the batch.
 *
 * @throws ShapeError when `groups` does not divide C, or γ, β are not `[C]`, and with `pool` as {@link batchNorm}.
 * @throws ArgumentError for eps below 0, and with `pool` as {@link batchNorm}.
 *
 * Source: Wu, He, "Group normalization", ECCV 2018.
 */
export function groupNorm(x: Tensor, groups: number, options: NormOptions = {}): Tensor {
  expectOptions("groupNorm", options);
  return groupNormParts(x, groups, whole(options), options);
}

/**
 * Instance normalisation of x `[N, …, C]`: y = act(γ ⊙ (x − μ) / √(σ² + eps) + β), μ and σ² (biased) over the middle dimensions,
 * for each channel of each item of the batch.
 *
 * @param x `[N, L, C]`, `[N, H, W, C]`, …
 * @throws ShapeError for fewer than two positions, or γ, β that are not `[C]`, and with `pool` as {@link batchNorm}.
 * @throws ArgumentError for eps below 0, and with `pool` as {@link batchNorm}.
 *
 * Source: Ulyanov, Vedaldi, Lempitsky, "Instance normalization", 2016.
 */
export function instanceNorm(x: Tensor, options: NormOptions = {}): Tensor {
  expectOptions("instanceNorm", options);
  return instanceNormParts(x, whole(options), options);
}

/**
 * Layer normalisation over the trailing dimensions: y = act(γ ⊙ (x − μ) / √(σ² + eps) + β), μ and σ² (biased) over the elements
 * of `normalizedShape`, for each index of the leading dimensions; γ and β have `normalizedShape`.
 *
 * @param normalizedShape x's last dimensions, in the package's channels-last order: `[C]`, `[H, W, C]`, …
 * @throws ShapeError when x does not end in `normalizedShape`, or γ, β have another shape.
 * @throws ArgumentError for eps below 0.
 *
 * Source: Ba, Kiros, Hinton, "Layer normalization", 2016.
 */
export function layerNorm(x: Tensor, normalizedShape: Shape, options: Omit<NormOptions, "pool"> = {}): Tensor {
  expectTensors("layerNorm", { x });
  const shape = expectNumbers("layerNorm", "normalizedShape", normalizedShape);
  expectOptions("layerNorm", options);
  const lead = x.rank - shape.length;
  if (shape.length === 0 || lead < 0 || !sameShape(x.shape.slice(lead), shape)) {
    throw new ShapeError(
      `layerNorm: an input that ends in ${showShape(shape)} is expected, found shape ${showShape(x.shape)}`,
    );
  }
  const view = { batches: sizeOf(x.shape.slice(0, lead)), rows: 1, channels: sizeOf(shape), groups: 1 };
  const { eps, relu } = options;
  return normalise("layerNorm", x, view, shape, whole(options), { eps, relu }, OWN);
}

/** A batch that is one part. */
const whole = (options: NormOptions): Parted => ({ parts: 1, shared: false, affine: [options] });
