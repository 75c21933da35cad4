import { BatchNorm, Conv2d, LayerNorm, Linear, Module } from "../../src/nn";
import { add, relu } from "../../src/tensor/ops/elementwise";
import { globalAvgPool } from "../../src/tensor/ops/pool";
import { Generator } from "../../src/tensor/random";
import type { Tensor } from "../../src/tensor/tensor";

/**
 * A network that is none of the package's: a convolution, a depthwise one in a residual sum, a
 * fully connected layer behind a mean over positions, norms of two kinds, three classes. Its code
 * knows nothing of passports.
 */
export class OwnNetwork extends Module {
  readonly stem: Conv2d;
  readonly stemNorm = new BatchNorm(96, { relu: true });
  readonly deep: Conv2d;
  readonly deepNorm = new BatchNorm(96);
  readonly mix: Linear;
  readonly mixNorm = new LayerNorm(96);
  readonly head: Linear;

  constructor(seed = 0) {
    super();
    const random = new Generator(seed);
    const of = (name: string) => ({ random: random.fork(name) });
    this.stem = new Conv2d(3, 96, 3, { stride: 2, padding: 1, bias: false, ...of("stem") });
    this.deep = new Conv2d(96, 96, 3, { padding: 1, groups: 96, bias: false, ...of("deep") });
    this.mix = new Linear(96, 96, of("mix"));
    this.head = new Linear(96, 3, of("head"));
  }

  forward(x: Tensor): Tensor {
    const h = this.stemNorm.forward(this.stem.forward(x));
    const summed = relu(add(h, this.deepNorm.forward(this.deep.forward(h))));
    const mixed = this.mixNorm.forward(this.mix.forward(globalAvgPool(summed)));
    return this.head.forward(relu(mixed));
  }
}
