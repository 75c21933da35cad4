/** A vision transformer of three blocks for pictures of 32 × 32 pixels. */
import { add, mean, reshape, Tensor } from "@pan/core";
import { Conv2d, gelu, LayerNorm, Linear, Module, MultiheadAttention, parameter } from "@pan/core/nn";
import type { ProtectOptions } from "@pan/core/passport";

const DIM = 64;
const PATCH = 4;
const TOKENS = (32 / PATCH) ** 2;

/** x + attention(norm(x)), then x + MLP(norm(x)): Dosovitskiy et al., ICLR 2021. */
class Block extends Module {
  readonly norm1 = new LayerNorm(DIM);
  readonly attention = new MultiheadAttention(DIM, 4);
  readonly norm2 = new LayerNorm(DIM);
  readonly up = new Linear(DIM, 2 * DIM);
  readonly down = new Linear(2 * DIM, DIM);

  forward(x: Tensor): Tensor {
    const h = add(x, this.attention.forward(this.norm1.forward(x)));
    return add(h, this.down.forward(gelu(this.up.forward(this.norm2.forward(h)))));
  }
}

export class VisionTransformer extends Module {
  readonly patches = new Conv2d(3, DIM, PATCH, { stride: PATCH });
  readonly positions = parameter(Tensor.full([TOKENS, DIM], 0));
  readonly blocks = [new Block(), new Block(), new Block()];
  readonly norm = new LayerNorm(DIM);
  readonly head = new Linear(DIM, 10);

  forward(x: Tensor): Tensor {
    const tokens = reshape(this.patches.forward(x), [x.shape[0]!, TOKENS, DIM]);
    const h = this.blocks.reduce((t, block) => block.forward(t), add(tokens, this.positions));
    return this.head.forward(mean(this.norm.forward(h), 1));
  }
}

/**
 * Its layer norms stand behind residual sums, so the map whose weights a passport goes through is
 * named.
 */
export const PLACES: ProtectOptions["at"] = {
  "blocks.1.norm1": { map: "blocks.0.down" },
  "blocks.1.norm2": { map: "blocks.1.attention.out_proj" },
  "blocks.2.norm1": { map: "blocks.1.down" },
  norm: { map: "blocks.2.down", text: "ACME" },
};
