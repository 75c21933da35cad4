import { flag, instance, optionsOf, refuse, whole, within } from "../demand";
import { ArgumentError } from "../errors";
import { add, relu } from "../tensor/ops/elementwise";
import type { Affine, AffinePair } from "../tensor/ops/norm/affine";
import { NORM_EPS } from "../tensor/ops/norm/eps";
import {
  addsResidual,
  type Normaliser,
  normalise,
  normaliseThenAdd,
  normaliseThenPool,
} from "../tensor/ops/norm/normalise";
import type { Over } from "../tensor/ops/norm/over";
import { Tensor } from "../tensor/tensor";
import { constant } from "./constant";
import { Module } from "./module";
import { currentPass } from "./pass";
import { parameter } from "./registration";
import type { Layout } from "./state";

/** Options of every normalisation. */
export interface NormOptions {
  /** Added to the variance (default 1e-5). */
  eps?: number;
  /**
   * Learn a scale γ and a shift β, of {@link RMSNorm} γ alone (default true; of
   * {@link InstanceNorm} false, as PyTorch's).
   */
  affine?: boolean;
  /** Apply ReLU in the same kernel (default false). */
  relu?: boolean;
}

/** Names of {@link NormOptions}. */
export const NORM_OPTIONS = ["eps", "affine", "relu"] as const;

/**
 * What all normalisations share: y = act(γ ⊙ (x − μ) / √(σ² + eps) + β), with μ and σ² of the
 * elements that `over` names, and γ = `weight`, β = `bias` learned or not there.
 */
export abstract class Norm extends Module {
  /** γ; null where none is learned. */
  readonly weight: Tensor | null;
  /** β; null where none is learned. */
  readonly bias: Tensor | null;
  /** Added to the variance. */
  readonly eps: number;
  /** Whether ReLU is applied in the same kernel. */
  readonly relu: boolean;

  /**
   * @param shift β is learned where γ is
   * @throws ArgumentError for options out of their ranges.
   */
  protected constructor(
    what: string,
    shape: readonly number[],
    options: NormOptions,
    layout: Layout = "same",
    shift = true,
  ) {
    super();
    const { eps = NORM_EPS, affine = true, relu = false } = options;
    this.eps = within(what, "eps", eps, 0);
    this.relu = flag(what, "relu", relu);
    flag(what, "affine", affine);
    this.weight = affine ? parameter(constant(shape, 1), layout) : null;
    this.bias = affine && shift ? parameter(constant(shape, 0), layout) : null;
  }

  /** Which elements have their mean and variance in common. */
  abstract get over(): Over;

  /** What is normalised, for {@link toString}: `64`, `64 in 4 groups`. */
  protected abstract get extent(): string;

  protected override describe(): string {
    const { eps, relu, weight, over } = this;
    const parts = [this.extent, over === "nothing" ? "" : `eps ${eps}`, relu ? "relu" : "", weight ? "" : "no γ and β"];
    return parts.filter(Boolean).join(", ");
  }

  /**
   * @param affine γ and β in the place of the layer's own: each by itself, null for none, or both
   * as the rows of one tensor [2, C]
   */
  forward(x: Tensor, affine?: Affine): Tensor {
    if (affine !== undefined) return this.run(x, this.affine(affine), normalise);
    return this.inPass(x, normalise);
  }

  /** The maximum of each k×k window of it, side by side, in the same kernel where x are images. */
  pooled(x: Tensor, k: number): Tensor {
    return this.inPass(x, (h, n) => normaliseThenPool(h, n, k));
  }

  /**
   * y = max(norm(x) + r, 0), the end of a residual block, in the norm's last kernel where that can
   * be; the norm's own ReLU, where it has one, comes before the sum.
   * @param r the residual, of the output's shape
   */
  residual(x: Tensor, r: Tensor): Tensor {
    for (const [name, t] of Object.entries({ x, r })) instance("residual", name, t, Tensor);
    let isAdded = false;
    const y = this.inPass(x, (h, n) => {
      isAdded = addsResidual(h, n, r);
      return isAdded ? normaliseThenAdd(h, n, r) : normalise(h, n);
    });
    return isAdded ? y : relu(add(y, r));
  }

  /** γ and β of a call: those given, and the layer's own where they are not. */
  affine(given: Affine = {}): Affine {
    if (given instanceof Tensor) return given;
    const { gamma = this.weight, beta = this.bias } = optionsOf<AffinePair>("a norm", given, ["gamma", "beta"]);
    return { gamma, beta };
  }

  /** As whoever runs the pass wants it, or by itself. */
  private inPass(x: Tensor, normaliser: Normaliser): Tensor {
    return currentPass()?.normalise?.(this, x, normaliser) ?? this.run(x, this.affine(), normaliser);
  }

  /** One pass of a batch that is one part, by a normaliser. @internal */
  run(x: Tensor, affine: Affine, normaliser: Normaliser): Tensor {
    const { over, eps, relu } = this;
    return normaliser(x, { over, affine: [affine], eps, relu });
  }
}

/**
 * Group normalisation: statistics over an item's positions and each of `groups` groups of channels.
 * Shape: [N, ..., C] → [N, ..., C]. With one group they are those of the whole item. Wu and
 * He, 2018.
 * @throws ArgumentError unless groups divides channels, and for options out of their ranges.
 */
export class GroupNorm extends Norm {
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

  get over(): Over {
    return { groups: this.groups };
  }

  protected get extent(): string {
    return `${this.channels} in ${this.groups} group${this.groups > 1 ? "s" : ""}`;
  }
}

/**
 * Instance normalisation: statistics over an item's positions, a channel at a time. Shape: [N, ...,
 * C] → [N, ..., C]. No affine map by default, as PyTorch's. Ulyanov et al., 2016.
 * @throws ArgumentError for channels and options out of their ranges.
 */
export class InstanceNorm extends Norm {
  constructor(
    readonly channels: number,
    options?: NormOptions,
  ) {
    whole("InstanceNorm", "channels", channels);
    super("InstanceNorm", [channels], { affine: false, ...optionsOf("InstanceNorm", options, NORM_OPTIONS) });
  }

  get over(): Over {
    return "positions";
  }

  protected get extent(): string {
    return `${this.channels}`;
  }
}

/**
 * Layer normalisation over the trailing dimensions `shape` (channels last; a number for the last
 * one alone: the channels of each position), with an elementwise affine map. Weights over
 * [H, W, C] are [C, H, W] in state dicts, as PyTorch's. Ba et al., 2016.
 * @throws ArgumentError for a shape that is none, and options out of their ranges.
 */
export class LayerNorm extends Norm {
  readonly shape: readonly number[];

  constructor(shape: number | readonly number[], options?: NormOptions) {
    const sizes = trailing("LayerNorm", shape);
    super("LayerNorm", sizes, optionsOf("LayerNorm", options, NORM_OPTIONS), layoutOf(sizes));
    this.shape = sizes;
  }

  get over(): Over {
    return { shape: this.shape };
  }

  protected get extent(): string {
    return this.shape.join("×");
  }
}

/**
 * Root mean square normalisation over the trailing dimensions `shape` (channels last; a number for
 * the last one alone): y = act(γ ⊙ x / √(mean(x²) + eps)), with γ = `weight` alone. Weights over
 * [H, W, C] are [C, H, W] in state dicts. Zhang and Sennrich, 2019.
 * @throws ArgumentError for a shape that is none, and options out of their ranges.
 */
export class RMSNorm extends Norm {
  readonly shape: readonly number[];

  /** @param options PyTorch's eps is 2⁻²³ by default */
  constructor(shape: number | readonly number[], options?: NormOptions) {
    const sizes = trailing("RMSNorm", shape);
    super("RMSNorm", sizes, optionsOf("RMSNorm", options, NORM_OPTIONS), layoutOf(sizes), false);
    this.shape = sizes;
  }

  get over(): Over {
    return { shape: this.shape, aboutZero: true };
  }

  protected get extent(): string {
    return this.shape.join("×");
  }
}

/** Sizes of trailing dimensions. @throws ArgumentError for a shape that is none. */
function trailing(what: string, shape: number | readonly number[]): number[] {
  const sizes = Array.isArray(shape) ? [...shape] : [shape];
  if (sizes.length && sizes.every((n) => Number.isSafeInteger(n) && n >= 1)) return sizes;
  return refuse(what, "shape", "a whole number from 1, or an array of them", shape);
}

/** Weights over three dimensions are maps. */
const layoutOf = (sizes: readonly number[]): Layout => (sizes.length === 3 ? "map" : "same");

/**
 * y = act(γ ⊙ x + β), a scale and a shift per channel: what is left of a normalisation without its
 * statistics. Shape: [N, ..., C] → [N, ..., C].
 * @throws ArgumentError for channels and options out of their ranges.
 */
export class ChannelAffine extends Norm {
  constructor(
    readonly channels: number,
    options?: Omit<NormOptions, "eps">,
  ) {
    whole("ChannelAffine", "channels", channels);
    super("ChannelAffine", [channels], optionsOf("ChannelAffine", options, ["affine", "relu"]));
  }

  get over(): Over {
    return "nothing";
  }

  protected get extent(): string {
    return `${this.channels}`;
  }
}
