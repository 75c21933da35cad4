/**
 * A network of one's own, from `protect` to a verdict: what is deployed is its own state dict, and
 * the claim stands on the two files alone. Every attack runs on it.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  attackTriggerSet,
  disguise,
  distil,
  fineTune,
  flipSigns,
  forgeTriggers,
  overwrite,
  prune,
  quantise,
  randomPassports,
  replaceScales,
  solvePassports,
  type Target,
  trainPassports,
  trainScales,
  unlearnTriggers,
} from "../../src/attacks";
import { imageSet } from "../../src/data/sample-set";
import { ArgumentError, FormatError, StateDictError } from "../../src/errors";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { loadDeployed, readCredential } from "../../src/models";
import type { Module } from "../../src/nn/module";
import { Adam } from "../../src/optim";
import {
  type Binding,
  bind,
  binomialPValue,
  boundCredential,
  examine,
  matchThreshold,
  nullOfCredentials,
  nullOfNetworks,
  rejoin,
  rejoinSuspect,
  verify,
} from "../../src/ownership";
import { claimOf } from "../../src/ownership/claim/own";
import { type BranchAccuracy, type Protected, protect, secretBranch } from "../../src/passport";
import { Generator } from "../../src/tensor/random";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, type Tensor } from "../../src/tensor/tensor";
import { evaluate, Trainer } from "../../src/train";
import { detectTriggers } from "../../src/watermarks";
import { type Anchored, anchored, editedVerdict } from "../support/anchored";
import { fileBytes, found as secretsIn, stored } from "../support/bytes";
import { EDITS } from "../support/edits";
import { gpu, randomTensor } from "../support/gpu";
import { OwnNetwork } from "../support/own-network";
import { bindingFor } from "../support/owner";
import { stateBytes, tinySet } from "../support/tiny";

const NORMS = ["deep_norm", "mix_norm"];
/**
 * A depthwise convolution of 96 filters and a linear map of 96 outputs, of which a text takes 32.
 */
const BITS = 96 + 96;
const FREE = BITS - 32;
const NEEDED = matchThreshold(FREE, 2 ** -80 * 1e-6);
const test = tinySet(60, 2);
const text = (reasons: readonly string[]) => reasons.join("\n");

beforeAll(async () => void (await gpu()));

describe.each(["pan", "v1", "v2"] as const)("a network of one's own, scheme %s", (scheme) => {
  const secret = secretBranch(scheme);
  let owned: Protected<OwnNetwork>;
  let deployed: SafetensorsFile;
  let credential: SafetensorsFile;
  let binding: Binding;
  let anchor: Anchored;
  let accuracy: BranchAccuracy;
  let target: Target;

  beforeAll(async () => {
    owned = protect(new OwnNetwork(1), {
      scheme,
      at: { deep_norm: true, mix_norm: "PAN!" },
      sample: [1, 8, 8, 3],
      random: new Generator(3),
    });
    binding = await bindingFor("acme", { statement: "Trained by ACME, 2026" });
    await bind(owned, binding);
    const optimizer = new Adam(owned.parameters(), { lr: 5e-3 });
    const trainer = new Trainer(owned, optimizer, { batchSize: 12, seed: 5, signLoss: { alpha: 1 } });
    for await (const _ of trainer.fit(tinySet(120, 1), { epochs: 8 }));
    optimizer.dispose();
    accuracy = await evaluate(owned, test);
    deployed = stored(await owned.deployed());
    credential = stored(await boundCredential(await owned.credential(accuracy), binding));
    anchor = await anchored({ credential, released: deployed });
    target = { deployed, credential, test, model: () => new OwnNetwork() };
  });
  afterAll(() => owned.dispose());

  it("is deployed as its twin without passports: the same names, shapes and outputs, nothing secret", async () => {
    const twin = new OwnNetwork();
    const own = await twin.stateDict();
    expect([...deployed.tensors.keys()].sort()).toEqual([...own.keys()].sort());
    for (const [name, t] of own) expect(deployed.tensors.get(name)!.shape, name).toEqual(t.shape);
    expect(Object.keys(deployed.metadata)).toEqual(["format"]);
    const bare = new Map(
      [...credential.tensors].filter(([name]) => /\.passport\.(s?key|b|fc\.[02]\.weight)$/.test(name)),
    );
    expect(bare.size).toBe(2 * (scheme === "pan" ? 5 : 3));
    expect(secretsIn(bare, fileBytes(deployed))).toEqual([]);
    twin.loadStateDict(deployed.tensors);
    twin.eval();
    owned.eval();
    const x = randomTensor([4, 8, 8, 3], 6);
    const [a, b] = scope(() => noGrad(() => [twin.forward(x), owned.forward(x)]));
    const [plain, open] = [await a!.data(), await b!.data()];
    if (scheme === "v1") for (const [i, v] of plain.entries()) expect(Math.abs(v - open[i]!)).toBeLessThan(1e-4);
    else expect(plain).toEqual(open);
    for (const d of [a!, b!, x, twin]) d.dispose();
    expect(() => loadDeployed(deployed)).toThrow(FormatError);
  });

  it("has a credential that says where its passports are, without its network", async () => {
    expect(Object.keys(credential.metadata).sort()).toEqual(["channels", "claim", "claimed", "format", "passports"]);
    const read = readCredential(credential);
    expect(read.config).toBeUndefined();
    expect(read).toMatchObject({ format: 2, scheme, fc: scheme === "pan", claimed: accuracy });
    expect(read.places).toMatchObject([
      { norm: "deep_norm", weight: "deep.weight", kind: "conv2d", groups: 96, channels: 96, inputSize: [4, 4] },
      { norm: "mix_norm", weight: "mix.weight", bias: "mix.bias", kind: "linear", channels: 96, text: 4 },
    ]);
    expect((await claimOf(credential, read)).spec.statement).toBe(binding.statement);
  });

  it("verifies on the host, from the two files and the commitment alone", async () => {
    const dispatches = (await gpu()).counters.dispatches;
    const found = await verify(deployed, credential, anchor);
    expect((await gpu()).counters.dispatches).toBe(dispatches);
    expect(found).toMatchObject({
      verdict: "holds as released",
      bound: 1e-6,
      version: 2,
      statement: binding.statement,
    });
    expect(found.mark).toMatchObject({
      bits: { count: FREE, hits: FREE, needed: NEEDED },
      triggers: null,
      found: true,
    });
    const { examination } = found;
    expect(examination).toMatchObject({ passes: true, bits: BITS, matched: BITS });
    expect(examination).toMatchObject({ decodedText: "PAN!", claimedText: "PAN!" });
    expect(examination!.layers.map((l) => l.name)).toEqual(NORMS);
    expect(examination).toMatchObject({ accuracy: {}, opened: null });
    // What the host reads is what the device computes.
    const signs = await owned.readSigns();
    for (const [i, { gamma }] of examination!.layers.entries())
      for (const [c, g] of gamma.entries()) expect(Math.abs(g - signs[i]!.gamma[c]!)).toBeLessThan(1e-4);
    const unseen = await verify(deployed, credential, { ...anchor, test });
    expect(unseen).toMatchObject({ verdict: "holds as released", examination: { accuracy: {} } });
    expect(text(unseen.reasons)).toMatch(/none of this package's and was not given \(`model`\): no branch can run/);
  });

  it("has its accuracies measured in a network that is given, which has its own weights back", async () => {
    const live = memory().tensors;
    const instance = new OwnNetwork(7);
    const [before, count] = [await stateBytes(instance), memory().tensors];
    for (const training of [true, false]) {
      instance.train(training);
      // One is set apart, and stays so.
      const [, [, apart]] = instance.namedModules() as [unknown, [string, Module]];
      apart.training = !training;
      const options = { model: instance, test };
      const { verdict, examination } = await verify(deployed, credential, { ...anchor, ...options });
      expect(verdict).toBe("holds as released");
      const found = await examine(deployed, credential, { ...options, triggers: test });
      expect(found.accuracy).toEqual(examination!.accuracy);
      expect(found).toMatchObject({
        passes: true,
        accuracy,
        claimed: accuracy,
        opened: { branch: secret, holds: true },
      });
      expect(found.triggers).toMatchObject({ count: 60, holds: true });
      expect(await stateBytes(instance)).toEqual(before);
      expect([instance.training, apart.training]).toEqual([training, !training]);
      expect(memory().tensors).toBe(count);
    }
    expect(accuracy[secret]).toBeGreaterThan(0.9);
    instance.dispose();
    const made = await examine(deployed, credential, { model: () => new OwnNetwork(), test });
    expect(made).toMatchObject({ passes: true, accuracy });
    // The claim itself is no place to try a suspect in.
    await expect(verify(deployed, credential, { model: owned as never, test })).rejects.toThrow(ArgumentError);
    expect(memory().tensors).toBe(live);
  });

  it("is asked for triggers against guessing among its outputs, whatever classes their set names", async () => {
    const model = () => new OwnNetwork();
    const named = (names: number) =>
      imageSet({
        ...test,
        labels: test.labels.map((label) => label % Math.min(3, names)),
        classes: Array.from({ length: names }, (_, i) => `class ${i}`),
      });
    for (const names of [1, 2, 3]) {
      const triggers = named(names);
      const asked = [(await examine(deployed, credential, { model, triggers })).triggers!];
      if (scheme !== "v1") asked.push(await detectTriggers(owned, triggers));
      for (const { hits, pValue, threshold } of asked) {
        expect(pValue).toBeCloseTo(binomialPValue(hits, 60, 1 / 3), 12);
        expect(threshold).toBe(matchThreshold(60, 1e-6, 1 / 3));
      }
      const forged = await forgeTriggers(deployed, { base: triggers, count: 20, steps: 2, model });
      expect(new Set(forged.triggers.labels)).toEqual(new Set([0, 1, 2]));
      expect(forged.pValue).toBeCloseTo(binomialPValue(forged.hits, 20, 1 / 3), 12);
    }
    // The more classes were named, the less likely guessing would have looked.
    for (const names of [4, 100]) {
      await expect(examine(deployed, credential, { model, triggers: named(names) })).rejects.toThrow(ArgumentError);
      await expect(detectTriggers(owned, named(names))).rejects.toThrow(/the network's 3 classes expected/);
    }
  });

  it("does not pass where the branch that the passports open does not do what is claimed, and gets no verdict", async () => {
    const claimed = { ...accuracy, [secret]: accuracy[secret]! - 0.3 };
    const boast = { ...credential, metadata: { ...credential.metadata, claimed: JSON.stringify(claimed) } };
    const found = await verify(deployed, boast, { ...anchor, model: () => new OwnNetwork(), test });
    expect(found).toMatchObject({ verdict: "refused", examination: { passes: false, matched: BITS } });
    expect(found.sentence).toMatch(/the commitment is not this credential's: its credential is another/);
    expect(text(found.reasons)).toMatch(new RegExp(`the ${secret} branch reaches .* not within 3 points`));
  });

  it("is not matched by a stranger's network, nor a stranger's credential by it", async () => {
    const stranger = new OwnNetwork(99);
    const file = { tensors: await stranger.stateDict(), metadata: {} };
    stranger.dispose();
    const { verdict, mark, relation, examination } = await verify(file, credential, {
      ...anchor,
      model: () => new OwnNetwork(),
      test,
    });
    expect({ verdict, mark }).toMatchObject({ verdict: "refused", mark: { found: false } });
    expect(relation).toMatchObject({ related: false });
    const found = examination!;
    expect(found.passes).toBe(false);
    expect(found.matched).toBeLessThan(found.threshold);
    const { matched, bits, mean } = await nullOfCredentials(deployed, credential, { draws: 20, seed: 1 });
    expect(bits).toBe(BITS);
    expect(Math.max(...matched)).toBeLessThan(matchThreshold(BITS));
    expect(Math.abs(mean - BITS / 2)).toBeLessThan((4 * Math.sqrt(BITS)) / 2 / Math.sqrt(20));
    const sample = await nullOfNetworks(deployed, credential, [file, deployed]);
    expect(sample.matched).toEqual([found.matched, BITS]);
  });

  it("is read under other names and types, and refused by name where a weight is missing", async () => {
    const options = { ...anchor, model: () => new OwnNetwork(), test };
    for (const name of ["the prefix module.", "numbers of 64 bits", "a random order of tensors", "no metadata"]) {
      const edited = EDITS[name]!.edit(deployed);
      const verdict = editedVerdict(edited, deployed);
      const found = await verify(edited, credential, options);
      expect(found, name).toMatchObject({ verdict, examination: { passes: true, matched: BITS, accuracy } });
    }
    const without = (gone: string): SafetensorsFile => ({
      ...deployed,
      tensors: new Map([...deployed.tensors].filter(([name]) => name !== gone)),
    });
    await expect(verify(without("deep.weight"), credential)).rejects.toThrow(StateDictError);
    await expect(verify(without("deep.weight"), credential)).rejects.toThrow(/missing deep\.weight/);
    const headless = await verify(without("head.weight"), credential, options);
    expect(headless).toMatchObject({ verdict: "holds", examination: { matched: BITS, accuracy: {} } });
    expect(text(headless.reasons)).toMatch(/no branch can run as in the suspect: .*missing head\.weight/);
  });

  it("rejoins in a network of its structure alone", async () => {
    const live = memory().tensors;
    expect(() => rejoin(deployed, credential)).toThrow(FormatError);
    expect(() => rejoin(deployed, credential)).toThrow(/give the network, `model`/);
    const { model, places } = rejoinSuspect(deployed, credential, new OwnNetwork());
    expect(places.map((p) => p.norm)).toEqual(NORMS);
    owned.eval();
    const x = randomTensor([4, 8, 8, 3], 6);
    for (const branch of owned.branches) {
      const [a, b] = scope(() => noGrad(() => [model.forward(x, branch) as Tensor, owned.forward(x, branch)]));
      expect(await a!.data(), branch).toEqual(await b!.data());
      for (const t of [a!, b!]) t.dispose();
    }
    for (const d of [x, model]) d.dispose();
    expect(memory().tensors).toBe(live);
  });

  it("is disguised by whoever knows its channels, and put back by its owner's copy", async () => {
    expect(() => disguise(deployed)).toThrow(FormatError);
    const hidden = disguise(deployed, { permute: true, seed: 3 }, { channels: readCredential(credential).channels! });
    const worn = await verify(hidden, credential, anchor);
    expect(worn).toMatchObject({ verdict: "copy of the committed network", mark: { found: false } });
    expect(worn.examination!.matched).toBeLessThan(BITS);
    const found = await examine(hidden, credential, { reference: deployed });
    expect(found.matched).toBe(BITS);
  });

  describe("under attack", () => {
    const budget = { train: tinySet(24, 7), epochs: 1, batchSize: 12, seed: 1 };
    let live: number;
    beforeAll(() => {
      live = memory().tensors;
    });
    const noneLeft = () => expect(memory().tensors).toBe(live);

    it("random passports close the branch", async () => {
      const { before, steps } = await randomPassports(target, { draws: 2, seed: 2 });
      expect(before).toMatchObject({ bits: BITS, matched: BITS, accuracy });
      for (const { after } of steps) {
        expect(after.matched).toBeLessThan(matchThreshold(BITS));
        if (scheme !== "v1") expect(after.accuracy.public).toBe(accuracy.public);
      }
      noneLeft();
    });

    it("turned signs turn every bit, solved for in the depthwise and in the linear map", async () => {
      const { steps } = await flipSigns(target, { shares: [0, 1] });
      expect(steps[0]!).toMatchObject({ after: { matched: BITS }, text: "PAN!" });
      expect(steps[1]!.after.matched).toBe(0);
      expect(steps[1]!.after.accuracy[secret]).toBeLessThan(accuracy[secret]! - 0.2);
      noneLeft();
    });

    it("pruning and quantisation take what they should", async () => {
      const pruned = await prune(target, { shares: [0, 1] });
      expect(pruned.steps[0]!.after).toEqual(pruned.before);
      expect(pruned.steps[1]!.after.matched).toBe(0);
      const { steps } = await quantise(target, { bits: [8] });
      expect(steps[0]!.after.matched).toBeGreaterThan(BITS - 10);
      noneLeft();
    });

    it.each(["rtal", "ftal"] as const)("fine-tuning leaves the signature: %s", async (mode) => {
      const { before, steps } = await fineTune(target, { ...budget, mode });
      expect(before.matched).toBe(BITS);
      expect(steps).toHaveLength(1);
      expect(steps[0]!.after).toMatchObject({ bits: BITS });
      expect(steps[0]!.after.matched).toBeGreaterThan(BITS * 0.95);
      if (mode === "ftal") expect(steps[0]!.after.accuracy[owned.branches[0]!]).toBeGreaterThan(0.9);
      noneLeft();
    });

    it("overwriting leaves the signature too", async () => {
      const { steps } = await overwrite(target, budget);
      expect(steps[0]!.after.matched).toBeGreaterThan(BITS * 0.9);
      noneLeft();
    });

    it("whatever its maker froze or set apart is trained all the same", async () => {
      const still = () => {
        const network = new OwnNetwork().freeze();
        network.stemNorm.eval();
        return network;
      };
      for (const attack of [
        (t: Target) => fineTune(t, { ...budget, mode: "ftal" }),
        (t: Target) => fineTune(t, { ...budget, mode: "rtal" }),
        (t: Target) => overwrite(t, budget),
        (t: Target) => distil(t, budget),
        (t: Target) => unlearnTriggers(t, budget),
      ])
        expect((await attack({ ...target, model: still })).steps).toEqual((await attack(target)).steps);
      noneLeft();
    });

    it("its triggers are forged, and asked for after fine-tuning", async () => {
      const network = { deployed, task: "three colours", test, model: () => new OwnNetwork() };
      const record = await attackTriggerSet(network, tinySet(6, 3), {
        forging: { base: tinySet(12, 11), steps: 2 },
        tasks: [{ ...budget, task: "the same", test }],
      });
      expect(record.trained).toMatchObject({ accuracy: expect.any(Number), real: expect.any(Number) });
      expect(record.fineTuned).toHaveLength(1);
      noneLeft();
    });

    it("trained scales keep the signs they start from", async () => {
      const { steps } = await trainScales(target, { ...budget, lr: 1e-6, shares: [0, 1] });
      expect(steps.map((s) => s.after.matched)).toEqual([BITS, 0]);
      noneLeft();
    });

    it.each(["individual", "collective"] as const)("expanded residual blocks run: %s", async (kind) => {
      const { steps } = await replaceScales(target, { ...budget, kind, lr: 1e-6 });
      const bits = NORMS.flatMap((name) => [...credential.tensors.get(`${name}.passport.b`)!.data].map(Number));
      // γ starts at 1: what matches are the bits that are +1, but for what the blocks' own random
      // numbers turn.
      expect(Math.abs(steps[0]!.after.matched - bits.filter((b) => b > 0).length)).toBeLessThan(BITS * 0.15);
      noneLeft();
    });

    it.each(
      scheme === "pan"
        ? (["near", "other", "noise", "near, fresh FC"] as const)
        : (["near", "other", "noise"] as const),
    )("passports are trained: %s", async (variant) => {
      const forged: SafetensorsFile[] = [];
      const { before, steps } = await trainPassports(target, {
        ...budget,
        variant,
        shares: [0.5],
        onForged: ({ credential }) => void forged.push(credential),
      });
      expect(before.matched).toBe(BITS);
      if (scheme !== "v1") expect(steps[0]!.after.accuracy.public).toBe(accuracy.public);
      const found = await examine(deployed, stored(forged[0]!), { model: target.model!, test });
      expect(found).toMatchObject({ bits: BITS, accuracy: steps[0]!.after.accuracy });
      expect(await verify(deployed, forged[0]!)).toMatchObject({ verdict: "refused", mark: null });
      noneLeft();
    });

    it("solved passports pass the papers' checks, and get no verdict", async () => {
      const { plan } = owned;
      const bare = { ...plan, places: plan.places.map((p) => ({ ...p, text: 0 })), texts: [] };
      const shown = accuracy[owned.branches[0]!]!;
      const claimed = Object.fromEntries(owned.branches.map((branch) => [branch, shown]));
      const forged = solvePassports(deployed, scheme === "pan" ? plan : bare, { claimed, seed: 3 });
      const found = await examine(deployed, stored(forged), { model: target.model!, test });
      expect(found).toMatchObject({ passes: true, bits: BITS, matched: BITS });
      expect(found.decodedText).toBe(scheme === "pan" ? "PAN!" : "");
      expect(found.accuracy).toEqual(claimed);
      expect(await verify(deployed, forged)).toMatchObject({ verdict: "refused", mark: null });
      await expect(boundCredential(forged, binding)).rejects.toThrow(FormatError);
      if (scheme !== "pan") expect(() => solvePassports(deployed, plan)).toThrow(/spell no text/);
      noneLeft();
    });
  });
});
