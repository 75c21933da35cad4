import { beforeAll, describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors";
import { digest } from "../../src/io/digest";
import { type TimestampTrust, verifyTimestamp } from "../../src/signing";
import { element, joined, natural, oid, sequence } from "../../src/signing/der-writer";
import {
  attribute,
  type CertificateParts,
  certificate,
  contentType,
  ECDSA256,
  extension,
  flag,
  generalizedTime,
  isAuthority,
  type Key,
  messageDigest,
  named,
  newKey,
  number,
  octets,
  SHA256,
  type StampParts,
  set,
  signingCertificate,
  stamp,
  timeStamping,
  usage,
} from "../support/authority";

const over = new TextEncoder().encode("stamped");
const SIGNING = 0x80;
const CERTIFYING = 0x04;
let rootKey: Key;
let key: Key;
let other: Key;
let root: Uint8Array;
let own: Uint8Array;

const authority = (parts: Partial<CertificateParts> = {}) =>
  certificate({ name: "stamps", key, issuer: { name: "root", key: rootKey }, extensions: [timeStamping()], ...parts });
const make = (parts: Partial<StampParts> = {}) => stamp({ over, certificate: own, issuer: "root", key, ...parts });
const verify = (bytes: Uint8Array, trust: Partial<TimestampTrust> = {}) =>
  verifyTimestamp(bytes, over, { roots: [root], ...trust });

/** The stamp of an authority whose certificate, or chain, is another. */
async function under(leaf: Uint8Array, between: Uint8Array[] = [], parts: Partial<StampParts> = {}) {
  return verify(await make({ certificate: leaf, certificates: [leaf, ...between], ...parts }));
}

beforeAll(async () => {
  [rootKey, key, other] = [await newKey(), await newKey(), await newKey()];
  root = await certificate({ name: "root", key: rootKey, serial: 1, extensions: [isAuthority(), usage(CERTIFYING)] });
  own = await authority();
});

/** What a stamp of the bytes says, and nothing besides. */
const plainTst = async () =>
  sequence(
    number(1),
    oid("1.2.3"),
    sequence(SHA256, octets(await digest("SHA-256", over))),
    number(9),
    generalizedTime("20210601120000Z"),
  );

async function refused(what: Promise<unknown>, why: RegExp) {
  const error = await what.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(FormatError);
  expect((error as Error).message).toMatch(why);
  expect((error as Error).message.length).toBeLessThan(600);
}

describe("a stamp as it should be", () => {
  it("verifies", async () => {
    expect(await verify(await make())).toEqual({
      time: new Date("2021-06-01T12:00:00Z"),
      accuracySeconds: null,
      authority: "CN=stamps",
      serial: "09",
    });
  });

  it("verifies with usages, a response around it, fractions, accuracy, a nonce and a name", async () => {
    const leaf = await authority({ extensions: [timeStamping(), usage(SIGNING), extension("1.2.3", false, octets())] });
    const accuracy = sequence(number(2), element(0x80, Uint8Array.of(0x01, 0xf4)), element(0x81, Uint8Array.of(7)));
    const rest = [accuracy, flag(false), natural(Uint8Array.of(0xff)), element(0xa0, element(0xa4, named("stamps")))];
    const token = await make({ certificate: leaf, time: generalizedTime("20210601120000.25Z"), rest });
    const response = sequence(sequence(number(1), sequence(element(0x0c))), token);
    const found = await verify(response, { nonce: Uint8Array.of(0, 0xff) });
    expect(found.time).toEqual(new Date("2021-06-01T12:00:00.250Z"));
    expect(found.accuracySeconds).toBeCloseTo(2.500007, 9);
  });

  it("verifies with issuer and serial number in the signed attributes, and refuses others", async () => {
    const of = (name: string, serial: number) => sequence(sequence(element(0xa4, named(name))), number(serial));
    const tst = await plainTst();
    const by = async (name: string, serial: number) =>
      make({
        tst,
        attributes: [contentType(), await messageDigest(tst), await signingCertificate(own, of(name, serial))],
      });
    await expect(verify(await by("root", 7))).resolves.toBeDefined();
    await refused(verify(await by("root", 8)), /that the signed attributes name/);
    await refused(verify(await by("toor", 7)), /that the signed attributes name/);
  });

  it("verifies by the authority's own certificate, where that is trusted", async () => {
    await expect(verify(await make(), { roots: [own] })).resolves.toBeDefined();
    await expect(verify(await make({ certificates: [] }), { roots: [own] })).resolves.toBeDefined();
  });

  it("tells names without characters that disguise", async () => {
    const leaf = await authority({ name: "a\u001b[2J\u202eb" });
    expect((await under(leaf)).authority).toBe("CN=a?[2J?b");
  });
});

describe("what a stamp says", () => {
  it.each<[string, Partial<StampParts>, RegExp]>([
    ["a digest of another length", { imprint: sequence(SHA256, octets(new Uint8Array(31))) }, /imprint/],
    ["MD5", { imprint: sequence(sequence(oid("1.2.840.113549.2.5")), octets(new Uint8Array(16))) }, /SHA-256, SHA-384/],
    ["a time of a zone", { time: generalizedTime("20210601120000+0100") }, /time in UTC/],
    ["a time without seconds", { time: generalizedTime("202106011200Z") }, /time in UTC/],
    ["a day that does not exist", { time: generalizedTime("20210229120000Z") }, /a time that exists/],
    ["a fraction in a longer form", { time: generalizedTime("20210601120000.10Z") }, /time in UTC/],
    ["a time of another form", { time: element(0x17, new TextEncoder().encode("210601120000Z")) }, /tag 0x18 expected/],
    ["more than 999 thousandths", { rest: [sequence(element(0x80, Uint8Array.of(0x03, 0xe8)))] }, /below 1000/],
    ["a critical extension", { rest: [element(0xa1, extension("1.2.3", true, octets()))] }, /none that is critical/],
    ["something more", { rest: [octets()] }, /nothing more expected/],
    ["a truth value of another form", { rest: [element(0x01, Uint8Array.of(1))] }, /a truth value expected/],
  ])("is refused with %s", async (_, parts, why) => refused(verify(await make(parts)), why));

  it("is refused of another version", async () => {
    const tst = sequence(number(2));
    await refused(verify(await make({ tst })), /version: 1 expected/);
  });
});

describe("signed attributes and signature", () => {
  const tst = new Uint8Array(0);
  const all = async () => ({
    type: contentType(),
    digest: await messageDigest(tst),
    ess: await signingCertificate(own),
  });

  it.each<[string, (a: Awaited<ReturnType<typeof all>>) => Promise<Uint8Array[]> | Uint8Array[], RegExp]>([
    ["no type", ({ digest, ess }) => [digest, ess], /content's type/],
    ["another type", ({ digest, ess }) => [contentType("1.2.840.113549.1.7.1"), digest, ess], /content's type/],
    ["no digest", ({ type, ess }) => [type, ess], /messageDigest/],
    ["another digest", async ({ type, ess }) => [type, await messageDigest(over), ess], /messageDigest/],
    ["a digest twice", ({ type, digest, ess }) => [type, digest, digest, ess], /twice/],
    [
      "two digests in one",
      async ({ type, ess }) => [type, attribute("1.2.840.113549.1.9.4", octets(tst), octets(tst)), ess],
      /messageDigest|nothing more/,
    ],
  ])("are refused with %s", async (_, choose, why) => {
    const attributes = await choose(await all());
    await refused(verify(await make({ tst, attributes })), why);
  });

  it("are refused where they name no certificate, or another", async () => {
    const tst = await plainTst();
    const attributes = [contentType(), await messageDigest(tst)];
    await refused(verify(await make({ tst, attributes })), /ESSCertIDv2\), found none/);
    const another = await signingCertificate(root);
    await refused(verify(await make({ tst, attributes: [...attributes, another] })), /ESSCertIDv2\), found another/);
  });

  it("are refused by another key, and where a bit of the signature is another", async () => {
    await refused(verify(await make({ key: other })), /signature of the authority/);
    await refused(verify(await make({ signature: new Uint8Array(64) })), /signature of the authority/);
    await refused(verify(await make({ signature: new Uint8Array(2000) })), /signature of the authority/);
  });

  it.each<[string, Partial<StampParts>, RegExp]>([
    ["a version of plain data", { version: 1 }, /version: 3 expected/],
    ["digests without the signer's", { digests: set() }, /SHA-256 among them/],
    ["content that is elsewhere", { content: [] }, /content: expected, found the end/],
    ["no signer", { signers: () => [] }, /signer: expected, found the end/],
    ["two signers", { signers: (signer) => [signer, signer] }, /nothing more expected/],
    ["a signer of version 2", { signerName: [number(2), sequence(named("root"), number(7))] }, /1 or 3 expected/],
    ["another serial number", { serial: 8 }, /certificate expected, found none/],
    ["another issuer", { issuer: "toor" }, /certificate expected, found none/],
    [
      "a key without a name",
      { signerName: [number(3), element(0x80, Uint8Array.of(1))] },
      /certificate expected, found none/,
    ],
    [
      "a signature by SHA-384",
      { algorithm: sequence(oid("1.2.840.10045.4.3.3")) },
      /SHA-256 expected, as for the content/,
    ],
    ["a signature by SHA-1", { algorithm: sequence(oid("1.2.840.10045.4.1")) }, /RSA or ECDSA with/],
    ["a signature by RSA", { algorithm: sequence(oid("1.2.840.113549.1.1.11")) }, /a signature by ECDSA expected/],
    [
      "parameters where there are none",
      { algorithm: sequence(oid("1.2.840.10045.4.3.2"), element(0x05)) },
      /nothing more/,
    ],
    ["PSS without parameters", { algorithm: sequence(oid("1.2.840.113549.1.1.10")) }, /parameters: expected/],
  ])("are refused with %s", async (_, parts, why) => refused(verify(await make(parts)), why));
});

describe("the authority's certificate", () => {
  it.each<[string, () => Partial<CertificateParts>, RegExp]>([
    ["no extended key usage", () => ({ extensions: [] }), /without extended key usage/],
    ["one that is not critical", () => ({ extensions: [timeStamping(false)] }), /not critical/],
    ["another purpose beside", () => ({ extensions: [timeStamping(true, "1.3.6.1.5.5.7.3.3")] }), /for other purposes/],
    ["the purpose twice", () => ({ extensions: [timeStamping(true, "1.3.6.1.5.5.7.3.8")] }), /for other purposes/],
    ["a key that enciphers", () => ({ extensions: [timeStamping(), usage(0x20)] }), /not for signatures/],
    ["a key that signs and enciphers", () => ({ extensions: [timeStamping(), usage(0xa0)] }), /not for signatures/],
    ["the right to issue", () => ({ extensions: [timeStamping(), isAuthority()] }), /issues certificates/],
    [
      "a critical extension nobody knows",
      () => ({ extensions: [timeStamping(), extension("1.2.3.4", true, octets())] }),
      /understood expected, found 1.2.3.4/,
    ],
    ["an extension twice", () => ({ extensions: [timeStamping(), timeStamping()] }), /twice/],
    ["an end before the stamp", () => ({ to: "2021-06-01 11:59:59" }), /valid at 2021-06-01T12:00:00.000Z/],
    ["a start behind it", () => ({ from: "2021-06-01 12:00:01" }), /valid at/],
    ["a signature by another", () => ({ issuer: { name: "root", key: other } }), /not its issuer's/],
    ["another issuer", () => ({ issuer: { name: "toor", key: rootKey } }), /certificate expected, found none/],
  ])("is refused with %s", async (_, parts, why) => refused(under(await authority(parts())), why));

  it("is refused of another version than 3", async () => {
    const version = [0xa0, 3, 2, 1];
    const at = own.findIndex((_, i) => version.every((byte, j) => own[i + j] === byte));
    const changed = own.slice();
    changed[at + 4] = 1;
    await refused(under(changed), /version: 3 expected/);
  });

  it("is valid in its first and its last second", async () => {
    for (const parts of [{ to: "2021-06-01 12:00:00" }, { from: "2021-06-01 12:00:00" }])
      await expect(under(await authority(parts))).resolves.toBeDefined();
  });
});

describe("the path to a root", () => {
  /** root → between → stamps. */
  async function path(parts: Partial<CertificateParts>) {
    const between = await certificate({
      name: "between",
      key: other,
      issuer: { name: "root", key: rootKey },
      extensions: [isAuthority(0)],
      ...parts,
    });
    const leaf = await authority({ issuer: { name: "between", key: other } });
    return under(leaf, [between], { issuer: "between" });
  }

  it("goes through an authority between", async () => {
    await expect(path({})).resolves.toBeDefined();
    await expect(path({ extensions: [isAuthority(), usage(CERTIFYING), timeStamping(false)] })).resolves.toBeDefined();
  });

  it.each<[string, Partial<CertificateParts>, RegExp]>([
    ["that is none", { extensions: [] }, /no authority/],
    ["whose key may not certify", { extensions: [isAuthority(), usage(SIGNING)] }, /may not sign certificates/],
    [
      "for other purposes",
      { extensions: [isAuthority(), extension("2.5.29.37", false, sequence(oid("1.3.6.1.5.5.7.3.1")))] },
      /other purposes/,
    ],
    [
      "with constraints of names",
      { extensions: [isAuthority(), extension("2.5.29.30", true, sequence())] },
      /understood/,
    ],
    ["that had ended", { to: "2021-01-01 00:00:00" }, /valid at/],
  ])("does not go through one %s", async (_, parts, why) => refused(path(parts), why));

  it("is no longer than an issuer allows", async () => {
    const [a, b] = [await newKey(), await newKey()];
    const first = await certificate({
      name: "a",
      key: a,
      issuer: { name: "root", key: rootKey },
      extensions: [isAuthority(0)],
    });
    const second = await certificate({ name: "b", key: b, issuer: { name: "a", key: a }, extensions: [isAuthority()] });
    const leaf = await authority({ issuer: { name: "b", key: b } });
    await refused(under(leaf, [first, second], { issuer: "b" }), /path length/);
  });

  it("does not go in circles, nor through thousands", async () => {
    const issuers = { a: { name: "a", key: other }, b: { name: "b", key: rootKey } };
    const circle = [
      await certificate({ ...issuers.a, issuer: issuers.b, extensions: [isAuthority()] }),
      await certificate({ ...issuers.b, issuer: issuers.a, extensions: [isAuthority()] }),
    ];
    const leaf = await authority({ issuer: issuers.a });
    await refused(under(leaf, circle, { issuer: "a" }), /path to a trusted root/);
    const many = await Promise.all(
      Array.from({ length: 15 }, (_, serial) =>
        certificate({ name: "a", key: rootKey, issuer: issuers.a, serial, extensions: [isAuthority()] }),
      ),
    );
    await refused(under(leaf, many, { issuer: "a" }), /path to a trusted root|too many/);
    await refused(under(leaf, [...many, ...circle], { issuer: "a" }), /at most 16 entries/);
  });

  it("ends at a root that was valid then", async () => {
    const ended = await certificate({
      name: "root",
      key: rootKey,
      to: "2021-01-01 00:00:00",
      extensions: [isAuthority()],
    });
    await refused(verify(await make(), { roots: [ended] }), /valid at/);
    await expect(verify(await make(), { roots: [ended, root] })).resolves.toBeDefined();
  });
});

describe("other encodings than DER", () => {
  it.each<[string, (token: Uint8Array) => Uint8Array]>([
    ["nothing", () => new Uint8Array(0)],
    ["one byte", () => Uint8Array.of(0x30)],
    ["something behind", (token) => joined([token, Uint8Array.of(0)])],
    ["an end that is missing", (token) => token.slice(0, -1)],
    ["an indefinite length", (token) => joined([Uint8Array.of(0x30, 0x80), token.slice(4), Uint8Array.of(0, 0)])],
    ["a length in a longer form", (token) => joined([Uint8Array.of(0x30, 0x83, 0), token.slice(2)])],
    ["a length beyond all", () => Uint8Array.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff)],
    ["a length of nine bytes", () => Uint8Array.of(0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1)],
    ["a large tag", () => Uint8Array.of(0x3f, 0x81, 0x00, 0x00)],
    ["too much", () => new Uint8Array(2 ** 17)],
    [
      "sequences in sequences",
      () => {
        let nested: Uint8Array = sequence();
        for (let i = 0; i < 5000; i++) nested = sequence(nested);
        return nested;
      },
    ],
  ])("%s: refused", async (_, change) => refused(verify(change(await make())), /./));

  it("algorithms of the certificate that differ", async () => {
    const signed = await authority();
    const text = Buffer.from(signed)
      .toString("hex")
      .replace(
        Buffer.from(ECDSA256).toString("hex"),
        Buffer.from(sequence(oid("1.2.840.10045.4.3.3"))).toString("hex"),
      );
    await refused(under(Uint8Array.from(Buffer.from(text, "hex"))), /the same twice/);
  });
});
