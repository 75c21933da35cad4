/**
 * Damage at random: nothing that was changed verifies as something else, and nothing is thrown but
 * FormatError. `SIGNING_MUTATIONS=200000` tries as many of each kind.
 */
import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors";
import {
  decodeBundle,
  encodeBundle,
  envelopeFromJson,
  envelopeToJson,
  newSigningKey,
  publicKeyOf,
  sha256Hex,
  signBundle,
  signerOf,
  signModel,
  verifyBundle,
  verifyEnvelope,
  verifyModel,
  verifySignature,
  verifyTimestamp,
} from "../../src/signing";
import { Generator } from "../../src/tensor/random";
import { changed, damaged } from "../../torture/mutate";
import { bytesAt, message, namesOf, root, textAt } from "./stamps";

const COUNT = Number(process.env["SIGNING_MUTATIONS"] ?? 500);
const TIMEOUT = 60_000 + 10 * COUNT;
/** Milliseconds that no reader takes, even on a machine that is busy with something else. */
const PATIENCE = 15_000;

/** The value, or that it was refused; anything but a refusal is the test's failure. */
async function outcome(read: () => unknown): Promise<unknown> {
  const started = performance.now();
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    expect(error.message.length).toBeLessThan(1500);
    return "refused";
  } finally {
    expect(performance.now() - started).toBeLessThan(PATIENCE);
  }
}

/**
 * How many of `count` damaged inputs are refused; the others have to come out as one of `honest`.
 */
async function refusals(count: number, honest: readonly unknown[], one: (random: Generator, i: number) => unknown) {
  const all = new Generator(7);
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const random = all.fork(i);
    const found = await outcome(() => one(random, i));
    if (found === "refused") refused++;
    else expect(honest, `case ${i}`).toContainEqual(found);
  }
  return refused;
}

const utf8 = (text: string) => new TextEncoder().encode(text);
const latin = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const key = textAt("p256.pub.pem");
const signer = await signerOf(textAt("p256.key.pem"));
const trust = { roots: [root], certificates: [textAt("tsa-ec.pem")] };

describe("time stamps", () => {
  const names = namesOf(/\.(tsr|der)$/);
  const stamps = names.map(bytesAt);

  it(
    "of which anything is damaged",
    async () => {
      const results = await Promise.all(stamps.map((stamp) => outcome(() => verifyTimestamp(stamp, message, trust))));
      const honest = results.filter((result) => result !== "refused");
      expect(honest.length).toBeGreaterThan(8);
      const refused = await refusals(COUNT, honest, (random) =>
        verifyTimestamp(damaged(random, stamps), message, trust),
      );
      expect(refused).toBeGreaterThan(0.9 * COUNT);
    },
    TIMEOUT,
  );

  it(
    "of which any bit is turned",
    async () => {
      // Those that are looked at bit by bit; all of them, where more is asked for.
      const chosen =
        COUNT > 1e4
          ? names.filter((name) => !/no-|soft|wide|under|sha1|before|refused/.test(name))
          : ["ec-no-certificate.tsr", "ec-nonce.tsr"];
      // One bit of each byte, or all of them.
      const step = COUNT > 1e4 ? 1 : 8;
      for (const name of chosen) {
        const stamp = bytesAt(name);
        // A certificate that is given beside it would stand in for a damaged one inside.
        const alone = name === "ec-no-certificate.tsr" ? trust : { roots: [root] };
        const survivors: string[] = [];
        for (let bit = 0; bit < 8 * stamp.length; bit += step) {
          const at = bit >> 3;
          const turned = stamp.slice();
          turned[at]! ^= 1 << (step === 1 ? bit & 7 : at & 7);
          const found = await outcome(() => verifyTimestamp(turned, message, alone));
          if (found !== "refused") survivors.push(`${at}: ${stamp[at]} → ${turned[at]}`);
        }
        // Nobody signs the status of a response, its first number: "granted" may become "granted,
        // with changes".
        expect(
          survivors.filter((survivor) => survivor !== "8: 0 → 1" || !name.endsWith(".tsr")),
          name,
        ).toEqual([]);
      }
    },
    TIMEOUT,
  );

  it(
    "whose roots and certificates are damaged",
    async () => {
      const certificates = [root, textAt("between.pem"), textAt("tsa-ec.pem")].map((pem) => utf8(pem));
      const stamp = bytesAt("ec-no-certificate.tsr");
      const honest = await verifyTimestamp(stamp, message, trust);
      const refused = await refusals(COUNT, [honest], (random) =>
        verifyTimestamp(stamp, message, {
          roots: [latin(damaged(random, certificates))],
          certificates: trust.certificates,
        }),
      );
      expect(refused).toBeGreaterThan(0.5 * COUNT);
    },
    TIMEOUT,
  );
});

describe("envelopes and bundles", () => {
  it(
    "of which anything is damaged",
    async () => {
      const signed = await signBundle(utf8('{"said":true}'), "type", signer);
      const bundle = { ...signed, timestamps: [bytesAt("ec-nonce.tsr")] };
      const other = await signBundle(
        utf8("something else"),
        "type",
        await signerOf((await newSigningKey()).privateKey),
      );
      const file = encodeBundle(bundle);
      const samples = [utf8(file), utf8(encodeBundle(other))];
      const payload = utf8('{"said":true}');
      const read = (text: string) => verifyBundle(decodeBundle(text), key, "type");
      expect(await read(file)).toEqual(payload);
      expect(await refusals(COUNT, [payload], (random) => read(latin(damaged(random, samples))))).toBeGreaterThan(
        0.5 * COUNT,
      );
      const value = JSON.parse(file) as unknown;
      expect(
        await refusals(COUNT, [payload], (random) => read(JSON.stringify(changed(random, value)) ?? "")),
      ).toBeGreaterThan(0.5 * COUNT);
      const json = envelopeToJson(bundle.envelope);
      const readEnvelope = (from: unknown) => verifyEnvelope(envelopeFromJson(from, "e"), key, "type");
      await refusals(COUNT, [payload], (random) => readEnvelope(changed(random, json)));
    },
    TIMEOUT,
  );

  it(
    "of a model",
    async () => {
      const model = new Map([
        ["a/b", utf8("1")],
        ["c", utf8("2")],
      ]);
      const file = await signModel(model, signer, { name: "model", ignorePaths: ["d"] });
      const honest = await verifyModel(model, file, key);
      const read = (text: string) => verifyModel(model, text, key);
      await refusals(COUNT, [honest], (random) => read(latin(damaged(random, [utf8(file)]))));
      // What an owner signs may be damaged too: then it is refused, or all files are as it says.
      const statement = JSON.parse(latin(decodeBundle(file).envelope.payload)) as unknown;
      const digests = new Map([
        ["a/b", await sha256Hex(utf8("1"))],
        ["c", await sha256Hex(utf8("2"))],
      ]);
      const { envelope } = decodeBundle(file);
      await refusals(COUNT / 4, [digests], async (random) => {
        const payload = utf8(JSON.stringify(changed(random, statement)) ?? "");
        const signed = await signBundle(payload, envelope.payloadType, signer);
        return (await read(encodeBundle(signed))).digests;
      });
    },
    TIMEOUT,
  );
});

describe("keys and signatures", () => {
  it(
    "of which anything is damaged",
    async () => {
      const keys = ["p256", "p384", "ed25519"].map((name) => publicKeyOf(textAt(`${name}.pub.pem`)));
      const signatures = ["p256", "p384", "ed25519"].map((name) => bytesAt(`${name}.sig`));
      await refusals(COUNT, [true, false], async (random, i) =>
        verifySignature(damaged(random, keys), message, signatures[i % 3]!),
      );
      const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, j) => byte === b[j]);
      await refusals(COUNT, [true], async (random, i) => {
        const signature = damaged(random, signatures);
        const holds = await verifySignature(keys[i % 3]!, message, signature);
        return holds === same(signature, signatures[i % 3]!);
      });
      const pems = ["p256", "ed25519"].map((name) => utf8(textAt(`${name}.key.pem`)));
      await refusals(
        COUNT,
        [true],
        async (random) => (await signerOf(latin(damaged(random, pems)))).publicKey.length > 0,
      );
    },
    TIMEOUT,
  );
});
