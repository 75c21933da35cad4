import { LeakyReLU, Sequential } from "../nn/layers";
import { Linear } from "../nn/linear";
import { Module } from "../nn/module";
import { parameter } from "../nn/registration";
import { add, leakyRelu, mul, reshape } from "../tensor/ops/elementwise";
import { sum } from "../tensor/ops/reduce";
import type { Generator } from "../tensor/random";
import { Tensor } from "../tensor/tensor";

/** Maps a row of scales (γ or β of a layer) to other ones: s'' = MLP(s) + s. */
export interface ExpandedResidualBlock extends Module {
  /** Shape: [C] → [C]. */
  forward(scales: Tensor): Tensor;
}

/** Slope of the LeakyReLUs, as PyTorch's default. */
const SLOPE = 0.01;

/**
 * Individual expanded residual block: every channel has a perceptron 1 → h → 1 of its own,
 *
 *     s''[c] = Σ_h v[c, h] · leaky(w[c, h] · s[c] + b[c, h]) + d[c] + s[c]
 *
 * Source: Chen et al., "Effective ambiguity attack against passport-based DNN intellectual property
 * protection schemes through fully connected layer substitution", CVPR 2023.
 */
export class IndividualErb extends Module implements ExpandedResidualBlock {
  readonly w: Tensor;
  readonly b: Tensor;
  readonly v: Tensor;
  readonly d: Tensor;

  constructor(channels: number, hidden: number, random: Generator) {
    super();
    const uniform = (name: string, shape: readonly number[], bound: number) => {
      const size = shape.reduce((n, s) => n * s, 1);
      return parameter(Tensor.from(random.fork(name).fill(new Float32Array(size), "uniform", -bound, bound), shape));
    };
    // PyTorch's default for linear layers of 1 and of h inputs.
    const bound = 1 / Math.sqrt(hidden);
    this.w = uniform("w", [channels, hidden], 1);
    this.b = uniform("b", [channels, hidden], 1);
    this.v = uniform("v", [channels, hidden], bound);
    this.d = uniform("d", [channels], bound);
  }

  forward(scales: Tensor): Tensor {
    const column = reshape(scales, [scales.size, 1]);
    const hidden = leakyRelu(add(mul(this.w, column), this.b), SLOPE);
    return add(add(sum(mul(hidden, this.v), 1), this.d), scales);
  }
}

/**
 * Collective expanded residual block: one perceptron C → C/8 → C for all channels of a layer, with
 * biases. Source: as {@link IndividualErb}.
 */
export class CollectiveErb extends Module implements ExpandedResidualBlock {
  readonly mlp: Sequential;

  constructor(channels: number, random: Generator) {
    super();
    const hidden = Math.max(1, Math.floor(channels / 8));
    this.mlp = new Sequential(
      new Linear(channels, hidden, { random: random.fork("0") }),
      new LeakyReLU(SLOPE),
      new Linear(hidden, channels, { random: random.fork("2") }),
    );
  }

  forward(scales: Tensor): Tensor {
    const row = reshape(scales, [1, scales.size]);
    return reshape(add(this.mlp.forward(row), row), [scales.size]);
  }
}
