import { describe, expect, it, vi } from "vitest";
import { ArgumentError, FormatError, UnavailableError } from "../../src/errors";
import {
  keyHint,
  newSigningKey,
  publicKeyOf,
  publicKeyPem,
  type SigningAlgorithm,
  sha256Hex,
  signEnvelope,
  signerOf,
  verifySignature,
} from "../../src/signing";
import { element, natural, oid, sequence } from "../../src/signing/der-writer";
import { toPem } from "../../src/signing/pem";
import { bytesAt, message, textAt } from "./stamps";

const ALGORITHMS: SigningAlgorithm[] = ["ECDSA-P256", "Ed25519"];

describe("a new key", () => {
  it.each(ALGORITHMS)("of %s signs, and its public half verifies", async (algorithm) => {
    const { privateKey, publicKey } = await newSigningKey({ algorithm });
    const signer = await signerOf(privateKey);
    expect(publicKeyPem(signer.publicKey)).toBe(publicKey);
    const signature = await signer.sign(message);
    expect(await verifySignature(publicKey, message, signature)).toBe(true);
    expect(await verifySignature(signer.publicKey, message, signature)).toBe(true);
    expect(await verifySignature(publicKey, message.slice(1), signature)).toBe(false);
    expect(await verifySignature((await newSigningKey({ algorithm })).publicKey, message, signature)).toBe(false);
    for (const bad of [new Uint8Array(0), signature.slice(1), new Uint8Array(64), new Uint8Array(5000)])
      expect(await verifySignature(publicKey, message, bad)).toBe(false);
  });

  it("is of P-256 by default", async () => {
    const spki = publicKeyOf((await newSigningKey()).publicKey);
    expect(spki).toHaveLength(91);
  });

  it("refuses other algorithms", async () => {
    await expect(newSigningKey({ algorithm: "RSA" as never })).rejects.toThrow(ArgumentError);
    await expect(newSigningKey({ kind: "Ed25519" } as never)).rejects.toThrow(ArgumentError);
  });

  it("says so where there is no Ed25519", async () => {
    const missing = () => Promise.reject(new DOMException("no", "NotSupportedError"));
    const made = vi.spyOn(crypto.subtle, "generateKey").mockImplementation(missing as never);
    const read = vi.spyOn(crypto.subtle, "importKey").mockImplementation(missing as never);
    try {
      await expect(newSigningKey({ algorithm: "Ed25519" })).rejects.toThrow(UnavailableError);
      await expect(signerOf(textAt("ed25519.key.pem"))).rejects.toThrow(/no Ed25519.*P-256/);
      await expect(verifySignature(textAt("ed25519.pub.pem"), message, bytesAt("ed25519.sig"))).rejects.toThrow(
        UnavailableError,
      );
    } finally {
      made.mockRestore();
      read.mockRestore();
    }
  });
});

describe("keys and signatures of OpenSSL", () => {
  it.each(["p256", "p384", "ed25519"])("%s: its signature verifies", async (name) => {
    const key = textAt(`${name}.pub.pem`);
    expect(await verifySignature(key, message, bytesAt(`${name}.sig`))).toBe(true);
    expect(await verifySignature(key, message.slice(1), bytesAt(`${name}.sig`))).toBe(false);
    expect(publicKeyPem(key)).toBe(key);
  });

  it.each(["p256", "ed25519"])("%s: its private key signs", async (name) => {
    const signer = await signerOf(textAt(`${name}.key.pem`));
    expect(publicKeyPem(signer.publicKey)).toBe(textAt(`${name}.pub.pem`));
    expect(await verifySignature(textAt(`${name}.pub.pem`), message, await signer.sign(message))).toBe(true);
    // Ed25519 has one signature for one message.
    if (name === "ed25519") expect(await signer.sign(message)).toEqual(bytesAt("ed25519.sig"));
  });

  it("are named by the SHA-256 of their PEM", async () => {
    expect(await keyHint(textAt("p256.pub.pem"))).toBe(await sha256Hex(bytesAt("p256.pub.pem")));
  });
});

describe("a public key", () => {
  const ec = (curve: string, ...point: Uint8Array[]) =>
    sequence(sequence(oid("1.2.840.10045.2.1"), oid(curve)), element(3, Uint8Array.of(0), ...point));
  const ed = (point: Uint8Array) => sequence(sequence(oid("1.3.101.112")), element(3, Uint8Array.of(0), point));
  const P256 = "1.2.840.10045.3.1.7";
  const rsa = (bits: number, exponent: number[]) =>
    sequence(
      sequence(oid("1.2.840.113549.1.1.1"), element(5)),
      element(
        3,
        Uint8Array.of(0),
        sequence(natural(new Uint8Array(bits / 8).fill(0xff)), natural(Uint8Array.from(exponent))),
      ),
    );

  it.each<[string, () => Uint8Array | string, RegExp]>([
    ["of secp256k1", () => ec("1.3.132.0.10", Uint8Array.of(4), new Uint8Array(64)), /P-256, P-384 or P-521/],
    ["with a compressed point", () => ec(P256, Uint8Array.of(2), new Uint8Array(32)), /uncompressed/],
    ["with a point of another curve", () => ec("1.3.132.0.34", Uint8Array.of(4), new Uint8Array(64)), /uncompressed/],
    ["of X25519", () => sequence(sequence(oid("1.3.101.110")), element(3, new Uint8Array(33))), /Ed25519 or RSA/],
    ["of Ed25519, too short", () => ed(new Uint8Array(31)), /32 bytes/],
    ["of Ed25519, under which anything verifies", () => ed(new Uint8Array(32)), /large order/],
    [
      "of Ed25519, the same with the other sign",
      () => ed(Uint8Array.from([1, ...Array(30).fill(0), 0x80])),
      /large order/,
    ],
    ["of RSA", () => rsa(2048, [1, 0, 1]), /only certificates/],
    ["of RSA, too short", () => rsa(1024, [1, 0, 1]), /2048 to 8192/],
    ["of RSA, too long", () => rsa(16384, [1, 0, 1]), /at most 2048 bytes/],
    ["of RSA with exponent 1", () => rsa(2048, [1]), /exponent/],
    ["of RSA with an even exponent", () => rsa(2048, [1, 0, 0]), /exponent/],
    ["of RSA with a large exponent", () => rsa(2048, [1, 0, 0, 0, 1]), /exponent/],
    ["with something behind", () => Uint8Array.from([...publicKeyOf(textAt("p256.pub.pem")), 0]), /nothing more/],
    ["in a private key's file", () => textAt("p256.key.pem"), /"PUBLIC KEY" expected/],
    ["twice", () => textAt("p256.pub.pem").repeat(2), /one block/],
    ["in a certificate", () => textAt("root.pem"), /"PUBLIC KEY" expected/],
    ["of no bytes", () => new Uint8Array(0), /expected/],
  ])("%s is refused", (_, key, why) => {
    const read = () => publicKeyOf(key());
    expect(read).toThrow(FormatError);
    expect(read).toThrow(why);
  });

  it("beside its curve is refused", async () => {
    const beside = ec(P256, Uint8Array.of(4), new Uint8Array(64).fill(1));
    await expect(verifySignature(beside, message, bytesAt("p256.sig"))).rejects.toThrow(/numbers that are none/);
  });

  it("has to be text or bytes", () => expect(() => publicKeyOf(7 as never)).toThrow(ArgumentError));
});

describe("a private key", () => {
  it.each<[string, () => string | Promise<string>, RegExp]>([
    ["that is a public one", () => textAt("p256.pub.pem"), /"PRIVATE KEY" expected/],
    ["in the older form", () => textAt("p256.key.pem").replace(/PRIVATE/g, "EC PRIVATE"), /pkcs8 -topk8/],
    ["encrypted", () => textAt("p256.key.pem").replace(/PRIVATE/g, "ENCRYPTED PRIVATE"), /pkcs8 -topk8/],
    ["that is cut", () => toPem("PRIVATE KEY", new Uint8Array(20)), /expected/],
    [
      "of RSA",
      async () => {
        const pair = await crypto.subtle.generateKey(
          { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-256" },
          true,
          ["sign", "verify"],
        );
        return toPem("PRIVATE KEY", new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey)));
      },
      /ECDSA over P-256/,
    ],
    ["that is no text", () => 7 as never, /PEM expected/],
  ])("%s is refused", async (_, key, why) => {
    const error = await signerOf(await key()).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(why);
  });

  it("is in no message", async () => {
    const pem = textAt("p256.key.pem");
    const body = pem.split("\n")[1]!;
    for (const damaged of [
      pem.slice(0, -30),
      pem.replace("PRIVATE", "SECRET"),
      `${pem}${pem}`,
      body,
      pem.replace(/[A-Z]{3}/, "AAA"),
    ]) {
      const error = await signerOf(damaged).catch((e: unknown) => e);
      expect(String((error as Error).message)).not.toContain(body.slice(10, 20));
    }
  });
});

describe("a signer of one's own", () => {
  it("may be a callback", async () => {
    const own = await signerOf(textAt("p256.key.pem"));
    const token = { publicKey: own.publicKey, sign: (bytes: Uint8Array) => own.sign(bytes) };
    await expect(signEnvelope(message, "type", token)).resolves.toBeDefined();
  });

  it("is refused where it signs something else, or is none", async () => {
    const { publicKey, sign } = await signerOf(textAt("p256.key.pem"));
    const wrong = { publicKey, sign: (bytes: Uint8Array) => sign(bytes.slice(1)) };
    await expect(signEnvelope(message, "type", wrong)).rejects.toThrow(ArgumentError);
    await expect(signEnvelope(message, "type", { publicKey, sign: async () => "signature" as never })).rejects.toThrow(
      ArgumentError,
    );
    await expect(signEnvelope(message, "type", { publicKey } as never)).rejects.toThrow(ArgumentError);
    await expect(signEnvelope(message, "type", null as never)).rejects.toThrow(ArgumentError);
    await expect(signEnvelope(message, "type", { publicKey: new Uint8Array(3), sign })).rejects.toThrow(FormatError);
  });
});
