/** Algorithm identifiers of digests and signatures in certificates and time stamps. */
import type { Hash } from "../io/digest";
import { type DerReader, TAG } from "./der";
import { noParameters, readOid, readSmall } from "./der-values";
import { element, oid, sequence } from "./der-writer";
import type { SignatureScheme } from "./public-key";

const HASHES: Readonly<Record<string, Hash>> = {
  "2.16.840.1.101.3.4.2.1": "SHA-256",
  "2.16.840.1.101.3.4.2.2": "SHA-384",
  "2.16.840.1.101.3.4.2.3": "SHA-512",
};
const RSA: Readonly<Record<string, Hash>> = {
  "1.2.840.113549.1.1.11": "SHA-256",
  "1.2.840.113549.1.1.12": "SHA-384",
  "1.2.840.113549.1.1.13": "SHA-512",
};
const ECDSA: Readonly<Record<string, Hash>> = {
  "1.2.840.10045.4.3.2": "SHA-256",
  "1.2.840.10045.4.3.3": "SHA-384",
  "1.2.840.10045.4.3.4": "SHA-512",
};
const RSA_KEY = "1.2.840.113549.1.1.1";
const RSA_PSS = "1.2.840.113549.1.1.10";
const MGF1 = "1.2.840.113549.1.1.8";

/** The digest that an algorithm identifier names. @throws FormatError for another than SHA-2. */
export function readHash(from: DerReader, part: string): Hash {
  const algorithm = from.inside(part);
  const name = readOid(algorithm, "name");
  const hash = HASHES[name];
  if (hash === undefined) return from.refuse(part, `SHA-256, SHA-384 or SHA-512 expected, found ${name}`);
  noParameters(algorithm);
  return hash;
}

/**
 * A digest's algorithm identifier, with the NULL that OpenSSL writes and some authorities expect.
 */
export const writeHash = (hash: Hash) =>
  sequence(oid(Object.keys(HASHES).find((name) => HASHES[name] === hash)!), element(TAG.null));

/**
 * The scheme that an algorithm identifier names: RSA by PKCS#1 v1.5 or PSS, or ECDSA.
 * @param digest what is meant where the identifier names the key alone, as CMS may (RFC 3370 §3.2)
 * @throws FormatError for another, SHA-1 among them.
 */
export function readScheme(from: DerReader, part: string, digest?: Hash): SignatureScheme {
  const algorithm = from.inside(part);
  const name = readOid(algorithm, "name");
  if (name === RSA_PSS) return pssScheme(algorithm);
  const ecdsa = ECDSA[name];
  if (ecdsa) {
    algorithm.end();
    return { kind: "ECDSA", hash: ecdsa };
  }
  const rsa = RSA[name] ?? (name === RSA_KEY ? digest : undefined);
  if (!rsa) return from.refuse(part, `RSA or ECDSA with SHA-256, SHA-384 or SHA-512 expected, found ${name}`);
  noParameters(algorithm);
  return { kind: "RSA", hash: rsa };
}

/** RSASSA-PSS-params (RFC 4055 §3.1), whose defaults are those of SHA-1, and so never meant. */
function pssScheme(algorithm: DerReader): SignatureScheme {
  const all = algorithm.inside("parameters");
  algorithm.end();
  const explicit = (n: number, part: string) => all.inside(part, TAG.constructed(n));
  const hashes = explicit(0, "digest");
  const hash = readHash(hashes, "digest");
  hashes.end();
  const masks = explicit(1, "mask");
  const mask = masks.inside("mask");
  masks.end();
  const generator = readOid(mask, "generator");
  const maskHash = readHash(mask, "digest");
  mask.end();
  if (generator !== MGF1 || maskHash !== hash) all.refuse("mask", `MGF1 with ${hash} expected, found another`);
  const salt = explicit(2, "salt");
  const saltLength = readSmall(salt, "length");
  salt.end();
  if (saltLength > 512) all.refuse("salt", `at most 512 bytes expected, found ${saltLength}`);
  const trailer = all.insideOptional("trailer", TAG.constructed(3));
  if (trailer && readSmall(trailer, "field") !== 1) all.refuse("trailer", "1 expected");
  trailer?.end();
  all.end();
  return { kind: "RSA", hash, saltLength };
}
