import { flag, optionsOf, refuse, whole, within } from "../demand";
import { ArgumentError } from "../errors";
import { concat, narrow } from "../tensor/ops/movement";
import { batchNorm, groupNorm, instanceNorm, layerNorm } from "../tensor/ops/norm";
import { type AffineTensors, batchNormParts } from "../tensor/ops/norm-parts";
import type { Tensor } from "../tensor/tensor";
import { constant } from "./constant";
import { CumulativeMean } from "./cumulative";
import { Module } from "./module";
import { buffer, parameter } from "./registration";
import { type Layout, wholeNumbers } from "./state";
import type { HostState } from "./state-dict";

/** Options of {@link BatchNorm}. */
export interface BatchNormOptions {
  /** Added to the variance (default 1e-5). */
  eps?: number;
  /** Weight of the new batch in the running statistics (default 0.1); null for the mean over all batches so far, weight 1/`batchesTracked`. */
  momentum?: number | null;
  /** Learn a scale and a shift (default true). */
  affine?: boolean;
  /** Apply ReLU in the same kernel (default false). */
  relu?: boolean;
  /** End in the maximum of each pool×pool window, in the same kernel: `MaxPool2d(pool)` behind the layer, without its memory and launches (default 1, no pooling). Takes images. */
  pool?: number;
}

/** γ and β of a call, or both as the rows of one tensor; layers that learn none (passport branches) are given theirs. */
export type Affine = AffineTensors;

/** Options of one call of {@link BatchNorm}. */
export interface BatchNormCall extends Affine {
  /**
   * How many updates by this batch the running statistics take (default 1): k of them at once, running = (1 − m)ᵏ·running + (1 − (1 − m)ᵏ)·batch, or with `momentum: null` n·running + k·batch, divided by n + k. For
   * a batch that stands for k equal ones.
   */
  updates?: number | undefined;
  /** Windows of this call in the place of the layer's own. */
  pool?: number | undefined;
}

/**
 * Batch normalisation over every dimension but the last: y = γ · (x − μ) / √(σ² + ε) + β.
 *
 * Shape: [..., C] → [..., C], whatever the dimensions before, with `pool` [N, H, W, C] → [N, ⌊H / pool⌋, ⌊W / pool⌋, C]; one class serves images, sequences and rows. While training, μ and σ² are the
 * batch's and update the running statistics (unbiased variance), which evaluation uses. Ioffe and Szegedy, 2015.
 * @throws ArgumentError for channels and options out of their ranges.
 */
export class BatchNorm extends Module {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly runningMean: Tensor;
  readonly runningVar: Tensor;
  readonly eps: number;
  readonly momentum: number | null;
  readonly relu: boolean;
  readonly pool: number;
  #tracked = 0;
  /** Of `momentum: null` alone. */
  #mean: CumulativeMean | null = null;

  constructor(
    readonly channels: number,
    options?: BatchNormOptions,
  ) {
    super();
    const given = optionsOf("BatchNorm", options, ["eps", "momentum", "affine", "relu", "pool"]);
    const { momentum = 0.1 } = given;
    whole("BatchNorm", "channels", channels);
    const { eps, affine, relu, pool } = checked("BatchNorm", given);
    this.eps = eps;
    this.momentum = momentum === null ? null : within("BatchNorm", "momentum", momentum, 0, 1);
    this.relu = relu;
    this.pool = pool;
    this.weight = affine ? parameter(constant([channels], 1)) : null;
    this.bias = affine ? parameter(constant([channels], 0)) : null;
    this.runningMean = buffer(constant([channels], 0));
    this.runningVar = buffer(constant([channels], 1));
  }

  /** Training batches seen; in state dicts as PyTorch's `num_batches_tracked`. */
  get batchesTracked(): number {
    return this.#tracked;
  }

  /** @throws ArgumentError for what is no whole number from 0. */
  set batchesTracked(count: number) {
    this.#tracked = whole("BatchNorm", "batchesTracked", count, 0);
    this.#mean?.seen(count);
  }

  forward(x: Tensor, call: BatchNormCall = {}): Tensor {
    const { gamma = this.weight, beta = this.bias, rows, updates = 1, pool = this.pool } = call;
    const { runningMean, runningVar, training, momentum, eps, relu } = this;
    const affine = { gamma, beta, rows, eps, relu, pool };
    if (training && momentum === null) {
      const mean = (this.#mean ??= new CumulativeMean(runningMean, this.#tracked));
      const y = batchNorm(x, { ...affine, ...mean.fresh(), training, momentum: 1 });
      mean.update(runningMean, runningVar, updates);
      this.countBatches(x, updates);
      return y;
    }
    if (training) this.countBatches(x, updates);
    const weight = updates === 1 ? momentum : 1 - (1 - (momentum ?? 0)) ** updates;
    return batchNorm(x, { ...affine, runningMean, runningVar, training, momentum: weight ?? 0 });
  }

  /** Counts a training batch now, and with every replay of the step that is being recorded. */
  countBatches(x: Tensor, batches = 1): void {
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

/** How {@link normaliseParts} takes a batch. */
export interface PartsCall {
  /** All parts read the same x [N, …]; else it is [parts · N, …] (default false). */
  shared?: boolean;
  /** γ and β of each part, or (a single entry) of all; by default the norms' own. */
  affine?: readonly Affine[];
  /** Windows of this call in the place of the norms' own. */
  pool?: number | undefined;
}

/**
 * Batch norm of a batch of `norms.length` parts, each by its norm as if it were a batch of its own; a norm that stands there several times moves its running statistics with each of its parts, in their order.
 *
 * Shape: x [N, …, C] where the parts share it, else [parts · N, …, C] → [parts · N, …, C], pooled where it says so.
 */
export function normaliseParts(x: Tensor, norms: readonly BatchNorm[], call: PartsCall = {}): Tensor {
  const [head] = norms as readonly [BatchNorm];
  const { shared = false, affine, pool = head.pool } = call;
  const parts = norms.length;
  const distinct = norms.every((n) => n === head) ? [head] : norms;
  const own = affine ?? distinct.map(({ weight, bias }) => ({ gamma: weight, beta: bias }));
  const alike = (norm: BatchNorm): boolean =>
    (["training", "eps", "momentum", "relu"] as const).every((setting) => norm[setting] === head[setting]);
  // A mean over all batches moves by another weight with each part: parts go one after the other.
  if (!norms.every(alike) || (head.training && head.momentum === null)) {
    const n = x.shape[0]! / parts;
    return concat(
      norms.map((norm, i) => norm.forward(shared ? x : narrow(x, 0, i * n, n), { ...(own[i] ?? own[0]!), pool })),
      0,
    );
  }
  const { training, eps, momentum, relu } = head;
  if (training) for (const norm of norms) norm.countBatches(x);
  const running = distinct.map(({ runningMean, runningVar }) => ({ mean: runningMean, variance: runningVar }));
  return batchNormParts(
    x,
    { parts, shared, affine: own },
    { running, training, momentum: momentum ?? 0, eps, relu, pool },
  );
}

/** Options of group, instance and layer norm; as those of {@link BatchNorm}, without the running statistics. */
export interface NormOptions {
  eps?: number;
  affine?: boolean;
  relu?: boolean;
  /** Windows of max-pooling at the end; of images alone, and not of layer norm. */
  pool?: number;
}

/** Options with their defaults, each in its range. */
function checked(what: string, { eps = 1e-5, affine = true, relu = false, pool = 1 }: NormOptions) {
  within(what, "eps", eps, 0);
  flag(what, "affine", affine);
  flag(what, "relu", relu);
  whole(what, "pool", pool);
  return { eps, affine, relu, pool };
}

/** What group, instance and layer norm have in common: no running state, an optional affine map. */
abstract class StatelessNorm extends Module {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly eps: number;
  readonly relu: boolean;
  readonly pool: number;

  constructor(what: string, shape: readonly number[], options: NormOptions, layout: Layout = "same") {
    super();
    const { eps, affine, relu, pool } = checked(what, options);
    this.eps = eps;
    this.relu = relu;
    this.pool = pool;
    this.weight = affine ? parameter(constant(shape, 1), layout) : null;
    this.bias = affine ? parameter(constant(shape, 0), layout) : null;
  }
}

const NORM_OPTIONS = ["eps", "affine", "relu", "pool"] as const;

/**
 * Group normalisation: statistics over a sample's positions and each of `groups` groups of channels. Shape: [N, ..., C] → [N, ..., C], with `pool` as {@link BatchNorm}. Wu and He, 2018.
 * @throws ArgumentError unless groups divides channels, and for options out of their ranges.
 */
export class GroupNorm extends StatelessNorm {
  constructor(
    readonly groups: number,
    readonly channels: number,
    options?: NormOptions,
  ) {
    whole("GroupNorm", "groups", groups);
    if (whole("GroupNorm", "channels", channels) % groups !== 0)
      throw new ArgumentError(`GroupNorm: groups divides channels, found ${groups} groups of ${channels} channels`);
    super("GroupNorm", [channels], optionsOf("GroupNorm", options, NORM_OPTIONS));
  }

  forward(x: Tensor, { gamma = this.weight, beta = this.bias, rows }: Affine = {}): Tensor {
    const { eps, relu, pool } = this;
    return groupNorm(x, this.groups, { gamma, beta, rows, eps, relu, pool });
  }
}

/** Instance normalisation: statistics over a sample's positions, a channel at a time. Shape: [N, ..., C] → [N, ..., C], with `pool` as {@link BatchNorm}. No affine map by default, as PyTorch's. @throws ArgumentError for channels and options out of their ranges. */
export class InstanceNorm extends StatelessNorm {
  constructor(
    readonly channels: number,
    options?: NormOptions,
  ) {
    whole("InstanceNorm", "channels", channels);
    super("InstanceNorm", [channels], { affine: false, ...optionsOf("InstanceNorm", options, NORM_OPTIONS) });
  }

  forward(x: Tensor, { gamma = this.weight, beta = this.bias, rows }: Affine = {}): Tensor {
    const { eps, relu, pool } = this;
    return instanceNorm(x, { gamma, beta, rows, eps, relu, pool });
  }
}

/**
 * Layer normalisation over the trailing dimensions `shape` (channels last; a number for the last one alone), with an elementwise affine map. Weights over [H, W, C] are [C, H, W] in state
 * dicts, as PyTorch's. Ba et al., 2016.
 * @throws ArgumentError for a shape that is none, and options out of their ranges.
 */
export class LayerNorm extends StatelessNorm {
  readonly shape: readonly number[];

  constructor(shape: number | readonly number[], options?: Omit<NormOptions, "pool">) {
    const sizes = Array.isArray(shape) ? [...shape] : [shape];
    if (!sizes.length || !sizes.every((n) => Number.isSafeInteger(n) && n >= 1))
      refuse("LayerNorm", "shape", "a whole number from 1, or an array of them", shape);
    super(
      "LayerNorm",
      sizes,
      optionsOf("LayerNorm", options, ["eps", "affine", "relu"]),
      sizes.length === 3 ? "map" : "same",
    );
    this.shape = sizes;
  }

  forward(x: Tensor, { gamma = this.weight, beta = this.bias, rows }: Affine = {}): Tensor {
    return layerNorm(x, this.shape, { gamma, beta, rows, eps: this.eps, relu: this.relu });
  }
}
