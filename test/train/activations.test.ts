/** Activations that wait for the backward pass in f16. */
import { beforeAll, expect, it } from "vitest";
import { imageSet } from "../../src/data/sample-set";
import { OverflowError } from "../../src/errors";
import { buildNetwork, resNetConfig } from "../../src/models";
import { Conv2d } from "../../src/nn/conv";
import { Flatten, ReLU, Sequential } from "../../src/nn/layers";
import { Linear } from "../../src/nn/linear";
import { SGD } from "../../src/optim/sgd";
import { Generator } from "../../src/tensor/random";
import type { TrainerOptions } from "../../src/train/options";
import { Trainer } from "../../src/train/trainer";
import { gpu } from "../support/gpu";
import { memoryStore } from "../support/tiny";

beforeAll(() => gpu());

const random = new Generator(1);
const images = imageSet({
  images: Uint8Array.from({ length: 24 * 32 * 32 * 3 }, () => random.integer(256)),
  labels: Uint8Array.from({ length: 24 }, (_, i) => i % 3),
  ...{ channels: 3, height: 32, width: 32, classes: ["a", "b", "c"] },
});
const RESNET = resNetConfig([1, 1, 1, 1], { scheme: "pan", width: 8, classes: 3, passports: { layer4: true } });

const values = (n: number, scale = 1) => Float32Array.from({ length: n }, () => scale * random.normal());

async function train(options: TrainerOptions, network = buildNetwork(RESNET, { seed: 1 }), epochs = 1) {
  const optimizer = new SGD(network.parameters(), { lr: 0.02, momentum: 0.9, weightDecay: 5e-4 });
  const trainer = new Trainer(network, optimizer, { batchSize: 6, seed: 2, readEvery: 1, ...options });
  for await (const _ of trainer.fit(images, { epochs }));
  return trainer.history.steps.map(({ loss }) => loss);
}

it("trains as in f32, replayed, in parts, and beside what is computed again", async () => {
  const plain = await train({});
  const packed = await train({ activations: "f16" });
  plain.forEach((loss, i) => expect(Math.abs(packed[i]! - loss)).toBeLessThan(0.02 * loss));
  expect(packed).not.toEqual(plain);
  expect(await train({ activations: "f16", replay: false })).toEqual(packed);
  const parts = await train({ activations: "f16", accumulate: 2, recompute: ["layer1"] });
  const inParts = await train({ accumulate: 2 });
  parts.forEach((loss, i) => expect(Math.abs(loss - inParts[i]!)).toBeLessThan(0.02 * inParts[i]!));
});

it("says when activations do not fit, and goes on in f32 from the checkpoint", async () => {
  const conv = new Conv2d(3, 8, 3, { padding: 1 });
  const network = new Sequential(
    conv,
    new ReLU(),
    new Conv2d(8, 8, 3, { padding: 1 }),
    new ReLU(),
    new Flatten(),
    new Linear(8 * 32 * 32, 3),
  );
  conv.weight.write(values(3 * 3 * 3 * 8, 1e5));
  (network.layers[2] as Conv2d).weight.write(values(3 * 3 * 8 * 8, 1e-6));
  const checkpoints = memoryStore();
  const optimizer = new SGD(network.parameters(), { lr: 1e-9 });
  const begin = (more: TrainerOptions, epochs: number) => {
    const trainer = new Trainer(network, optimizer, { checkpoints, batchSize: 6, ...more });
    return trainer.fit(images, { epochs, resume: epochs > 1 });
  };
  for await (const _ of begin({}, 1));
  const going = async () => {
    for await (const _ of begin({ activations: "f16" }, 2));
  };
  await expect(going()).rejects.toThrow(OverflowError);
  await expect(going()).rejects.toThrow(
    /f16's largest number, at step \d+ or just before: train with activations: "f32"/,
  );
  const records: number[] = [];
  for await (const { epoch } of begin({}, 2)) records.push(epoch);
  expect(records).toEqual([2]);
});

it("refuses another type", () => {
  const network = buildNetwork(RESNET, { seed: 1 });
  const optimizer = new SGD(network.parameters(), { lr: 0.1 });
  expect(() => new Trainer(network, optimizer, { activations: "bf16" as never })).toThrow(
    /activations.*"f32".*"f16".*"bf16"/,
  );
});
