/** What is given away and what is kept, down to the bytes. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FormatError, StateDictError } from "../../src/errors";
import type { HostTensor, StateDict } from "../../src/io/host-tensor";
import { encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork } from "../../src/models";
import { deployedConfig, loadDeployed, networkLayers, readCredential } from "../../src/models/build";
import { joinState, splitState } from "../../src/models/split";
import { scope } from "../../src/tensor/storage";
import { noGrad } from "../../src/tensor/tensor";
import { fileBytes, found, latin1, scattered, stored } from "../support/bytes";
import { gpu, randomTensor } from "../support/gpu";
import type { Network } from "../support/networks";
import { TINY, TINY_PLAIN } from "../support/tiny";

const TEXT = "PAN!";
const STRUCTURE = { config: TINY, layers: networkLayers(TINY) };
let model: Network;
let whole: StateDict;
let deployed: SafetensorsFile;
let credential: SafetensorsFile;

beforeAll(async () => {
  await gpu();
  model = buildNetwork(TINY, { seed: 2 });
  model.loadStateDict(scattered(await model.stateDict()));
  model.eval();
  whole = await model.stateDict();
  deployed = await model.deployed();
  credential = await model.credential({ public: 0.9, private: 0.8 });
});
afterAll(() => model.dispose());

describe("the two halves", () => {
  it("part the whole: nothing lost, nothing doubled", () => {
    const parts = splitState(whole, STRUCTURE);
    expect(parts.deployed.size + parts.credential.size).toBe(whole.size);
    const joined = joinState(parts, STRUCTURE);
    expect([...joined.keys()].sort()).toEqual([...whole.keys()].sort());
    for (const [name, t] of whole) expect(joined.get(name), name).toEqual(t);
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
      "key_private",
      "skey_private",
      "fc.0.weight",
      "fc.2.weight",
      "bn1.running_mean",
      "bn1.running_var",
      "bn1.num_batches_tracked",
    ];
    expect([...credential.tensors.keys()].sort()).toEqual(
      [2, 3].flatMap((i) => own.map((n) => `features.${i}.${n}`)).sort(),
    );
  });

  it("send an entry that nobody knows to the credential, never into the deployed file", () => {
    const secret: HostTensor = { dtype: "F32", shape: [1], data: Float32Array.of(42) };
    const parts = splitState(new Map([...whole, ["features.2.new_secret", secret]]), STRUCTURE);
    expect(parts.deployed.size).toBe(deployed.tensors.size);
    expect(parts.credential.get("features.2.new_secret")).toBe(secret);
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
    expect(found(credential.tensors, encodeSafetensors(slipped))).toContain("features.3.b");
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
    expect(plain.config.scheme).toBe("plain");
    expect(plain.training).toBe(false);
    const x = randomTensor([3, 8, 8, 3], 4);
    const [a, b] = scope(() => noGrad(() => [plain.forward(x), model.forward(x, "public")]));
    const logits = await a!.data();
    expect([...outputs]).toEqual([...(await b!.data())]);
    expect(new Set(logits).size).toBe(9);
    for (const t of [x, a!, b!]) t.dispose();
    plain.dispose();
  });
});

describe("readCredential", () => {
  it("gives configuration, texts and claims", () => {
    const { config, claimed, texts } = readCredential(stored(credential));
    expect(config).toEqual(TINY);
    expect(claimed).toEqual({ public: 0.9, private: 0.8 });
    expect(texts).toEqual([{ text: TEXT, layers: ["features.3"] }]);
  });

  const without = (entry: string, value?: string): SafetensorsFile => {
    const { [entry]: _, ...metadata } = credential.metadata;
    return { tensors: credential.tensors, metadata: value === undefined ? metadata : { ...metadata, [entry]: value } };
  };

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
  ])("refuses a credential with %s", (_, entry, value) => {
    expect(() => readCredential(without(entry, value))).toThrow(FormatError);
  });

  it("refuses exchanged files, and says so", () => {
    expect(() => readCredential(deployed)).toThrow(/exchanged/);
    expect(() => deployedConfig(credential)).toThrow(/exchanged/);
    expect(() => loadDeployed(credential)).toThrow(FormatError);
  });

  it("refuses to join weights with names that the credential has", () => {
    expect(() => joinState({ deployed: whole, credential: credential.tensors }, STRUCTURE)).toThrow(StateDictError);
  });
});
