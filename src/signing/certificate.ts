/**
 * X.509 certificates (RFC 5280), as far as time stamps need them. What a certificate says of its
 * key, its algorithms and its extensions is read when it is asked for: one that nobody asks, such
 * as a cross-signed one beside the chain, or the signature of a root by itself, need not be
 * understood.
 */
import { FormatError } from "../errors";
import { bytesOf } from "../io/bytes";
import { readScheme } from "./algorithms";
import { DerReader, type Element, onlyElement, TAG } from "./der";
import { readBits, readFlag, readFlags, readInteger, readOid, readSmall, timeOf } from "./der-values";
import { fromPem } from "./pem";
import { type PublicKey, parsePublicKey } from "./public-key";
import { signatureHolds } from "./verify-signature";

/** A certificate, in its parts. Names and algorithms are whole elements. */
export interface Certificate {
  readonly what: string;
  readonly whole: Uint8Array;
  /** What its issuer signed. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  readonly algorithm: Element;
  readonly serial: Uint8Array;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Milliseconds since 1970, both included. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly key: Uint8Array;
  readonly extensions: ReadonlyMap<string, Extension>;
}

interface Extension {
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** Longest certificate, in bytes, and most extensions of one. */
const LONGEST = 2 ** 15;
const MOST_EXTENSIONS = 64;

const EXTENSION = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  policies: "2.5.29.32",
  extendedKeyUsage: "2.5.29.37",
  subjectNames: "2.5.29.17",
};
/** Critical extensions that are understood; policies and names constrain nothing by themselves. */
const UNDERSTOOD = [
  EXTENSION.keyUsage,
  EXTENSION.basicConstraints,
  EXTENSION.policies,
  EXTENSION.extendedKeyUsage,
  EXTENSION.subjectNames,
];

/** Bits of `KeyUsage`. */
export const USAGE = { digitalSignature: 1 << 0, nonRepudiation: 1 << 1, certificateSigning: 1 << 5 };

/** @throws FormatError for what is no certificate of version 3 in DER. */
export function parseCertificate(der: Uint8Array, what: string): Certificate {
  if (der.length > LONGEST) throw new FormatError(`${what}: at most ${LONGEST} bytes expected, found ${der.length}`);
  const outer = onlyElement(der, what);
  const signed = outer.read(TAG.sequence, "what is signed");
  const algorithm = outer.read(TAG.sequence, "algorithm");
  const signature = readBits(outer, "signature");
  outer.end();
  const inner = new DerReader(signed.content, what);
  const version = inner.inside("version", TAG.constructed(0));
  if (readSmall(version, "number") !== 2) inner.refuse("version", "3 expected");
  version.end();
  const serial = readInteger(inner, "serial number");
  const again = inner.read(TAG.sequence, "algorithm").whole;
  if (again.length !== algorithm.whole.length || again.some((byte, i) => byte !== algorithm.whole[i]))
    inner.refuse("algorithm", "the same twice expected, found two");
  const issuer = inner.read(TAG.sequence, "issuer").whole;
  const validity = inner.inside("validity");
  const notBefore = timeOf(validity.any("start"), validity, "start");
  const notAfter = timeOf(validity.any("end"), validity, "end");
  validity.end();
  const subject = inner.read(TAG.sequence, "subject").whole;
  const key = inner.read(TAG.sequence, "public key").whole;
  inner.optional(TAG.primitive(1), "issuer's unique id");
  inner.optional(TAG.primitive(2), "subject's unique id");
  const extensions = extensionsOf(inner);
  inner.end();
  return {
    what,
    whole: der,
    signed: signed.whole,
    signature,
    algorithm,
    serial,
    issuer,
    subject,
    notBefore,
    notAfter,
    key,
    extensions,
  };
}

function extensionsOf(inner: DerReader): Map<string, Extension> {
  const found = new Map<string, Extension>();
  const outer = inner.insideOptional("extensions", TAG.constructed(3));
  const list = outer?.inside("extensions");
  outer?.end();
  list?.list(MOST_EXTENSIONS, () => {
    const extension = list.inside("extension");
    const name = readOid(extension, "name");
    const critical = readFlag(extension, "critical");
    const value = extension.read(TAG.octetString, "value").content;
    extension.end();
    if (found.has(name)) list.refuse("extension", `each once expected, found ${name} twice`);
    found.set(name, { critical, value });
  });
  return found;
}

/**
 * Certificates that somebody trusts or brings along: each PEM, of one or several, or DER.
 * @throws ArgumentError for what is neither; FormatError for what is no certificate.
 */
export function certificatesOf(given: readonly (string | Uint8Array)[], what: string): Certificate[] {
  const ders = given.flatMap((one) => {
    // A file of PEM is often read as bytes, and no DER begins with a hyphen.
    const bytes = typeof one === "string" ? null : bytesOf(one, what).slice();
    if (bytes && bytes[0] !== 0x2d) return [bytes];
    return fromPem(bytes ? new TextDecoder().decode(bytes) : (one as string), what).map(({ label, der }) => {
      if (label !== "CERTIFICATE") throw new FormatError(`${what}: "CERTIFICATE" expected, found "${label}"`);
      return der;
    });
  });
  return ders.map((der) => parseCertificate(der, what));
}

/** The key that a certificate is about. @throws FormatError for one that is not understood. */
export const certifiedKey = ({ key, what }: Certificate): PublicKey => parsePublicKey(key, `${what}: public key`);

/**
 * Whether a certificate was signed by the key of another.
 * @throws FormatError for algorithms that are not understood.
 */
export async function isSignedBy(certificate: Certificate, issuer: Certificate): Promise<boolean> {
  const { what, algorithm, signed, signature } = certificate;
  const scheme = readScheme(new DerReader(algorithm.whole, what), "algorithm");
  const key = certifiedKey(issuer);
  return key.kind === scheme.kind && signatureHolds(key, scheme, signed, signature, what);
}

const extensionOf = ({ extensions, what }: Certificate, name: string) => {
  const found = extensions.get(name);
  return found && { ...found, reader: new DerReader(found.value, what) };
};

/** @throws FormatError for critical extensions that are not understood, and name constraints. */
export function checkExtensions({ extensions, what }: Certificate): void {
  for (const [name, { critical }] of extensions)
    if (name === EXTENSION.nameConstraints || (critical && !UNDERSTOOD.includes(name)))
      throw new FormatError(`${what}: critical extensions that are understood expected, found ${name}`);
}

/** Flags of {@link USAGE}; undefined where the certificate does not restrict its key. */
export function keyUsage(certificate: Certificate): number | undefined {
  const found = extensionOf(certificate, EXTENSION.keyUsage);
  if (!found) return undefined;
  const flags = readFlags(found.reader, "key usage");
  found.reader.end();
  return flags;
}

/** Whether a certificate's key may sign certificates, and how many may stand between. */
export function basicConstraints(certificate: Certificate): { ca: boolean; pathLength: number } {
  const found = extensionOf(certificate, EXTENSION.basicConstraints);
  if (!found) return { ca: false, pathLength: 0 };
  const constraints = found.reader.inside("basic constraints");
  found.reader.end();
  const ca = readFlag(constraints, "CA");
  const pathLength = constraints.done ? Number.POSITIVE_INFINITY : readSmall(constraints, "path length");
  constraints.end();
  return { ca, pathLength };
}

/** What a certificate's key is for; undefined where it does not say. */
export function extendedKeyUsage(certificate: Certificate): { critical: boolean; purposes: string[] } | undefined {
  const found = extensionOf(certificate, EXTENSION.extendedKeyUsage);
  if (!found) return undefined;
  const list = found.reader.inside("extended key usage");
  found.reader.end();
  return { critical: found.critical, purposes: list.list(32, () => readOid(list, "purpose")) };
}

/** The name of a certificate's key; undefined where it has none. */
export function subjectKeyIdentifier(certificate: Certificate): Uint8Array | undefined {
  const found = extensionOf(certificate, EXTENSION.subjectKeyIdentifier);
  const identifier = found?.reader.read(TAG.octetString, "key identifier").content;
  found?.reader.end();
  return identifier;
}
