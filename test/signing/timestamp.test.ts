import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ArgumentError, FormatError } from "../../src/errors";
import { timestampQuery, verifyTimestamp } from "../../src/signing";
import { latin1 } from "../support/bytes";
import { bytesAt, message, root, textAt } from "./stamps";

const roots = [root];
/** The nonce in a query of OpenSSL's: eight bytes in front of the last three, `certReq`. */
const nonceOf = (query: Uint8Array) => query.slice(-11, -3);

describe("a stamp of OpenSSL's authority", () => {
  it.each([
    ["rsa-sha256.tsr", "tsa-rsa", 1.5],
    ["rsa-sha512-v1.tsr", "tsa-rsa", null],
    ["ec-nonce.tsr", "tsa-ec", 1.5],
    ["p384-between.tsr", "tsa-384", 1.5],
    ["p521.tsr", "tsa-521", 1.5],
    ["pss.der", "tsa-rsa", null],
    ["key-identifier.der", "tsa-ec", null],
  ])("%s verifies", async (name, authority, accuracySeconds) => {
    const found = await verifyTimestamp(bytesAt(name), message, { roots });
    expect(found).toMatchObject({ authority: `C=DE, O=Test Stamps, CN=${authority}`, accuracySeconds });
    // The only GeneralizedTime of a token is the stamp's.
    const digits = latin1(bytesAt(name)).split("\u0018\u000f")[1]!.slice(0, 14);
    expect(found.time.toISOString().replace(/\D/g, "")).toBe(`${digits}000`);
  });

  it.each([
    ["brief.tsr", "brief"],
    ["long-expired.der", "old"],
  ])("%s verifies, although its certificate expired since", async (name, authority) => {
    expect((await verifyTimestamp(bytesAt(name), message, { roots })).authority).toContain(`CN=${authority}`);
    const times = latin1(bytesAt(name)).split("\u0017\r").slice(1);
    const now = new Date().toISOString().replace(/\D/g, "").slice(2, 14);
    // Start and end of the certificate, and when it was signed with: all UTCTimes there are.
    expect(times.map((time) => time.slice(0, 12) < now)).toEqual([true, true, true]);
  });

  it("verifies by a root that is PEM in bytes, as a file is read", async () => {
    const pem = new TextEncoder().encode(textAt("root.pem"));
    await expect(verifyTimestamp(bytesAt("rsa-sha256.tsr"), message, { roots: [pem] })).resolves.toBeDefined();
  });

  it("verifies without its certificate once that is given, and not before", async () => {
    const stamp = bytesAt("ec-no-certificate.tsr");
    await expect(verifyTimestamp(stamp, message, { roots })).rejects.toThrow(/certificate expected, found none/);
    const given = { roots, certificates: [textAt("tsa-ec.pem")] };
    expect((await verifyTimestamp(stamp, message, given)).authority).toContain("tsa-ec");
  });

  it("repeats the nonce of its query", async () => {
    const nonce = nonceOf(bytesAt("ec-nonce.tsq"));
    const stamp = bytesAt("ec-nonce.tsr");
    await expect(verifyTimestamp(stamp, message, { roots, nonce })).resolves.toBeDefined();
    nonce[3]! ^= 1;
    await expect(verifyTimestamp(stamp, message, { roots, nonce })).rejects.toThrow(/nonce expected, found another/);
    await expect(verifyTimestamp(bytesAt("p521.tsr"), message, { roots, nonce })).rejects.toThrow(
      /nonce expected, found none/,
    );
  });

  it.each([
    ["before-validity.der", /valid at 2021-06-01T12:00:00.000Z expected/],
    ["no-eku.der", /without extended key usage/],
    ["soft-eku.der", /not critical/],
    ["wide-eku.der", /for other purposes/],
    ["under-false-ca.der", /no authority for certificates/],
    ["sha1.der", /SHA-256, SHA-384 or SHA-512 expected/],
    ["no-ess.der", /ESSCertIDv2/],
    ["refused.tsr", /a refusal \(2: "Message digest algorithm is not supported."\)/],
  ])("%s is refused", async (name, why) => {
    const error = await verifyTimestamp(bytesAt(name), message, { roots }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(why);
  });

  it("is refused over other bytes, and under another root", async () => {
    const stamp = bytesAt("rsa-sha256.tsr");
    await expect(verifyTimestamp(stamp, message.slice(1), { roots })).rejects.toThrow(/imprint/);
    await expect(verifyTimestamp(stamp, message, { roots: [textAt("other-root.pem")] })).rejects.toThrow(
      /path to a trusted root/,
    );
    // One of several is enough, in one text too.
    await expect(verifyTimestamp(stamp, message, { roots: [textAt("other-root.pem") + root] })).resolves.toBeDefined();
  });

  it("is refused when what stands between is missing", async () => {
    const under = { roots: [textAt("between.pem")] };
    // What stands between may be trusted by itself.
    await expect(verifyTimestamp(bytesAt("p384-between.tsr"), message, under)).resolves.toBeDefined();
    await expect(verifyTimestamp(bytesAt("rsa-sha256.tsr"), message, under)).rejects.toThrow(/path to a trusted root/);
  });
});

describe("a stamp of a public authority, timestamp.sigstore.dev", () => {
  const at = (name: string) => Uint8Array.from(readFileSync(new URL(`../fixtures/sigstore/${name}`, import.meta.url)));
  const certificate = (name: string) => new TextDecoder().decode(at(name));
  const trust = { roots: [certificate("root.pem")], certificates: [certificate("authority.pem")] };

  it("verifies over the signature of its bundle, and over nothing else", async () => {
    expect(await verifyTimestamp(at("stamp.tsr"), at("signature"), trust)).toEqual({
      time: new Date("2026-02-27T11:46:23Z"),
      accuracySeconds: 1,
      authority: "O=sigstore.dev, CN=sigstore-tsa",
      serial: "77655138e86d34f18298d96a213773c0a0fc7266",
    });
    await expect(verifyTimestamp(at("stamp.tsr"), message, trust)).rejects.toThrow(/imprint/);
    await expect(verifyTimestamp(at("stamp.tsr"), at("signature"), { ...trust, roots })).rejects.toThrow(
      /trusted root/,
    );
  });
});

describe("what the caller gives", () => {
  it("has to be bytes, roots and known options", async () => {
    const stamp = bytesAt("p521.tsr");
    await expect(verifyTimestamp(stamp, message, { roots: [] })).rejects.toThrow(ArgumentError);
    await expect(verifyTimestamp(stamp, message, { roots: ["no PEM"] })).rejects.toThrow(FormatError);
    await expect(verifyTimestamp(stamp, message, { roots, now: 1 } as never)).rejects.toThrow(ArgumentError);
    await expect(verifyTimestamp("stamp" as never, message, { roots })).rejects.toThrow(ArgumentError);
    await expect(verifyTimestamp(stamp, message, { roots, nonce: new Uint8Array(4) })).rejects.toThrow(ArgumentError);
  });
});

describe("a query", () => {
  it("is the one that OpenSSL writes", async () => {
    const theirs = bytesAt("ec-nonce.tsq");
    expect(await timestampQuery(message, { hash: "SHA-384", nonce: nonceOf(theirs) })).toEqual(theirs);
  });

  it("refuses options that are none", async () => {
    await expect(timestampQuery(message, { hash: "SHA-1" as never })).rejects.toThrow(ArgumentError);
    await expect(timestampQuery(message, { nonce: new Uint8Array(33).fill(1) })).rejects.toThrow(ArgumentError);
    await expect(timestampQuery(message, { nonce: new Uint8Array(0) })).rejects.toThrow(ArgumentError);
  });
});
