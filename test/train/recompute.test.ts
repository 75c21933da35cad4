/** Training with modules that are recomputed: the same run, in less memory. */
import { beforeAll, expect, it } from "vitest";
import { imageSet } from "../../src/data/sample-set";
import { alexNetConfig, buildNetwork, type NetworkConfig, resNetConfig } from "../../src/models";
import { SGD } from "../../src/optim/sgd";
import { Generator } from "../../src/tensor/random";
import type { TrainerOptions } from "../../src/train/options";
import { Trainer } from "../../src/train/trainer";
import { gpu } from "../support/gpu";
import { memoryStore, stateBytes } from "../support/tiny";

beforeAll(() => gpu());

const RESNET = resNetConfig([1, 1, 1, 1], { scheme: "pan", width: 4, classes: 3, passports: { layer4: true } });
const random = new Generator(1);
const images = imageSet({
  images: Uint8Array.from({ length: 24 * 32 * 32 * 3 }, () => random.integer(256)),
  labels: Uint8Array.from({ length: 24 }, (_, i) => i % 3),
  ...{ channels: 3, height: 32, width: 32, classes: ["a", "b", "c"] },
});

async function run(options: TrainerOptions, config: NetworkConfig = RESNET) {
  const model = buildNetwork(config, { seed: 1 });
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9, weightDecay: 5e-4 });
  const store = memoryStore();
  const trainer = new Trainer(model, optimizer, {
    batchSize: 6,
    seed: 2,
    readEvery: 1,
    checkpoints: store,
    ...options,
  });
  for await (const _ of trainer.fit(images, { epochs: 1 }));
  const losses = trainer.history.steps;
  const state = await stateBytes(model);
  optimizer.dispose();
  model.dispose();
  return { losses, state };
}

it.each([
  ["recorded steps", {}],
  ["steps that are run each time", { replay: false }],
  ["steps in parts", { accumulate: 2 }],
  ["two moves of the trunk's statistics", { trunkUpdates: 2 }],
  ["one branch a step", { mode: { alternating: 0.5 } }],
] as const)("is the same run to the bit: %s", async (_, options) => {
  const plain = await run(options);
  expect(await run({ ...options, recompute: ["layer1", "layer2.0", "layer3.0.convbnrelu_1"] })).toEqual(plain);
});

it("refuses modules that are not there, or have passports", async () => {
  const begin = (recompute: unknown, config?: NetworkConfig) => run({ recompute: recompute as string[] }, config);
  await expect(begin("layer1")).rejects.toThrow(/recompute is a list of names of modules, found "layer1"/);
  await expect(begin(["layer"])).rejects.toThrow(
    /\(convbnrelu_1, layer1\.0, .*, or such as are below\), found "layer"/,
  );
  await expect(begin([3])).rejects.toThrow(/found 3/);
  await expect(begin(["layer1.0.convbnrelu_1.bn"])).resolves.toBeDefined();
  await expect(begin(["layer4"])).rejects.toThrow(/a norm with a passport lies in the module/);
  const pooled = alexNetConfig({ scheme: "plain", width: 0.05, classes: 3 });
  await expect(begin(["features.0"], pooled)).rejects.toThrow(/NormedMap.* was not run, or by another method/);
});
