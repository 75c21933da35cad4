/** What is given away and what is kept, down to the bytes. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FormatError, StateDictError } from "../../src/errors";
import type { StateDict } from "../../src/io/host-tensor";
import { encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, deployedConfig, loadDeployed, readCredential } from "../../src/models";
import { buffer, Module } from "../../src/nn";
import type { SecretPlan } from "../../src/passport/built-in";
import { protectAs } from "../../src/passport/restore";
import { scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { fileBytes, found, latin1, scattered, stored } from "../support/bytes";
import { firstFiles } from "../support/first-files";
import { gpu, randomTensor } from "../support/gpu";
import type { Network } from "../support/networks";
import { TINY, TINY_PLAIN } from "../support/tiny";

const TEXT = "PAN!";
let model: Network;
let whole: StateDict;
let deployed: SafetensorsFile;
let credential: SafetensorsFile;
let first: SafetensorsFile;

beforeAll(async () => {
  await gpu();
  model = buildNetwork(TINY, { seed: 2 });
  model.loadStateDict(scattered(await model.stateDict()));
  model.eval();
  whole = await model.stateDict();
  deployed = await model.deployed();
  const claimed = { public: 0.9, private: 0.8 };
  credential = await model.credential(claimed);
  first = (await firstFiles(model, TINY, claimed)).credential;
});
afterAll(() => model.dispose());

describe("the two halves", () => {
  it("part the whole: nothing lost, nothing doubled", async () => {
    expect(deployed.tensors.size + credential.tensors.size).toBe(whole.size);
    expect([...credential.tensors.keys()].filter((n) => deployed.tensors.has(n))).toEqual([]);
    const [network, secrets] = [loadDeployed(stored(deployed)), readCredential(stored(credential))];
    const joined = protectAs(network, secrets);
    joined.loadSecrets(secrets.tensors);
    const state = await joined.stateDict();
    expect([...state.keys()].sort()).toEqual([...whole.keys()].sort());
    for (const [name, t] of whole) expect(state.get(name), name).toEqual(t);
    expect(joined.plan).toEqual(model.plan);
    joined.dispose();
  });

  it("deploy exactly the plain network's names and shapes", async () => {
    const plain = buildNetwork(TINY_PLAIN);
    const expected = await plain.stateDict();
    expect([...deployed.tensors.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, t] of expected) expect(deployed.tensors.get(name)!.shape, name).toEqual(t.shape);
    plain.dispose();
  });

  it("keep all that makes the private branch", () => {
    const own = [
      "b",
      "key",
      "skey",
      "fc.0.weight",
      "fc.2.weight",
      "norm.running_mean",
      "norm.running_var",
      "norm.num_batches_tracked",
    ];
    expect([...credential.tensors.keys()].sort()).toEqual(
      [2, 3].flatMap((i) => own.map((n) => `features.${i}.bn.passport.${n}`)).sort(),
    );
  });

  it("send what a passport has beside to the credential, never into the deployed file", async () => {
    class More extends Module {
      readonly newSecret = buffer(Tensor.from([42], [1]));
    }
    const other = buildNetwork(TINY, { seed: 2 });
    const { passport } = other.passportSites()[0]!.secret;
    const own = passport.children.bind(passport);
    passport.children = function* () {
      yield* own();
      yield ["more", new More()];
    };
    expect([...(await other.deployed()).tensors.keys()]).toEqual([...deployed.tensors.keys()]);
    const kept = (await other.credential()).tensors;
    expect([...kept.get("features.2.bn.passport.more.new_secret")!.data]).toEqual([42]);
    expect(kept.size).toBe(credential.tensors.size + 1);
    other.dispose();
  });
});

describe("the deployed file, byte by byte", () => {
  it("holds no 16 bytes of anything private", () => {
    const file = fileBytes(deployed);
    expect(found(credential.tensors, file)).toEqual([]);
  });

  it("would be caught if it did: the same search finds every tensor in the credential and in the whole state", () => {
    const names = [...credential.tensors.keys()];
    expect(found(credential.tensors, fileBytes(credential))).toEqual(names);
    expect(found(credential.tensors, encodeSafetensors(whole))).toEqual(names);
    const slipped = new Map(deployed.tensors).set("extra", whole.get("features.3.b")!);
    expect(found(credential.tensors, encodeSafetensors(slipped))).toContain("features.3.bn.passport.b");
  });

  it("says neither the signature nor that there are passports", () => {
    const text = latin1(fileBytes(deployed)).toLowerCase();
    for (const word of [TEXT.toLowerCase(), "passport", "key", "sign", "private", "fc.", "bn1", '"pan"'])
      expect(text, word).not.toContain(word);
    expect(latin1(fileBytes(credential))).toContain(TEXT);
    expect(deployedConfig(deployed)).toEqual(TINY_PLAIN);
  });

  it("loads as a plain network that gives the public branch's logits bit for bit", async () => {
    const file = stored(deployed);
    const plain = loadDeployed(file);
    expect(plain.config).toEqual(TINY_PLAIN);
    expect(plain.training).toBe(false);
    const x = randomTensor([3, 8, 8, 3], 4);
    const [a, b] = scope(() => noGrad(() => [plain.forward(x), model.forward(x, "public")]));
    const logits = await a!.data();
    expect([...logits]).toEqual([...(await b!.data())]);
    expect(new Set(logits).size).toBe(9);
    for (const t of [x, a!, b!]) t.dispose();
    plain.dispose();
  });
});

describe("readCredential", () => {
  it.each(["this", "the first"])("gives what carries a secret, texts and claims, of %s format", async (format) => {
    const file = format === "this" ? credential : first;
    const { config, claimed, texts, scheme, fc, statistics, separate, places } = readCredential(stored(file));
    expect(config).toEqual(TINY_PLAIN);
    expect(claimed).toEqual({ public: 0.9, private: 0.8 });
    expect(texts).toEqual([{ text: TEXT, layers: ["features.3.bn"] }]);
    expect({ scheme, fc, statistics, separate }).toEqual({
      scheme: "pan",
      fc: true,
      statistics: "separate",
      separate: [],
    });
    const square = { kind: "conv2d", kernel: [3, 3], stride: [1, 1], dilation: [1, 1], groups: 1, inputSize: [4, 4] };
    expect(places).toEqual([
      {
        ...square,
        norm: "features.2.bn",
        weight: "features.2.conv.weight",
        text: 0,
        inChannels: 8,
        channels: 16,
        padding: [
          [1, 1],
          [1, 1],
        ],
      },
      {
        ...square,
        norm: "features.3.bn",
        weight: "features.3.conv.weight",
        text: 4,
        inChannels: 16,
        channels: 32,
        padding: [
          [0, 0],
          [0, 0],
        ],
      },
    ]);
  });

  const without = (file: SafetensorsFile, entry: string, value?: string): SafetensorsFile => {
    const { [entry]: _, ...metadata } = file.metadata;
    return { tensors: file.tensors, metadata: value === undefined ? metadata : { ...metadata, [entry]: value } };
  };
  const changed = (change: (plan: SecretPlan) => object) => JSON.stringify(change(model.plan));

  it.each<[string, string, string | undefined]>([
    ["no format", "format", undefined],
    ["another format", "format", "pan-credential-99"],
    ["no model", "model", undefined],
    ["a model that is no JSON", "model", "{"],
    ["a model that is null", "model", "null"],
    ["a model without layers", "model", "{}"],
    ["a plain model", "model", JSON.stringify(TINY_PLAIN)],
    ["a text too long for its layer", "model", JSON.stringify({ ...TINY, passports: { 2: "much too long" } })],
    ["no claims", "claimed", undefined],
    ["claims that are null", "claimed", "null"],
  ])("refuses a credential of the first format with %s", (_, entry, value) => {
    expect(() => readCredential(without(first, entry, value))).toThrow(FormatError);
  });

  it.each<[string, string, () => string | undefined]>([
    ["no format", "format", () => undefined],
    ["another format", "format", () => "pan-credential-99"],
    ["the first format, which it has not", "format", () => "pan-credential-1"],
    ["no passports", "passports", () => undefined],
    ["passports that are no JSON", "passports", () => "{"],
    ["passports that are null", "passports", () => "null"],
    ["passports that say nothing", "passports", () => "{}"],
    ["passports of a plain network", "passports", () => changed((p) => ({ ...p, scheme: "plain" }))],
    ["passports nowhere", "passports", () => changed((p) => ({ ...p, places: [], texts: [] }))],
    ["a word that nobody knows", "passports", () => changed((p) => ({ ...p, more: 1 }))],
    ["an FC of a scheme without one", "passports", () => changed((p) => ({ ...p, scheme: "v2" }))],
    [
      "a text too long for its layer",
      "passports",
      () => changed((p) => ({ ...p, places: p.places.map((at) => ({ ...at, text: at.channels / 8 + 1 })) })),
    ],
    [
      "the text of a norm without a passport",
      "passports",
      () => changed((p) => ({ ...p, texts: [{ text: TEXT, layers: ["features.0.bn"] }] })),
    ],
    [
      "passports of another size than its tensors",
      "passports",
      () => changed((p) => ({ ...p, places: p.places.map((at) => ({ ...at, inputSize: [5, 5] })) })),
    ],
    [
      "a passport that it has no tensors of",
      "passports",
      () => changed((p) => ({ ...p, places: p.places.map((at, i) => ({ ...at, norm: `other.${i}` })), texts: [] })),
    ],
    ["a model that is no JSON", "model", () => "{"],
    ["a model that is null", "model", () => "null"],
    ["a model without layers", "model", () => "{}"],
    ["a model with passports", "model", () => JSON.stringify(TINY)],
    ["no claims", "claimed", () => undefined],
    ["claims that are null", "claimed", () => "null"],
  ])("refuses a credential with %s", (_, entry, value) => {
    expect(() => readCredential(without(credential, entry, value()))).toThrow(FormatError);
  });

  it("needs no model where there is none: the network is somebody's own", () => {
    const { config, places } = readCredential(without(credential, "model"));
    expect(config).toBeUndefined();
    expect(places).toEqual(model.plan.places);
    expect(() => deployedConfig(without(deployed, "model"))).toThrow(/give the network/);
  });

  it("refuses exchanged files, and says so", () => {
    expect(() => readCredential(deployed)).toThrow(/exchanged/);
    expect(() => deployedConfig(credential)).toThrow(/exchanged/);
    expect(() => loadDeployed(credential)).toThrow(FormatError);
  });

  it("refuses to join a credential with what is none, and changes nothing then", async () => {
    const before = await model.stateDict();
    for (const tensors of [deployed.tensors, whole, new Map()])
      expect(() => model.loadSecrets(tensors)).toThrow(StateDictError);
    expect(await model.stateDict()).toEqual(before);
  });
});
