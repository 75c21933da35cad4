import { concat, narrow } from "../tensor/ops/movement";
import { batchNorm, groupNorm, instanceNorm, layerNorm } from "../tensor/ops/norm";
import { type AffineTensors, batchNormParts } from "../tensor/ops/norm-parts";
import type { Tensor } from "../tensor/tensor";
import { constant } from "./constant";
import { buffer, type HostState, type Layout, Module, parameter } from "./module";

/** Options of {@link BatchNorm}. */
export interface BatchNormOptions {
  /** Added to the variance (default 1e-5). */
  eps?: number;
  /** Weight of the new batch in the running statistics (default 0.1). */
  momentum?: number;
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
   * How many updates by this batch the running statistics take (default 1): k of them at once, running = (1 − m)ᵏ·running + (1 − (1 − m)ᵏ)·batch. For a batch that stands for k
   * equal ones.
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
 */
export class BatchNorm extends Module {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly runningMean: Tensor;
  readonly runningVar: Tensor;
  /** Training batches seen; in state dicts as PyTorch's `num_batches_tracked`. */
  batchesTracked = 0;
  readonly eps: number;
  readonly momentum: number;
  readonly relu: boolean;
  readonly pool: number;

  constructor(
    readonly channels: number,
    { eps = 1e-5, momentum = 0.1, affine = true, relu = false, pool = 1 }: BatchNormOptions = {},
  ) {
    super();
    this.eps = eps;
    this.momentum = momentum;
    this.relu = relu;
    this.pool = pool;
    this.weight = affine ? parameter(constant([channels], 1)) : null;
    this.bias = affine ? parameter(constant([channels], 0)) : null;
    this.runningMean = buffer(constant([channels], 0));
    this.runningVar = buffer(constant([channels], 1));
  }

  forward(x: Tensor, call: BatchNormCall = {}): Tensor {
    const { gamma = this.weight, beta = this.bias, rows, updates = 1, pool = this.pool } = call;
    if (this.training)
      x.device.effect(() => {
        this.batchesTracked += updates;
      });
    const { runningMean, runningVar, training, eps, relu } = this;
    const momentum = updates === 1 ? this.momentum : 1 - (1 - this.momentum) ** updates;
    return batchNorm(x, { gamma, beta, rows, runningMean, runningVar, training, momentum, eps, relu, pool });
  }

  protected override hostState(): Record<string, HostState> {
    return {
      num_batches_tracked: {
        get: () => ({ dtype: "I64", shape: [], data: BigInt64Array.of(BigInt(this.batchesTracked)) }),
        set: (value) => {
          this.batchesTracked = Number(value.data[0] ?? 0);
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
  if (!norms.every(alike)) {
    const n = x.shape[0]! / parts;
    return concat(
      norms.map((norm, i) => norm.forward(shared ? x : narrow(x, 0, i * n, n), { ...(own[i] ?? own[0]!), pool })),
      0,
    );
  }
  const { training, eps, momentum, relu } = head;
  if (training)
    x.device.effect(() => {
      for (const norm of norms) norm.batchesTracked++;
    });
  const running = distinct.map(({ runningMean, runningVar }) => ({ mean: runningMean, variance: runningVar }));
  return batchNormParts(x, { parts, shared, affine: own }, { running, training, momentum, eps, relu, pool });
}

/** Options of group, instance and layer norm; as those of {@link BatchNorm}, without the running statistics. */
export interface NormOptions {
  eps?: number;
  affine?: boolean;
  relu?: boolean;
  /** Windows of max-pooling at the end; of images alone, and not of layer norm. */
  pool?: number;
}

/** What group, instance and layer norm have in common: no running state, an optional affine map. */
abstract class StatelessNorm extends Module {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly eps: number;
  readonly relu: boolean;
  readonly pool: number;

  constructor(
    shape: readonly number[],
    { eps = 1e-5, affine = true, relu = false, pool = 1 }: NormOptions,
    layout: Layout = "same",
  ) {
    super();
    this.eps = eps;
    this.relu = relu;
    this.pool = pool;
    this.weight = affine ? parameter(constant(shape, 1), layout) : null;
    this.bias = affine ? parameter(constant(shape, 0), layout) : null;
  }
}

/**
 * Group normalisation: statistics over a sample's positions and each of `groups` groups of channels. Shape: [N, ..., C] → [N, ..., C], with `pool` as {@link BatchNorm}. Wu and He, 2018.
 */
export class GroupNorm extends StatelessNorm {
  constructor(
    readonly groups: number,
    readonly channels: number,
    options: NormOptions = {},
  ) {
    super([channels], options);
  }

  forward(x: Tensor, { gamma = this.weight, beta = this.bias, rows }: Affine = {}): Tensor {
    const { eps, relu, pool } = this;
    return groupNorm(x, this.groups, { gamma, beta, rows, eps, relu, pool });
  }
}

/** Instance normalisation: statistics over a sample's positions, a channel at a time. Shape: [N, ..., C] → [N, ..., C], with `pool` as {@link BatchNorm}. No affine map by default, as PyTorch's. */
export class InstanceNorm extends StatelessNorm {
  constructor(
    readonly channels: number,
    { affine = false, ...options }: NormOptions = {},
  ) {
    super([channels], { affine, ...options });
  }

  forward(x: Tensor, { gamma = this.weight, beta = this.bias, rows }: Affine = {}): Tensor {
    const { eps, relu, pool } = this;
    return instanceNorm(x, { gamma, beta, rows, eps, relu, pool });
  }
}

/**
 * Layer normalisation over the trailing dimensions `shape` (channels last), with an elementwise affine map. Weights over [H, W, C] are [C, H, W] in state
 * dicts, as PyTorch's. Ba et al., 2016.
 */
export class LayerNorm extends StatelessNorm {
  constructor(
    readonly shape: readonly number[],
    options: Omit<NormOptions, "pool"> = {},
  ) {
    super(shape, options, shape.length === 3 ? "map" : "same");
  }

  forward(x: Tensor, { gamma = this.weight, beta = this.bias, rows }: Affine = {}): Tensor {
    return layerNorm(x, this.shape, { gamma, beta, rows, eps: this.eps, relu: this.relu });
  }
}
