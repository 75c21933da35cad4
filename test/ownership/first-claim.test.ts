/**
 * Credentials bound to a secret and a statement: what follows from them, and what does not pass.
 */
import { createCipheriv, createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, FormatError } from "../../src/errors";
import { type StateDict, toFloat32 } from "../../src/io/host-tensor";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, type NetworkConfig } from "../../src/models";
import { planOf } from "../../src/models/credential";
import { SGD } from "../../src/optim";
import {
  type Binding,
  bind,
  boundCredential,
  commit,
  deriveBinding,
  matchThreshold,
  newSecret,
  openCommitment,
  readBinding,
  verify,
} from "../../src/ownership";
import type { PassportPlace } from "../../src/passport";
import { Trainer } from "../../src/train";
import { gpu } from "../support/gpu";
import type { Network } from "../support/networks";
import { TINY, tinySet } from "../support/tiny";

/** Two passport layers of 64 and 96 bits, no text: every bit follows from the binding. */
const CONFIG: NetworkConfig = {
  ...TINY,
  layers: [{ channels: 8, kernel: 3, padding: 1 }, "pool", { channels: 64, kernel: 3 }, { channels: 96, kernel: 1 }],
  passports: { 2: true, 3: true },
};
const BINDING: Binding = { statement: "Trained by ACME, 2026", secret: "0123456789abcdef".repeat(4) };
const PLAN = planOf(CONFIG);

let model: Network;
let deployed: SafetensorsFile;
let plainCredential: SafetensorsFile;
let credential: SafetensorsFile;

beforeAll(async () => {
  await gpu();
  model = buildNetwork(CONFIG, { seed: 3 });
  await bind(model, BINDING);
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5, signLoss: { alpha: 1 } });
  for await (const _ of trainer.fit(tinySet(60, 1), { epochs: 6 }));
  optimizer.dispose();
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

/**
 * Negates filters, and with them γ and the running mean of their norm: the function is the same.
 */
function negateFilters(tensors: StateDict, layer: string, signs: Float32Array): void {
  for (const part of ["conv.weight", "bn.weight", "bn.running_mean"]) {
    const name = `${layer}.${part}`;
    const value = tensors.get(name)!;
    const each = value.data.length / signs.length;
    const data = Float32Array.from(toFloat32(value), (v, i) => v * signs[Math.floor(i / each)]!);
    tensors.set(name, { ...value, dtype: "F32", data });
  }
}

describe("what follows from a binding", () => {
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

  it("makes secrets of 32 bytes, never the same", () => {
    expect(newSecret()).toMatch(/^[0-9a-f]{64}$/);
    expect(newSecret()).not.toBe(newSecret());
  });
});

describe("a bound credential", () => {
  it("survives a file, and reads back its statement", async () => {
    const file = decodeSafetensors(encodeSafetensors(credential.tensors, credential.metadata));
    expect((await readBinding(file))!.statement).toBe(BINDING.statement);
    expect(await readBinding(plainCredential)).toBeNull();
  });

  it("verifies with every bit bound, where the unbound one does not if binding is asked for", async () => {
    const found = await verify(deployed, credential);
    expect(found).toMatchObject({ holds: true, bits: 160, matched: 160 });
    expect(found.bound).toMatchObject({ statement: BINDING.statement, bits: 160, matched: 160, holds: true });
    expect(found.bound!.threshold).toBeLessThan(160);
    expect((await verify(deployed, plainCredential, { requireBinding: false })).holds).toBe(true);
    const unbound = await verify(deployed, plainCredential);
    expect(unbound).toMatchObject({ holds: false, bound: null });
    expect(unbound.reasons.join("\n")).toMatch(/not bound to a secret/);
  });

  it("counts the bits alone that no text takes", async () => {
    const config: NetworkConfig = { ...CONFIG, passports: { 2: "ACME", 3: true } };
    const text = buildNetwork(config, { seed: 3 });
    await bind(text, BINDING);
    const found = await verify(await text.deployed(), await boundCredential(await text.credential(), BINDING));
    text.dispose();
    expect(found.bits).toBe(160);
    expect(found.bound!.bits).toBe(160 - 32);
    const { bits } = await deriveBinding(BINDING, planOf(config));
    const fits = found.layers.flatMap(({ name, gamma }) => [...gamma].filter((g, i) => g * bits.get(name)![i]! > 0));
    expect(found.bound!.matched).toBe(fits.length);
    expect(found.bound!.threshold).toBe(matchThreshold(160 - 32, 2 ** -80));
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
    await expect(verify(deployed, file())).rejects.toThrow(FormatError);
    await expect(verify(deployed, file())).rejects.toThrow(message);
  });

  const rebound = (binding: Binding): SafetensorsFile => ({
    ...credential,
    metadata: { ...credential.metadata, binding: JSON.stringify(binding) },
  });

  it("cannot be had for a network that was not bound before training", async () => {
    const other = buildNetwork(CONFIG, { seed: 4 });
    await expect(boundCredential(await other.credential(), BINDING)).rejects.toThrow(/does not come from its secret/);
    other.dispose();
  });

  it("does not hold for a network that was not trained with it, whatever the secret", async () => {
    const other = buildNetwork(CONFIG, { seed: 4 });
    const victim = await other.deployed();
    for (let i = 0; i < 5; i++) {
      const binding = { ...BINDING, secret: newSecret() };
      await bind(other, binding);
      const found = await verify(victim, await boundCredential(await other.credential(), binding));
      expect(found.holds).toBe(false);
      expect(found.bound!.holds).toBe(false);
    }
    other.dispose();
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
});

describe("a commitment", () => {
  it("tells nothing of the secret and is opened by its credential alone", async () => {
    const commitment = await commit(credential, deployed);
    expect(JSON.stringify(commitment)).not.toContain(BINDING.secret);
    expect(JSON.stringify(commitment)).not.toContain(BINDING.statement);
    expect(await openCommitment(commitment, credential, deployed)).toEqual({ claim: true, network: true });
    const found = await verify(deployed, credential, { commitment });
    expect(found.holds).toBe(true);
    expect(found.bound!.commitment).toEqual({ claim: true, network: true });
  });

  it("lets a claim stand that lost some bits, which alone would need nearly all of them", async () => {
    const commitment = await commit(credential, deployed);
    const tensors = new Map(deployed.tensors);
    negateFilters(
      tensors,
      "features.3",
      Float32Array.from({ length: 96 }, (_, i) => (i < 20 ? -1 : 1)),
    );
    const worn = { ...deployed, tensors };
    // Among 2^80 secrets one with 140 of 160 bits could be found; a commitment of an earlier date
    // leaves no search.
    const alone = await verify(worn, credential);
    expect(alone.bound).toMatchObject({ matched: 140, threshold: matchThreshold(160, 2 ** -80), holds: false });
    expect(alone.holds).toBe(false);
    const dated = await verify(worn, credential, { commitment });
    expect(dated.bound).toMatchObject({ matched: 140, threshold: matchThreshold(160), holds: true });
    expect(dated.holds).toBe(true);
  });

  it("lets it stand down to the threshold, and not one bit further", async () => {
    const commitment = await commit(credential, deployed);
    const threshold = matchThreshold(160);
    for (const lost of [160 - threshold, 161 - threshold]) {
      const tensors = new Map(deployed.tensors);
      negateFilters(
        tensors,
        "features.3",
        Float32Array.from({ length: 96 }, (_, i) => (i < lost ? -1 : 1)),
      );
      const { bound } = await verify({ ...deployed, tensors }, credential, { commitment });
      expect(bound).toMatchObject({ matched: 160 - lost, threshold, holds: 160 - lost >= threshold });
    }
  });

  it("names a changed copy as one, which the claim survives", async () => {
    const commitment = await commit(credential, deployed);
    const copy = changed(deployed, "classifier.bias", 0, 0.125);
    const found = await verify(copy, credential, { commitment });
    expect(found.bound!.commitment).toEqual({ claim: true, network: false });
    expect(found.holds).toBe(true);
    expect((await commit(credential)).network).toBeUndefined();
  });

  it("refuses another claim, an unbound credential, and what is no commitment", async () => {
    const other = buildNetwork(CONFIG, { seed: 4 });
    const binding = { statement: "another", secret: newSecret() };
    await bind(other, binding);
    const commitment = await commit(await boundCredential(await other.credential(), binding));
    other.dispose();
    const found = await verify(deployed, credential, { commitment });
    expect(found).toMatchObject({ holds: false, matched: 160 });
    expect(found.reasons.join("\n")).toMatch(/made for another claim/);
    await expect(verify(deployed, plainCredential, { commitment })).rejects.toThrow(ArgumentError);
    await expect(verify(deployed, credential, { commitment: {} as never })).rejects.toThrow(FormatError);
  });
});
