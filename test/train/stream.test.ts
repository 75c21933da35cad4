/** A trainer takes images that are read when a batch wants them as it takes those in memory. */
import { beforeAll, describe, expect, it } from "vitest";
import { type ImageStream, imageStream } from "../../src/data/image-stream";
import type { TrainingSet } from "../../src/data/sample-set";
import { randomHorizontalFlip } from "../../src/data/transforms";
import { ConvNet } from "../../src/models/convnet";
import { SGD } from "../../src/optim/sgd";
import { evaluate } from "../../src/train/evaluate";
import { Trainer } from "../../src/train/trainer";
import { gpu } from "../support/gpu";
import { stateBytes, TINY_PLAIN, tinySet } from "../support/tiny";

/** The same images, each of which arrives in its own time. */
function streamed(n: number, seed: number): ImageStream {
  const { images, ...parts } = tinySet(n, seed);
  const size = images.length / n;
  return imageStream({
    ...parts,
    read: async (index, out) => {
      await new Promise((resolve) => setTimeout(resolve, index % 3));
      out.set(images.subarray(index * size, (index + 1) * size));
    },
  });
}

async function trained(train: TrainingSet, test: TrainingSet) {
  const model = new ConvNet(TINY_PLAIN, { seed: 1 });
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 8, transform: [randomHorizontalFlip()] });
  const accuracies: unknown[] = [];
  for await (const epoch of trainer.fit(train, { epochs: 2, test })) accuracies.push(epoch.public);
  accuracies.push(await evaluate(model, test, { batchSize: 7 }));
  const bytes = await stateBytes(model);
  optimizer.dispose();
  model.dispose();
  return { accuracies, bytes };
}

describe("a stream of images", () => {
  beforeAll(() => gpu());

  it("trains and tests to the same bits as the set in memory", async () => {
    const memory = await trained(tinySet(30, 1), tinySet(20, 2));
    const stream = await trained(streamed(30, 1), streamed(20, 2));
    expect(stream.accuracies).toEqual(memory.accuracies);
    expect(Buffer.compare(stream.bytes, memory.bytes)).toBe(0);
  });
});
