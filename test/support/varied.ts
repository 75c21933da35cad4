/** Networks of many kinds, small. */
import { MultiheadAttention } from "../../src/nn/attention";
import { BatchNorm } from "../../src/nn/batch-norm";
import { Conv2d } from "../../src/nn/conv";
import { ConvTranspose2d } from "../../src/nn/conv-transpose";
import { Embedding } from "../../src/nn/embedding";
import { Linear } from "../../src/nn/linear";
import { Module } from "../../src/nn/module";
import { GroupNorm, InstanceNorm, LayerNorm, RMSNorm } from "../../src/nn/norm";
import { parameter } from "../../src/nn/registration";
import { gelu, silu } from "../../src/tensor/ops/activations";
import { add, affine, mul, relu, reshape, sigmoid } from "../../src/tensor/ops/elementwise";
import { concat, narrow, permute } from "../../src/tensor/ops/movement";
import { globalAvgPool, maxPool2d } from "../../src/tensor/ops/pool";
import { matmul } from "../../src/tensor/ops/products/matmul";
import { mean } from "../../src/tensor/ops/reduce";
import { upsample2d } from "../../src/tensor/ops/resize";
import { softmax } from "../../src/tensor/ops/softmax";
import { Tensor } from "../../src/tensor/tensor";
import { randomData } from "./gpu";

/** Depthwise convolutions between 1×1 ones, with a gate per channel and a sum around. */
class MobileBlock extends Module {
  readonly expand: Conv2d;
  readonly bn1: BatchNorm;
  readonly depthwise: Conv2d;
  readonly bn2: BatchNorm;
  readonly squeeze: Linear;
  readonly excite: Linear;
  readonly project: Conv2d;
  readonly bn3: BatchNorm;

  constructor(channels: number, hidden: number) {
    super();
    this.expand = new Conv2d(channels, hidden, 1, { bias: false });
    this.bn1 = new BatchNorm(hidden, { relu: true });
    this.depthwise = new Conv2d(hidden, hidden, 3, { padding: 1, groups: hidden, bias: false });
    this.bn2 = new BatchNorm(hidden);
    this.squeeze = new Linear(hidden, 4);
    this.excite = new Linear(4, hidden);
    this.project = new Conv2d(hidden, channels, 1, { bias: false });
    this.bn3 = new BatchNorm(channels);
  }

  forward(x: Tensor): Tensor {
    const h = silu(this.bn2.forward(this.depthwise.forward(this.bn1.forward(this.expand.forward(x)))));
    const gate = sigmoid(this.excite.forward(relu(this.squeeze.forward(globalAvgPool(h)))));
    const gated = mul(h, reshape(gate, [h.shape[0]!, 1, 1, h.shape[3]!]));
    return add(x, this.bn3.forward(this.project.forward(gated)));
  }
}

export class MobileNet extends Module {
  readonly stem = new Conv2d(3, 8, 3, { padding: 1 });
  readonly bn = new BatchNorm(8, { relu: true });
  readonly blocks = [new MobileBlock(8, 16), new MobileBlock(8, 12)];
  /** Two outputs for each input channel. */
  readonly spread = new Conv2d(8, 16, 3, { groups: 8 });
  readonly mixed = new Conv2d(16, 8, 1);
  readonly grouped = new Conv2d(8, 12, 1, { groups: 4 });
  readonly head = new Linear(12, 5);

  forward(x: Tensor): Tensor {
    const h = this.blocks.reduce((y, b) => b.forward(y), this.bn.forward(this.stem.forward(x)));
    const mixed = this.mixed.forward(relu(this.spread.forward(h)));
    return this.head.forward(globalAvgPool(relu(this.grouped.forward(relu(mixed)))));
  }
}

/**
 * Skips by concatenation, group norms, and a way up by interpolation and by transposed convolution.
 */
export class UNet extends Module {
  readonly down1 = new Conv2d(3, 8, 3, { padding: 1 });
  readonly norm1 = new GroupNorm(4, 8);
  readonly down2 = new Conv2d(8, 12, 3, { padding: 1 });
  readonly norm2 = new InstanceNorm(12, { affine: true });
  readonly middle = new Conv2d(12, 10, 3, { padding: 1 });
  readonly up1 = new ConvTranspose2d(10, 6, 2, { stride: 2 });
  readonly join1 = new Conv2d(18, 8, 3, { padding: 1 });
  readonly norm3 = new BatchNorm(8, { relu: true });
  readonly join2 = new Conv2d(16, 8, 1);
  readonly last = new Conv2d(8, 2, 1);

  forward(x: Tensor): Tensor {
    const one = relu(this.norm1.forward(this.down1.forward(x)));
    const two = gelu(this.norm2.forward(this.down2.forward(maxPool2d(one, 2))));
    const low = relu(this.middle.forward(maxPool2d(two, 2)));
    const mid = this.norm3.forward(this.join1.forward(concat([this.up1.forward(low), two], 3)));
    const high = upsample2d(mid, { scale: 2, mode: "bilinear" });
    return this.last.forward(relu(this.join2.forward(concat([high, one], 3))));
  }
}

/** A transformer block of parts: heads by reshape and permute. */
class Block extends Module {
  readonly norm1: LayerNorm;
  readonly qkv: Linear;
  readonly proj: Linear;
  readonly norm2: RMSNorm;
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly scale: Tensor;

  constructor(
    dim: number,
    readonly heads: number,
  ) {
    super();
    this.norm1 = new LayerNorm(dim);
    this.qkv = new Linear(dim, 3 * dim);
    this.proj = new Linear(dim, dim);
    this.norm2 = new RMSNorm(dim);
    this.fc1 = new Linear(dim, 2 * dim);
    this.fc2 = new Linear(2 * dim, dim);
    this.scale = parameter(Tensor.full([dim], 0.5));
  }

  forward(x: Tensor): Tensor {
    const [n, t, d] = x.shape as [number, number, number];
    const { heads } = this;
    const all = reshape(this.qkv.forward(this.norm1.forward(x)), [n, t, 3, heads, d / heads]);
    const apart = permute(all, [2, 0, 3, 1, 4]);
    const [q, k, v] = [0, 1, 2].map((i) => reshape(narrow(apart, 0, i, 1), [n, heads, t, d / heads]));
    const weights = softmax(affine(matmul(q!, k!, { transposeB: true }), 0.5));
    const read = reshape(permute(matmul(weights, v!), [0, 2, 1, 3]), [n, t, d]);
    const h = add(x, mul(this.proj.forward(read), this.scale));
    return add(h, this.fc2.forward(gelu(this.fc1.forward(this.norm2.forward(h)))));
  }
}

export class ViT extends Module {
  readonly patches = new Conv2d(3, 12, 4, { stride: 4 });
  readonly cls = parameter(Tensor.from(randomData([1, 1, 12], 3), [1, 1, 12]));
  readonly positions = parameter(Tensor.from(randomData([1, 5, 12], 4), [1, 5, 12]));
  readonly block = new Block(12, 3);
  readonly attention = new MultiheadAttention(12, 3);
  readonly cross = new MultiheadAttention(12, 3);
  readonly norm = new LayerNorm(12);
  readonly head = new Linear(12, 4);

  forward(x: Tensor): Tensor {
    const rows = reshape(this.patches.forward(x), [x.shape[0]!, 4, 12]);
    const first = add(mul(mean(rows, 1, { keepdim: true }), 0), this.cls);
    const tokens = this.block.forward(add(concat([first, rows], 1), this.positions));
    const h = add(tokens, this.attention.forward(this.norm.forward(tokens)));
    const seen = add(h, this.cross.forward(h, tokens));
    return this.head.forward(reshape(narrow(seen, 1, 0, 1), [x.shape[0]!, 12]));
  }
}

/** Words, a gated perceptron whose two halves are one map's outputs, and flattened channels. */
export class Words extends Module {
  readonly words = new Embedding(7, 6);
  readonly both = new Linear(6, 16);
  readonly down = new Linear(8, 6);
  readonly out = new Linear(6 * 4, 3);

  forward(x: Tensor): Tensor {
    const h = this.words.forward(x);
    const both = this.both.forward(h);
    const gated = mul(narrow(both, 2, 0, 8), sigmoid(narrow(both, 2, 8, 8)));
    return this.out.forward(reshape(add(h, this.down.forward(gated)), [x.shape[0]!, 24]));
  }
}

/** The words' own vectors tell which word comes out. */
export class TiedWords extends Module {
  readonly words = new Embedding(7, 6);
  readonly up = new Linear(6, 8);
  readonly down = new Linear(8, 6);

  forward(x: Tensor): Tensor {
    const h = this.words.forward(x);
    return matmul(add(h, this.down.forward(relu(this.up.forward(h)))), this.words.weight, { transposeB: true });
  }
}

/** One map three times. */
export class Recurrent extends Module {
  readonly first = new Linear(3, 6);
  readonly again = new Linear(6, 6);
  readonly head = new Linear(6, 2);

  forward(x: Tensor): Tensor {
    let h = this.first.forward(mean(x, [1, 2]));
    for (let i = 0; i < 3; i++) h = relu(this.again.forward(h));
    return this.head.forward(h);
  }
}
