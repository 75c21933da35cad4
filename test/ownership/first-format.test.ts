/**
 * Files that the first versions wrote: they are read as they were, bound or not, and so are
 * commitments that were published of them; their claims show a mark and no more.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { disguise } from "../../src/attacks";
import { FormatError } from "../../src/errors";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, loadDeployed, type NetworkConfig, readCredential } from "../../src/models";
import { examine, realign, rejoin, verify } from "../../src/ownership";
import { bind } from "../../src/ownership/first/bind";
import { type Binding, boundCredential, readBinding } from "../../src/ownership/first/binding";
import { commit, openCommitment } from "../../src/ownership/first/commitment";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, type Tensor } from "../../src/tensor/tensor";
import { stored } from "../support/bytes";
import { BINDING, type Claim, signedState } from "../support/claims";
import { TINY_CLOUD } from "../support/clouds";
import { bindFirst, firstFormat } from "../support/first-format";
import { gpu, randomTensor } from "../support/gpu";
import type { Network } from "../support/networks";
import { TINY } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const WIDE = [{ channels: 8, kernel: 3, padding: 1 }, "pool", { channels: 96, kernel: 3 }, { channels: 96, kernel: 1 }];
const CHAIN = { ...TINY, layers: WIDE as typeof TINY.layers, passports: { 2: true, 3: "ACME" } };
const CASES: [string, NetworkConfig, norms: string[], secret: string][] = [
  ["v1", { ...CHAIN, scheme: "v1" }, ["features.2.bn", "features.3.bn"], "features.3.skey"],
  ["v2", { ...CHAIN, scheme: "v2" }, ["features.2.bn", "features.3.bn"], "features.3.skey_private"],
  ["pan", { ...CHAIN, scheme: "pan" }, ["features.2.bn", "features.3.bn"], "features.3.bn1.running_mean"],
  [
    "pan with one statistic, in a ResNet",
    {
      arch: "resnet",
      classes: 3,
      input: [8, 8, 3],
      blocks: [1, 1],
      width: 32,
      scheme: "pan",
      norm: "sbn",
      passports: { layer2: true },
      signature: "P€NS",
    },
    ["layer2.0.convbnrelu_1.bn", "layer2.0.convbn_2.bn", "layer2.0.shortcut.bn"],
    "layer2.0.convbnrelu_1.fc.0.weight",
  ],
  ["a PointNet", TINY_CLOUD, ["convp3.bn", "p1.bn", "p2.bn", "p3.bn"], "convp3.key_private"],
];

const shape = ({ input }: NetworkConfig) => [2, ...input];
const outputOf = async (forward: () => unknown): Promise<Float32Array> => {
  const y = scope(() => noGrad(forward as () => Tensor));
  const data = await y.data();
  y.dispose();
  return data;
};
const texts = (config: NetworkConfig) =>
  "signature" in config ? "P€NS" : config.arch === "pointnet" ? "PAN!" : "ACME";

describe.each(CASES)("files of the first version: %s", (_, config, norms, secret) => {
  let model: Network;
  let unbound: Claim;
  let bound: Claim;
  /** The same network with its binding as it is derived now. */
  let second: Claim;
  const claimed = config.scheme === "v1" ? { passport: 0.5 } : { public: 0.5, private: 0.5 };
  const binding: Binding = BINDING;
  beforeAll(async () => {
    model = buildNetwork(config, { seed: 4 });
    await signedState(model, config);
    unbound = await firstFormat(model, config, { claimed });
    await bindFirst(model, config, binding);
    await signedState(model, config);
    bound = await firstFormat(model, config, { claimed, binding });
    const again = buildNetwork(config, { seed: 4 });
    await bind(again, binding);
    await signedState(again, config);
    second = {
      deployed: await again.deployed(),
      credential: await boundCredential(await again.credential(claimed), binding),
    };
    again.dispose();
    return () => model.dispose();
  });

  it("are named as they were", () => {
    const { credential, deployed } = bound;
    expect(credential.tensors.has(secret)).toBe(true);
    expect([...credential.tensors.keys()].some((name) => name.includes(".passport."))).toBe(false);
    expect(JSON.parse(credential.metadata["model"]!)).toMatchObject({ scheme: config.scheme });
    expect(Object.keys(credential.metadata).sort()).toEqual(["binding", "claimed", "format", "model"]);
    expect(deployed.metadata["format"]).toBe("pan-deployed-1");
    const read = readCredential(stored(credential));
    expect(read).toMatchObject({ format: 1, scheme: config.scheme, claimed });
    expect(read.places.map((p) => p.norm)).toEqual(norms);
    expect([...read.tensors.keys()].sort()).toEqual([...second.credential.tensors.keys()].sort());
    expect(read.named(`${norms[0]}.passport.b`)).toBe(`${norms[0]!.replace(/\.bn$/, "")}.b`);
  });

  it("are examined: every bit, the texts, and the same signs as before", async () => {
    const live = memory().tensors;
    for (const claim of [unbound, bound]) {
      const found = await examine(stored(claim.deployed), stored(claim.credential));
      expect(found.passes).toBe(true);
      expect(found.matched).toBe(found.bits);
      expect(found.layers.map((l) => l.name)).toEqual(norms);
      expect(found).toMatchObject({ claimedText: texts(config), decodedText: texts(config), claimed });
    }
    const own = await model.readSigns();
    const { layers } = await examine(bound.deployed, bound.credential);
    for (const [i, { signs }] of layers.entries()) expect(signs).toEqual([...own[i]!.bits]);
    expect(memory().tensors).toBe(live);
  });

  it("show a mark where they are bound, and open the commitments made of them", async () => {
    const commitment = await commit(bound.credential, bound.deployed);
    const found = await verify(stored(bound.deployed), stored(bound.credential));
    expect(found).toMatchObject({ verdict: "mark present", version: 1, statement: binding.statement });
    expect(found.sentence).toMatch(/claims of the first version can be forged/);
    expect(found.mark!.bits!.hits).toBe(found.mark!.bits!.count);
    expect(await openCommitment(commitment, stored(bound.credential), stored(bound.deployed))).toEqual({
      claim: true,
      network: true,
    });
    expect((await verify(unbound.deployed, unbound.credential)).verdict).toBe("refused");
    // Its secret gives other passports under the names of now: the one is not the other's claim.
    expect((await openCommitment(commitment, second.credential, second.deployed)).claim).toBe(false);
    expect((await readBinding(bound.credential))!.hash).not.toEqual((await readBinding(second.credential))!.hash);
  });

  it("are bound by their own names alone", async () => {
    const { tensors, metadata } = bound.credential;
    const { binding: _, ...rest } = metadata;
    const again = await boundCredential({ tensors, metadata: rest }, binding);
    expect(again).toEqual(bound.credential);
    await expect(boundCredential(unbound.credential, binding)).rejects.toThrow(FormatError);
    const passport = [...tensors.keys()].find((name) => /skey/.test(name))!;
    const t = tensors.get(passport)!;
    const changed: SafetensorsFile = {
      metadata,
      tensors: new Map(tensors).set(passport, { ...t, data: (t.data as Float32Array).map((v) => -v) } as typeof t),
    };
    const found = await verify(bound.deployed, changed);
    expect(found).toMatchObject({ verdict: "refused", mark: null });
    expect(found.sentence).toContain(`its passport ${passport} does not come from`);
  });

  it("rejoin to the network that they were made of, to the bit, and load", async () => {
    const x = randomTensor(shape(config), 6);
    model.eval();
    const joined = rejoin(stored(bound.deployed), stored(bound.credential));
    expect(joined.branches).toEqual(model.branches);
    expect(joined.texts).toEqual(model.texts);
    for (const branch of model.branches)
      expect(await outputOf(() => joined.forward(x, branch)), branch).toEqual(
        await outputOf(() => model.forward(x, branch)),
      );
    joined.dispose();
    const plain = loadDeployed(stored(bound.deployed));
    const open = config.scheme === "v1" ? null : await outputOf(() => model.forward(x, "public"));
    const given = await outputOf(() => plain.forward(x));
    expect(given.every(Number.isFinite)).toBe(true);
    if (open) expect(given).toEqual(open);
    for (const d of [x, plain]) d.dispose();
  });

  it("are read again behind a disguise", async () => {
    const hidden = disguise(bound.deployed, { permute: true, negate: 0.5, scale: 2, seed: 3 });
    expect((await verify(hidden, bound.credential)).verdict).toBe("refused");
    const { aligned, layers } = realign(hidden, bound.deployed);
    expect(layers.every((l) => l.copied)).toBe(true);
    for (const found of [
      await examine(aligned, bound.credential),
      await examine(hidden, bound.credential, { reference: bound.deployed }),
    ]) {
      expect(found.passes).toBe(true);
      expect(found.matched).toBe(found.bits);
    }
    expect((await verify(aligned, bound.credential)).verdict).toBe("mark present");
  });

  it("meet the network as it is written now", async () => {
    const now = await model.deployed();
    expect(now.metadata["format"]).toBe("pan-deployed-2");
    expect(now.tensors).toEqual(bound.deployed.tensors);
    expect((await verify(now, bound.credential)).verdict).toBe("mark present");
    // Names and shapes are one thing in both; the numbers are another network's.
    expect((await examine(bound.deployed, second.credential)).bits).toBe(
      (await examine(second.deployed, second.credential)).bits,
    );
  });

  it("that contradict themselves are refused, by the names that they have", async () => {
    const { tensors, metadata } = bound.credential;
    const without = new Map(tensors);
    without.delete(secret);
    await expect(verify(bound.deployed, { tensors: without, metadata })).rejects.toThrow(FormatError);
    await expect(verify(bound.deployed, { tensors: without, metadata })).rejects.toThrow(`has no ${secret},`);
    const more = new Map(tensors).set("features.0.more", tensors.get(secret)!);
    await expect(verify(bound.deployed, { tensors: more, metadata })).rejects.toThrow(/unexpected features\.0\.more/);
  });
});

it("a credential of the first version that says another scheme than its tensors do is refused, by name", async () => {
  const config: NetworkConfig = { ...CHAIN, scheme: "v2" };
  const model = buildNetwork(config, { seed: 4 });
  const { deployed, credential } = await firstFormat(model, config);
  model.dispose();
  const saying = (change: object): SafetensorsFile => {
    const said = JSON.stringify({ ...JSON.parse(credential.metadata["model"]!), ...change });
    return { ...credential, metadata: { ...credential.metadata, model: said } };
  };
  for (const [change, message] of [
    [{ scheme: "v1", norm: "gn" }, /has no features\.2\.skey,/],
    [{ scheme: "pan", norm: "gn" }, /has no features\.2\.fc\.0\.weight,/],
    [{ passports: { 0: true, 2: true, 3: "ACME" } }, /has no features\.0\.skey_private,/],
    [{ passports: { 3: "ACME" } }, /unexpected features\.2\./],
  ] as const) {
    await expect(examine(deployed, saying(change))).rejects.toThrow(FormatError);
    await expect(examine(deployed, saying(change))).rejects.toThrow(message);
  }
  await expect(examine(deployed, saying({ passports: { 2: true, 3: "ACMF" } }))).rejects.toThrow(
    /spell "ACME", its text is "ACMF"/,
  );
});

it.each([
  ["gn1", "ln"],
  ["ln", "layer"],
] as const)("norm %s is called %s in them", async (norm, written) => {
  const config: NetworkConfig = { ...CHAIN, scheme: "v2", norm };
  const model = buildNetwork(config, { seed: 4 });
  const { deployed, credential } = await firstFormat(model, config);
  model.dispose();
  for (const file of [deployed, credential]) expect(JSON.parse(file.metadata["model"]!).norm).toBe(written);
  expect(readCredential(credential).config!.norm).toBe(norm);
  const found = await examine(deployed, credential);
  expect(found.bits).toBe(192);
});
