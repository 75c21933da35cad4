/**
 * Segmentation by a U-Net of one's own: protected, trained with a loss and a metric of its own,
 * given away, verified by a stranger, and fine-tuned by a thief.
 *
 * The task is made of real pictures, the CIFAR-10 sample: from a picture in blocks of 4 × 4 pixels
 * with noise on top, say which pixels of the sharp one are brighter than its mean.
 *
 *     npm run unet          (minutes on two CPU cores)
 */
import { readFile } from "node:fs/promises";
import { add, concat, div, Generator, greater, init, manualSeed, maximum, mean, minimum, sum, type Tensor } from "@pan/core";
import { arrays, type ImageSet, parseCifar10 } from "@pan/core/data";
import { BatchNorm, binaryCrossEntropyWithLogits, Conv2d, Module, maxPool2d, relu, upsample2d } from "@pan/core/nn";
import { dawn } from "@pan/core/node";
import { AdamW } from "@pan/core/optim";
import { bind, boundCredential, commit, newSecret, rejoin, verify } from "@pan/core/ownership";
import { protect } from "@pan/core/passport";
import { evaluate, type Progress, type TaskBatch, Trainer } from "@pan/core/train";

/** Convolution, norm, ReLU. */
class Block extends Module {
  readonly conv: Conv2d;
  readonly norm: BatchNorm;
  constructor(from: number, to: number) {
    super();
    this.conv = new Conv2d(from, to, 3, { padding: 1, bias: false });
    this.norm = new BatchNorm(to);
  }
  forward(x: Tensor): Tensor {
    return relu(this.norm.forward(this.conv.forward(x)));
  }
}

/** Down twice, up twice, with what was there on the way down beside. */
class UNet extends Module {
  readonly down = [new Block(3, 16), new Block(16, 32)] as const;
  readonly middle = new Block(32, 64);
  readonly up = [new Block(64 + 32, 64), new Block(64 + 16, 16)] as const;
  readonly mask = new Conv2d(16, 1, 1);
  forward(x: Tensor): Tensor {
    const fine = this.down[0].forward(x);
    const coarse = this.down[1].forward(maxPool2d(fine, 2));
    let h = this.middle.forward(maxPool2d(coarse, 2));
    h = this.up[0].forward(concat([upsample2d(h, { scale: 2 }), coarse], -1));
    h = this.up[1].forward(concat([upsample2d(h, { scale: 2 }), fine], -1));
    return this.mask.forward(h);
  }
}

const loss = (logits: Tensor, { targets }: TaskBatch) => binaryCrossEntropyWithLogits(logits, targets);

/** Overlap of the mask and the right one by their union, the mean over the pictures. */
function iou(logits: Tensor, { targets }: TaskBatch): Tensor {
  const found = greater(logits, 0);
  const both = sum(minimum(found, targets), [1, 2, 3]);
  return mean(div(both, add(sum(maximum(found, targets), [1, 2, 3]), 1e-6)));
}

/** Inputs and masks of a set of pictures. */
function task({ images, length }: ImageSet, seed: number) {
  const [side, pixels] = [32, 32 * 32];
  const noise = new Generator(seed);
  const inputs = new Float32Array(length * pixels * 3);
  const masks = new Float32Array(length * pixels);
  for (let n = 0; n < length; n++) {
    const at = (c: number, p: number) => images[(n * 3 + c) * pixels + p]! / 255;
    const light = Float32Array.from({ length: pixels }, (_, p) => at(0, p) + at(1, p) + at(2, p));
    const middle = light.reduce((a, b) => a + b) / pixels;
    for (let p = 0; p < pixels; p++) {
      const corner = (p >> 7) * 4 * side + ((p % side) >> 2) * 4;
      masks[n * pixels + p] = light[p]! > middle ? 1 : 0;
      for (let c = 0; c < 3; c++) {
        let block = 0;
        for (let i = 0; i < 16; i++) block += at(c, corner + (i >> 2) * side + (i % 4)) / 16;
        inputs[(n * pixels + p) * 3 + c] = 4 * (block - 0.5) + 0.2 * noise.normal();
      }
    }
  }
  const shape = [length, side, side];
  return arrays({ inputs: { data: inputs, shape: [...shape, 3] }, targets: { data: masks, shape: [...shape, 1] } });
}

await init({ gpu: await dawn() });
manualSeed(1);
const read = async (name: string) => parseCifar10(await readFile(new URL(`./data/${name}`, import.meta.url)));
const [train, test] = [task(await read("train_sample.bin"), 1), task(await read("test_sample.bin"), 2)];

const owned = protect(new UNet(), { scheme: "pan", at: ["middle", "up"], signature: "ACME", sample: [1, 32, 32, 3] });
const binding = { statement: "Trained by ACME, with @pan/core", secret: newSecret() };
await bind(owned, binding);

const percent = (share = 0) => `${(100 * share).toFixed(1)} %`;
const optimizer = new AdamW(owned.parameters(), { lr: 0.003 });
const onProgress = ({ step, steps, record }: Progress) =>
  console.log(`step ${step} of ${steps}: loss ${record.loss.toFixed(3)}`);
const options = { loss, metrics: { iou }, batchSize: 20, readEvery: 25 };
const trainer = new Trainer(owned, optimizer, { ...options, seed: 1, onProgress });
for await (const e of trainer.fit(train, { epochs: 2, test }))
  console.log(
    `epoch ${e.epoch}: IoU public ${percent(e.public)}, private ${percent(e.private)}, ${e.bitsMatched} of ${e.bits} bits, ${e.seconds.toFixed(0)} s`,
  );

const deployed = await owned.deployed(); // give this away
const credential = await boundCredential(await owned.credential(), binding); // keep this secret
const commitment = await commit(credential, deployed); // publish this before the release
owned.dispose();
optimizer.dispose();

/** A stranger: files alone first, then with the network's code. */
async function check(what: string, suspect: typeof deployed) {
  const found = await verify(suspect, credential, { commitment });
  const opened = rejoin(suspect, credential, new UNet());
  const { iou: share } = await evaluate(opened, test, { metrics: { iou } });
  console.log(
    `${what}: "${found.decodedText}", ${found.matched} of ${found.bits} bits: the claim ${found.holds ? "holds" : "fails"}; IoU public ${percent(share?.public)}, private ${percent(share?.private)}`,
  );
  opened.dispose();
}
await check("as released", deployed);

// A thief trains on without the passports, even on the owner's data.
const stolen = new UNet();
stolen.loadStateDict(deployed.tensors);
const tuning = new AdamW(stolen.parameters(), { lr: 0.001 });
const thief = new Trainer(stolen, tuning, { ...options, seed: 7 });
for await (const e of thief.fit(train, { epochs: 1 }))
  console.log(`thief, epoch ${e.epoch}: loss ${e.loss.toFixed(3)}`);
await check("fine-tuned", { ...deployed, tensors: await stolen.stateDict() });
tuning.dispose();
stolen.dispose();
