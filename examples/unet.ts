/**
 * Segmentation by a U-Net of one's own: protected, trained with a loss and a metric of its own,
 * given away, verified by a stranger, and fine-tuned by a thief.
 *
 * The task is made of real pictures, the CIFAR-10 sample: from a picture in blocks of 4 × 4 pixels
 * with noise on top, say which pixels of the sharp one are brighter than its mean.
 *
 *     npm run unet          (about ten minutes on two CPU cores)
 */
import {
  add,
  concat,
  div,
  Generator,
  greater,
  init,
  manualSeed,
  maximum,
  mean,
  minimum,
  sum,
  type Tensor,
} from "@pan/core";
import { arrays, type ImageSet } from "@pan/core/data";
import { BatchNorm, binaryCrossEntropyWithLogits, Conv2d, Module, maxPool2d, relu, upsample2d } from "@pan/core/nn";
import { dawn } from "@pan/core/node";
import { AdamW } from "@pan/core/optim";
import { evaluate, type Progress, type TaskBatch } from "@pan/core/train";
import { pictures } from "./pictures";
import { percent, prove } from "./proof";

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
  readonly middle = new Block(32, 128);
  readonly up = [new Block(128 + 32, 64), new Block(64 + 16, 16)] as const;
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
const { train, test } = await pictures();
const tests = task(test, 2);
await prove({
  network: () => new UNet(),
  passports: { scheme: "pan", at: ["down", "middle", "up"], signature: "ACME", sample: [1, 32, 32, 3] },
  train: task(train, 1),
  test: tests,
  epochs: 2,
  optimizer: (parameters) => new AdamW(parameters, { lr: 0.003 }),
  options: {
    loss,
    metrics: { iou },
    batchSize: 20,
    readEvery: 25,
    onProgress: ({ step, steps, record }: Progress) =>
      console.log(`step ${step} of ${steps}: loss ${record.loss.toFixed(3)}`),
  },
  measure: async (opened) => (await evaluate(opened, tests, { metrics: { iou } })).iou!,
  show: (share) => `IoU ${percent(share)}`,
});
