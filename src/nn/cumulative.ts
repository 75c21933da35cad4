import { add, div, mul, sub } from "../tensor/ops/elementwise";
import type { RunningSet } from "../tensor/ops/norm/statistics";
import { keep, scope } from "../tensor/storage";
import { noGrad, type Tensor } from "../tensor/tensor";

/**
 * Running statistics that are the mean over all batches so far, PyTorch's `momentum=None`: with n
 * batches seen before,
 *
 *     running ← running + (batch − running) / (n + 1)
 *
 * n lies on the GPU beside the host's count, so that the weight moves from step to step in a
 * recorded step too. As a 32-bit float it stops at 2²⁴ batches; weights then stay at 6e-8.
 */
export class CumulativeMean {
  /** Statistics of the last batch: running ones of momentum 1. */
  readonly #batchMean: Tensor;
  readonly #batchVar: Tensor;
  readonly #count: Tensor;
  /** What the count on the GPU will be. */
  #seen = 0;

  /** @param like the statistics that it will move. */
  constructor(like: Tensor) {
    this.#count = keep(like.newFull([1], 0));
    this.#batchMean = keep(like.newFull(like.shape, 0));
    this.#batchVar = keep(like.newFull(like.shape, 0));
  }

  /**
   * Where batch norm puts the next batch's statistics. What lies there is overwritten with weight
   * 0, and must be finite for that.
   */
  fresh(): RunningSet {
    return { mean: this.#batchMean.fill(0), variance: this.#batchVar.fill(0) };
  }

  /** Another batch comes after so many, which may be others than it has seen itself. */
  follow(count: number): void {
    if (this.#seen !== count) this.#count.fill(count);
    this.#seen = count + 1;
  }

  /** Counts the last batch, and moves running statistics towards its own. */
  update({ mean, variance }: RunningSet): void {
    noGrad(() =>
      scope(() => {
        copy(add(this.#count, 1), this.#count);
        const weight = div(this.#count.newFull([1], 1), this.#count);
        copy(add(mean, mul(sub(this.#batchMean, mean), weight)), mean);
        copy(add(variance, mul(sub(this.#batchVar, variance), weight)), variance);
      }),
    );
  }

  dispose(): void {
    for (const t of [this.#batchMean, this.#batchVar, this.#count]) t.dispose();
  }
}

const copy = (from: Tensor, to: Tensor): void => to.device.copy(from.buffer, to.buffer, 4 * to.size);
