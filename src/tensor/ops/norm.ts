import { ArgumentError, ShapeError } from "../../errors";
import { type Shape, sameShape, showShape, sizeOf } from "../shape";
import type { Tensor } from "../tensor";
import { expectShape, type NormOptions, normalise, OWN, type Source, type View } from "./normalise";

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
 * @param x `[N, C]`, `[N, L, C]`, `[N, H, W, C]`, …
 * @throws ShapeError for γ, β or running statistics that are not `[C]`, and for batch statistics of fewer than two values a channel.
 * @throws ArgumentError for eps below 0, momentum outside 0 … 1, or only one of the running statistics.
 *
 * Source: Ioffe, Szegedy, "Batch normalization", ICML 2015.
 */
export function batchNorm(x: Tensor, options: BatchNormOptions): Tensor {
  const what = "batchNorm";
  if (x.rank < 2) throw new ShapeError(`${what}: an input [N, …, C] is expected, found shape ${showShape(x.shape)}`);
  const { runningMean: mean, runningVar: variance, training, momentum = 0.1 } = options;
  const channels = x.shape[x.rank - 1]!;
  if (!mean !== !variance) {
    throw new ArgumentError(
      `${what}: runningMean and runningVar belong together, only ${mean ? "runningMean" : "runningVar"} was given`,
    );
  }
  if (!(momentum >= 0 && momentum <= 1))
    throw new ArgumentError(`${what}: momentum from 0 to 1 is expected, found ${momentum}`);
  for (const [name, t] of [
    ["runningMean", mean],
    ["runningVar", variance],
  ] as const)
    if (t) expectShape(what, name, t, [channels]);
  const running = mean && variance ? { mean, variance } : null;
  const rows = sizeOf(x.shape.slice(0, -1));
  const source: Source =
    training || !running ? { own: true, track: training ? running : null, momentum } : { own: false, fixed: running };
  if (source.own && rows < 2) {
    throw new ShapeError(
      `${what}: expected more than 1 value per channel when normalising by the batch, found input ${showShape(x.shape)}: use a larger batch, or running statistics`,
    );
  }
  return normalise(what, x, { batches: 1, rows, channels, groups: channels }, [channels], options, source);
}

/**
 * Group normalisation of x `[N, …, C]`: y = act(γ ⊙ (x − μ) / √(σ² + eps) + β), μ and σ² (biased) over the middle dimensions
 * and the C / groups neighbouring channels of each group, for each item of the batch.
 *
 * @throws ShapeError when `groups` does not divide C, or γ, β are not `[C]`.
 * @throws ArgumentError for eps below 0.
 *
 * Source: Wu, He, "Group normalization", ECCV 2018.
 */
export function groupNorm(x: Tensor, groups: number, options: NormOptions = {}): Tensor {
  const view = itemView("groupNorm", x, 2);
  if (!Number.isInteger(groups) || groups < 1 || view.channels % groups !== 0) {
    throw new ShapeError(
      `groupNorm: a number of groups that divides the ${view.channels} channels of input ${showShape(x.shape)} is expected, found ${groups}`,
    );
  }
  return normalise("groupNorm", x, { ...view, groups }, [view.channels], options, OWN);
}

/**
 * Instance normalisation of x `[N, …, C]`: y = act(γ ⊙ (x − μ) / √(σ² + eps) + β), μ and σ² (biased) over the middle dimensions,
 * for each channel of each item of the batch.
 *
 * @param x `[N, L, C]`, `[N, H, W, C]`, …
 * @throws ShapeError for fewer than two positions, or γ, β that are not `[C]`.
 * @throws ArgumentError for eps below 0.
 *
 * Source: Ulyanov, Vedaldi, Lempitsky, "Instance normalization", 2016.
 */
export function instanceNorm(x: Tensor, options: NormOptions = {}): Tensor {
  const view = itemView("instanceNorm", x, 3);
  if (view.rows < 2) {
    throw new ShapeError(
      `instanceNorm: expected more than 1 position per channel, found input ${showShape(x.shape)}: use a larger input, or another normalisation`,
    );
  }
  return normalise("instanceNorm", x, { ...view, groups: view.channels }, [view.channels], options, OWN);
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
export function layerNorm(x: Tensor, normalizedShape: Shape, options: NormOptions = {}): Tensor {
  const lead = x.rank - normalizedShape.length;
  if (normalizedShape.length === 0 || lead < 0 || !sameShape(x.shape.slice(lead), normalizedShape)) {
    throw new ShapeError(
      `layerNorm: an input that ends in ${showShape(normalizedShape)} is expected, found shape ${showShape(x.shape)}`,
    );
  }
  const view = { batches: sizeOf(x.shape.slice(0, lead)), rows: 1, channels: sizeOf(normalizedShape), groups: 1 };
  return normalise("layerNorm", x, view, normalizedShape, options, OWN);
}

/** [N, …, C] as N batches of positions. */
function itemView(what: string, x: Tensor, least: number): Omit<View, "groups"> {
  if (x.rank < least) {
    throw new ShapeError(
      `${what}: an input [N, ${least > 2 ? "L, " : "…, "}C] of at least ${least} dimensions is expected, found shape ${showShape(x.shape)}`,
    );
  }
  return { batches: x.shape[0]!, rows: sizeOf(x.shape.slice(1, -1)), channels: x.shape[x.rank - 1]! };
}
