/** Forging the watermarks of older methods: neither can be told from the owner's. */

import { beforeAll, describe, expect, it } from "vitest";
import { type ForgeTriggersOptions, forgeTriggers } from "../../src/attacks/forge-triggers";
import { forgeWatermark } from "../../src/attacks/forge-watermark";
import { pixelRounding } from "../../src/attacks/pixels";
import { attackFeatureWatermark, attackTriggerSet, type MarkedNetwork } from "../../src/attacks/watermarks";
import { DataLoader } from "../../src/data/loader";
import { type ImageSet, imageSet } from "../../src/data/sample-set";
import { type ImageTransform, normalize, randomHorizontalFlip } from "../../src/data/transforms";
import { ArgumentError, StateDictError } from "../../src/errors";
import { encodeSafetensors } from "../../src/io/safetensors";
import { buildNetwork, loadDeployed } from "../../src/models";
import { SGD } from "../../src/optim/sgd";
import { memory } from "../../src/tensor/storage";
import { evaluate, Trainer } from "../../src/train";
import { detectTriggers, FeatureWatermark } from "../../src/watermarks";
import { gpu } from "../support/gpu";
import { TINY_PLAIN, tinySet } from "../support/tiny";

const LAYER = "features.2";
const scale = [normalize([0.5, 0.4, 0.5], [0.25, 0.25, 0.2])];
const test = tinySet(60, 2);
/** Images that look like those of a class and have the label of another. */
const looks = tinySet(6, 3);
const triggers = { ...looks, labels: looks.labels.map((l) => (l + 1) % 3) };

let network: MarkedNetwork;
let mark: FeatureWatermark;

beforeAll(async () => {
  await gpu();
  const model = buildNetwork(TINY_PLAIN, { seed: 4 });
  mark = await FeatureWatermark.create({ model, layer: LAYER, bits: 24, seed: 7, lambda: 0.2 });
  const optimizer = new SGD(model.parameters(), { lr: 0.03, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, {
    ...{ batchSize: 12, seed: 5, transform: scale, testTransform: scale },
    triggers: { set: triggers },
    regularizer: (m) => mark.loss(m),
  });
  for await (const _ of trainer.fit(tinySet(120, 1), { epochs: 6 }));
  network = { deployed: await model.deployed(), task: "three colours", test, transform: scale };
  for (const t of [optimizer, mark, model]) t.dispose();
});

const bytes = () => encodeSafetensors(network.deployed.tensors, network.deployed.metadata);

/** The same images under two labels of another task: is the first channel the bright one? */
function anotherTask(set: ImageSet): ImageSet {
  const labels = Uint8Array.from(set.labels, (l) => (l === 0 ? 1 : 0));
  return imageSet({ ...set, labels, classes: ["other", "red"] });
}
const transfer = () => ({
  ...{ task: "red?", train: anotherTask(tinySet(60, 8)), test: anotherTask(test) },
  ...{ epochs: 2, lr: 0.01, batchSize: 12, transform: scale },
});

describe("forging a feature watermark", () => {
  it("spells bits of the forger's choice, the network unchanged; X' is hardly another distribution", async () => {
    const [before, tensors] = [bytes(), memory().tensors];
    const owners = mark.bits;
    const bits = owners.map((b) => 1 - b);
    const started = performance.now();
    const forged = await forgeWatermark(network.deployed, { layer: LAYER, bits, seed: 3 });
    expect(forged).toMatchObject({ bits: 24, matched: 24, steps: 50 });
    const elapsed = (performance.now() - started) / 1000;
    expect(forged.seconds).toBeLessThan(elapsed);
    // It is nearly all of what the call took: everything from the weights to the finished X'.
    expect(forged.seconds).toBeGreaterThan(elapsed / 2);
    expect(forged.watermark.bits).toEqual(bits);
    expect(await forged.watermark.read(network.deployed.tensors)).toMatchObject({ matched: 24 });
    expect(await mark.read(network.deployed.tensors)).toMatchObject({ matched: 24 });
    expect(bytes()).toEqual(before);
    expect(memory().tensors).toBe(tensors);
    const { x } = forged.watermark;
    const deviation = Math.sqrt(x.reduce((s, v) => s + v * v, 0) / x.length);
    expect(Math.abs(deviation - 1)).toBeLessThan(0.3);
  });

  it("is a matter of the descent: where X' starts, about half of random bits match", async () => {
    const create = (seed: number) =>
      FeatureWatermark.create({ model: network.deployed.tensors, layer: LAYER, bits: 24, seed });
    const starts = await Promise.all([0, 1, 2, 3, 4, 5, 6, 9].map(create));
    const read = await Promise.all(starts.map((s) => s.read(network.deployed.tensors)));
    const share = read.reduce((s, r) => s + r.matched, 0) / (24 * starts.length);
    expect(Math.abs(share - 0.5)).toBeLessThan(0.15);
    const forged = await forgeWatermark(network.deployed, { layer: LAYER, bits: 24, seed: 9 });
    expect(forged.matched).toBe(24);
    expect(forged.watermark.bits).toEqual(starts[7]!.bits);
    expect(forged.watermark.x).not.toEqual(starts[7]!.x);
  });

  it("refuses what it cannot do", async () => {
    const base = { layer: LAYER, bits: 4 };
    const forge = (o: object, file = network.deployed) => forgeWatermark(file, { ...base, ...o });
    await expect(forge({ steps: 0 })).rejects.toThrow(/steps, a whole number from 1/);
    for (const lr of [0, 8, Number.NaN]) await expect(forge({ lr })).rejects.toThrow(ArgumentError);
    await expect(forge({ layer: "features.9" })).rejects.toThrow(StateDictError);
    const name = `${LAYER}.conv.weight`;
    const weight = network.deployed.tensors.get(name)!;
    const none = { ...weight, data: new Float32Array(weight.data.length) };
    const empty = { ...network.deployed, tensors: new Map(network.deployed.tensors).set(name, none) };
    await expect(forge({}, empty)).rejects.toThrow(/mean filter of layer "features.2" is 0/);
  });
});

describe("pixels as bytes", () => {
  const negative: ImageTransform = { kind: "value", map: (v) => 1 - 2 * v };

  it.each([[scale], [[negative]], [[]]])("come back from every byte's value, a channel", async (transform) => {
    const images = Uint8Array.from({ length: 2 * 3 * 128 }, (_, i) => (i * 7) % 256);
    const set = imageSet({ images, labels: new Uint8Array(2), channels: 3, height: 8, width: 16, classes: ["a"] });
    const { value } = await new DataLoader(set, { batchSize: 2, transform }).epoch(0).next();
    expect(pixelRounding(set, transform)(value!.images)).toEqual(images);
  });

  it("are the nearest ones, black and white at most", () => {
    const round = pixelRounding({ channels: 1, height: 1, width: 5 }, []);
    expect([...round(Float32Array.of(-3, 0.4 / 255, 7.6 / 255, 254.4 / 255, 9))]).toEqual([0, 0, 8, 254, 255]);
    const flip = [randomHorizontalFlip()];
    expect(() => pixelRounding({ channels: 1, height: 1, width: 5 }, flip)).toThrow(/of kind "geometry"/);
  });
});

describe("forging a trigger set", () => {
  const base = tinySet(12, 11);
  const options: ForgeTriggersOptions = { base, count: 6, transform: scale, steps: 40, lr: 0.5, seed: 2 };

  it("has images classified as random labels say, as bytes, the network unchanged", async () => {
    const [before, tensors] = [bytes(), memory().tensors];
    const started = performance.now();
    const forged = await forgeTriggers(network.deployed, options);
    const elapsed = (performance.now() - started) / 1000;
    expect(forged).toMatchObject({ count: 6, hits: 6, steps: 40, branch: "public" });
    expect(forged.pValue).toBeCloseTo(3 ** -6, 10);
    expect(forged.seconds).toBeLessThan(elapsed);
    expect(forged.seconds).toBeGreaterThan(elapsed / 4);
    expect(bytes()).toEqual(before);
    expect(memory().tensors).toBe(tensors);
    const { images, labels, length } = forged.triggers;
    expect([length, images.length]).toEqual([6, 6 * 192]);
    const model = loadDeployed(network.deployed);
    expect(await evaluate(model, forged.triggers, { transform: scale })).toEqual({ public: 1 });
    // Each is a base image in disguise, and that image was not classified so.
    const bases = Array.from({ length: 12 }, (_, i) => base.images.subarray(192 * i, 192 * (i + 1)));
    const distance = (a: Uint8Array, b: Uint8Array) => a.reduce((s, v, i) => s + Math.abs(v - b[i]!), 0) / 192;
    const nearest = Array.from({ length: 6 }, (_, i) => {
      const d = bases.map((b) => distance(images.subarray(192 * i, 192 * (i + 1)), b));
      return { index: d.indexOf(Math.min(...d)), distance: Math.min(...d) };
    });
    expect(new Set(nearest.map((n) => n.index)).size).toBe(6);
    expect(forged.change).toBeCloseTo(nearest.reduce((s, n) => s + n.distance, 0) / 6, 6);
    expect(forged.change).toBeGreaterThan(0);
    const plain = imageSet({ ...base, images: Uint8Array.from(nearest.flatMap((n) => [...bases[n.index]!])), labels });
    expect((await detectTriggers(model, plain, { transform: scale })).hits).toBeLessThan(6);
    model.dispose();
  });

  it("does not depend on the batches, and names classes for base images of another task", async () => {
    const other = { ...options, base: anotherTask(base), steps: 2 };
    const one = await forgeTriggers(network.deployed, other);
    const several = await forgeTriggers(network.deployed, { ...other, batchSize: 4 });
    expect(several.triggers.labels).toEqual(one.triggers.labels);
    const apart = one.triggers.images.filter((v, i) => Math.abs(v - several.triggers.images[i]!) > 1);
    expect(apart).toHaveLength(0);
    expect(one.triggers.classes).toEqual(["class 0", "class 1", "class 2"]);
  });

  it("refuses what it cannot do, before any step", async () => {
    const wide = imageSet({ ...base, images: new Uint8Array(12 * 3 * 8 * 9), width: 9 });
    for (const [change, message] of [
      [{ count: 13 }, /from 1 to 12/],
      [{ count: 0 }, /found 0/],
      [{ steps: 1.5 }, /steps/],
      [{ eta: 0 }, /eta/],
      [{ lr: Number.NaN }, /lr/],
      [{ base: wide }, /8×8×3, these are 8×9×3/],
      [{ transform: [randomHorizontalFlip()] }, /of kind "geometry"/],
    ] as [Partial<ForgeTriggersOptions>, RegExp][]) {
      const error = await forgeTriggers(network.deployed, { ...options, ...change }).catch((e) => e);
      expect(error).toBeInstanceOf(ArgumentError);
      expect(error.message).toMatch(message);
    }
  });
});

describe("what becomes of both methods", () => {
  it("the feature watermark: real and forged alike, before and after fine-tuning", async () => {
    const tensors = memory().tensors;
    const seen: string[] = [];
    const record = await attackFeatureWatermark(network, mark, {
      ...{ tasks: [transfer()], seed: 3, forging: { steps: 40 } },
      onStep: ({ task }, done, of) => seen.push(`${task} ${done}/${of}`),
    });
    expect(record).toMatchObject({ method: "feature watermark", count: 24, task: "three colours", seed: 3 });
    expect(record.trained).toMatchObject({ real: 1, forged: 1 });
    expect(record.trained.accuracy).toBeGreaterThan(0.8);
    expect(record.fineTuned).toHaveLength(1);
    const [after] = record.fineTuned;
    expect(after!.task).toBe("red?");
    expect(after!.accuracy).toBeGreaterThan(0.8);
    expect(after!.real).toBeGreaterThan(0.8);
    expect(after!.forged).toBeGreaterThan(0.8);
    expect(record.pValue.real).toBe(record.pValue.forged);
    expect(record.pValue.real).toBeCloseTo(2 ** -24, 12);
    expect(record.forging.steps).toBe(40);
    expect([record.values.real.length, record.values.forged.length]).toEqual([24 * 72, 24 * 72]);
    expect(seen).toEqual(["three colours 1/2", "red? 2/2"]);
    expect(JSON.parse(JSON.stringify(record))).toEqual(record);
    expect(memory().tensors).toBe(tensors);
  });

  it("the trigger set: after fine-tuning to other classes the owner's classifier is put back over the body", async () => {
    const tensors = memory().tensors;
    const untouched = { ...transfer(), task: "in name alone", epochs: 1, lr: 1e-9 };
    const sameClasses = { ...untouched, task: "the same classes", train: tinySet(60, 8), test };
    const record = await attackTriggerSet(network, triggers, {
      ...{ forging: { base: tinySet(12, 11), steps: 40, lr: 0.5 }, seed: 2 },
      tasks: [transfer(), untouched, sameClasses],
    });
    expect(record).toMatchObject({ method: "trigger set", count: 6, trained: { real: 1, forged: 1 } });
    expect(record.trained.accuracy).toBeGreaterThan(0.8);
    const [tuned, still, own] = record.fineTuned;
    expect(tuned!.accuracy).toBeGreaterThan(0.8);
    // Its body is as it was, so everything is found under the owner's classifier.
    expect(still).toMatchObject({ task: "in name alone", real: 1, forged: 1 });
    // Of the same classes the suspect's own classifier is asked, and this one is fresh.
    expect(own!.real).toBeLessThan(1);
    expect(record.pValue).toEqual({ real: expect.closeTo(3 ** -6, 10), forged: expect.closeTo(3 ** -6, 10) });
    expect(record.values.real).toEqual([...triggers.images]);
    expect(memory().tensors).toBe(tensors);
  });

  it("refuses tasks that do not hold together, before any work", async () => {
    const bad = [
      { ...transfer(), epochs: 0 },
      { ...transfer(), test },
    ];
    for (const task of bad) {
      await expect(attackFeatureWatermark(network, mark, { tasks: [task] })).rejects.toThrow(/fine-tuning to red\?/);
      const forging = { base: tinySet(12, 11) };
      await expect(attackTriggerSet(network, triggers, { forging, tasks: [task] })).rejects.toThrow(ArgumentError);
    }
  });
});
