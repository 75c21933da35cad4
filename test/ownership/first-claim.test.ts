/**
 * Claims of the first version, which are still read: what follows from their secret and statement,
 * what contradicts them, and that they show a mark at most.
 */
import { createCipheriv, createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, FormatError } from "../../src/errors";
import { toFloat32 } from "../../src/io/host-tensor";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, type NetworkConfig } from "../../src/models";
import { planOf } from "../../src/models/credential";
import * as ownership from "../../src/ownership";
import { bind } from "../../src/ownership/first/bind";
import { type Binding, boundCredential, deriveBinding, readBinding } from "../../src/ownership/first/binding";
import { commit, openCommitment } from "../../src/ownership/first/commitment";
import type { PassportPlace } from "../../src/passport";
import { anchored } from "../support/anchored";
import { negated } from "../support/channels";
import { BINDING, signedState } from "../support/claims";
import { gpu } from "../support/gpu";
import type { Network } from "../support/networks";
import { bindingFor, MARKED } from "../support/owner";
import { TINY } from "../support/tiny";

const { matchThreshold, newSecret, verify } = ownership;

/** Two passport layers of 64 and 96 bits, no text: every bit follows from the binding. */
const CONFIG: NetworkConfig = {
  ...TINY,
  layers: [{ channels: 8, kernel: 3, padding: 1 }, "pool", { channels: 64, kernel: 3 }, { channels: 96, kernel: 1 }],
  passports: { 2: true, 3: true },
};
const PLAN = planOf(CONFIG);
/** What 160 bits need, whatever was committed to. */
const NEEDED = matchThreshold(160, 2 ** -80 * 1e-6);

let model: Network;
let deployed: SafetensorsFile;
let plainCredential: SafetensorsFile;
let credential: SafetensorsFile;

/** A network whose every bit is its binding's. */
async function claimed(config: NetworkConfig): Promise<Network> {
  const made = buildNetwork(config, { seed: 3 });
  await bind(made, BINDING);
  await signedState(made, config);
  return made.eval();
}

beforeAll(async () => {
  await gpu();
  model = await claimed(CONFIG);
  deployed = await model.deployed();
  plainCredential = await model.credential();
  credential = await boundCredential(plainCredential, BINDING);
});
afterAll(() => model.dispose());

const changed = (file: SafetensorsFile, name: string, at: number, value: number): SafetensorsFile => {
  const t = file.tensors.get(name)!;
  const data = toFloat32(t).slice();
  data[at] = value;
  return { ...file, tensors: new Map(file.tensors).set(name, { dtype: "F32", shape: t.shape, data }) };
};

describe("what follows from a binding of the first version", () => {
  it("is the same for the same secret and statement; another secret changes all of it, another statement the bits", async () => {
    const [one, again] = [await deriveBinding(BINDING, PLAN), await deriveBinding(BINDING, PLAN)];
    expect(again).toEqual(one);
    const secret = await deriveBinding({ ...BINDING, secret: "f".repeat(64) }, PLAN);
    const statement = await deriveBinding({ ...BINDING, statement: "Trained by ACME, 2027" }, PLAN);
    const first = "features.2.bn";
    expect(secret.passports.get(first)).not.toEqual(one.passports.get(first));
    expect(statement.passports).toEqual(one.passports);
    for (const other of [secret, statement]) {
      const agree = [...one.bits.get("features.3.bn")!].filter(
        (b, i) => b === other.bits.get("features.3.bn")![i],
      ).length;
      expect(Math.abs(agree - 48)).toBeLessThan(30);
    }
  });

  it.each([
    ["norms' names, sorted", 2, (norm: string, part: string) => `${norm}.${part}`, (norm: string) => norm],
    [
      "the first files' names, in the layers' order",
      1,
      (norm: string, part: string) => `${norm.replace(".bn", "")}.${part}_private`,
      (norm: string) => norm.replace(".bn", ""),
    ],
  ] as const)("is what the documentation says, by another implementation of hash and stream: %s", async (...row) => {
    const [, format, passportName, placeName] = row;
    const part = (bytes: Uint8Array | string) => {
      const b = Buffer.from(bytes);
      const length = Buffer.alloc(8);
      length.writeBigUInt64BE(BigInt(b.length));
      return Buffer.concat([length, b]);
    };
    const sha512 = (parts: Buffer[]) => createHash("sha512").update(Buffer.concat(parts)).digest();
    const stream = (seed: Buffer, n: number) =>
      createCipheriv("aes-256-ctr", seed.subarray(0, 32), seed.subarray(32, 48)).update(Buffer.alloc(n));
    // The last layer first: its name tells in which order they are hashed.
    const { passports, bits, hash } = await deriveBinding(BINDING, {
      ...PLAN,
      places: [...PLAN.places].reverse(),
      format,
    });
    const order = format === 1 ? ["features.3.bn", "features.2.bn"] : ["features.2.bn", "features.3.bn"];
    const all: Buffer[] = [];
    for (const norm of order)
      for (const [key, p] of [
        ["skey", passports.get(norm)!.gamma],
        ["key", passports.get(norm)!.beta],
      ] as const) {
        const name = passportName(norm, key);
        const bytes = stream(sha512([part(Buffer.from(BINDING.secret, "hex")), part(name)]), 4 * p.length);
        // The upper 24 of 32 bits, little-endian.
        expect([...p], name).toEqual(Array.from(p, (_, i) => (bytes.readUInt32LE(4 * i) >>> 8) / 2 ** 23 - 1));
        all.push(part(name), part(new Uint8Array(p.buffer)));
      }
    if (format !== 1) {
      // Scheme and places, every object's keys in their order, written out by hand.
      const place = ({ norm, weight, text, kind, inChannels, channels, inputSize, kernel }: PassportPlace) =>
        `{"channels":${channels},"dilation":[1,1],"groups":1,"inChannels":${inChannels},"inputSize":[${inputSize}],"kernel":[${kernel}],"kind":"${kind}","norm":"${norm}","padding":[[0,0],[0,0]],"stride":[1,1],"text":${text},"weight":"${weight}"}`;
      const sorted = [...PLAN.places].sort((a, b) => (a.norm < b.norm ? -1 : 1));
      all.push(part(`{"places":[${sorted.map(place).join(",")}],"scheme":"${PLAN.scheme}"}`));
    }
    expect([...bits.keys()].sort()).toEqual(["features.2.bn", "features.3.bn"]);
    for (const [norm, signs] of bits) {
      const bytes = stream(sha512([part(hash), part(placeName(norm))]), Math.ceil(signs.length / 8));
      // Most significant first.
      const digits = [...bytes].map((b) => b.toString(2).padStart(8, "0")).join("");
      expect([...signs], norm).toEqual([...digits.slice(0, signs.length)].map((d) => (d === "1" ? 1 : -1)));
    }
    expect(Buffer.from(hash).toString("hex")).toBe(sha512([...all, part(BINDING.statement)]).toString("hex"));
  });

  it("draws passports uniform in [−1, 1), different for every layer and part", async () => {
    const { passports } = await deriveBinding(BINDING, PLAN);
    expect([...passports.keys()]).toEqual(["features.2.bn", "features.3.bn"]);
    const all = [...passports.values()].flatMap(({ gamma, beta }) => [gamma, beta]);
    for (const p of all) {
      const mean = p.reduce((a, b) => a + b) / p.length;
      expect(Math.abs(mean)).toBeLessThan(4 * Math.sqrt(1 / (3 * p.length)));
      expect(p.every((v) => v >= -1 && v < 1)).toBe(true);
    }
    expect(new Set(all.map((p) => p.slice(0, 4).join())).size).toBe(4);
  });

  it("takes 80 free bits, and not 79", async () => {
    const narrow = (channels: number) => {
      const config: NetworkConfig = { ...TINY, layers: [{ channels, kernel: 3 }], passports: { 0: true } };
      return deriveBinding(BINDING, planOf(config));
    };
    expect((await narrow(80)).bits.get("features.0.bn")).toHaveLength(80);
    await expect(narrow(79)).rejects.toThrow(/80 signature bits or more .* this network has 79/);
  });

  it("keeps the bits of a text", async () => {
    const config: NetworkConfig = { ...CONFIG, passports: { 2: "ACME", 3: true } };
    const { bits } = await deriveBinding(BINDING, planOf(config));
    expect([...bits.get("features.2.bn")!.subarray(0, 32)].every((b) => b === 0)).toBe(true);
    expect([...bits.get("features.2.bn")!.subarray(32)].every((b) => Math.abs(b) === 1)).toBe(true);
  });
});

describe("a credential of the first version", () => {
  it("survives a file, and reads back its statement", async () => {
    const file = decodeSafetensors(encodeSafetensors(credential.tensors, credential.metadata));
    expect((await readBinding(file))!.statement).toBe(BINDING.statement);
    expect(await readBinding(plainCredential)).toBeNull();
  });

  it("shows a mark at most, with every bit, and says why", async () => {
    const found = await verify(deployed, credential);
    expect(found).toMatchObject({ verdict: "mark present", version: 1, statement: BINDING.statement, bound: 1e-6 });
    expect(found.mark).toMatchObject({ bits: { count: 160, hits: 160, needed: NEEDED }, triggers: null, found: true });
    expect(found).toMatchObject({ released: null, dated: null, relation: null, examination: { passes: true } });
    expect(found.sentence).toMatch(/shows no ownership: claims of the first version can be forged .* within a second/);
  });

  it("shows no more with whatever is given beside it: commitments of either version, dates, the file itself", async () => {
    const binding = await bindingFor("acme");
    const second = buildNetwork(MARKED, { seed: 3 });
    await ownership.bind(second, binding);
    const own = await ownership.boundCredential(await second.credential(), binding);
    const others = await anchored({ credential: own, released: deployed });
    second.dispose();
    const first = JSON.stringify(await commit(credential, deployed));
    for (const commitment of [others.commitment, first, "{}"]) {
      const found = await verify(deployed, credential, { ...others, released: deployed, commitment });
      expect(found).toMatchObject({ verdict: "mark present", version: 1, released: null, dated: null, relation: null });
    }
  });

  it("is discounted nothing for a commitment: 12 turned bits of 160 are the most", async () => {
    expect(NEEDED).toBe(148);
    const commitment = JSON.stringify(await commit(credential, deployed));
    for (const lost of [12, 13])
      for (const options of [{}, { commitment }]) {
        const worn = negated(deployed, "features.3", (i) => i < lost);
        const found = await verify(worn, credential, options);
        expect(found.mark!.bits).toMatchObject({ hits: 160 - lost, needed: NEEDED });
        expect(found.verdict).toBe(lost === 12 ? "mark present" : "refused");
      }
  });

  it("is refused where all bits are turned, which is said", async () => {
    const turned = ["features.2", "features.3"].reduce((file, layer) => negated(file, layer, () => true), deployed);
    const found = await verify(turned, credential);
    expect(found).toMatchObject({ verdict: "refused", mark: { bits: { hits: 0 }, found: false, turned: true } });
    expect(found.sentence).toMatch(/bits are all turned/);
  });

  it("counts the bits alone that no text takes", async () => {
    const text = await claimed({ ...CONFIG, passports: { 2: "ACME", 3: true } });
    const found = await verify(await text.deployed(), await boundCredential(await text.credential(), BINDING));
    text.dispose();
    expect(found.mark!.bits).toMatchObject({ count: 160 - 32, hits: 160 - 32, needed: 123 });
    expect(found.examination).toMatchObject({ bits: 160, matched: 160 });
  });

  it("of fewer than 100 bits, which the first version took, shows nothing any more", async () => {
    const narrow = await claimed({ ...CONFIG, passports: { 3: true } });
    const found = await verify(await narrow.deployed(), await boundCredential(await narrow.credential(), BINDING));
    narrow.dispose();
    expect(found).toMatchObject({ verdict: "refused", mark: { bits: { count: 96, hits: 96, needed: 97 } } });
  });

  it.each<[string, () => SafetensorsFile, RegExp]>([
    [
      "a passport changed in one number",
      () => changed(credential, "features.3.bn.passport.skey", 7, 0.5),
      /features\.3\.bn\.passport\.skey does not come from its secret/,
    ],
    [
      "a bit turned",
      () => {
        const { data } = credential.tensors.get("features.2.bn.passport.b")!;
        return changed(credential, "features.2.bn.passport.b", 5, -Number(data[5]));
      },
      /signature bits of features\.2\.bn are not the hash/,
    ],
    ["another statement", () => rebound({ ...BINDING, statement: "Trained by EVIL" }), /signature bits/],
    ["another secret", () => rebound({ ...BINDING, secret: newSecret() }), /does not come from its secret/],
    ["no secret", () => rebound({ ...BINDING, secret: "" }), /64 hexadecimal digits/],
    [
      "a binding that is no JSON",
      () => ({ ...credential, metadata: { ...credential.metadata, binding: "{" } }),
      /"binding" is not readable/,
    ],
  ])("is refused with %s", async (_, file, message) => {
    await expect(readBinding(file())).rejects.toThrow(FormatError);
    await expect(readBinding(file())).rejects.toThrow(message);
    const found = await verify(deployed, file());
    expect(found).toMatchObject({ verdict: "refused", version: 1, mark: null, bound: null });
    expect(found.sentence).toMatch(message);
  });

  const rebound = (binding: Binding): SafetensorsFile => ({
    ...credential,
    metadata: { ...credential.metadata, binding: JSON.stringify(binding) },
  });

  it("is refused for a plain network or a binding that is none, changing nothing", async () => {
    const plain = buildNetwork({ classes: 3, input: TINY.input, layers: TINY.layers, scheme: "plain" });
    await expect(bind(plain, BINDING)).rejects.toThrow(ArgumentError);
    const narrow = buildNetwork(TINY);
    await expect(bind(narrow, BINDING)).rejects.toThrow(/80 signature bits or more .* this network has 16/);
    for (const m of [plain, narrow]) m.dispose();
    const before = (await model.readSigns()).map((s) => [...s.bits].join());
    await expect(bind(model, { ...BINDING, statement: "" })).rejects.toThrow(/a statement expected/);
    expect((await model.readSigns()).map((s) => [...s.bits].join())).toEqual(before);
  });

  it("is made field by field, and nothing else is taken for a binding", async () => {
    for (const value of [null, 0, "", [], {}, true])
      for (const field of ["statement", "secret", "extra"]) {
        const file = rebound({ ...BINDING, [field]: value } as Binding);
        await expect(readBinding(file), `${field}: ${value}`).rejects.toThrow(FormatError);
      }
  });
});

describe("a commitment of the first version", () => {
  it("tells nothing of the secret and is opened by its credential alone", async () => {
    const commitment = await commit(credential, deployed);
    expect(JSON.stringify(commitment)).not.toContain(BINDING.secret);
    expect(JSON.stringify(commitment)).not.toContain(BINDING.statement);
    expect(await openCommitment(commitment, credential, deployed)).toEqual({ claim: true, network: true });
  });

  it("names a changed copy as one, or no network", async () => {
    const copy = changed(deployed, "classifier.bias", 0, 0.125);
    const match = await openCommitment(await commit(credential, deployed), credential, copy);
    expect(match).toEqual({ claim: true, network: false });
    const bare = await commit(credential);
    expect(bare.network).toBeUndefined();
    expect(await openCommitment(bare, credential, copy)).toEqual({ claim: true, network: null });
  });

  it("tells another claim, and refuses an unbound credential and what is no commitment", async () => {
    const other = buildNetwork(CONFIG, { seed: 4 });
    const binding = { statement: "another", secret: newSecret() };
    await bind(other, binding);
    const commitment = await commit(await boundCredential(await other.credential(), binding));
    other.dispose();
    expect((await openCommitment(commitment, credential, deployed)).claim).toBe(false);
    await expect(openCommitment(commitment, plainCredential, deployed)).rejects.toThrow(ArgumentError);
    for (const odd of [
      {},
      null,
      { ...commitment, date: 1 },
      { ...commitment, claim: "x" },
      { ...commitment, network: 1 },
    ])
      await expect(openCommitment(odd as never, credential, deployed)).rejects.toThrow(FormatError);
  });
});
