/**
 * What attacks on a network's weights say of the owner's claim: the numbers of its verdict, word
 * for word, and nothing where there is no verdict to agree with.
 */
import { beforeAll, describe, expect, it } from "vitest";
import {
  disguises,
  distil,
  fineTune,
  forgeBoundClaim,
  type Measurement,
  overwrite,
  prune,
  quantise,
  randomPassports,
  type Target,
  trainPassports,
  unlearnTriggers,
} from "../../src/attacks";
import { changeWeights, pruned } from "../../src/attacks/weights";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, type NetworkConfig } from "../../src/models";
import { bind, boundCredential, openedTriggers, openGroup, verify } from "../../src/ownership";
import { gpu } from "../support/gpu";
import { acme, bindingFor, MARKED, MARKED_TRIGGERS, type Owned } from "../support/owner";
import { trainedTarget } from "../support/target";
import { TINY, tinySet } from "../support/tiny";

const test = tinySet(30, 2);
const images = tinySet(24, 3);
const training = { train: images, epochs: 1, batchSize: 12 };
const targetOf = ({ released, credential }: Owned): Target => ({ deployed: released, credential, test });
/** What `verify` finds of a claim in a file. */
async function markOf(file: SafetensorsFile, credential: SafetensorsFile) {
  const { bits, triggers } = (await verify(file, credential)).mark!;
  return { bits, triggers };
}

let claim: Owned;
/** Sixty triggers in one group, and the target that asks them. */
let asked: Target;

/** A network that was not trained, bound to a claim; how well it bears it does not matter here. */
async function bound(config: NetworkConfig, more: Parameters<typeof bindingFor>[1] = {}): Promise<Target> {
  const model = buildNetwork(config, { seed: 3 });
  const binding = await bindingFor("acme", more);
  await bind(model, binding);
  const credential = await boundCredential(await model.credential({}), binding);
  const deployed = await model.deployed();
  model.dispose();
  return { deployed, credential, test };
}

const withGroup = async (target: Target, group = 0): Promise<Target> => ({
  ...target,
  triggers: (await openedTriggers(await openGroup(target.credential, group))).set,
});

beforeAll(async () => {
  await gpu();
  claim = await acme();
  asked = await withGroup(await bound(MARKED, { triggers: { ...MARKED_TRIGGERS, groups: 1 } }));
});

describe("what a claim needs beside what an attack leaves", () => {
  it("is what its verdict counts, of as many bits as pruning leaves to be read", async () => {
    const target = targetOf(claim);
    const { before, steps } = await prune(target, { shares: [0.5, 0.9, 1] });
    expect(before.mark).toEqual(await markOf(target.deployed, target.credential));
    expect(before.mark).toMatchObject({ bits: { count: 224, needed: 194 }, triggers: null });
    for (const { setting, after } of steps) {
      const file = changeWeights(target.deployed, (t) => pruned(t, setting["share"] as number));
      expect(after.mark, JSON.stringify(setting)).toEqual(await markOf(file, target.credential));
      expect(after.mark!.bits?.count ?? 0).toBe(after.bits);
    }
    const [, most, all] = steps.map(({ after }) => after);
    // Fewer bits can be read, and fewer are needed of them; of none no number is enough.
    expect(most!.mark!.bits!.count).toBeLessThan(224);
    expect(most!.mark!.bits!.needed).toBeLessThan(194);
    expect(all).toMatchObject({ bits: 0, mark: { bits: null } });
  });

  it("is half of the rate each where there are triggers, and those are counted with it", async () => {
    const { before, steps } = await quantise(asked, { bits: [3] });
    expect(before.mark).toEqual(await markOf(asked.deployed, asked.credential));
    expect(before.mark).toMatchObject({ bits: { needed: 195 }, triggers: { count: 60, chance: 1 / 3 } });
    expect(before.mark!.triggers!.hits).toBe(Math.round(60 * before.triggers!));
    expect(steps[0]!.after.mark!.triggers!.hits).toBe(Math.round(60 * steps[0]!.after.triggers!));
  });

  it("asks for triggers where all of the claim's own were asked, and no others", async () => {
    const two = await bound(MARKED, { triggers: MARKED_TRIGGERS });
    const others: Record<string, Target> = {
      "one of two groups": await withGroup(two, 1),
      "as many of somebody else's": { ...asked, triggers: tinySet(60, 9) },
      none: { deployed: asked.deployed, credential: asked.credential, test },
    };
    for (const [name, target] of Object.entries(others)) {
      const { before } = await prune(target, { shares: [0] });
      expect(before.mark!.triggers, name).toBeNull();
      expect(before.mark!.bits!.needed, name).toBe(195);
    }
  });

  it("leaves the bits aside that spell a text", async () => {
    const target = await bound({ ...MARKED, passports: { 2: "ACME", 3: true } });
    const { before } = await prune(target, { shares: [0] });
    expect(before.bits).toBe(224);
    expect(before.mark!.bits!.count).toBe(224 - 32);
    expect(before.mark).toEqual(await markOf(target.deployed, target.credential));
  });

  it("is there for V1, whose triggers the network as it is answers", async () => {
    const v1 = await bound({ ...MARKED, scheme: "v1" }, { triggers: { ...MARKED_TRIGGERS, groups: 1 } });
    const { before, steps } = await overwrite(await withGroup(v1), { ...training, lr: 0.05 });
    expect(before.mark).toEqual(await markOf(v1.deployed, v1.credential));
    // Trained under others' passports, it answers otherwise than under the owner's.
    for (const m of [before, steps[0]!.after]) expect(m.mark!.triggers!.hits).toBe(Math.round(60 * m.triggers!));
  });

  it("is there for claims of the first version", async () => {
    const { network, credential } = await forgeBoundClaim(claim.released, MARKED, {
      version: 1,
      means: "all",
      seed: 1,
    });
    const { before } = await prune({ deployed: network, credential, test }, { shares: [0] });
    expect(before.mark!.bits!.hits).toBeGreaterThan(before.mark!.bits!.needed);
    expect(before.mark).toEqual(await markOf(network, credential));
  });

  it.each<[string, (target: Target) => Promise<{ before: Measurement; steps: { after: Measurement }[] }>]>([
    ["fine-tuned", (t) => fineTune(t, training)],
    ["distilled", (t) => distil(t, training)],
    ["overwritten", (t) => overwrite(t, training)],
    ["made to unlearn its triggers", (t) => unlearnTriggers(t, training)],
    ["disguised", (t) => disguises(t)],
  ])("is in the record of a network that was %s", async (_, attack) => {
    const record = await attack(asked);
    expect(JSON.parse(JSON.stringify(record))).toEqual(record);
    expect(record.before.mark).toEqual(await markOf(asked.deployed, asked.credential));
    for (const { after } of record.steps) {
      expect(after.mark!.bits).toMatchObject({ hits: after.matched, count: 224, needed: 195 });
      expect(after.mark!.triggers!.hits).toBe(Math.round(60 * after.triggers!));
    }
  });

  it("is not there without a claim, and under passports that are not the owner's", async () => {
    const unbound = await prune(await trainedTarget(TINY), { shares: [0] });
    expect(unbound.before).not.toHaveProperty("mark");
    const tampered = { ...claim.credential.metadata, claim: "{}" };
    const broken = { ...targetOf(claim), credential: { ...claim.credential, metadata: tampered } };
    expect((await prune(broken, { shares: [0] })).before).not.toHaveProperty("mark");
    for (const { before, steps } of [
      await randomPassports(targetOf(claim), { draws: 1 }),
      await trainPassports(targetOf(claim), { ...training, variant: "noise" }),
    ])
      for (const m of [before, steps[0]!.after]) expect(m).not.toHaveProperty("mark");
  });
});
