import { ArgumentError } from "../../../errors";
import type { Shape } from "../../shape";
import type { Tensor } from "../../tensor";
import { expectNumbers, expectOptions } from "../operands";
import type { AffinePair } from "./affine";
import { normalise } from "./normalise";

/** What every normalisation takes besides its input. */
export interface NormFunctionOptions extends AffinePair {
  /** Added to the variance (default 1e-5). */
  eps?: number | undefined;
  /** y = max(·, 0) in the same kernel (default false). */
  relu?: boolean | undefined;
}

/** Options of {@link batchNorm}. */
export interface BatchNormFunctionOptions extends NormFunctionOptions {
  /**
   * Running mean `[C]`, updated in place in training; given together with the variance or not at
   * all.
   */
  runningMean?: Tensor | null | undefined;
  /** Running (unbiased) variance `[C]`. */
  runningVar?: Tensor | null | undefined;
  /** Normalise by the batch's statistics; else by the running ones where given. */
  training: boolean;
  /** Weight of the new batch in the running statistics (default 0.1). */
  momentum?: number | undefined;
}

/**
 * Batch normalisation of x `[…, C]`: y = act(γ ⊙ (x − μ) / √(σ² + eps) + β), μ and σ² over all but
 * the last dimension.
 *
 * In training σ² is the biased variance of the batch, and running statistics move as in PyTorch:
 * `running = (1 − momentum)·running + momentum·batch` with the unbiased variance, in place on the
 * GPU. Otherwise the running statistics are constants; without any, the batch's own are used in
 * evaluation too.
 *
 * @param x `[N, C]`, `[N, L, C]`, `[N, H, W, C]`, …
 * @throws ShapeError for γ, β or running statistics that are not `[C]`, and for batch statistics of
 * fewer than two values per channel.
 * @throws ArgumentError for eps below 0, momentum outside 0 … 1, or only one of the running
 * statistics.
 *
 * Source: Ioffe, Szegedy, "Batch normalization", ICML 2015.
 */
export function batchNorm(x: Tensor, options: BatchNormFunctionOptions): Tensor {
  expectOptions("batchNorm", options, [...OPTIONS, "runningMean", "runningVar", "training", "momentum"]);
  const { runningMean: mean, runningVar: variance, training, momentum = 0.1, ...rest } = options;
  if (!mean !== !variance) {
    throw new ArgumentError(
      `batchNorm: runningMean and runningVar belong together, only ${mean ? "runningMean" : "runningVar"} was given`,
    );
  }
  const sets = mean && variance ? [{ mean, variance }] : [];
  return normalise(x, { over: "batch", running: { sets, training, momentum }, ...whole(rest) });
}

/**
 * Group normalisation of x `[N, …, C]`: y = act(γ ⊙ (x − μ) / √(σ² + eps) + β), μ and σ² (biased)
 * over the middle dimensions and the C / groups neighbouring channels of each group, for each item
 * of the batch.
 *
 * @throws ShapeError when `groups` does not divide C, or γ, β are not `[C]`.
 * @throws ArgumentError for eps below 0.
 *
 * Source: Wu, He, "Group normalization", ECCV 2018.
 */
export function groupNorm(x: Tensor, groups: number, options: NormFunctionOptions = {}): Tensor {
  expectOptions("groupNorm", options, OPTIONS);
  return normalise(x, { over: { groups }, ...whole(options) });
}

/**
 * Instance normalisation of x `[N, …, C]`: y = act(γ ⊙ (x − μ) / √(σ² + eps) + β), μ and σ²
 * (biased) over the middle dimensions, for each channel of each item of the batch.
 *
 * @param x `[N, L, C]`, `[N, H, W, C]`, …
 * @throws ShapeError for fewer than two positions, or γ, β that are not `[C]`.
 * @throws ArgumentError for eps below 0.
 *
 * Source: Ulyanov, Vedaldi, Lempitsky, "Instance normalization", 2016.
 */
export function instanceNorm(x: Tensor, options: NormFunctionOptions = {}): Tensor {
  expectOptions("instanceNorm", options, OPTIONS);
  return normalise(x, { over: "positions", ...whole(options) });
}

/**
 * Layer normalisation over the trailing dimensions: y = act(γ ⊙ (x − μ) / √(σ² + eps) + β), μ and
 * σ² (biased) over the elements of `normalizedShape`, for each index of the leading dimensions; γ
 * and β have `normalizedShape`.
 *
 * @param normalizedShape x's last dimensions, in the package's channels-last order: `[C]`,
 * `[H, W, C]`, …
 * @throws ShapeError when x does not end in `normalizedShape`, or γ, β have another shape.
 * @throws ArgumentError for eps below 0.
 *
 * Source: Ba, Kiros, Hinton, "Layer normalization", 2016.
 */
export function layerNorm(x: Tensor, normalizedShape: Shape, options: NormFunctionOptions = {}): Tensor {
  const shape = expectNumbers("layerNorm", "normalizedShape", normalizedShape);
  expectOptions("layerNorm", options, OPTIONS);
  return normalise(x, { over: { shape }, ...whole(options) });
}

/**
 * Root mean square normalisation over the trailing dimensions: y = act(γ ⊙ x / √(mean(x²) + eps)),
 * the mean over the elements of `normalizedShape`, for each index of the leading dimensions; γ has
 * `normalizedShape`. NaN for all elements that share their mean with NaN or an infinity.
 *
 * @param normalizedShape x's last dimensions: `[C]`, `[H, W, C]`, …
 * @throws ShapeError when x does not end in `normalizedShape`, or γ has another shape.
 * @throws ArgumentError for eps below 0.
 *
 * Source: Zhang, Sennrich, "Root mean square layer normalization", NeurIPS 2019.
 */
export function rmsNorm(x: Tensor, normalizedShape: Shape, options: Omit<NormFunctionOptions, "beta"> = {}): Tensor {
  const shape = expectNumbers("rmsNorm", "normalizedShape", normalizedShape);
  expectOptions("rmsNorm", options, ["gamma", "eps", "relu"]);
  return normalise(x, { over: { shape, aboutZero: true }, ...whole(options) });
}

const OPTIONS = ["gamma", "beta", "eps", "relu"] as const;

/** A batch that is one part. */
const whole = ({ gamma, beta, eps, relu }: NormFunctionOptions) => ({ affine: [{ gamma, beta }], eps, relu });
