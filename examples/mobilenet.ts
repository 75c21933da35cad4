/**
 * MobileNet on a sample of CIFAR-10: depthwise separable convolutions, passports at three of their
 * norms.
 *
 *     npm run mobilenet            (about three minutes on two CPU cores)
 */
import { readFile } from "node:fs/promises";
import { init, type Tensor } from "@pan/core";
import { cifarTransform, parseCifar10 } from "@pan/core/data";
import { BatchNorm, Conv2d, globalAvgPool, hardswish, Linear, Module } from "@pan/core/nn";
import { dawn } from "@pan/core/node";
import { cosineLR, SGD } from "@pan/core/optim";
import { bind, newSecret } from "@pan/core/ownership";
import { protect } from "@pan/core/passport";
import { Trainer } from "@pan/core/train";
import { percent, prove } from "./proof";

/** Depthwise 3×3, then pointwise: Howard et al., "MobileNets", 2017. */
class Separable extends Module {
  readonly depthwise: Conv2d;
  readonly norm1: BatchNorm;
  readonly pointwise: Conv2d;
  readonly norm2: BatchNorm;

  constructor(inputs: number, outputs: number, stride: number) {
    super();
    this.depthwise = new Conv2d(inputs, inputs, 3, { padding: 1, stride, groups: inputs, bias: false });
    this.norm1 = new BatchNorm(inputs);
    this.pointwise = new Conv2d(inputs, outputs, 1, { bias: false });
    this.norm2 = new BatchNorm(outputs);
  }

  forward(x: Tensor): Tensor {
    const h = hardswish(this.norm1.forward(this.depthwise.forward(x)));
    return hardswish(this.norm2.forward(this.pointwise.forward(h)));
  }
}

class MobileNet extends Module {
  readonly stem = new Conv2d(3, 24, 3, { padding: 1, stride: 2, bias: false });
  readonly norm = new BatchNorm(24);
  readonly blocks = [
    new Separable(24, 48, 1),
    new Separable(48, 64, 2),
    new Separable(64, 64, 1),
    new Separable(64, 128, 2),
  ];
  readonly head = new Linear(128, 10);

  forward(x: Tensor): Tensor {
    const stem = hardswish(this.norm.forward(this.stem.forward(x)));
    return this.head.forward(globalAvgPool(this.blocks.reduce((h, block) => block.forward(h), stem)));
  }
}

await init({ gpu: await dawn() });
const read = async (name: string) => parseCifar10(await readFile(new URL(`./data/${name}`, import.meta.url)));
const [train, test] = [await read("train_sample.bin"), await read("test_sample.bin")];
const transform = cifarTransform("test");

const owned = protect(new MobileNet(), {
  scheme: "pan",
  at: ["blocks.2.norm2", "blocks.3.norm1", "blocks.3.norm2"], // pointwise and depthwise maps
  signature: "(c) ACME",
  sample: [1, 32, 32, 3],
});
const binding = { statement: "Trained by ACME, with @pan/core", secret: newSecret() };
await bind(owned, binding);

const epochs = 6;
const optimizer = new SGD(owned.parameters(), { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 5e-4 });
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
await prove({ owned, binding, model: () => new MobileNet(), train, test, transform });
