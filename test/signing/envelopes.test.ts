import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, FormatError } from "../../src/errors";
import {
  bundleSignature,
  decodeBundle,
  decodeStatement,
  encodeBundle,
  encodeStatement,
  envelopeFromJson,
  envelopeToJson,
  findSubject,
  IN_TOTO,
  keyHint,
  newSigningKey,
  pae,
  type Signer,
  type SigningKey,
  sha512Hex,
  signBundle,
  signEnvelope,
  signerOf,
  subjectOf,
  timestampQuery,
  verifyBundle,
  verifyEnvelope,
  verifyTimestamp,
  withTimestamp,
} from "../../src/signing";
import { fromBase64, toBase64 } from "../../src/signing/base64";
import { element, oid, sequence } from "../../src/signing/der-writer";
import { toDerSignature } from "../../src/signing/ecdsa";
import { certificate, newKey, stamp, timeStamping } from "../support/authority";

const utf8 = (text: string) => new TextEncoder().encode(text);
const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));
let key: SigningKey;
let signer: Signer;

beforeAll(async () => {
  key = await newSigningKey();
  signer = await signerOf(key.privateKey);
});

describe("DSSE's published vectors", () => {
  it("protocol.md: encoding, and a signature by ECDSA", async () => {
    const type = "http://example.com/HelloWorld";
    expect(pae(type, utf8("hello world"))).toEqual(utf8(`DSSEv1 29 ${type} 11 hello world`));
    const coordinates = [
      46950820868899156662930047687818585632848591499744589407958293238635476079160n,
      5640078356564379163099075877009565129882514886557779369047442380624545832820n,
    ];
    const point = hex(`04${coordinates.map((n) => n.toString(16).padStart(64, "0")).join("")}`);
    const spki = sequence(
      sequence(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")),
      element(3, Uint8Array.of(0), point),
    );
    // The vector has r ‖ s, where Sigstore and this package have DER.
    const fixed = "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==";
    const sig = toBase64(toDerSignature(fromBase64(fixed, "sig")));
    const json = { payload: "aGVsbG8gd29ybGQ=", payloadType: type, signatures: [{ sig }] };
    expect(await verifyEnvelope(envelopeFromJson(json, "e"), spki, type)).toEqual(utf8("hello world"));
  });

  const [A, B] = [
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
  ].map((point) => sequence(sequence(oid("1.3.101.112")), element(3, Uint8Array.of(0), hex(point))));
  const statement = "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ==";
  const byA = "2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA==";
  const byB = "c1+67/aT0yqEpwx8PsVY3MLHsj9D0CZ014/Fv/QlG59P+9CobUZ7xECJ/V3USG0Ob9CiE5LjReEZUzNF2l7eBw==";

  it.each([
    ["one signature", statement, IN_TOTO, [byA]],
    [
      "URL-safe base64",
      "-_-_Pj8=",
      IN_TOTO,
      ["P-_KHICeR7tI6S_YyejJTRtrXhcQyQ2LYPaL8h90KjC9qN8HU_svOQ6TuDOT1HIrsGW886DbWNWcCmX5twLrAw=="],
    ],
    [
      "a type that is not ASCII",
      statement,
      "application/vnd.exämple+json",
      ["xmSk/ug66ysT7ayhkCIjhAq42zgZXSsEWuzUaNL7w2eGAdF/NU6/fRXPtmfN+5DNSAs5/i2lUnHjbbjPsu0tAw=="],
    ],
    [
      "an empty payload",
      "",
      IN_TOTO,
      ["gSggCAaTLTYyRH6FIDBem6meyIynsYy8RTHVzwx9tnTb7Bg/1jMWnuVgI/gffqmbsC2VX5/jHfkkDqsj7CDbDg=="],
    ],
    ["two signatures", statement, IN_TOTO, [byB, byA]],
  ])("vectors.json: %s", async (_, payload, payloadType, sigs) => {
    const json = { payload, payloadType, signatures: sigs.map((sig) => ({ sig, keyid: "A" })) };
    expect(await verifyEnvelope(envelopeFromJson(json, "e"), A!, payloadType)).toEqual(fromBase64(payload, "p"));
    if (sigs.length === 1)
      await expect(verifyEnvelope(envelopeFromJson(json, "e"), B!, payloadType)).rejects.toThrow(FormatError);
  });

  it("vectors.json: another type, and an empty one, are refused", async () => {
    const other = "application/vnd.example.other+json";
    const json = { payload: statement, payloadType: other, signatures: [{ sig: byA }] };
    await expect(verifyEnvelope(envelopeFromJson(json, "e"), A!, other)).rejects.toThrow(/signature of the given key/);
    const empty = {
      payload: statement,
      payloadType: "",
      signatures: [{ sig: "iC3q/+3Rm0+lpAJRueDmDh15PnwCfxKmS0NAfKsbv+zgulXQC/WM9trc+j1XEqlwDIg/vf/uNfebeD6sxInrDg==" }],
    };
    await expect(verifyEnvelope(envelopeFromJson(empty, "e"), A!, "")).rejects.toThrow(FormatError);
  });
});

describe("an envelope", () => {
  it("comes back from JSON, fields beside it ignored", async () => {
    const envelope = await signEnvelope(utf8("said"), "type", signer);
    const json = JSON.parse(JSON.stringify({ ...envelopeToJson(envelope), more: 1 })) as unknown;
    expect(envelopeFromJson(json, "e")).toEqual(envelope);
    expect(() => envelopeFromJson(json, "e", "refused")).toThrow(/no other fields/);
    expect(await verifyEnvelope(envelope, key.publicKey, "type")).toEqual(utf8("said"));
  });

  it("needs a type", async () => {
    for (const type of ["", "t".repeat(300), 7 as never])
      await expect(signEnvelope(utf8("said"), type, signer)).rejects.toThrow(ArgumentError);
  });

  it("of another type, payload or key is refused", async () => {
    const envelope = await signEnvelope(utf8("said"), "type", signer);
    await expect(verifyEnvelope(envelope, key.publicKey, "other")).rejects.toThrow(/a payload of type "other"/);
    await expect(verifyEnvelope({ ...envelope, payload: utf8("unsaid") }, key.publicKey, "type")).rejects.toThrow(
      FormatError,
    );
    await expect(verifyEnvelope({ ...envelope, signatures: [] }, key.publicKey, "type")).rejects.toThrow(FormatError);
    await expect(verifyEnvelope(envelope, (await newSigningKey()).publicKey, "type")).rejects.toThrow(FormatError);
  });

  it.each<[string, unknown]>([
    ["no object", []],
    ["no type", { payload: "", signatures: [] }],
    ["a payload that is no text", { payload: 1, payloadType: "t", signatures: [] }],
    ["no signatures", { payload: "", payloadType: "t" }],
    ["a signature that is none", { payload: "", payloadType: "t", signatures: [null] }],
    ["a signature without bytes", { payload: "", payloadType: "t", signatures: [{ keyid: "" }] }],
    ["too many signatures", { payload: "", payloadType: "t", signatures: Array(17).fill({ sig: "" }) }],
    ["a long type", { payload: "", payloadType: "t".repeat(300), signatures: [] }],
  ])("with %s is refused", (_, json) => expect(() => envelopeFromJson(json, "e")).toThrow(FormatError));
});

describe("a statement", () => {
  const file = utf8("a file");
  const TYPE = "https://example.com/v1";

  it("comes back, and finds its subject by every digest", async () => {
    const statement = {
      subject: [await subjectOf("file", file)],
      predicateType: TYPE,
      predicate: { b: [1], a: { c: null } },
    };
    const bytes = encodeStatement(statement);
    expect(decodeStatement(bytes, TYPE)).toEqual(statement);
    expect((await findSubject(statement, file)).name).toBe("file");
    await expect(findSubject(statement, utf8("another"))).rejects.toThrow(FormatError);
    // One digest that is right does not make up for one that is wrong.
    const { name, digest } = statement.subject[0]!;
    const mixed = {
      ...statement,
      subject: [{ name, digest: { ...digest, sha512: await sha512Hex(utf8("another")) } }],
    };
    await expect(findSubject(mixed, file)).rejects.toThrow(FormatError);
    const one = { ...statement, subject: [{ name, digest: { sha512: digest.sha512 } }] };
    expect((await findSubject(decodeStatement(encodeStatement(one), TYPE), file)).digest).toEqual({
      sha512: digest.sha512,
    });
  });

  const good = {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: "f", digest: { sha256: "a".repeat(64) } }],
    predicateType: TYPE,
    predicate: {},
  };
  const decode = (value: unknown) =>
    decodeStatement(utf8(typeof value === "string" ? value : JSON.stringify(value)), TYPE);

  it("ignores what it does not know, as the specification has it", () => {
    const more = {
      ...good,
      more: 1,
      subject: [{ ...good.subject[0], uri: "x", digest: { ...good.subject[0]!.digest, gost: "?" } }],
    };
    expect(decode(more)).toEqual({ subject: good.subject, predicateType: TYPE, predicate: {} });
    const { predicate: _, ...without } = good;
    expect(decode(without).predicate).toEqual({});
  });

  it.each<[string, unknown]>([
    ["of an older version", { ...good, _type: "https://in-toto.io/Statement/v0.1" }],
    ["of another predicate", { ...good, predicateType: "https://example.com/v2" }],
    ["without a subject", { ...good, subject: [] }],
    ["whose subject has no digest", { ...good, subject: [{ name: "f" }] }],
    ["whose subject has MD5 alone", { ...good, subject: [{ name: "f", digest: { md5: "0".repeat(32) } }] }],
    ["with a digest in capitals", { ...good, subject: [{ name: "f", digest: { sha256: "A".repeat(64) } }] }],
    ["with a digest too short", { ...good, subject: [{ name: "f", digest: { sha512: "a".repeat(64) } }] }],
    ["with a predicate that is no object", { ...good, predicate: [] }],
    ["that is no object", "[]"],
    ["that is no JSON", "{"],
    ["that says something twice", `${JSON.stringify(good).slice(0, -1)},"predicate":{"x":1}}`],
    ["behind a byte order mark", `\ufeff${JSON.stringify(good)}`],
    ["nested deeply", `{"a":${"[".repeat(1e5)}`],
    ["that is long", " ".repeat(2 ** 21 + 1)],
  ])("%s is refused", (_, value) => expect(() => decode(value)).toThrow(FormatError));

  it("in other bytes than UTF-8 is refused", () => {
    expect(() => decodeStatement(Uint8Array.of(0x7b, 0xff, 0x7d), TYPE)).toThrow(/UTF-8/);
  });
});

describe("a bundle", () => {
  const type = "application/example";
  const make = () => signBundle(utf8("said"), type, signer);

  it("comes back from its file, and its payload verifies", async () => {
    const bundle = await make();
    const file = encodeBundle(bundle);
    expect(decodeBundle(file)).toEqual(bundle);
    expect(encodeBundle(decodeBundle(file))).toBe(file);
    expect(await verifyBundle(decodeBundle(file), key.publicKey, type)).toEqual(utf8("said"));
    expect(JSON.parse(file)).toMatchObject({
      mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
      verificationMaterial: { publicKey: { hint: await keyHint(key.publicKey) } },
      dsseEnvelope: { payload: "c2FpZA==", payloadType: type, signatures: [{ keyid: await keyHint(key.publicKey) }] },
    });
  });

  it("carries time stamps over its signature", async () => {
    const bundle = await make();
    const authorityKey = await newKey();
    const own = await certificate({ name: "stamps", key: authorityKey, extensions: [timeStamping()] });
    const over = bundleSignature(bundle);
    expect((await timestampQuery(over)).length).toBeGreaterThan(32);
    const token = await stamp({ over, certificate: own, issuer: "stamps", key: authorityKey });
    const stamped = decodeBundle(encodeBundle(await withTimestamp(bundle, token)));
    expect(stamped.timestamps).toEqual([token]);
    const trust = { roots: [own] };
    expect((await verifyTimestamp(stamped.timestamps[0]!, bundleSignature(stamped), trust)).authority).toBe(
      "CN=stamps",
    );
    // Another signature by the same key over the same payload is another one.
    await expect(verifyTimestamp(token, bundleSignature(await make()), trust)).rejects.toThrow(/imprint/);
    await expect(withTimestamp(bundle, new Uint8Array(2 ** 17))).rejects.toThrow(ArgumentError);
    await expect(withTimestamp({ ...bundle, timestamps: Array(16).fill(token) }, token)).rejects.toThrow(ArgumentError);
  });

  it("takes nothing for a time stamp but one over its signature", async () => {
    const bundle = await make();
    const authorityKey = await newKey();
    const own = await certificate({ name: "stamps", key: authorityKey, extensions: [timeStamping()] });
    const stampOver = (over: Uint8Array) => stamp({ over, certificate: own, issuer: "stamps", key: authorityKey });
    const token = await stampOver(bundleSignature(bundle));
    for (const [reply, why] of [
      [utf8("<html>Please sign in to the hotel's WiFi</html>"), /the time stamp/],
      [Uint8Array.of(0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02), /a stamp expected, found a refusal \(2\)/],
      [await timestampQuery(bundleSignature(bundle)), /the time stamp/],
      [new Uint8Array(), /the time stamp/],
      [token.subarray(0, -1), /the time stamp/],
      [await stampOver(bundleSignature(await make())), /imprint/],
    ] as const) {
      const refused = expect(withTimestamp(bundle, reply)).rejects;
      await refused.toThrow(FormatError);
      await refused.toThrow(why);
    }
  });

  it("of another key or type is refused", async () => {
    const bundle = await make();
    await expect(verifyBundle(bundle, (await newSigningKey()).publicKey, type)).rejects.toThrow(/somebody else's/);
    await expect(verifyBundle({ ...bundle, hint: "other" }, key.publicKey, type)).rejects.toThrow(/somebody else's/);
    await expect(verifyBundle(bundle, key.publicKey, "other")).rejects.toThrow(/of type "other"/);
    await expect(verifyBundle({ ...bundle, hint: "" }, key.publicKey, type)).resolves.toBeDefined();
  });

  it.each<[string, (b: Record<string, never>) => unknown]>([
    ["of an older version", (b) => ({ ...b, mediaType: "application/vnd.dev.sigstore.bundle+json;version=0.2" })],
    ["with something besides", (b) => ({ ...b, more: 1 })],
    ["with a certificate", (b) => ({ ...b, verificationMaterial: { certificate: { rawBytes: "" } } })],
    ["without a key", (b) => ({ ...b, verificationMaterial: {} })],
    ["with a message's signature", (b) => ({ ...b, messageSignature: {} })],
    ["without an envelope", ({ dsseEnvelope: _, ...b }) => b],
    [
      "with two signatures",
      (b) => ({ ...b, dsseEnvelope: { payload: "", payloadType: "t", signatures: [{ sig: "" }, { sig: "" }] } }),
    ],
    [
      "with a stamp that is none",
      (b) => ({
        ...b,
        verificationMaterial: { publicKey: {}, timestampVerificationData: { rfc3161Timestamps: [{}] } },
      }),
    ],
    [
      "with a stamp too long",
      (b) => ({
        ...b,
        verificationMaterial: {
          publicKey: {},
          timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: "A".repeat(2 ** 17) }] },
        },
      }),
    ],
    [
      "with stamps of another kind",
      (b) => ({ ...b, verificationMaterial: { publicKey: {}, timestampVerificationData: { others: [] } } }),
    ],
    ["that is no object", () => 1],
  ])("%s is refused", async (_, change) => {
    const value = JSON.parse(encodeBundle(await make())) as never;
    expect(() => decodeBundle(JSON.stringify(change(value)))).toThrow(FormatError);
  });

  it("that is no text, or too long, is refused", () => {
    expect(() => decodeBundle(7 as never)).toThrow(FormatError);
    expect(() => decodeBundle(" ".repeat(2 ** 22 + 1))).toThrow(/at most/);
  });
});
