/**
 * Attacks with passports on DeepIPR's V3, whose triggers they must leave alone or take along, and
 * on residual blocks.
 */
import { beforeAll, describe, expect, it } from "vitest";
import {
  flipSigns,
  prune,
  randomPassports,
  replaceScales,
  solvePassports,
  type Target,
  trainPassports,
  trainScales,
} from "../../src/attacks";
import type { Forgery } from "../../src/attacks/passport-forgery";
import { type ImageSet, imageSet } from "../../src/data/sample-set";
import { ArgumentError } from "../../src/errors";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, type NetworkConfig, readCredential } from "../../src/models";
import { SGD } from "../../src/optim";
import { examine } from "../../src/ownership";
import { Generator } from "../../src/tensor/random";
import { memory } from "../../src/tensor/storage";
import { evaluate, Trainer } from "../../src/train";
import { forgeWatched } from "../support/forged";
import { gpu } from "../support/gpu";
import { trainedTarget } from "../support/target";
import { TINY, tinySet } from "../support/tiny";

const V3: NetworkConfig = { ...TINY, scheme: "v3", passports: { 2: true, 3: true } };
const RESNET: NetworkConfig = {
  arch: "resnet",
  classes: 3,
  input: TINY.input,
  blocks: [1, 1],
  width: 8,
  scheme: "pan",
  passports: { layer2: true },
};
/**
 * The layers of {@link RESNET} that have taps enough for any γ; its shortcut has 16 filters of 8
 * taps.
 */
const SOLVABLE = ["layer2.0.convbnrelu_1.bn", "layer2.0.convbn_2.bn"];
const WITHOUT_SHORTCUT = { layer2: true, "layer2.0.shortcut": false };

/** Noise under labels that nothing in it explains. */
function triggerSet(n: number): ImageSet {
  const [height, width, channels] = TINY.input;
  const random = new Generator(31);
  const images = Uint8Array.from({ length: n * height * width * channels }, () => random.integer(256));
  const labels = Uint8Array.from({ length: n }, () => random.integer(3));
  return imageSet({ images, labels, channels, height, width, classes: ["red", "green", "blue"] });
}

async function targetWithTriggers(): Promise<Target> {
  const model = buildNetwork(V3, { seed: 4 });
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
  const triggers = triggerSet(12);
  const options = { batchSize: 12, seed: 5, signLoss: { alpha: 1 }, triggers: { set: triggers, batchSize: 4 } };
  const trainer = new Trainer(model, optimizer, options);
  for await (const _ of trainer.fit(tinySet(120, 1), { epochs: 8 }));
  const test = tinySet(60, 2);
  const [deployed, credential] = [await model.deployed(), await model.credential(await evaluate(model, test))];
  optimizer.dispose();
  model.dispose();
  return { deployed, credential, test, triggers };
}

beforeAll(async () => void (await gpu()));

describe.each([
  { what: "V3", config: V3, make: targetWithTriggers, layers: ["features.2.bn", "features.3.bn"], turned: 0 },
  { what: "residual block", config: RESNET, make: () => trainedTarget(RESNET), layers: SOLVABLE, turned: 16 },
])("$what", ({ config, make, layers, turned }) => {
  const budget = { train: tinySet(60, 7), epochs: 3, lr: 0.02, batchSize: 12, seed: 1 };
  let target: Target;
  let triggers: { triggers?: number };
  beforeAll(async () => {
    target = await make();
    triggers = target.triggers ? { triggers: 1 } : {};
  });

  it("random passports close the private branch, and leave the public one and its triggers", async () => {
    const { before, steps } = await randomPassports(target, { draws: 3, seed: 2 });
    expect(before).toMatchObject({ bits: 48, matched: 48, ...triggers });
    expect(before.accuracy.private).toBeGreaterThan(0.9);
    for (const { after } of steps) {
      expect(after.matched).toBeLessThan(44);
      expect(after).toMatchObject({ accuracy: { public: before.accuracy.public }, ...triggers });
    }
    expect(Math.min(...steps.map((s) => s.after.accuracy.private!))).toBeLessThan(0.8);
  });

  it("turned signs turn every bit of the layers they are asked for", async () => {
    const { before, steps } = await flipSigns(target, { shares: [0, 1], layers });
    expect(steps[0]!.after).toEqual(before);
    expect(steps[1]!.after).toMatchObject({
      matched: turned,
      accuracy: { public: before.accuracy.public },
      ...triggers,
    });
    expect(steps[1]!.after.accuracy.private).toBeLessThan(before.accuracy.private! - 0.2);
  });

  it("pruning takes nothing at 0, and signature, task and triggers at 1", async () => {
    const { before, steps } = await prune(target, { shares: [0, 1] });
    expect(steps[0]!.after).toEqual(before);
    expect(steps[1]!.after.matched).toBe(0);
    expect(steps[1]!.after.accuracy.public).toBeCloseTo(1 / 3, 5);
    if (target.triggers) expect(steps[1]!.after.triggers).toBeLessThan(0.7);
  });

  it("trained scales keep the signs they start from", async () => {
    const { steps } = await trainScales(target, { ...budget, shares: [0, 1] });
    expect(steps[0]!.after.matched).toBeGreaterThan(40);
    expect(steps[0]!.after.accuracy.private).toBeGreaterThan(0.6);
    expect(steps[1]!.after.matched).toBeLessThan(16);
  });

  it("passports trained near the owner's move bits, not the given-away branch", async () => {
    const held = memory().tensors;
    const forged: SafetensorsFile[] = [];
    const options = { ...budget, epochs: 8, lr: 0.3, variant: "near" as const, shares: [0.5] };
    const { before, steps } = await trainPassports(target, {
      ...options,
      onForged: ({ credential }) => void forged.push(credential),
    });
    const { after } = steps[0]!;
    expect(after).toMatchObject({ accuracy: { public: before.accuracy.public }, ...triggers });
    expect(after.matched).toBeLessThan(36);
    const { triggers: set, test } = target;
    const found = await examine(target.deployed, forged[0]!, { test, ...(set && { triggers: set }) });
    // Half of the owner's bits are turned in the forger's, and it is these that γ comes to spell.
    expect(found.matched).toBeGreaterThan(after.matched);
    expect(found).toMatchObject({ bits: 48, accuracy: after.accuracy, claimed: after.accuracy, passes: false });
    if (set) expect(found.triggers).toMatchObject({ hits: set.length });
    expect(memory().tensors).toBe(held);
  });

  it.each(["individual", "collective"] as const)("expanded residual blocks (%s) need no passport", async (kind) => {
    const { steps } = await replaceScales(target, { ...budget, kind });
    const { after } = steps[steps.length - 1]!;
    expect(after.accuracy.private).toBeGreaterThan(0.6);
    expect(after.matched).toBeGreaterThan(8);
    expect(after.matched).toBeLessThan(40);
  });

  it("solved passports do what the given-away branch does, at signs of their own", async () => {
    const { claimed: owners } = readCredential(target.credential);
    const own = (config.arch === "resnet" ? { ...config, passports: WITHOUT_SHORTCUT } : config) as NetworkConfig;
    const { deployed, test } = target;
    const claimed = { public: owners.public!, private: owners.public! };
    const forged = solvePassports(deployed, own, { claimed, seed: 3 });
    const found = await examine(deployed, forged, { test });
    const bits = 48 - turned;
    expect(found).toMatchObject({ passes: true, bits, matched: bits, accuracy: claimed });
    expect(found.layers.map((l) => l.name)).toEqual(layers);
    const ownersBits = layers.flatMap((name) => [
      ...(target.credential.tensors.get(`${name}.passport.b`)!.data as Float32Array),
    ]);
    expect(found.layers.flatMap((l) => l.signs)).not.toEqual(ownersBits);
  });
});

describe("what an attack cannot do", () => {
  it("more filters than taps: no passport gives a γ of one's choice, and the layer is named", async () => {
    const model = buildNetwork(RESNET, { seed: 1 });
    const [deployed, credential] = [await model.deployed(), await model.credential()];
    model.dispose();
    const none = { deployed, credential, test: tinySet(3, 1) };
    await expect(flipSigns(none, { shares: [1] })).rejects.toThrow(ArgumentError);
    await expect(flipSigns(none, { shares: [1] })).rejects.toThrow(/layer2\.0\.shortcut\.bn has 16 filters of 8 taps/);
    // Without an FC every γ would have to be met; with one, any passports do where no text is asked
    // for.
    const bare = { ...RESNET, scheme: "v2", norm: "bn" } as const;
    expect(() => solvePassports(deployed, bare)).toThrow(/layer2\.0\.shortcut\.bn has 16 filters of 8 taps/);
    const found = await examine(deployed, solvePassports(deployed, RESNET));
    expect(found.matched).toBe(found.bits);
  });

  const NEAR: Forgery = { start: "near", fc: "known", signs: true, distance: 1 };
  it.each<[string, Partial<NetworkConfig>]>([
    ["one branch", { scheme: "v1" }],
    ["statistics that both branches share", { scheme: "v2", norm: "sbn" }],
    ["statistics of residual blocks", RESNET],
  ])("trained passports leave given-away numbers alone, running ones included: %s", async (_, config) => {
    const base = config === RESNET ? RESNET : { ...TINY, ...config };
    const model = buildNetwork(base as NetworkConfig, { seed: 3 });
    const target = { deployed: await model.deployed(), credential: await model.credential(), test: tinySet(3, 1) };
    model.dispose();
    const budget = { train: tinySet(24, 1), epochs: 1, batchSize: 12 };
    const { deployed } = await forgeWatched(target, NEAR, 0, budget);
    expect([...deployed.keys()]).toEqual([...target.deployed.tensors.keys()]);
    expect([...deployed.keys()].filter((name) => name.endsWith("running_mean")).length).toBeGreaterThan(2);
    for (const [name, t] of deployed) expect(t, name).toEqual(target.deployed.tensors.get(name));
  });
});
