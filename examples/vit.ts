/**
 * A vision transformer on a sample of CIFAR-10, passports at its layer norms: those stand behind
 * residual sums, so the map whose weights a passport goes through is named.
 *
 *     npm run vit                  (about five minutes on two CPU cores)
 */
import { readFile } from "node:fs/promises";
import { add, init, mean, reshape, Tensor } from "@pan/core";
import { cifarTransform, parseCifar10 } from "@pan/core/data";
import { Conv2d, gelu, LayerNorm, Linear, Module, MultiheadAttention, parameter } from "@pan/core/nn";
import { dawn } from "@pan/core/node";
import { Adam, cosineLR } from "@pan/core/optim";
import { bind, newSecret } from "@pan/core/ownership";
import { protect } from "@pan/core/passport";
import { Trainer } from "@pan/core/train";
import { percent, prove } from "./proof";

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

class VisionTransformer extends Module {
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

await init({ gpu: await dawn() });
const read = async (name: string) => parseCifar10(await readFile(new URL(`./data/${name}`, import.meta.url)));
const [train, test] = [await read("train_sample.bin"), await read("test_sample.bin")];
const transform = cifarTransform("test");

const owned = protect(new VisionTransformer(), {
  scheme: "pan",
  at: {
    "blocks.1.norm2": { map: "blocks.1.attention.out_proj" },
    "blocks.2.norm1": { map: "blocks.1.down" },
    norm: { map: "blocks.2.down", text: "ACME" },
  },
  sample: [1, 32, 32, 3],
});
const binding = { statement: "Trained by ACME, with @pan/core", secret: newSecret() };
await bind(owned, binding);

const epochs = 6;
const optimizer = new Adam(owned.parameters(), { lr: 1e-3, weightDecay: 1e-4 });
const trainer = new Trainer(owned, optimizer, {
  batchSize: 50,
  seed: 1,
  transform: cifarTransform("train"),
  testTransform: transform,
  schedule: cosineLR({ epochs, warmup: 1 }),
});
for await (const e of trainer.fit(train, { epochs, test }))
  console.log(
    `epoch ${e.epoch}    public ${percent(e.public)}, private ${percent(e.private)}, ${e.bitsMatched} of ${e.bits} bits`,
  );
optimizer.dispose();
await prove({ owned, binding, model: () => new VisionTransformer(), train, test, transform });
