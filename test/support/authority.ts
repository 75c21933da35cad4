/**
 * A time-stamp authority whose every part can be another: certificates and stamps are built from
 * pieces of DER, and signed as they are.
 */
import { digest } from "../../src/io/digest";
import { element, joined, natural, oid, sequence } from "../../src/signing/der-writer";
import { toDerSignature } from "../../src/signing/ecdsa";

type Der = Uint8Array<ArrayBuffer>;

const utf8 = (text: string) => new TextEncoder().encode(text);
export const number = (n: number): Der => natural(Uint8Array.of(n >> 8, n & 0xff));
export const octets = (...bytes: readonly Uint8Array[]): Der => element(0x04, ...bytes);
export const set = (...parts: readonly Uint8Array[]): Der => element(0x31, ...parts);
export const flag = (value: boolean): Der => element(0x01, Uint8Array.of(value ? 0xff : 0));
const bits = (...bytes: readonly Uint8Array[]): Der => element(0x03, Uint8Array.of(0), ...bytes);
const utcTime = (iso: string): Der => element(0x17, utf8(`${iso.replace(/\D/g, "").slice(2, 14)}Z`));
export const generalizedTime = (text: string): Der => element(0x18, utf8(text));
export const named = (cn: string): Der => sequence(set(sequence(oid("2.5.4.3"), element(0x0c, utf8(cn)))));

export const SHA256 = sequence(oid("2.16.840.1.101.3.4.2.1"));
export const ECDSA256 = sequence(oid("1.2.840.10045.4.3.2"));

/** A key of P-256. */
export interface Key {
  spki: Der;
  sign(bytes: Uint8Array): Promise<Der>;
}

export async function newKey(): Promise<Key> {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  return {
    spki: new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey)),
    async sign(bytes) {
      const own = bytes as Der;
      return toDerSignature(
        new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, own)),
      );
    },
  };
}

/** An extension, critical or not. */
export const extension = (name: string, critical: boolean, value: Uint8Array): Der =>
  sequence(oid(name), ...(critical ? [flag(true)] : []), octets(value));

export const timeStamping = (critical = true, ...purposes: string[]): Der =>
  extension("2.5.29.37", critical, sequence(...[...purposes, "1.3.6.1.5.5.7.3.8"].map(oid)));
/** KeyUsage: one byte of flags, the unused ones counted. */
export const usage = (flags: number): Der =>
  extension("2.5.29.15", true, element(0x03, Uint8Array.of(Math.log2(flags & -flags), flags)));
export const isAuthority = (pathLength?: number): Der =>
  extension("2.5.29.19", true, sequence(flag(true), ...(pathLength === undefined ? [] : [number(pathLength)])));

/** Whose certificate, by whom, until when, with what. */
export interface CertificateParts {
  name: string;
  key: Key;
  issuer?: { name: string; key: Key };
  from?: string;
  to?: string;
  serial?: number;
  extensions?: readonly Uint8Array[];
}

/** A certificate of version 3; by its own key where no issuer is given. */
export async function certificate(parts: CertificateParts): Promise<Der> {
  const { name, key, issuer = parts, from = "2020-01-01 00:00:00", to = "2030-01-01 00:00:00", serial = 7 } = parts;
  const signed = sequence(
    element(0xa0, number(2)),
    number(serial),
    ECDSA256,
    named(issuer.name),
    sequence(utcTime(from), utcTime(to)),
    named(name),
    key.spki,
    ...(parts.extensions?.length ? [element(0xa3, sequence(...parts.extensions))] : []),
  );
  return sequence(signed, ECDSA256, bits(await issuer.key.sign(signed)));
}

/** The pieces of a stamp: each may be replaced. */
export interface StampParts {
  /** Bytes that are stamped, in the pieces that are not replaced. */
  over: Uint8Array;
  certificate: Uint8Array;
  /** The certificate's issuer and serial number. */
  issuer: string;
  serial: number;
  key: Key;
  imprint: Uint8Array;
  time: Uint8Array;
  /** What follows the time in the TSTInfo. */
  rest: readonly Uint8Array[];
  tst: Uint8Array;
  attributes: readonly Uint8Array[];
  version: number;
  digests: Uint8Array;
  content: readonly Uint8Array[];
  certificates: readonly Uint8Array[];
  signerName: readonly Uint8Array[];
  algorithm: Uint8Array;
  signature: Uint8Array;
  signers: (signer: Uint8Array) => Uint8Array[];
}

const TST_INFO = "1.2.840.113549.1.9.16.1.4";
export const attribute = (name: string, ...values: readonly Uint8Array[]): Der => sequence(oid(name), set(...values));
export const contentType = (name = TST_INFO): Der => attribute("1.2.840.113549.1.9.3", oid(name));
export const messageDigest = async (of: Uint8Array): Promise<Der> =>
  attribute("1.2.840.113549.1.9.4", octets(await digest("SHA-256", of)));
export const signingCertificate = async (of: Uint8Array, ...issuerSerial: readonly Uint8Array[]): Promise<Der> =>
  attribute(
    "1.2.840.113549.1.9.16.2.47",
    sequence(sequence(sequence(octets(await digest("SHA-256", of)), ...issuerSerial))),
  );

/** A stamp of its pieces, as a bare token. */
export async function stamp(
  given: Partial<StampParts> & Pick<StampParts, "over" | "certificate" | "issuer" | "key">,
): Promise<Der> {
  const { over, certificate: own, issuer, serial = 7, key } = given;
  const imprint = given.imprint ?? sequence(SHA256, octets(await digest("SHA-256", over)));
  const time = given.time ?? generalizedTime("20210601120000Z");
  const tst = given.tst ?? sequence(number(1), oid("1.2.3.4.1"), imprint, number(9), time, ...(given.rest ?? []));
  const attributes = given.attributes ?? [contentType(), await messageDigest(tst), await signingCertificate(own)];
  const signature = given.signature ?? (await key.sign(set(...attributes)));
  const signerName = given.signerName ?? [number(1), sequence(named(issuer), number(serial))];
  const signer = sequence(
    ...signerName,
    SHA256,
    element(0xa0, ...attributes),
    given.algorithm ?? ECDSA256,
    octets(signature),
  );
  const certificates = given.certificates ?? [own];
  return sequence(
    oid("1.2.840.113549.1.7.2"),
    element(
      0xa0,
      sequence(
        number(given.version ?? 3),
        given.digests ?? set(SHA256),
        sequence(oid(TST_INFO), ...(given.content ?? [element(0xa0, octets(tst))])),
        ...(certificates.length ? [element(0xa0, joined(certificates))] : []),
        set(...(given.signers?.(signer) ?? [signer])),
      ),
    ),
  );
}
