/** Claims of version 2 on a trained network: every verdict, and what keeps from it. */
import { beforeAll, describe, expect, it, vi } from "vitest";
import { disguise } from "../../../src/attacks";
import { ArgumentError, FormatError } from "../../../src/errors";
import { sha256Hex } from "../../../src/io/digest";
import { toFloat32 } from "../../../src/io/host-tensor";
import { encodeSafetensors, type SafetensorsFile } from "../../../src/io/safetensors";
import { buildNetwork, buildPlain } from "../../../src/models";
import { bind, boundCredential, commit, provePossession } from "../../../src/ownership";
import { CLAIM_PREDICATE } from "../../../src/ownership/claim/commitment";
import { IN_TOTO } from "../../../src/signing";
import { type Bundle, decodeBundle, encodeBundle, signBundle } from "../../../src/signing/bundle";
import { decodeStatement, encodeStatement } from "../../../src/signing/statement";
import { compared, verify } from "../../support/both-verdicts";
import { gpu } from "../../support/gpu";
import { acme, authority, bindingFor, dated, MARKED, type Owned, signerFor } from "../../support/owner";
import { tinySet } from "../../support/tiny";

let owned: Owned;
let stamps: Awaited<ReturnType<typeof authority>>;
let bundle: Bundle;
const DATED = "2026-01-01T00:00:00Z";
const LATER = "2026-06-01T00:00:00Z";

beforeAll(async () => {
  Object.assign(compared, { verdicts: 0, rulings: 0, errors: 0 });
  await gpu();
  owned = await acme();
  stamps = await authority();
  bundle = await dated(owned, stamps, DATED);
});

const all = () => ({ commitment: bundle, released: owned.released, roots: [stamps.root], published: LATER });

/** A file with tensors changed by name. */
function changed(file: SafetensorsFile, like: RegExp, f: (v: number, i: number) => number): SafetensorsFile {
  const tensors = new Map(file.tensors);
  let count = 0;
  for (const [name, t] of file.tensors) {
    if (!like.test(name)) continue;
    count++;
    tensors.set(name, { dtype: "F32", shape: t.shape, data: Float32Array.from(toFloat32(t), f) });
  }
  if (!count) throw new Error(`no tensor like ${like}`);
  return { ...file, tensors };
}

/** A copy as somebody fine-tuned it: another file, the same signs. */
const tuned = () => changed(owned.released, /bias$/, (v) => v + 0.01);

describe("a claim", () => {
  it("holds as released: the very file, dated before", async () => {
    const found = await verify(owned.released, owned.credential, { ...all(), test: tinySet(30, 2) });
    expect(found).toMatchObject({
      verdict: "holds as released",
      version: 2,
      statement: "Trained by acme",
      bound: 1e-6,
      mark: { bits: { count: 224, hits: 224, needed: 194 }, found: true },
      released: { found: true },
      examination: { passes: true },
      dated: { time: "2026-01-01T00:00:00.000Z", accuracy: 1 },
    });
    expect(found.sentence).toMatch(/byte for byte, the file that was committed to on 2026-01-01 00:00 UTC/);
    expect(found.open.join("\n")).toMatch(/not who trained it/);
    expect(found.suspectSha256).toBe(
      await sha256Hex(encodeSafetensors(owned.released.tensors, owned.released.metadata)),
    );
    expect(JSON.parse(JSON.stringify(found)).verdict).toBe(found.verdict);
    expect(JSON.stringify(found)).not.toContain(owned.binding.secret);
  });

  it("is the same by bytes, and by the text of the bundle's file", async () => {
    const bytes = encodeSafetensors(owned.released.tensors, owned.released.metadata);
    const credential = encodeSafetensors(owned.credential.tensors, owned.credential.metadata);
    const given = { ...all(), released: bytes, commitment: encodeBundle(bundle) };
    expect((await verify(bytes, credential, given)).verdict).toBe("holds as released");
  });

  it("holds for a changed copy with its mark, and says what keeps a lesser one from holding", async () => {
    const copy = tuned();
    const found = await verify(copy, owned.credential, all());
    expect(found).toMatchObject({ verdict: "holds", relation: { related: true }, mark: { found: true } });
    const without = async (part: keyof ReturnType<typeof all>) => {
      const { [part]: _, ...rest } = all();
      return verify(copy, owned.credential, rest);
    };
    for (const [part, why] of [
      ["commitment", /no commitment was given/],
      ["released", /the committed file was not given/],
      ["roots", /nothing dates the claim/],
      ["published", /nobody says when the suspect was published/],
    ] as const) {
      const less = await without(part);
      expect(less, part).toMatchObject({ verdict: "mark present" });
      expect(less.sentence, part).toMatch(why);
      expect(less.open.join("\n")).toMatch(/can put a mark of their own into it/);
    }
  });

  it("is only a mark where it is not older than the suspect, within the stamp's accuracy", async () => {
    for (const published of ["2025-12-31T00:00:00Z", "2026-01-01T00:00:01Z"]) {
      const found = await verify(tuned(), owned.credential, { ...all(), published });
      expect(found).toMatchObject({ verdict: "mark present" });
      expect(found.sentence).toMatch(/not older than the suspect/);
    }
    const found = await verify(tuned(), owned.credential, { ...all(), published: new Date("2026-01-01T00:00:02Z") });
    expect(found.verdict).toBe("holds");
  });

  it("goes by the earliest stamp that a pinned root vouches for", async () => {
    const other = await authority("others");
    const twice = await other.stamp(bundle, "2025-01-01T00:00:00Z");
    const one = await verify(owned.released, owned.credential, { ...all(), commitment: twice });
    expect(one.dated).toMatchObject({ time: "2026-01-01T00:00:00.000Z" });
    expect(one.reasons.join("\n")).toMatch(/a time stamp does not count/);
    const both = { ...all(), commitment: twice, roots: [stamps.root, other.root] };
    const two = await verify(owned.released, owned.credential, both);
    expect(two.dated).toMatchObject({ time: "2025-01-01T00:00:00.000Z" });
    expect(two.dated!.authorities).toHaveLength(2);
  });

  it("names the copy of a network whose mark is gone, by relation", async () => {
    const hidden = disguise(owned.released, { permute: true, negate: 0.5, seed: 3 });
    const found = await verify(hidden, owned.credential, all());
    expect(found).toMatchObject({
      verdict: "copy of the committed network",
      mark: { found: false },
      relation: { related: true },
    });
    expect(found.bound).toBe(1e-6);
    // Without dates the same copy shows nothing.
    const { roots: _, ...undated } = all();
    expect((await verify(hidden, owned.credential, undated)).verdict).toBe("refused");
  });

  it("is refused for a stranger, and for one whose bits are all turned, which is said", async () => {
    const stranger = buildPlain(MARKED, { seed: 9 });
    const file = { ...owned.released, tensors: await stranger.stateDict() };
    stranger.dispose();
    const found = await verify(file, owned.credential, all());
    expect(found).toMatchObject({ verdict: "refused", bound: null, relation: { related: false } });
    const negated = disguise(owned.released, { permute: false, negate: 1 });
    const { released: _, ...alone } = all();
    const turned = await verify(negated, owned.credential, alone);
    expect(turned).toMatchObject({ verdict: "refused", mark: { found: false, turned: true } });
    expect(turned.sentence).toMatch(/bits are all turned/);
  });
});

describe("what does not hold together is refused", () => {
  const refused = async (credential: SafetensorsFile, more: object, why: RegExp, suspect = owned.released) => {
    const found = await verify(suspect, credential, { ...all(), ...more });
    expect(found.verdict).toBe("refused");
    expect(found.sentence).toMatch(why);
  };
  const withClaim = (more: object): SafetensorsFile => ({
    ...owned.credential,
    metadata: {
      ...owned.credential.metadata,
      claim: JSON.stringify({ ...JSON.parse(owned.credential.metadata["claim"]!), ...more }),
    },
  });

  it.each<[string, () => [SafetensorsFile, object, RegExp]]>([
    [
      "a changed passport",
      () => [
        changed(owned.credential, /3\.bn\.passport\.skey$/, (v, i) => (i === 7 ? 0.5 : v)),
        {},
        /does not come from its secret/,
      ],
    ],
    [
      "a turned bit",
      () => [
        changed(owned.credential, /2\.bn\.passport\.b$/, (v, i) => (i === 5 ? -v : v)),
        {},
        /signature bits of features\.2\.bn are not the hash/,
      ],
    ],
    ["another statement", () => [withClaim({ statement: "Trained by Mallory" }), {}, /signature bits/]],
    ["another secret", () => [withClaim({ secret: "a".repeat(64) }), {}, /does not come from its secret/]],
    ["triggers that were made up", () => [withClaim({ triggers: { kind: "images" } }), {}, /claim/]],
    [
      "another FC",
      () => [changed(owned.credential, /passport\.fc\.0\.weight$/, (v) => 2 * v), {}, /its credential is another/],
    ],
    [
      "other statistics",
      () => [changed(owned.credential, /passport\.norm\.running_mean$/, (v) => v + 1), {}, /its credential is another/],
    ],
    [
      "other accuracies",
      () => [
        { ...owned.credential, metadata: { ...owned.credential.metadata, claimed: "{}" } },
        {},
        /its credential is another/,
      ],
    ],
    ["another released file", () => [owned.credential, { released: tuned() }, /does not anchor the claim/]],
    [
      "another suspect than is meant",
      () => [owned.credential, { suspectSha256: "0".repeat(64) }, /another file than the one that is meant/],
    ],
  ])("%s", async (_, make) => {
    await refused(...make());
  });

  it("a commitment that somebody else signed, or that says something else", async () => {
    const [own, mallory] = [await signerFor("acme"), await signerFor("mallory")];
    const resigned = await signBundle(bundle.envelope.payload, IN_TOTO, mallory);
    await refused(owned.credential, { commitment: resigned }, /key/);
    const statement = decodeStatement(bundle.envelope.payload, CLAIM_PREDICATE);
    for (const [part, value] of Object.entries({
      bits: 225,
      parent: "0".repeat(128),
      statement: "x",
      claim: "1".repeat(128),
    })) {
      const other = { ...statement, predicate: { ...statement.predicate, [part]: value } };
      const forged = await signBundle(encodeStatement(other), IN_TOTO, own);
      await refused(owned.credential, { commitment: forged }, new RegExp(`its ${part} is another`));
    }
    const nothing = { ...statement, subject: [] };
    await expect(async () => encodeStatement(nothing)).rejects.toThrow(FormatError);
    const turned = {
      ...bundle,
      envelope: { ...bundle.envelope, payload: bundle.envelope.payload.map((b, i) => (i === 40 ? b ^ 1 : b)) },
    };
    await refused(owned.credential, { commitment: turned }, /signature/);
    await refused(owned.credential, { commitment: "{}" }, /bundle/);
    expect(decodeBundle(encodeBundle(bundle))).toEqual(bundle);
  });

  it("a file that was committed to without its mark", async () => {
    // Mallory commits to ACME's release with a claim of her own, early enough.
    const model = buildNetwork(MARKED, { seed: 3 });
    const binding = await bindingFor("mallory");
    await bind(model, binding);
    model.network.loadStateDict(owned.released.tensors);
    const credential = await boundCredential(await model.credential(), binding);
    model.dispose();
    const early = await stamps.stamp(await commit(credential, owned.released, await signerFor("mallory")), DATED);
    await refused(credential, { commitment: early }, /does not bear the claim's mark/);
    const on = { ...all(), commitment: early };
    const { released, reasons } = await verify(owned.released, credential, on);
    expect(released).toMatchObject({ found: false, bits: { count: 224, needed: 194 } });
    expect(reasons.join("\n")).toMatch(/of 224 bound bits fit; 194 are needed/);
  });

  it("a credential that was seen, without its key", async () => {
    const nonce = "0123456789abcdef0123456789abcdef";
    const suspect = owned.released;
    const right = await provePossession(await signerFor("acme"), nonce, suspect);
    expect((await verify(suspect, owned.credential, { ...all(), possession: right })).verdict).toBe(
      "holds as released",
    );
    const other = await provePossession(await signerFor("mallory"), nonce, suspect);
    await refused(owned.credential, { possession: other }, /did not sign the verifier's nonce/);
    await refused(owned.credential, { possession: { ...right, nonce: `${nonce}00` } }, /did not sign/);
    const replayed = await provePossession(await signerFor("acme"), nonce, tuned());
    await refused(owned.credential, { possession: replayed }, /did not sign/);
    await expect(verify(suspect, owned.credential, { possession: { ...right, nonce: "x" } })).rejects.toThrow(
      ArgumentError,
    );
  });

  it("a credential that is bound to nothing", async () => {
    const { claim: _, ...metadata } = owned.credential.metadata;
    await refused({ ...owned.credential, metadata }, {}, /not bound to a secret/);
  });
});

describe("options", () => {
  it.each<[string, object]>([
    ["a misspelt name", { roost: [] }],
    ["a date that is none", { published: "yesterday" }],
    ["a root that is none", { roots: "PEM" }],
    ["a digest that is none", { suspectSha256: "x" }],
    ["no suspects", { suspects: 0 }],
    ["a rate of 0", { falsePositiveRate: 0 }],
    ["a commitment that is none", { commitment: 1 }],
    ["a released file that is none", { released: "path" }],
    ["a possession that is none", { possession: { nonce: "00" } }],
  ])("are refused: %s", async (_, options) => {
    await expect(verify(owned.released, owned.credential, { ...all(), ...options })).rejects.toThrow(ArgumentError);
  });

  it("hold a claim to the number of suspects that were searched", async () => {
    const one = await verify(owned.released, owned.credential);
    const many = await verify(owned.released, owned.credential, { suspects: 1e6 });
    expect(many.mark!.bits!.needed).toBeGreaterThan(one.mark!.bits!.needed);
  });

  it("warn of few bits when a network is bound", async () => {
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    const config = { ...MARKED, passports: { 3: true as const } };
    const model = buildNetwork(config, { seed: 3 });
    await bind(model, await bindingFor("acme"));
    model.dispose();
    expect(warned.mock.calls.join()).toMatch(/128 bits that no text takes/);
    warned.mockRestore();
  });
});

describe("from files alone", () => {
  it("every verdict above was the same, and every error", () => {
    expect(compared.verdicts).toBeGreaterThan(35);
    expect(compared.errors).toBeGreaterThan(8);
  });
});
