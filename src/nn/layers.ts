import { flag, instance, optionsOf, refuse, within } from "../demand";
import { type GeluOptions, gelu, geluForm, hardswish, silu } from "../tensor/ops/activations";
import { flatten, leakyRelu, relu } from "../tensor/ops/elementwise";
import { permute } from "../tensor/ops/movement";
import { pairOf } from "../tensor/ops/operands";
import { type AvgPoolOptions, avgPool2d, globalAvgPool, maxPool2d } from "../tensor/ops/pool";
import { dropout, RandomStream } from "../tensor/ops/random";
import type { Generator } from "../tensor/random";
import type { Pair } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";
import { Module } from "./module";
import { Norm } from "./norm";
import { times } from "./print";
import { generatorOf } from "./random";

/** A module from one tensor to one tensor. */
export interface Layer extends Module {
  forward(x: Tensor): Tensor;
}

/** y = x. */
export class Identity extends Module {
  forward(x: Tensor): Tensor {
    return x;
  }
}

/** y = max(x, 0). */
export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return relu(x);
  }
}

/** y = x · sigmoid(x); {@link silu}. */
export class SiLU extends Module {
  forward(x: Tensor): Tensor {
    return silu(x);
  }
}

/** y = x · min(max(x + 3, 0), 6) / 6; {@link hardswish}. */
export class Hardswish extends Module {
  forward(x: Tensor): Tensor {
    return hardswish(x);
  }
}

/** y = x · Φ(x), or its approximation by tanh; {@link gelu}. */
export class GELU extends Module {
  readonly approximate: "none" | "tanh";

  /** @throws ArgumentError for another approximation. */
  constructor(options?: GeluOptions) {
    super();
    this.approximate = geluForm("GELU", options);
  }

  forward(x: Tensor): Tensor {
    return gelu(x, { approximate: this.approximate });
  }

  protected override describe(): string {
    return this.approximate === "none" ? "" : `approximate ${this.approximate}`;
  }
}

/** y = x where x > 0, else slope · x (default 0.01). */
export class LeakyReLU extends Module {
  /** @throws ArgumentError for a slope that is not finite. */
  constructor(readonly slope = 0.01) {
    super();
    within("LeakyReLU", "slope", slope, -Number.MAX_VALUE);
  }

  forward(x: Tensor): Tensor {
    return leakyRelu(x, this.slope);
  }
}

/** Steps between windows, padding, and the last window of pooling layers. */
export interface PoolLayerOptions {
  /** Default: the window. */
  stride?: Pair;
  /** Default 0. */
  padding?: Pair;
  /** Whether a last window may reach past the padding; see {@link maxPool2d} (default false). */
  ceilMode?: boolean;
}

/** What both poolings have in common; of averages, whether they count the padding's zeros too. */
export abstract class Pool2d extends Module {
  readonly options: PoolLayerOptions & Pick<AvgPoolOptions, "countIncludePad">;

  constructor(
    what: string,
    readonly kernel: Pair,
    options: PoolLayerOptions | undefined,
    ...more: readonly "countIncludePad"[]
  ) {
    super();
    this.options = optionsOf<typeof this.options>(what, options, ["stride", "padding", "ceilMode", ...more]);
    const { stride = kernel, padding = 0, ceilMode = false, countIncludePad = true } = this.options;
    pairOf(what, "kernel", kernel, 1);
    pairOf(what, "stride", stride, 1);
    pairOf(what, "padding", padding, 0);
    flag(what, "ceilMode", ceilMode);
    flag(what, "countIncludePad", countIncludePad);
  }

  protected override describe(): string {
    const { stride, padding, ceilMode, countIncludePad = true } = this.options;
    const sizes = Object.entries({ kernel: this.kernel, stride, padding });
    return [
      ...sizes.flatMap(([name, size]) => (size === undefined ? [] : [`${name} ${times(size)}`])),
      ...(ceilMode ? ["ceilMode"] : []),
      ...(countIncludePad ? [] : ["padding not counted"]),
    ].join(", ");
  }
}

/**
 * Maximum of each window. Shape: [N, H, W, C] → [N, H', W', C]; stride defaults to the window.
 * @throws ArgumentError for sizes that are none, or flags that are none.
 */
export class MaxPool2d extends Pool2d {
  constructor(kernel: Pair, options?: PoolLayerOptions) {
    super("MaxPool2d", kernel, options);
  }

  /**
   * Rows and columns of windows that are square and lie side by side, all of them within the image;
   * else null.
   */
  get sideBySide(): number | null {
    const sizes = [this.kernel, this.options.stride ?? this.kernel].flat();
    const padding = [this.options.padding ?? 0].flat();
    const within = padding.every((p) => p === 0) && !this.options.ceilMode;
    return within && sizes.every((n) => n === sizes[0]) ? sizes[0]! : null;
  }

  forward(x: Tensor): Tensor {
    return maxPool2d(x, this.kernel, this.options);
  }
}

/**
 * Mean of each window. Shape: [N, H, W, C] → [N, H', W', C]; stride defaults to the window.
 * @throws ArgumentError for sizes that are none, or flags that are none.
 */
export class AvgPool2d extends Pool2d {
  constructor(kernel: Pair, options?: AvgPoolOptions) {
    super("AvgPool2d", kernel, options, "countIncludePad");
  }

  forward(x: Tensor): Tensor {
    return avgPool2d(x, this.kernel, this.options);
  }
}

/** Mean over all positions. Shape: [N, H, W, C] → [N, C]. */
export class GlobalAvgPool extends Module {
  forward(x: Tensor): Tensor {
    return globalAvgPool(x);
  }
}

/**
 * Everything but the batch as one dimension, in PyTorch's order (channel, row, column), so that the
 * linear layer that follows has PyTorch's weights. Shape: [N, H, W, C] → [N, C·H·W].
 *
 * Any other rank stays in the order that it has: [N, L, C] → [N, L·C], positions before channels.
 * What follows a `Conv1d` with PyTorch's weights wants [N, C·L]: `flatten(transpose(x, 1, 2))`, in
 * a module of one's own.
 */
export class Flatten extends Module {
  forward(x: Tensor): Tensor {
    return flatten(x.rank === 4 ? permute(x, [0, 3, 1, 2]) : x);
  }
}

/** Options of {@link Dropout}. */
export interface DropoutOptions {
  /** Source of the masks (default: the common one, see `manualSeed`). */
  random?: Generator;
}

/**
 * While training, zeroes each element with probability p (default 0.5) and scales the rest by
 * 1/(1 − p).
 * @throws ArgumentError when p is no probability.
 */
export class Dropout extends Module {
  /** Where its random numbers come from; part of a run's state. */
  readonly stream: RandomStream;

  constructor(
    readonly p = 0.5,
    options?: DropoutOptions,
  ) {
    super();
    within("Dropout", "p", p, 0, 1);
    this.stream = new RandomStream(generatorOf("Dropout", optionsOf("Dropout", options, ["random"]).random));
  }

  forward(x: Tensor): Tensor {
    return dropout(x, this.p, this.stream, this.training);
  }

  override dispose(): void {
    this.stream.dispose();
    super.dispose();
  }
}

/**
 * Layers one after another; in state dicts they are numbered from 0.
 *
 * @throws ArgumentError for what is no module with a `forward`.
 *
 * @example
 * const net = new Sequential(new Conv2d(3, 8, 3), new ReLU(), new GlobalAvgPool(), new Linear(8, 10));
 */
export class Sequential extends Module {
  readonly layers: readonly Layer[];

  /** @param layers one by one, or in one array */
  constructor(...layers: readonly Layer[] | readonly [readonly Layer[]]) {
    super();
    const [first] = layers;
    this.layers = Array.isArray(first) && layers.length === 1 ? [...first] : (layers as readonly Layer[]);
    this.layers.forEach((layer, i) => {
      instance("Sequential", `layer ${i}`, layer, Module);
      if (typeof layer.forward !== "function")
        refuse("Sequential", `layer ${i}`, "a module with a method forward(x)", layer);
    });
  }

  /** Layers are named by number alone, as PyTorch's; what a subclass adds by its property. */
  override *children(): Iterable<[string, Module]> {
    for (const [i, layer] of this.layers.entries()) yield [String(i), layer];
    for (const [name, child] of super.children()) if (!name.startsWith("layers.")) yield [name, child];
  }

  /** A max-pooling right behind a norm is done in the norm's kernel. */
  forward(x: Tensor): Tensor {
    const { layers } = this;
    let h = x;
    for (let i = 0; i < layers.length; i++) {
      const k = poolBehind(layers[i]!, layers[i + 1]);
      h = k ? (layers[i++] as Norm).pooled(h, k) : layers[i]!.forward(h);
    }
    return h;
  }
}

/**
 * Rows and columns of the windows of a max-pooling that a norm can take over; null where it cannot.
 */
function poolBehind(layer: Layer, next: Layer | undefined): number | null {
  const plain = layer instanceof Norm && layer.forward === Norm.prototype.forward;
  const fits = plain && next instanceof MaxPool2d && next.forward === MaxPool2d.prototype.forward;
  return fits ? next.sideBySide : null;
}
