import { instance, optionsOf, whole, within } from "../demand";
import type { Device } from "../gpu/device";
import type { Affine } from "../tensor/ops/norm/affine";
import type { Normaliser } from "../tensor/ops/norm/normalise";
import type { Over } from "../tensor/ops/norm/over";
import type { Running } from "../tensor/ops/norm/statistics";
import { isRerun } from "../tensor/rerun";
import { Tensor } from "../tensor/tensor";
import { constant } from "./constant";
import { CumulativeMean } from "./cumulative";
import { NORM_OPTIONS, Norm, type NormOptions } from "./norm";
import { buffer } from "./registration";
import { wholeNumbers } from "./state";
import type { HostState } from "./state-dict";

/** Options of {@link BatchNorm}. */
export interface BatchNormOptions extends NormOptions {
  /**
   * Weight of the new batch in the running statistics (default 0.1); null for the mean over all
   * batches so far, weight 1/`batchesTracked`.
   */
  momentum?: number | null;
}

/**
 * Batch normalisation over every dimension but the last: y = γ · (x − μ) / √(σ² + ε) + β.
 *
 * Shape: [..., C] → [..., C], whatever the dimensions before: one class serves images, sequences
 * and rows. While training, μ and σ² are the batch's and update the running statistics (unbiased
 * variance), which evaluation uses. Ioffe and Szegedy, 2015.
 * @throws ArgumentError for channels and options out of their ranges.
 */
export class BatchNorm extends Norm {
  /** [C], 0 at first; `running_mean` in state dicts. */
  readonly runningMean: Tensor;
  /** [C], 1 at first, of unbiased variances; `running_var` in state dicts. */
  readonly runningVar: Tensor;
  /** Weight of a new batch in the running statistics; null for their mean over all batches. */
  momentum: number | null;
  #tracked = 0;
  /** Of `momentum: null` alone. */
  #mean: CumulativeMean | null = null;

  constructor(
    readonly channels: number,
    options?: BatchNormOptions,
  ) {
    const given = optionsOf("BatchNorm", options, [...NORM_OPTIONS, "momentum"]);
    const { momentum = 0.1 } = given;
    whole("BatchNorm", "channels", channels);
    super("BatchNorm", [channels], given);
    this.momentum = momentum === null ? null : within("BatchNorm", "momentum", momentum, 0, 1);
    this.runningMean = buffer(constant([channels], 0));
    this.runningVar = buffer(constant([channels], 1));
  }

  get over(): Over {
    return "batch";
  }

  protected get extent(): string {
    return `${this.channels}`;
  }

  /** Training batches seen; in state dicts as PyTorch's `num_batches_tracked`. */
  get batchesTracked(): number {
    return this.#tracked;
  }

  /** @throws ArgumentError for what is no whole number from 0. */
  set batchesTracked(count: number) {
    this.#tracked = whole("BatchNorm", "batchesTracked", count, 0);
  }

  /** @internal */
  override run(x: Tensor, affine: Affine, normaliser: Normaliser): Tensor {
    instance("BatchNorm", "x", x, Tensor);
    const { over, eps, relu, training, momentum } = this;
    const by = (running: Running) => normaliser(x, { over, running, affine: [affine], eps, relu });
    const own = { mean: this.runningMean, variance: this.runningVar };
    if (training && momentum === null && isRerun()) return by({ sets: [], training, momentum: 0 });
    if (training && momentum === null) this.#follow(x.device);
    if (training) this.countBatches(x);
    if (!training || momentum !== null) return by({ sets: [own], training, momentum: momentum ?? 0 });
    const y = by({ sets: [this.#mean!.fresh()], training, momentum: 1 });
    this.#mean!.update(own);
    return y;
  }

  /**
   * The mean over all batches knows how many there were, those of another momentum or of a loaded
   * state too: now, and before every replay of the step that is being recorded. Of the step itself
   * it is no part, which would begin anew each time.
   */
  #follow(d: Device): void {
    d.effect(() =>
      d.aside(() => {
        this.#mean ??= new CumulativeMean(this.runningMean);
        this.#mean.follow(this.#tracked);
      }),
    );
  }

  /**
   * Counts training batches now, and with every replay of the step that is being recorded.
   * @internal
   */
  countBatches(x: Tensor, batches = 1): void {
    if (isRerun()) return;
    x.device.effect(() => {
      this.#tracked += batches;
    });
  }

  override dispose(): void {
    this.#mean?.dispose();
    super.dispose();
  }

  protected override hostState(): Record<string, HostState> {
    return {
      num_batches_tracked: {
        get: () => ({ dtype: "I64", shape: [], data: BigInt64Array.of(BigInt(this.#tracked)) }),
        set: (value, name) => {
          const [count] = wholeNumbers(name, value, 0, Number.MAX_SAFE_INTEGER);
          this.batchesTracked = count!;
        },
      },
    };
  }
}
