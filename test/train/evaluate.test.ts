import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ImageSet, imageSet, subset } from "../../src/data/sample-set";
import type { GeometryTransform } from "../../src/data/transforms";
import { ArgumentError } from "../../src/errors";
import { buildNetwork } from "../../src/models";
import type { BatchNorm } from "../../src/nn/batch-norm";
import { SGD } from "../../src/optim/sgd";
import type { Branch, PassportLayer } from "../../src/passport";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { evaluate } from "../../src/train/evaluate";
import { Trainer } from "../../src/train/trainer";
import { gpu } from "../support/gpu";
import type { Network } from "../support/networks";
import { TINY, TINY_PLAIN, tinySet } from "../support/tiny";

/** Every fourth label is another: a trained network is right on some and wrong on others. */
const clean = tinySet(47, 3);
const set: ImageSet = { ...clean, labels: clean.labels.map((l, i) => (i % 4 === 0 ? (l + 1) % 3 : l)) };
let model: Network;

beforeAll(async () => {
  await gpu();
  model = buildNetwork(TINY, { seed: 1 });
  // Untrained, a network answers one class to everything.
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 12 });
  for await (const _ of trainer.fit(tinySet(60, 1), { epochs: 10 }));
  optimizer.dispose();
});
afterAll(() => model.dispose());

/** The images as channels-last floats, by a plain loop. */
function floatsOf(
  { length: n, height: h, width: w, channels: c, images }: ImageSet,
  map = (v: number) => v,
): Float32Array {
  const x = new Float32Array(n * h * w * c);
  let at = 0;
  for (let i = 0; i < n; i++)
    for (let p = 0; p < h * w; p++) for (let k = 0; k < c; k++) x[at++] = map(images[(i * c + k) * h * w + p]! / 255);
  return x;
}

/** The network's answers, from logits that are read back, all images in one batch. */
async function answers(net: Network, set: ImageSet, branch: Branch, map?: (v: number) => number): Promise<number[]> {
  const wasTraining = net.training;
  net.eval();
  const shape = [set.length, set.height, set.width, set.channels];
  const y = scope(() => noGrad(() => net.forward(Tensor.from(floatsOf(set, map), shape), branch)));
  net.train(wasTraining);
  const _logits = await y.data();
  y.dispose();
  const { classes } = net.config;
  return Array.from({ length: set.length }, (_, i) => {
    const row = [...outputs.subarray(i * classes, (i + 1) * classes)];
    return row.indexOf(Math.max(...row));
  });
}

const share = (found: number[], { labels }: ImageSet) => found.filter((a, i) => a === labels[i]).length / found.length;
const onHost = async (net: Network, set: ImageSet, branch: Branch) => share(await answers(net, set, branch), set);

describe("evaluate", () => {
  it.each([47, 100, 10, 1])("counts as the host does, in batches of %i", async (batchSize) => {
    const few = batchSize === 1 ? subset(set, 0, 5) : set;
    const want = { public: await onHost(model, few, "public"), private: await onHost(model, few, "private") };
    expect(await evaluate(model, few, { batchSize })).toEqual(want);
  });

  it("is put to the test: the answers vary, and some are wrong", async () => {
    const [open, secret] = [await answers(model, set, "public"), await answers(model, set, "private")];
    for (const found of [open, secret]) {
      expect(new Set(found).size).toBeGreaterThan(1);
      expect(share(found, set)).toBeLessThan(1);
    }
  });

  it("runs the branches asked for, and the only one of a plain network", async () => {
    expect(Object.keys(await evaluate(model, set, { branches: ["private"] }))).toEqual(["private"]);
    const plain = buildNetwork(TINY_PLAIN, { seed: 1 });
    expect(await evaluate(plain, set)).toEqual({ public: await onHost(plain, set, "public") });
    plain.dispose();
  });

  it("transforms the images first", async () => {
    const negative = { kind: "value" as const, map: (v: number) => Math.fround(1 - v) };
    const want = share(await answers(model, set, "public", negative.map), set);
    expect(want).not.toBe(await onHost(model, set, "public"));
    expect(await evaluate(model, set, { transform: [negative], branches: ["public"] })).toEqual({ public: want });
  });

  it("takes a transform that brings images to the network's size", async () => {
    const wide = imageSet({ ...set, images: new Uint8Array(47 * 3 * 10 * 10), height: 10, width: 10 });
    const centre: GeometryTransform = {
      kind: "geometry",
      place: (rows, columns) => [rows, columns].forEach((axis) => axis.window(1, 8)),
    };
    expect(await evaluate(model, wide, { transform: [centre] })).toHaveProperty("public");
    await expect(evaluate(model, wide)).rejects.toThrow(/takes images of 8×8×3, these are 10×10×3/);
  });

  const tracked = () => ((model.features[2] as PassportLayer).norms[0] as BatchNorm).batchesTracked;

  it.each([true, false])("leaves training mode (%s) and statistics as they were, and no tensors", async (training) => {
    model.train(training);
    const before = [memory().tensors, memory().bytes, tracked()];
    await evaluate(model, set);
    expect(model.training).toBe(training);
    expect([...model.children()].every(([, m]) => m.training === training)).toBe(true);
    expect([memory().tensors, memory().bytes, tracked()]).toEqual(before);
  });

  it("restores training mode and frees its tensors when it fails midway", async () => {
    const plain = buildNetwork(TINY_PLAIN).train();
    const before = memory().tensors;
    await expect(evaluate(plain, set, { branches: ["public", "private"] })).rejects.toThrow(ArgumentError);
    expect(plain.training).toBe(true);
    expect(plain.classifier.training).toBe(true);
    expect(memory().tensors).toBe(before);
    plain.dispose();
  });

  it("refuses labels beyond the classes, an empty set, and a batch size of 0", async () => {
    const four = imageSet({
      ...set,
      labels: Uint8Array.from(set.labels, (l, i) => (i === 46 ? 3 : l)),
      classes: ["a", "b", "c", "d"],
    });
    await expect(evaluate(model, four)).rejects.toThrow(/a label is 3 and the network has 3 classes/);
    await expect(evaluate(model, subset(set, 0, 0))).rejects.toThrow(ArgumentError);
    await expect(evaluate(model, set, { batchSize: 0 })).rejects.toThrow(ArgumentError);
  });
});
