import { flatten, leakyRelu, relu } from "../tensor/ops/elementwise";
import { permute } from "../tensor/ops/movement";
import { avgPool2d, globalAvgPool, maxPool2d } from "../tensor/ops/pool";
import { dropout, RandomStream } from "../tensor/ops/random";
import type { Generator } from "../tensor/random";
import type { Pair } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";
import { Module } from "./module";

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

/** y = x where x > 0, else slope · x (default 0.01). */
export class LeakyReLU extends Module {
  constructor(readonly slope = 0.01) {
    super();
  }

  forward(x: Tensor): Tensor {
    return leakyRelu(x, this.slope);
  }
}

/** Maximum of each window. Shape: [N, H, W, C] → [N, H', W', C]; stride defaults to the window. */
export class MaxPool2d extends Module {
  constructor(
    readonly kernel: Pair,
    readonly options: { stride?: Pair; padding?: Pair } = {},
  ) {
    super();
  }

  forward(x: Tensor): Tensor {
    return maxPool2d(x, this.kernel, this.options);
  }
}

/** Mean of each window. Shape: [N, H, W, C] → [N, H', W', C]; stride defaults to the window. */
export class AvgPool2d extends Module {
  constructor(
    readonly kernel: Pair,
    readonly options: { stride?: Pair; padding?: Pair } = {},
  ) {
    super();
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
 * Everything but the batch as one dimension, in PyTorch's order (channel, row, column), so that the linear layer that follows has
 * PyTorch's weights. Shape: [N, H, W, C] → [N, C·H·W].
 */
export class Flatten extends Module {
  forward(x: Tensor): Tensor {
    return flatten(x.rank === 4 ? permute(x, [0, 3, 1, 2]) : x);
  }
}

/** While training, zeroes each element with probability p and scales the rest by 1/(1 − p). */
export class Dropout extends Module {
  /** Where its random numbers come from; part of a run's state. */
  readonly stream: RandomStream;

  constructor(
    readonly p: number,
    { random }: { random: Generator },
  ) {
    super();
    this.stream = new RandomStream(random);
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
 * @example
 * const net = new Sequential(new Conv2d(3, 8, 3, { random }), new ReLU(), new GlobalAvgPool(), new Linear(8, 10, { random }));
 */
export class Sequential extends Module {
  readonly layers: readonly Layer[];

  constructor(...layers: Layer[]) {
    super();
    this.layers = layers;
  }

  /** Children are named by number alone, as PyTorch's. */
  override *children(): Iterable<[string, Module]> {
    for (const [i, layer] of this.layers.entries()) yield [String(i), layer];
  }

  forward(x: Tensor): Tensor {
    return this.layers.reduce((h, layer) => layer.forward(h), x);
  }
}
