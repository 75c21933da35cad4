/**
 * Examinations in every scheme, on chains and ResNets, of suspects that were changed before they
 * were given away.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ImageSet, imageSet } from "../../src/data/sample-set";
import { normalize } from "../../src/data/transforms";
import { FormatError, StateDictError } from "../../src/errors";
import type { HostTensor } from "../../src/io/host-tensor";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork } from "../../src/models/build";
import type { NetworkConfig } from "../../src/models/described/network";
import { SGD } from "../../src/optim/sgd";
import { examine } from "../../src/ownership/running/examine";
import { rejoin } from "../../src/ownership/running/rejoin";
import { binomialPValue, matchThreshold } from "../../src/ownership/statistics";
import type { BranchAccuracy } from "../../src/passport/branches";
import { Generator } from "../../src/tensor/random";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, type Tensor } from "../../src/tensor/tensor";
import { evaluate } from "../../src/train/evaluate";
import { Trainer } from "../../src/train/trainer";
import { stored } from "../support/bytes";
import { signedNetwork } from "../support/claims";
import { gpu, randomTensor } from "../support/gpu";
import type { Network } from "../support/networks";
import { TINY, tinySet } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const test = tinySet(30, 2);
const transform = [normalize([0.5, 0.5, 0.5], [0.25, 0.25, 0.25])];

/** Six bytes over layers of two and four: the € is cut between them. */
const TEXT = "P€NS";
const SPREAD = { passports: { 2: true, 3: true }, signature: TEXT } as const;
const RESNET = { arch: "resnet", classes: 3, input: [8, 8, 3], blocks: [1, 1], width: 8 } as const;
const IN_STAGE = { passports: { layer2: true }, signature: TEXT } as const;

interface Claim {
  model: Network;
  deployed: SafetensorsFile;
  credential: SafetensorsFile;
  accuracy: BranchAccuracy;
}

const claim = async (model: Network): Promise<Claim> => {
  const accuracy = await evaluate(model, test, { transform });
  return {
    model,
    deployed: stored(await model.deployed()),
    credential: stored(await model.credential(accuracy)),
    accuracy,
  };
};

async function trained(config: NetworkConfig): Promise<Claim> {
  const model = buildNetwork(config, { seed: 4 });
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5, transform, signLoss: { alpha: 1 } });
  for await (const _ of trainer.fit(tinySet(60, 1), { epochs: 8 }));
  optimizer.dispose();
  return claim(model.eval());
}

/**
 * Untrained, with statistics and affine maps as after training; the filters of channels with a
 * wrong sign of γ are turned round.
 */
const signed = async (config: NetworkConfig): Promise<Claim> => claim(await signedNetwork(config));

const floats = (t: HostTensor, f: (v: number, i: number) => number): HostTensor => ({
  ...t,
  dtype: "F32",
  data: Float32Array.from(t.data as Float32Array, f),
});

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

/** The credential with a stranger's random passports in the place of the owner's. */
function forged(credential: SafetensorsFile, seed: number): SafetensorsFile {
  const random = new Generator(seed);
  const keys = [...credential.tensors].filter(([name]) => /\.passport\.s?key$/.test(name));
  expect(keys.length).toBeGreaterThan(1);
  return changed(
    credential,
    Object.fromEntries(keys.map(([name, t]) => [name, floats(t, () => random.uniform(-1, 1))])),
  );
}

/** The suspect with a fresh classifier of another number of classes; none at all with 0. */
function withHead(file: SafetensorsFile, head: string, classes: number): SafetensorsFile {
  const random = new Generator(8);
  const features = file.tensors.get(`${head}.weight`)!.shape[1]!;
  const tensor = (...shape: number[]): HostTensor => {
    const data = new Float32Array(shape.reduce((a, b) => a * b));
    return { dtype: "F32", shape, data: random.fill(data, "uniform", -0.1, 0.1) };
  };
  const weight = classes ? tensor(classes, features) : undefined;
  return changed(file, { [`${head}.weight`]: weight, [`${head}.bias`]: classes ? tensor(classes) : undefined });
}

/** Nothing may stay allocated behind a call, whether it succeeds or throws. */
async function leakless<T>(f: () => Promise<T>): Promise<T> {
  const before = memory();
  try {
    return await f();
  } finally {
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  }
}

const text = (reasons: readonly string[]) => reasons.join("\n");

let v1: Claim;
let v2: Claim;
let folding: Claim;
beforeAll(async () => {
  v1 = await trained({ ...TINY, ...SPREAD, scheme: "v1" });
  v2 = await trained({ ...TINY, ...SPREAD, scheme: "v2" });
  folding = await signed({ ...RESNET, ...IN_STAGE, scheme: "pan" });
});
afterAll(() => {
  for (const { model } of [v1, v2, folding]) model.dispose();
});

describe("the owner's credential", () => {
  /**
   * @param works whether the branches do better than guessing, which those of untrained networks do
   * not
   */
  const passes = async ({ model, deployed, credential, accuracy }: Claim, works: boolean) => {
    const found = await leakless(() => examine(deployed, credential, { test, transform }));
    expect(found.opened!.holds).toBe(works);
    if (!works) expect((await examine(deployed, credential)).passes).toBe(true);
    expect(found).toMatchObject({ passes: works, decodedText: TEXT, claimedText: TEXT, bits: 48, matched: 48 });
    expect(found.pValue).toBe(binomialPValue(48, 48));
    expect(found.accuracy).toEqual(accuracy);
    expect(Object.keys(accuracy)).toEqual([...model.branches]);
    expect(found.triggers).toBeNull();
    for (const seed of [1, 2, 3]) {
      const other = await leakless(() => examine(deployed, forged(credential, seed)));
      expect(other, `forgery ${seed}`).toMatchObject({ passes: false, claimedText: TEXT });
      expect(other.decodedText).not.toBe(TEXT);
    }
  };

  it("passes in V1 after training: the only branch works, and works with its passports", async () => {
    await passes(v1, true);
    expect(v1.accuracy.passport).toBeGreaterThan(0.9);
    const forgery = rejoin(v1.deployed, forged(v1.credential, 1));
    expect((await evaluate(forgery, test, { transform })).passport).toBeLessThan(0.8);
    forgery.dispose();
  });

  it("passes in V2 with group norm after training, in both branches", async () => {
    await passes(v2, true);
    expect(v2.accuracy.public).toBeGreaterThan(0.9);
    expect(v2.accuracy.private).toBeGreaterThan(0.9);
  });

  it.each<[string, NetworkConfig]>([
    ["V3 with instance norm", { ...TINY, ...SPREAD, scheme: "v3", norm: "in" }],
    ["pan with one statistic", { ...TINY, ...SPREAD, scheme: "pan", norm: "sbn" }],
    ["pan without FC", { ...TINY, ...SPREAD, scheme: "pan", fc: false }],
    ["V1 in a ResNet", { ...RESNET, ...IN_STAGE, scheme: "v1" }],
    ["V2 in a ResNet", { ...RESNET, ...IN_STAGE, scheme: "v2" }],
    ["pan with one statistic in a ResNet", { ...RESNET, ...IN_STAGE, scheme: "pan", norm: "sbn" }],
  ])("passes in %s", async (_, config) => {
    const made = await signed(config);
    await passes(made, false);
    const again = rejoin(made.deployed, made.credential);
    const x = randomTensor([2, 8, 8, 3], 6);
    for (const branch of made.model.branches) {
      const [a, b] = scope(() => noGrad(() => [again.forward(x, branch) as Tensor, made.model.forward(x, branch)]));
      expect([...(await a!.data())], branch).toEqual([...(await b!.data())]);
      for (const t of [a!, b!]) t.dispose();
    }
    x.dispose();
    for (const m of [again, made.model]) m.dispose();
  });

  it("stands on the branch that the passports open: V1's only one", async () => {
    const boast = changed(v1.credential, {}, { claimed: JSON.stringify({ passport: v1.accuracy.passport! - 0.2 }) });
    const found = await examine(v1.deployed, boast, { test, transform });
    expect(found).toMatchObject({ passes: false, matched: 48 });
    expect(text(found.reasons)).toMatch(/the passport branch reaches .* not within 3 points/);
    expect(text((await examine(v1.deployed, boast)).reasons)).toMatch(/accuracy of the passport branch is not checked/);
  });

  it("stands on the private branch of two, and says what the public one does", async () => {
    const claimed = { ...v2.accuracy, public: v2.accuracy.public! - 0.5 };
    const open = changed(v2.credential, {}, { claimed: JSON.stringify(claimed) });
    const found = await examine(v2.deployed, open, { test, transform });
    expect(found).toMatchObject({ passes: true, matched: 48 });
    expect(text(found.reasons)).toMatch(/the public branch reaches .* not within 3 points/);
    const secret = { ...v2.accuracy, private: v2.accuracy.private! - 0.5 };
    const boast = changed(v2.credential, {}, { claimed: JSON.stringify(secret) });
    expect((await examine(v2.deployed, boast, { test, transform })).passes).toBe(false);
  });

  it("falls with a text its bits do not spell, over whatever layers", async () => {
    const layers = ["features.2.bn", "features.3.bn"];
    const passports = JSON.stringify({ ...v2.model.plan, texts: [{ text: "Q€NS", layers }] });
    const other = changed(v2.credential, {}, { passports });
    await expect(leakless(() => examine(v2.deployed, other))).rejects.toThrow(FormatError);
    await expect(examine(v2.deployed, other)).rejects.toThrow(
      /bits of features\.2\.bn, features\.3\.bn spell "P€NS", its text is "Q€NS"/,
    );
  });
});

describe("a suspect with another classifier", () => {
  it.each([
    ["V1", () => v1, "classifier", 5],
    ["V2", () => v2, "classifier", 10],
    ["a ResNet", () => folding, "linear", 4],
  ] as const)("of more classes is read in %s: accuracies are shown, not compared", async (_, made, head, classes) => {
    const { deployed, credential, accuracy } = made();
    const suspect = withHead(deployed, head, classes);
    const found = await leakless(() => examine(suspect, credential, { test, transform, triggers: test }));
    expect(found).toMatchObject({ passes: true, matched: 48, decodedText: TEXT, claimed: accuracy, triggers: null });
    expect(Object.keys(found.accuracy)).toEqual(Object.keys(accuracy));
    expect(text(found.reasons)).toContain(`classifies into ${classes} classes, the claim is for 3`);
    expect(text(found.reasons)).not.toMatch(/within 3 points/);
    expect(text(found.reasons)).toMatch(/triggers' labels mean nothing .* not checked/);
    const model = rejoin(suspect, credential);
    expect(model.classes).toBe(classes);
    model.dispose();
  });

  it("of fewer classes than the test images have is read all the same", async () => {
    const found = await leakless(() =>
      examine(withHead(v2.deployed, "classifier", 2), v2.credential, { test, transform, triggers: test }),
    );
    expect(found).toMatchObject({ passes: true, matched: 48, accuracy: {}, triggers: null });
    expect(text(found.reasons)).toMatch(/2 classes.*labels of the test images.*not measured/s);
    const two = { ...test, labels: test.labels.map((l) => l % 2) };
    const measured = await examine(withHead(v2.deployed, "classifier", 2), v2.credential, {
      test: two,
      transform,
    });
    expect(Object.keys(measured.accuracy)).toEqual(["public", "private"]);
  });

  it("of one output is read by its weights alone", async () => {
    for (const [made, head] of [
      [v2, "classifier"],
      [folding, "linear"],
    ] as const) {
      const one = withHead(made.deployed, head, 1);
      const found = await leakless(() => examine(one, made.credential, { test, transform }));
      expect(found).toMatchObject({ passes: true, matched: 48, accuracy: {} });
      expect(text(found.reasons)).toMatch(/no classifier of two classes or more/);
    }
    const one = withHead(await folding.model.deployed({ foldNorm: true }), "linear", 1);
    expect(await leakless(() => examine(one, folding.credential))).toMatchObject({ passes: true, matched: 48 });
  });

  it("is refused by name where its tensors do not fit each other, or the network", async () => {
    const bias = changed(v2.deployed, { "classifier.bias": undefined });
    const read = await leakless(() => examine(bias, v2.credential));
    expect(read).toMatchObject({ passes: true, matched: 48, accuracy: {} });
    expect(text(read.reasons)).toMatch(/classifier\.bias is missing, and the classifier is left aside/);
    const other = withHead(v2.deployed, "classifier", 5).tensors.get("classifier.bias");
    await expect(
      leakless(() => examine(changed(v2.deployed, { "classifier.bias": other }), v2.credential)),
    ).rejects.toThrow(/classifier\.bias: shape \[5\].*\[3\]/);
    const narrow: HostTensor = { dtype: "F32", shape: [4, 64], data: new Float32Array(256) };
    await expect(
      leakless(() => examine(changed(v2.deployed, { "classifier.weight": narrow }), v2.credential)),
    ).rejects.toThrow(/classifier\.weight: shape \[4, 64\].*\[4, 128\]/);
  });

  it("that has none at all is read too, and no branch runs", async () => {
    for (const [made, head] of [
      [v1, "classifier"],
      [v2, "classifier"],
      [folding, "linear"],
    ] as const) {
      const suspect = withHead(made.deployed, head, 0);
      const found = await leakless(() => examine(suspect, made.credential, { test, transform, triggers: test }));
      expect(found).toMatchObject({ passes: true, matched: 48, decodedText: TEXT, accuracy: {}, triggers: null });
      expect(text(found.reasons)).toMatch(/no classifier of two classes or more: no branch can run/);
      expect((await examine(suspect, forged(made.credential, 1))).passes).toBe(false);
    }
  });
});

describe("a suspect with folded norms", () => {
  it("is read, its open branch measured, its private one not", async () => {
    const suspect = stored(await folding.model.deployed({ foldNorm: true }));
    const found = await leakless(() => examine(suspect, folding.credential, { test, transform, triggers: test }));
    expect(found).toMatchObject({ passes: true, matched: 48, decodedText: TEXT });
    expect(Object.keys(found.accuracy)).toEqual(["public"]);
    expect(found.accuracy.public).toBe(folding.accuracy.public);
    expect(found.triggers).toMatchObject({ branch: "public", count: 30 });
    expect(text(found.reasons)).toMatch(/folded into its convolutions: the private branch cannot run/);
    expect((await leakless(() => examine(suspect, forged(folding.credential, 1)))).passes).toBe(false);
  });

  it("loses a bit where a channel was scaled by a negative number, and no other", async () => {
    const scale = "layer2.0.convbn_2.bn.weight";
    const flipped = [0, 5, 15];
    const open = changed(folding.deployed, {
      [scale]: floats(folding.deployed.tensors.get(scale)!, (_, o) => (flipped.includes(o) ? -0.7 : 0.7)),
    });
    const model = buildNetwork(JSON.parse(open.metadata["model"]!) as NetworkConfig);
    model.loadStateDict(open.tensors);
    const found = await examine(stored(await model.deployed({ foldNorm: true })), folding.credential);
    model.dispose();
    expect(found.layers.map(({ bits, matched }) => bits - matched)).toEqual([0, 3, 0]);
    const { gamma, signs } = found.layers[1]!;
    expect(signs.flatMap((b, o) => (Math.sign(gamma[o]!) === b ? [] : [o]))).toEqual(flipped);
  });

  it("and without a classifier is read by its weights alone", async () => {
    const suspect = withHead(await folding.model.deployed({ foldNorm: true }), "linear", 0);
    const found = await leakless(() => examine(suspect, folding.credential, { test, transform }));
    expect(found).toMatchObject({ passes: true, matched: 48, accuracy: {} });
  });

  it("in part is read, naming what keeps it from running", async () => {
    const file = await folding.model.deployed({ foldNorm: true });
    const half = changed(file, { "layer1.0.convbn_2.conv.bias": undefined });
    const bare = await leakless(() => examine(half, folding.credential, { test, transform }));
    expect(bare).toMatchObject({ passes: true, matched: 48, accuracy: {} });
    expect(text(bare.reasons)).toMatch(/no branch can run .*statistics of layer1\.0\.convbn_2 are missing/);
    const more = changed(file, {
      "layer1.0.convbn_2.bn.weight": folding.deployed.tensors.get("layer1.0.convbn_2.bn.weight")!,
    });
    const odd = await leakless(() => examine(more, folding.credential, { test, transform }));
    expect(odd).toMatchObject({ passes: true, matched: 48, accuracy: {} });
  });
});

describe("rejoin", () => {
  it("refuses a suspect whose private branch cannot run, and says what still can be done", async () => {
    const folded = await folding.model.deployed({ foldNorm: true });
    const headless = withHead(v2.deployed, "classifier", 0);
    for (const [suspect, owner, message] of [
      [folded, folding.credential, /norms folded into its convolutions.*`verify` still reads/],
      [headless, v2.credential, /has no classifier.*`verify` still reads/],
    ] as const) {
      const error = await leakless(async () => {
        try {
          return rejoin(suspect, owner);
        } catch (e) {
          return e;
        }
      });
      expect(error).toBeInstanceOf(StateDictError);
      expect((error as Error).message).toMatch(message);
    }
  });
});

describe("triggers", () => {
  const labelled = (set: ImageSet, shift: number): ImageSet =>
    imageSet({ ...set, labels: Uint8Array.from(set.labels, (l) => (l + shift) % 3) });

  it("are counted in the branch that is given away", async () => {
    const found = await leakless(() => examine(v2.deployed, v2.credential, { triggers: test, transform }));
    const hits = Math.round(30 * v2.accuracy.public!);
    const threshold = matchThreshold(30, 1e-6, 1 / 3);
    expect(found.triggers).toEqual({
      branch: "public",
      count: 30,
      hits,
      pValue: binomialPValue(hits, 30, 1 / 3),
      threshold,
      holds: true,
    });
    expect(hits).toBeGreaterThanOrEqual(threshold);
    expect(text(found.reasons)).toContain(`${hits} of 30 triggers are classified as assigned; ${threshold} are needed`);
    expect((await examine(v1.deployed, v1.credential, { triggers: test, transform })).triggers!.branch).toBe(
      "passport",
    );
  });

  it("with labels that the network never learnt do not hold, and do not hurt the signature", async () => {
    const found = await examine(v2.deployed, v2.credential, { triggers: labelled(test, 1), transform });
    expect(found.triggers).toMatchObject({ count: 30, holds: false });
    expect(found.triggers!.hits).toBeLessThanOrEqual(3);
    expect(found.triggers!.pValue).toBe(binomialPValue(found.triggers!.hits, 30, 1 / 3));
    expect(found).toMatchObject({ passes: true, matched: 48 });
  });

  it("take the false-positive rate asked for, and are evidence of their own", async () => {
    const options = { triggers: test, transform, falsePositiveRate: 1e-14 };
    const found = await examine(v2.deployed, forged(v2.credential, 1), options);
    expect(found.passes).toBe(false);
    expect(found.triggers).toMatchObject({ threshold: matchThreshold(30, 1e-14, 1 / 3) });
    const lax = await examine(v2.deployed, forged(v2.credential, 1), { triggers: test, transform });
    expect(lax).toMatchObject({ passes: false, triggers: { holds: true } });
  });
});

describe("credentials of other networks", () => {
  it.each<[string, () => [SafetensorsFile, SafetensorsFile], RegExp]>([
    [
      "of another architecture",
      () => [v2.deployed, folding.credential],
      /missing convbnrelu_1\.conv\.weight.*; unexpected .*features\.0\.conv\.weight/,
    ],
    ["of another architecture, the other way", () => [folding.deployed, v2.credential], /missing features\.0\./],
  ])("are refused by name: %s", async (_, files, message) => {
    const error = await leakless(() => examine(...files()).catch((e: unknown) => e));
    expect(error).toBeInstanceOf(StateDictError);
    expect((error as Error).message).toMatch(/does not belong to a network of that structure/);
    expect((error as Error).message).toMatch(message);
  });

  it.each<[string, () => object, RegExp]>([
    [
      "another scheme than its tensors do",
      () => ({ scheme: "pan", fc: true }),
      /has no features\.2\.bn\.passport\.fc\.0\.weight, which its passports are said to have/,
    ],
    [
      "other passport layers than its tensors do",
      () => ({ places: [...v2.model.plan.places, { ...v2.model.plan.places[0]!, norm: "features.0.bn" }] }),
      /has no features\.0\.bn\.passport\.skey, which its passports are said to have/,
    ],
    [
      "fewer passport layers than its tensors do",
      () => ({ places: v2.model.plan.places.slice(1), texts: [] }),
      /unexpected features\.2\.bn\.passport\./,
    ],
    [
      "another size than its tensors have",
      () => ({ places: v2.model.plan.places.map((p) => ({ ...p, inputSize: [7, 7] })) }),
      /features\.2\.bn\.passport\.skey: shape \[1, 8, 4, 4\] in the file, \[1, 8, 7, 7\]/,
    ],
  ])("that say %s are refused, by name", async (_, change, message) => {
    const passports = JSON.stringify({ ...v2.model.plan, ...change() });
    const owner = changed(v2.credential, {}, { passports });
    const error = await leakless(() => examine(v2.deployed, owner).catch((e: unknown) => e));
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(message);
  });

  it("of a scheme with other norms are read, and the reasons name what they lack or have beside", async () => {
    for (const [suspect, owner, reason] of [
      [v2, v1, /no branch can run as in the suspect: the running statistics of features\.0/],
      [v1, v2, /tensors of the suspect are none of the claimed network's .*: .*features\.0\.bn\.running_mean/],
    ] as const) {
      const found = await leakless(() => examine(suspect.deployed, owner.credential, { test, transform }));
      expect(text(found.reasons)).toMatch(reason);
    }
  });

  it("of other layers of the same structure fit, and do not pass", async () => {
    const other = await signed({ ...TINY, scheme: "v2", passports: { 0: true, 3: true } });
    const found = await leakless(() => examine(v2.deployed, other.credential, { test, transform }));
    expect(found.passes).toBe(false);
    expect(found.matched).toBeLessThan(found.threshold);
    expect((await examine(other.deployed, other.credential)).passes).toBe(true);
    other.model.dispose();
  });
});
