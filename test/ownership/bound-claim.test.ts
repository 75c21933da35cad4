/**
 * Claims in their owners' hands: made before training, kept in the credential, committed to before
 * the release; and what is no claim of the network it is held against.
 */
import { beforeAll, describe, expect, it, vi } from "vitest";
import { ArgumentError, FormatError } from "../../src/errors";
import { toFloat32 } from "../../src/io/host-tensor";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, type NetworkConfig, readCredential } from "../../src/models";
import { type Binding, bind, boundCredential, commit, matchThreshold, newSecret, verify } from "../../src/ownership";
import { deriveClaim } from "../../src/ownership/claim/derive";
import { claimOf, specOf } from "../../src/ownership/claim/own";
import { encodeBundle } from "../../src/signing/bundle";
import { type Anchored, anchored } from "../support/anchored";
import { negated } from "../support/channels";
import { gpu } from "../support/gpu";
import { acme, bindingFor, MARKED, type Owned, publicKeyFor, signerFor } from "../support/owner";
import { TINY } from "../support/tiny";

const NEEDED = matchThreshold(224, 2 ** -80 * 1e-6);
let owned: Owned;
let released: SafetensorsFile;
let credential: SafetensorsFile;
let anchor: Anchored;

beforeAll(async () => {
  await gpu();
  owned = await acme();
  ({ released, credential } = owned);
  anchor = await anchored(owned);
});

const changed = (file: SafetensorsFile, name: string, at: number, value: number): SafetensorsFile => {
  const t = file.tensors.get(name)!;
  const data = toFloat32(t).slice();
  data[at] = value;
  return { ...file, tensors: new Map(file.tensors).set(name, { dtype: "F32", shape: t.shape, data }) };
};
const without = ({ tensors, metadata: { claim: _, ...metadata } }: SafetensorsFile) => ({ tensors, metadata });
const rebound = (binding: object): SafetensorsFile => ({
  ...credential,
  metadata: { ...credential.metadata, claim: JSON.stringify(binding) },
});

describe("a bound credential", () => {
  it("survives a file, and says what its network's claim is", async () => {
    const file = decodeSafetensors(encodeSafetensors(credential.tensors, credential.metadata));
    const info = readCredential(file);
    expect(await claimOf(file, info)).toEqual(owned.derived);
    expect(specOf(owned.binding, info)).toEqual(owned.derived.spec);
    expect((await verify(released, file, anchor)).verdict).toBe("holds as released");
  });

  it("bears its mark with every bit; without a claim it shows nothing, whatever was committed to", async () => {
    const alone = await verify(released, credential);
    expect(alone).toMatchObject({ verdict: "mark present", version: 2, bound: 1e-6, released: null, dated: null });
    expect(alone.mark).toMatchObject({ bits: { count: 224, hits: 224, needed: NEEDED }, triggers: null, found: true });
    expect(alone.sentence).toMatch(/no commitment was given/);
    const bare = await verify(released, without(credential), anchor);
    expect(bare).toMatchObject({ verdict: "refused", mark: null, bound: null, examination: { passes: true } });
    expect(bare.sentence).toMatch(/not bound to a secret/);
    await expect(commit(without(credential), released, await signerFor("acme"))).rejects.toThrow(ArgumentError);
  });

  it("of a claim without a key bears a mark, and cannot be committed to", async () => {
    const { publicKey: _, ...binding } = await bindingFor("acme");
    const model = buildNetwork(MARKED, { seed: 4 });
    await bind(model, binding);
    const own = await boundCredential(await model.credential(), binding);
    model.dispose();
    await expect(commit(own, released, await signerFor("acme"))).rejects.toThrow(/names no key/);
    const found = await verify(released, own, anchor);
    expect(found.verdict).toBe("refused");
    expect(found.sentence).toMatch(/the claim names no key, and a commitment to it nobody signs/);
  });

  it("counts the bits alone that no text takes, and keeps a text", async () => {
    const config: NetworkConfig = { ...MARKED, passports: { 2: "ACME", 3: true } };
    const model = buildNetwork(config, { seed: 3 });
    const before = [...(await model.readSigns())[0]!.bits].slice(0, 32);
    const derived = await bind(model, owned.binding);
    expect([...derived.bits.get("features.2.bn")!].map(Math.abs)).toEqual([...Array(32).fill(0), ...Array(64).fill(1)]);
    const signs = await model.readSigns();
    expect([...signs[0]!.bits].slice(0, 32)).toEqual(before);
    const file = await boundCredential(await model.credential(), owned.binding);
    const found = await verify(await model.deployed(), file);
    model.dispose();
    const fits = signs.flatMap(({ name, gamma }) => [...gamma].filter((g, i) => g * derived.bits.get(name)![i]! > 0));
    expect(found.mark!.bits).toMatchObject({ count: 192, hits: fits.length });
    expect(found.examination!.bits).toBe(224);
  });

  it.each<[string, () => SafetensorsFile | Promise<SafetensorsFile>, RegExp]>([
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
    ["another statement", () => rebound({ ...owned.binding, statement: "Trained by EVIL" }), /signature bits/],
    [
      "another's key",
      async () => rebound({ ...owned.binding, publicKey: await publicKeyFor("mallory") }),
      /signature bits/,
    ],
    ["a parent", () => rebound({ ...owned.binding, parent: "0".repeat(128) }), /signature bits/],
    ["another secret", () => rebound({ ...owned.binding, secret: newSecret() }), /does not come from its secret/],
    ["no secret", () => rebound({ ...owned.binding, secret: "" }), /64 hexadecimal digits/],
    ["no statement", () => rebound({ ...owned.binding, statement: "" }), /a statement/],
    ["a part that is not known", () => rebound({ ...owned.binding, date: 1 }), /"date"/],
    ["a claim that is no JSON", () => ({ ...credential, metadata: { ...credential.metadata, claim: "{" } }), /"claim"/],
  ])("is refused with %s", async (_, make, message) => {
    const file = await make();
    const found = await verify(released, file, anchor);
    expect(found).toMatchObject({ verdict: "refused", version: 2, mark: null, bound: null });
    expect(found.sentence).toMatch(message);
    await expect(claimOf(file, readCredential(file))).rejects.toThrow(FormatError);
    await expect(commit(file, released, await signerFor("acme"))).rejects.toThrow(message);
  });

  it("cannot be had for a network that was not bound before training", async () => {
    const other = buildNetwork(MARKED, { seed: 4 });
    await expect(boundCredential(await other.credential(), owned.binding)).rejects.toThrow(
      /does not come from its secret/,
    );
    other.dispose();
  });

  it("does not hold for a network that was not trained with it, whatever the secret, committed to or not", async () => {
    const other = buildNetwork(MARKED, { seed: 4 });
    const victim = await other.deployed();
    for (let i = 0; i < 5; i++) {
      const binding = { ...owned.binding, secret: newSecret() };
      await bind(other, binding);
      const forged = await boundCredential(await other.credential(), binding);
      const alone = await verify(victim, forged);
      expect(alone).toMatchObject({ verdict: "refused", mark: { found: false, turned: false } });
      const committed = await verify(victim, forged, await anchored({ credential: forged, released: victim }));
      expect(committed).toMatchObject({ verdict: "refused", bound: null });
      expect(committed.sentence).toMatch(/the file that was committed to does not bear the claim's mark/);
    }
    other.dispose();
  });

  it("is refused for a plain network, too few bits, or a binding that is none, changing nothing", async () => {
    const { binding } = owned;
    const plain = buildNetwork({ classes: 3, input: TINY.input, layers: TINY.layers, scheme: "plain" });
    await expect(bind(plain, binding)).rejects.toThrow(ArgumentError);
    const narrow = buildNetwork(TINY);
    await expect(bind(narrow, binding)).rejects.toThrow(/128 signature bits or more .* this network has 16/);
    for (const m of [plain, narrow]) m.dispose();
    const model = buildNetwork(MARKED, { seed: 5 });
    const before = (await model.readSigns()).map((s) => [...s.bits].join());
    for (const odd of [
      { ...binding, statement: "" },
      { ...binding, secret: "x" },
      { ...binding, parent: "x" },
      { ...binding, triggers: {} },
      { ...binding, date: 1 },
      null,
    ])
      await expect(bind(model, odd as Binding)).rejects.toThrow(ArgumentError);
    await expect(bind(model, { ...binding, publicKey: "x" })).rejects.toThrow(ArgumentError);
    expect((await model.readSigns()).map((s) => [...s.bits].join())).toEqual(before);
    model.dispose();
  });

  it("of few bits is warned of once it is bound: 128 to 159", async () => {
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    try {
      for (const [channels, times] of [
        [128, 1],
        [159, 1],
        [160, 0],
      ] as const) {
        warned.mockClear();
        const model = buildNetwork({ ...TINY, layers: [{ channels, kernel: 3 }], passports: { 0: true } });
        await bind(model, owned.binding);
        model.dispose();
        expect(warned.mock.calls.length, `${channels}`).toBe(times);
        if (times) expect(warned.mock.calls[0]![0]).toMatch(new RegExp(`${channels} bits that no text takes`));
      }
    } finally {
      warned.mockRestore();
    }
  });

  it("has secrets of 32 bytes, never the same", () => {
    expect(newSecret()).toMatch(/^[0-9a-f]{64}$/);
    expect(newSecret()).not.toBe(newSecret());
  });
});

describe("a commitment", () => {
  it("tells nothing of the secret, nor of the passports and bits that come from it", async () => {
    const text = encodeBundle(anchor.commitment);
    const all = `${text}${Buffer.from(anchor.commitment.envelope.payload).toString("latin1")}`;
    expect(all).not.toContain(owned.binding.secret);
    expect(all).not.toContain(Buffer.from(owned.derived.hash).toString("hex"));
    expect((await verify(released, credential, { ...anchor, commitment: text })).verdict).toBe("holds as released");
  });

  it("lowers no threshold: a claim that lost too many bits is no better for it, nor for the date", async () => {
    for (const lost of [224 - NEEDED, 225 - NEEDED]) {
      const worn = negated(released, "features.3", (i) => i < lost);
      const alone = await verify(worn, credential);
      const dated = await verify(worn, credential, anchor);
      expect(dated.mark).toEqual(alone.mark);
      expect(alone.mark!.bits).toMatchObject({ hits: 224 - lost, needed: NEEDED });
      expect(alone.verdict).toBe(lost === 224 - NEEDED ? "mark present" : "refused");
      // What is too worn for its mark is a copy by its other channels.
      expect(dated.verdict).toBe(lost === 224 - NEEDED ? "holds" : "copy of the committed network");
    }
    // At the ordinary rate half of a claim's bits more would have been a find.
    expect(matchThreshold(224)).toBeLessThan(NEEDED - 30);
  });

  it("of a released file that lost its mark anchors nothing: it is read as strictly", async () => {
    for (const lost of [224 - NEEDED, 225 - NEEDED]) {
      const worn = negated(released, "features.3", (i) => i < lost);
      const found = await verify(worn, credential, await anchored({ credential, released: worn }));
      expect(found.verdict).toBe(lost === 224 - NEEDED ? "holds as released" : "refused");
    }
  });

  it("stands for a changed copy, which is another file", async () => {
    const copy = changed(released, "classifier.bias", 0, 0.125);
    const found = await verify(copy, credential, anchor);
    expect(found).toMatchObject({ verdict: "holds", mark: { bits: { hits: 224 } }, released: { found: true } });
    const anchoring = await verify(copy, credential, { ...anchor, released: copy });
    expect(anchoring).toMatchObject({ verdict: "refused", released: null });
  });

  it("of another claim is refused, even where the same key signed it", async () => {
    const binding = { ...owned.binding, secret: newSecret() };
    const other = buildNetwork(MARKED, { seed: 4 });
    await bind(other, binding);
    const own = await boundCredential(await other.credential(), binding);
    other.dispose();
    const { commitment } = await anchored({ credential: own, released });
    const found = await verify(released, credential, { ...anchor, commitment });
    expect(found).toMatchObject({ verdict: "refused", bound: null });
    expect(found.sentence).toMatch(/not this credential's: its claim is another/);
  });

  it("is made by the key that the claim names alone", async () => {
    await expect(commit(credential, released, await signerFor("mallory"))).rejects.toThrow(/found another key/);
  });

  it("in a file that is none is refused, which nobody has to catch", async () => {
    for (const commitment of ["", "{}", "[]", "null", "x".repeat(1e5), "[".repeat(1e4)]) {
      const found = await verify(released, credential, { ...anchor, commitment });
      expect(found).toMatchObject({ verdict: "refused", mark: null });
      expect(found.sentence.length).toBeLessThan(1000);
    }
    await expect(verify(released, credential, { ...anchor, commitment: 5 as never })).rejects.toThrow(ArgumentError);
  });

  it("follows from the credential's description, and hangs on all of it", async () => {
    const again = await deriveClaim(owned.binding.secret, specOf(owned.binding, readCredential(credential)));
    expect(again.hash).toEqual(owned.derived.hash);
    const noKey = await deriveClaim(owned.binding.secret, { ...owned.derived.spec, publicKey: null });
    expect(noKey.hash).not.toEqual(again.hash);
  });
});
