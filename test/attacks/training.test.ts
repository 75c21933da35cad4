/** Attacks that train the deployed network: does the owner's signature survive them? */
import { beforeAll, describe, expect, it } from "vitest";
import { distil, fineTune, flipSigns, overwrite, prune, type Target, unlearnTriggers } from "../../src/attacks";
import { type ImageSet, imageSet } from "../../src/data/sample-set";
import { ArgumentError, StateDictError } from "../../src/errors";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, loadDeployed, type NetworkConfig } from "../../src/models";
import { SGD } from "../../src/optim";
import { examine, triggersLike } from "../../src/ownership";
import { triggerSet } from "../../src/ownership/claim/trigger-set";
import { triggerInputs } from "../../src/ownership/claim/triggers";
import { signatureBits } from "../../src/passport";
import { Generator } from "../../src/tensor/random";
import { memory } from "../../src/tensor/storage";
import { evaluate, Trainer } from "../../src/train";
import { gpu } from "../support/gpu";
import { trainedTarget } from "../support/target";
import { TINY, tinySet } from "../support/tiny";

const CONFIG: NetworkConfig = { ...TINY, scheme: "v2", norm: "bn", passports: { 2: true, 3: true } };
const test = tinySet(60, 2);
let target: Target;

beforeAll(async () => {
  await gpu();
  target = await trainedTarget(CONFIG);
});

/** The same images under two labels of another task: is the first channel the bright one? */
function anotherTask(set: ImageSet): ImageSet {
  const { images, height, width, channels } = set;
  const labels = Uint8Array.from(set.labels, (l) => (l === 0 ? 1 : 0));
  return imageSet({ images, labels, channels, height, width, classes: ["other", "red"] });
}

describe("fine-tuning", () => {
  it("to another task with a new last layer leaves the signature, and learns the task", async () => {
    const before = memory().tensors;
    const train = anotherTask(tinySet(120, 8));
    const record = await fineTune(target, {
      train,
      test: anotherTask(test),
      epochs: 2,
      lr: 0.01,
      batchSize: 12,
      seed: 2,
    });
    expect(record.attack).toBe("fine-tuning, RTAL");
    expect(record.before).toMatchObject({ bits: 48, matched: 48 });
    expect(record.steps.map((s) => s.setting)).toEqual([{ epoch: 1 }, { epoch: 2 }]);
    const { after } = record.steps[1]!;
    expect(after.accuracy.public).toBeGreaterThan(0.8);
    expect(after.matched).toBeGreaterThan(40);
    expect(record.budget).toMatchObject({ images: 120, epochs: 2, lr: 0.01 });
    expect(memory().tensors).toBe(before);
  });

  it("looks for triggers under the owner's classifier, put back over the attacker's network", async () => {
    // The target answers its own test images nearly all as assigned: as triggers they must survive
    // a gentle attacker, and not a brutal one.
    const options = {
      train: anotherTask(tinySet(60, 8)),
      test: anotherTask(test),
      epochs: 1,
      batchSize: 12,
      task: "red?",
    };
    const marked = { ...target, triggers: test };
    const gentle = await fineTune(marked, { ...options, lr: 1e-7 });
    const brutal = await fineTune(marked, { ...options, lr: 2 });
    expect(gentle.budget).toMatchObject({ task: "red?" });
    expect(gentle.before.triggers).toBe(gentle.before.accuracy.public);
    expect(gentle.steps[0]!.after.triggers).toBeGreaterThan(gentle.before.triggers! - 0.1);
    expect(brutal.steps[0]!.after.triggers).toBeLessThan(gentle.steps[0]!.after.triggers!);
  });

  it("takes a plain network too, and hands out what it made", async () => {
    const train = anotherTask(tinySet(60, 8));
    const files: (readonly [SafetensorsFile, number])[] = [];
    const plain = { deployed: target.deployed, test: target.test };
    const options = { train, test: anotherTask(test), epochs: 2, lr: 0.01, batchSize: 12, seed: 2 };
    const record = await fineTune(plain, { ...options, onAttacked: (file, epoch) => files.push([file, epoch]) });
    expect(record.before).toMatchObject({ bits: 0, matched: 0, pValue: 1 });
    expect(Object.keys(record.before.accuracy)).toEqual(["public"]);
    // The attacker does the same whether somebody has a credential or not.
    const marked = await fineTune(target, options);
    expect(record.steps.map((s) => s.after.accuracy.public)).toEqual(marked.steps.map((s) => s.after.accuracy.public));
    expect(files.map(([, epoch]) => epoch)).toEqual([1, 2]);
    const model = loadDeployed(files[1]![0]);
    expect(await evaluate(model, options.test)).toEqual(record.steps[1]!.after.accuracy);
    model.dispose();
  });

  it("hurts more the harder it trains", async () => {
    const train = anotherTask(tinySet(120, 8));
    const options = { train, test: anotherTask(test), epochs: 1, batchSize: 12 };
    const gentle = await fineTune(target, { ...options, lr: 1e-5 });
    const brutal = await fineTune(target, { ...options, lr: 0.5 });
    expect(gentle.steps[0]!.after.matched).toBe(48);
    expect(brutal.steps[0]!.after.matched).toBeLessThan(gentle.steps[0]!.after.matched);
  });

  it("keeps the last layer as FTAL, which must fit", async () => {
    const record = await fineTune(target, { train: tinySet(60, 8), epochs: 1, lr: 1e-6, batchSize: 12, mode: "ftal" });
    const { after } = record.steps[0]!;
    expect(Math.abs(after.accuracy.public! - record.before.accuracy.public!)).toBeLessThan(0.1);
    const train = anotherTask(tinySet(60, 8));
    await expect(fineTune(target, { train, epochs: 1, mode: "ftal" })).rejects.toThrow(/2 classes, the network 3/);
    await expect(fineTune(target, { train, epochs: 0 })).rejects.toThrow(ArgumentError);
  });
});

describe("V1, whose one branch is under the owner's passports", () => {
  const budget = { train: tinySet(120, 9), epochs: 2, lr: 0.02, batchSize: 12, seed: 3 };
  let v1: Target;
  beforeAll(async () => {
    v1 = { ...(await trainedTarget({ ...CONFIG, scheme: "v1" })), triggers: tinySet(12, 5) };
  });
  const alone = async (file: SafetensorsFile, set: ImageSet) => {
    const model = loadDeployed(file);
    return (await evaluate(model, set).finally(() => model.dispose())).public;
  };

  it.each<[string, (t: Target, o: typeof budget) => ReturnType<typeof distil>]>([
    ["distilled", distil],
    ["overwritten", overwrite],
    ["trained on", (t, o) => fineTune(t, { ...o, mode: "ftal" })],
  ])("is measured as the attacker has it too: %s", async (_, attack) => {
    const held = memory().tensors;
    const files: SafetensorsFile[] = [];
    const { before, steps } = await attack(v1, { ...budget, ...{ onAttacked: (f: SafetensorsFile) => files.push(f) } });
    expect(before.deployed).toBe(await alone(v1.deployed, v1.test as ImageSet));
    for (const [i, { after }] of steps.entries()) {
      expect(Object.keys(after.accuracy)).toEqual(["passport"]);
      expect(after.deployed).toBe(await alone(files[i]!, v1.test as ImageSet));
      expect(after.triggers).toBe(await alone(files[i]!, v1.triggers as ImageSet));
    }
    expect(steps.at(-1)!.after.deployed).toBeGreaterThan(0.8);
    expect(memory().tensors).toBe(held);
  });

  it("says it of changed weights too, and other schemes say it by their public branch", async () => {
    const { steps } = await prune(v1, { shares: [0.3] });
    expect(steps[0]!.after.deployed).toBeGreaterThan(0.3);
    expect((await prune(target, { shares: [0.3] })).steps[0]!.after).not.toHaveProperty("deployed");
  });
});

describe("overwriting", () => {
  it("embeds another signature, and leaves every bit of the owner's", async () => {
    const steps: number[] = [];
    const files: SafetensorsFile[] = [];
    const options = { train: tinySet(120, 9), epochs: 3, lr: 0.005, batchSize: 12, seed: 6 };
    const record = await overwrite(target, {
      ...options,
      onStep: (_, done) => steps.push(done),
      onAttacked: (file) => files.push(file),
    });
    expect(steps).toEqual([1, 2, 3]);
    expect(record.before.matched).toBe(48);
    expect(record.steps[2]!.after.accuracy.public).toBeGreaterThan(0.8);
    expect(record.steps.map((s) => s.after.matched)).toEqual([48, 48, 48]);
    // The attacker's own, drawn from the next seed: chance before, most of it after three epochs.
    const attacker = buildNetwork(CONFIG);
    const random = new Generator(options.seed + 1);
    attacker.randomPassports(random.fork("passports"));
    for (const { name, secret } of attacker.passportSites())
      secret.passport.b.write(signatureBits("", secret.passport.channels, random.fork(`${name} signature`)));
    const credential = await attacker.credential();
    attacker.dispose();
    const bits = async (file: SafetensorsFile) => (await examine(file, credential)).matched;
    expect(Math.abs((await bits(target.deployed)) - 24)).toBeLessThan(10);
    expect(await bits(files[2]!)).toBeGreaterThan(38);
    const again = await overwrite(target, options);
    expect(again.steps).toEqual(record.steps);
    await expect(overwrite(target, { ...options, epochs: 1.5 })).rejects.toThrow(ArgumentError);
  });

  it("costs the owner bits where it trains hard enough to cost the network its accuracy", async () => {
    const brutal = await overwrite(target, { train: tinySet(120, 9), epochs: 6, lr: 0.2, batchSize: 12, seed: 6 });
    const { after } = brutal.steps[5]!;
    expect(after.matched).toBeLessThan(48);
    expect(after.accuracy.public).toBeLessThan(0.9);
  });
});

describe("distillation", () => {
  it("learns what the network answers, and brings nothing of the signature along", async () => {
    const before = memory().tensors;
    // Labels that are all wrong: the attacker has none, and may not look at these.
    const images = tinySet(180, 9);
    const train = imageSet({ ...images, labels: Uint8Array.from(images.labels, (l) => (l + 1) % 3) });
    const options = { train, epochs: 4, batchSize: 12, seed: 3 };
    const record = await distil(target, options);
    expect(record).toMatchObject({ attack: "distillation", budget: { images: 180, epochs: 4, lr: 0.05 } });
    expect(record.before.matched).toBe(48);
    const { after } = record.steps[3]!;
    expect(after.accuracy.public).toBeGreaterThan(0.8);
    // Two and a half standard deviations of 48 coins.
    expect(Math.abs(after.matched - 24)).toBeLessThan(9);
    expect(memory().tensors).toBe(before);
    expect((await distil(target, options)).steps).toEqual(record.steps);
  });

  it("is asked for triggers under its own last layer, whatever it is tested with", async () => {
    const marked = { ...target, triggers: test };
    const options = { train: tinySet(60, 9), epochs: 2, batchSize: 12, seed: 3 };
    const one = await distil(marked, options);
    const other = await distil(marked, { ...options, test: tinySet(60, 2) });
    expect(other.steps).toEqual(one.steps);
    expect(one.steps[1]!.after.triggers).toBe(one.steps[1]!.after.accuracy.public);
  });

  it("is tried on plain networks too, and takes a temperature", async () => {
    const plain = { deployed: target.deployed, test: target.test };
    const copies: SafetensorsFile[] = [];
    const options = {
      train: tinySet(60, 9),
      epochs: 1,
      batchSize: 12,
      onAttacked: (file: SafetensorsFile) => copies.push(file),
    };
    const { before } = await distil(plain, { ...options, temperature: 1 });
    expect(before).toMatchObject({ bits: 0, matched: 0 });
    await distil(plain, options);
    const [cool, warm] = copies.map(({ tensors }) => [...tensors.values()].map((t) => [...t.data]));
    expect(cool).not.toEqual(warm);
    await expect(distil(plain, { ...options, temperature: 0 })).rejects.toThrow(/temperature.*0\.01/);
    await expect(distil(plain, { ...options, epochs: 0 })).rejects.toThrow(ArgumentError);
  });
});

describe("unlearning triggers", () => {
  /** The target after it learnt triggers that are drawn as a claim's are, and which those are. */
  async function marked(): Promise<Target> {
    const spec = triggersLike(test, { count: 24, groups: 1 });
    const labels = Int32Array.from({ length: 24 }, (_, i) => (i * 7) % 3);
    const triggers = triggerSet(spec, await triggerInputs(new Uint8Array(64).fill(9), spec), labels);
    const model = loadDeployed(target.deployed).train();
    const optimizer = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 });
    await new Trainer(model, optimizer, { batchSize: 12, triggers: { set: triggers, batchSize: 12 } }).fit(
      tinySet(120, 9),
      { epochs: 12 },
    );
    const deployed = { ...target.deployed, tensors: await model.stateDict() };
    optimizer.dispose();
    model.dispose();
    return { ...target, deployed, triggers };
  }

  it("takes triggers that it never saw, and leaves the task and the bits", async () => {
    const owned = await marked();
    const before = memory().tensors;
    const options = { train: tinySet(120, 11), epochs: 2, batchSize: 12, seed: 3 };
    const record = await unlearnTriggers(owned, options);
    expect(record).toMatchObject({
      attack: "unlearning triggers",
      budget: { images: 120, epochs: 2, lr: 0.01, decoys: 1000, decoyBatch: 12 },
    });
    expect(record.before.triggers).toBeGreaterThan(0.9);
    const { after } = record.steps[1]!;
    // Those of the owner's labels that are the decoys' one class, about: a third.
    expect(after.triggers).toBeLessThan(0.6);
    expect(after.accuracy.public).toBeGreaterThan(record.before.accuracy.public! - 0.1);
    expect(after.matched).toBeGreaterThan(40);
    expect(memory().tensors).toBe(before);
    expect((await unlearnTriggers(owned, options)).steps).toEqual(record.steps);
    // The same training without decoys does not take them: that is what decoys are for.
    const alone = await fineTune(owned, { ...options, mode: "ftal", lr: 0.01 });
    expect(alone.steps[1]!.after.triggers).toBeGreaterThan(after.triggers! + 0.25);
  });

  it("takes decoys of the attacker's own, and of plain networks too", async () => {
    const { deployed, triggers } = await marked();
    const plain = { deployed, test, triggers: triggers! };
    const options = { train: tinySet(60, 11), epochs: 3, batchSize: 12 };
    // Whoever has seen the triggers themselves needs no others.
    const decoys = { ...triggers!, labels: Int32Array.from(triggers!.labels, (l) => (l + 1) % 3) };
    const record = await unlearnTriggers(plain, { ...options, lr: 0.05, decoys });
    expect(record.budget).toMatchObject({ decoys: 24, decoyBatch: 12 });
    expect(record.steps[2]!.after.triggers).toBeLessThan(0.5);
    await expect(unlearnTriggers(plain, { ...options, decoys, decoyBatch: 25 })).rejects.toThrow(/from 1 to 24/);
    await expect(unlearnTriggers(plain, { ...options, decoyBatch: 0 })).rejects.toThrow(ArgumentError);
    await expect(unlearnTriggers(plain, { ...options, decoys: [] as never })).rejects.toThrow(ArgumentError);
    const floats = imageSet({ ...test, images: Float32Array.from(test.images, (v) => v / 255) });
    await expect(unlearnTriggers({ ...plain, test: floats }, options)).rejects.toThrow(/images of bytes/);
  });
});

describe("turned signs", () => {
  it("refuse the file of another network by its tensors' names", async () => {
    const model = buildNetwork({ ...CONFIG, layers: TINY.layers.slice(0, 3), passports: { 2: true } });
    const deployed = await model.deployed();
    model.dispose();
    await expect(flipSigns({ ...target, deployed }, { shares: [0] })).rejects.toThrow(StateDictError);
  });
});
