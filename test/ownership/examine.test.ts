/** What the papers check, from end to end, on a small network that was trained for it. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { normalize } from "../../src/data/transforms";
import { ArgumentError, FormatError, StateDictError } from "../../src/errors";
import type { HostTensor } from "../../src/io/host-tensor";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork } from "../../src/models";
import { SGD } from "../../src/optim/sgd";
import { examine } from "../../src/ownership/running/examine";
import { binomialPValue, matchThreshold } from "../../src/ownership/statistics";
import { Generator } from "../../src/tensor/random";
import { memory } from "../../src/tensor/storage";
import { evaluate } from "../../src/train/evaluate";
import { Trainer } from "../../src/train/trainer";
import { gpu } from "../support/gpu";
import type { Network } from "../support/networks";
import { TINY, TINY_PLAIN, tinySet } from "../support/tiny";

const train = tinySet(60, 1);
const test = tinySet(30, 2);
const transform = [normalize([0.5, 0.5, 0.5], [0.25, 0.25, 0.25])];
let model: Network;
let deployed: SafetensorsFile;
let credential: SafetensorsFile;
let accuracy: { public?: number; private?: number };

/** As it would be after a save and a load. */
const stored = (f: SafetensorsFile) => decodeSafetensors(encodeSafetensors(f.tensors, f.metadata));

beforeAll(async () => {
  await gpu();
  model = buildNetwork(TINY, { seed: 4 });
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5, transform });
  for await (const _ of trainer.fit(train, { epochs: 8 }));
  optimizer.dispose();
  accuracy = await evaluate(model, test, { transform });
  deployed = stored(await model.deployed());
  credential = stored(await model.credential(accuracy));
});
afterAll(() => model.dispose());

/** The file with some tensors or entries changed; undefined takes them out. */
function changed(
  file: SafetensorsFile,
  tensors: Record<string, HostTensor | undefined>,
  metadata: Record<string, string> = {},
): SafetensorsFile {
  const out = new Map(file.tensors);
  for (const [name, t] of Object.entries(tensors)) t ? out.set(name, t) : out.delete(name);
  return { tensors: out, metadata: { ...file.metadata, ...metadata } };
}

const floats = (t: HostTensor, f: (v: number, i: number) => number): HostTensor => ({
  ...t,
  dtype: "F32",
  data: Float32Array.from(t.data as Float32Array, f),
});

/** The owner's credential with a stranger's random passports in the place of the owner's. */
function forged(seed: number): SafetensorsFile {
  const random = new Generator(seed);
  const keys = [...credential.tensors].filter(([name]) => /\.passport\.s?key$/.test(name));
  return changed(
    credential,
    Object.fromEntries(keys.map(([name, t]) => [name, floats(t, () => random.uniform(-1, 1))])),
  );
}

describe("the owner's credential", () => {
  it("passes, decodes the text, and finds the accuracies", async () => {
    const before = memory();
    const found = await examine(deployed, credential, { test, transform });
    expect(found).toMatchObject({
      passes: true,
      decodedText: "PAN!",
      claimedText: "PAN!",
      bits: 48,
      matched: 48,
      threshold: matchThreshold(48),
    });
    expect(found.pValue).toBe(binomialPValue(48, 48));
    expect(found.accuracy).toEqual(accuracy);
    expect(found.claimed).toEqual(accuracy);
    expect(accuracy.private).toBeGreaterThan(0.9);
    expect(found.layers.map(({ name, bits, matched }) => [name, bits, matched])).toEqual([
      ["features.2.bn", 16, 16],
      ["features.3.bn", 32, 32],
    ]);
    for (const { gamma, signs } of found.layers) expect(gamma.map(Math.sign)).toEqual(signs);
    expect(found.reasons.join("\n")).toMatch(
      /48 of 48 signature bits match; 4\d are needed at a false-positive rate of 1e-6/,
    );
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  });

  it("is checked without images too, and says what then was not", async () => {
    const found = await examine(deployed, credential);
    expect(found).toMatchObject({ passes: true, matched: 48, accuracy: {} });
    expect(found.reasons.join("\n")).toMatch(
      /no test images were given: the accuracy of the private branch is not checked/,
    );
  });

  it("compares no accuracy where none is claimed, and says so", async () => {
    const found = await examine(deployed, changed(credential, {}, { claimed: "{}" }), { test, transform });
    expect(found.passes).toBe(true);
    expect(found.accuracy).toEqual(accuracy);
    expect(found.reasons.join("\n")).toMatch(/claims no accuracy/);
  });

  it("falls when the private branch does not do what is claimed, within the tolerance asked for", async () => {
    const boast = changed(credential, {}, { claimed: JSON.stringify({ private: accuracy.private! - 0.2 }) });
    const strict = await examine(deployed, boast, { test, transform });
    expect(strict).toMatchObject({ passes: false, matched: 48 });
    expect(strict.reasons.join("\n")).toMatch(/not within 3 points/);
    expect((await examine(deployed, boast, { test, transform, tolerance: 0.25 })).passes).toBe(true);
  });

  it("survives small changes of the weights, and still counts the bits they cost", async () => {
    const random = new Generator(3);
    const noisy = new Map(
      [...deployed.tensors].map(([n, t]): [string, HostTensor] => [
        n,
        n.endsWith("conv.weight") ? floats(t, (v) => v + random.normal(0, 0.005)) : t,
      ]),
    );
    expect((await examine({ ...deployed, tensors: noisy }, credential)).passes).toBe(true);
    const blank = new Map(
      [...deployed.tensors].map(([n, t]): [string, HostTensor] => [
        n,
        n.endsWith("conv.weight") ? floats(t, () => random.normal()) : t,
      ]),
    );
    expect((await examine({ ...deployed, tensors: blank }, credential)).passes).toBe(false);
  });

  it("takes the false-positive rate asked for", async () => {
    const found = await examine(deployed, credential, { falsePositiveRate: 1e-15 });
    expect(found).toMatchObject({ passes: false, matched: 48, threshold: 49 });
    await expect(examine(deployed, credential, { falsePositiveRate: 0 })).rejects.toThrow(ArgumentError);
  });
});

describe("a credential that is none", () => {
  it("matches about half of the bits with random passports, and does not pass", async () => {
    for (const seed of [1, 2, 3]) {
      const found = await examine(deployed, forged(seed), { test, transform });
      expect(found).toMatchObject({ passes: false, claimedText: "PAN!" });
      expect(found.decodedText).not.toBe("PAN!");
      expect(found.reasons.join("\n")).toMatch(new RegExp(`${found.matched} of 48 signature bits match`));
    }
  });

  it("matches half of the bits over many random passports, though not as independent coins would", async () => {
    const whole = await model.stateDict();
    const stranger = buildNetwork(TINY);
    stranger.loadStateDict(whole);
    const counts: number[] = [];
    for (let seed = 0; seed < 40; seed++) {
      stranger.randomPassports(new Generator(seed));
      counts.push((await stranger.readSigns()).reduce((n, s) => n + s.matched, 0));
    }
    stranger.dispose();
    // Two passports that resemble each other by chance turn many signs of a layer at once, the more
    // so the fewer input channels it has: a draw deviates by about 6 bits here, coins by 3.5. Four
    // standard deviations of the mean of 40 draws are then below 4 bits.
    const mean = counts.reduce((a, b) => a + b) / 40;
    expect(Math.abs(mean - 24)).toBeLessThan(4);
    expect(Math.max(...counts)).toBeLessThan(matchThreshold(48));
  });

  it("does not pass against another model of the same structure", async () => {
    const other = buildNetwork(TINY_PLAIN, { seed: 7 });
    const found = await examine(await other.deployed(), credential, { test, transform });
    expect(found.passes).toBe(false);
    expect(found.matched).toBeLessThan(matchThreshold(48));
    other.dispose();
  });

  it("is refused when the credential's bits do not spell its text", async () => {
    // A stranger writes down the signs that passports of their own happen to give, under a text
    // that they do not spell.
    const stranger = forged(9);
    const { layers } = await examine(deployed, stranger);
    const bits = Object.fromEntries(
      layers.map(({ name, gamma }) => [
        `${name}.passport.b`,
        floats(credential.tensors.get(`${name}.passport.b`)!, (_, i) => Math.sign(gamma[i]!)),
      ]),
    );
    await expect(examine(deployed, changed(stranger, bits))).rejects.toThrow(FormatError);
    await expect(examine(deployed, changed(stranger, bits))).rejects.toThrow(
      /bits of features\.3\.bn spell .*its text is "PAN!"/,
    );
  });
});

describe("files that do not fit", () => {
  const scalar: HostTensor = { dtype: "F32", shape: [1], data: new Float32Array(1) };

  it("refuses exchanged files, naming the exchange", async () => {
    await expect(examine(credential, deployed)).rejects.toThrow(FormatError);
    await expect(examine(credential, deployed)).rejects.toThrow(/exchanged/);
  });

  it("refuses two credentials, or two networks", async () => {
    await expect(examine(credential, credential)).rejects.toThrow(StateDictError);
    await expect(examine(deployed, deployed)).rejects.toThrow(FormatError);
  });

  it.each<[string, () => [SafetensorsFile, SafetensorsFile], RegExp]>([
    [
      "a weight that is missing",
      () => [changed(deployed, { "features.0.conv.weight": undefined }), credential],
      /missing features\.0\.conv\.weight/,
    ],
    [
      "a weight under a passport that is missing",
      () => [changed(deployed, { "features.2.conv.weight": undefined }), credential],
      /missing features\.2\./,
    ],
    [
      "a weight of another shape",
      () => [changed(deployed, { "classifier.bias": scalar }), credential],
      /classifier\.bias: shape \[1\].*\[3\]/,
    ],
    ["an empty network", () => [{ tensors: new Map(), metadata: {} }, credential], /missing features\.0\./],
  ])("refuses %s, by name", async (_, files, message) => {
    const before = memory().tensors;
    const error = await examine(...files()).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(StateDictError);
    expect((error as Error).message).toMatch(/does not belong to a network of that structure/);
    expect((error as Error).message).toMatch(message);
    expect(memory().tensors).toBe(before);
  });

  it.each<[string, Record<string, HostTensor | undefined>, RegExp]>([
    ["without a passport", { "features.3.bn.passport.key": undefined }, /has no features\.3\.bn\.passport\.key/],
    ["without an FC", { "features.2.bn.passport.fc.2.weight": undefined }, /has no features\.2\.bn\.passport\.fc\.2/],
    [
      "with half of its statistics",
      { "features.2.bn.passport.norm.running_var": undefined },
      /has no features\.2\.bn\.passport\.norm\.running_var/,
    ],
    [
      "with bits of another number",
      { "features.2.bn.passport.b": scalar },
      /features\.2\.bn\.passport\.b: shape \[1\].*\[16\]/,
    ],
    [
      "with an FC of another size",
      { "features.2.bn.passport.fc.0.weight": scalar },
      /features\.2\.bn\.passport\.fc\.0\.weight: shape \[1\].*\[4, 16\]/,
    ],
    [
      "with a tensor too many",
      { "features.2.bn.passport.more": scalar },
      /unexpected.* features\.2\.bn\.passport\.more/,
    ],
    ["with one of another layer", { "features.0.bn.passport.b": scalar }, /unexpected.* features\.0\.bn\.passport\.b/],
  ])("refuses a credential %s, by name", async (_, tensors, message) => {
    const before = memory().tensors;
    const error = await examine(deployed, changed(credential, tensors)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(message);
    expect(memory().tensors).toBe(before);
  });

  it("refuses a network of another structure", async () => {
    const wider = buildNetwork({
      ...TINY_PLAIN,
      layers: TINY.layers.map((l) => (l === "pool" ? l : { ...l, channels: 2 * l.channels })),
    });
    await expect(examine(await wider.deployed(), credential)).rejects.toThrow(StateDictError);
    wider.dispose();
  });

  it("refuses test images of another size, and frees what it made", async () => {
    const before = memory().tensors;
    const wide = { ...test, images: new Uint8Array(30 * 3 * 8 * 9), width: 9 };
    await expect(examine(deployed, credential, { test: wide })).rejects.toThrow(ArgumentError);
    expect(memory().tensors).toBe(before);
  });
});
