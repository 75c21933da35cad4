/**
 * SignedData of the Cryptographic Message Syntax (RFC 5652) as time stamps have it: one signer,
 * with signed attributes, over content that is inside.
 */
import { sameBytes } from "../io/bytes";
import { digest, type Hash } from "../io/digest";
import { readHash, readScheme } from "./algorithms";
import { type Certificate, parseCertificate, subjectKeyIdentifier } from "./certificate";
import { DerReader, TAG } from "./der";
import { readInteger, readOid, readSmall } from "./der-values";
import type { SignatureScheme } from "./public-key";

const SIGNED_DATA = "1.2.840.113549.1.7.2";
const ATTRIBUTE = { contentType: "1.2.840.113549.1.9.3", messageDigest: "1.2.840.113549.1.9.4" };
const MOST_CERTIFICATES = 16;
const MOST_ATTRIBUTES = 32;

/** Signed content. */
export interface SignedData {
  readonly content: Uint8Array;
  /** Certificates that came along; nobody trusts them for that. */
  readonly certificates: readonly Certificate[];
  /** Whether a certificate is the one that the signer names. */
  isSigner(certificate: Certificate): boolean;
  /** The digest of content and attributes. */
  readonly hash: Hash;
  readonly scheme: SignatureScheme;
  readonly signature: Uint8Array;
  /** What the signature is over: the attributes, as a set. */
  readonly signed: Uint8Array;
  /** The one value of each signed attribute. */
  attribute(name: string): DerReader | undefined;
}

/**
 * @param from reads a `ContentInfo`
 * @param contentType the object identifier of the content's type
 * @throws FormatError for another structure, SHA-1, several signers, and attributes that are not
 * those of the content.
 */
export async function readSignedData(from: DerReader, contentType: string): Promise<SignedData> {
  const info = from.inside("signed data");
  if (readOid(info, "type") !== SIGNED_DATA) info.refuse("type", "signed data expected, found another");
  const wrapper = info.inside("content", TAG.constructed(0));
  info.end();
  const data = wrapper.inside("signed data");
  wrapper.end();
  // Version 3 belongs to content that is not plain data, with certificates of X.509 alone.
  if (readSmall(data, "version") !== 3) data.refuse("version", "3 expected");
  const digests = data.inside("digests", TAG.set);
  const hashes = digests.list(8, () => readHash(digests, "digest"));
  const inner = data.inside("content");
  if (readOid(inner, "type") !== contentType) inner.refuse("type", `${contentType} expected, found another`);
  const octets = inner.inside("content", TAG.constructed(0));
  inner.end();
  const content = octets.read(TAG.octetString, "content").content;
  octets.end();
  const bag = data.insideOptional("certificates", TAG.constructed(0));
  const certificates = bag?.list(MOST_CERTIFICATES, () =>
    parseCertificate(bag.read(TAG.sequence, "certificate").whole, `a certificate of ${bag.file}`),
  );
  data.optional(TAG.constructed(1), "revocation lists");
  const signers = data.inside("signers", TAG.set);
  data.end();
  const signer = await readSigner(signers, content, contentType);
  signers.end();
  if (!hashes.includes(signer.hash)) data.refuse("digests", `${signer.hash} among them expected`);
  return { content, certificates: certificates ?? [], ...signer };
}

async function readSigner(from: DerReader, content: Uint8Array, contentType: string) {
  const signer = from.inside("signer");
  const version = readSmall(signer, "version");
  const isSigner = readSignerName(signer, version);
  const hash = readHash(signer, "digest");
  const attributes = signer.read(TAG.constructed(0), "signed attributes");
  const scheme = readScheme(signer, "algorithm", hash);
  if (scheme.kind !== "Ed25519" && scheme.hash !== hash)
    signer.refuse("algorithm", `${hash} expected, as for the content, found ${scheme.hash}`);
  const signature = signer.read(TAG.octetString, "signature").content;
  signer.optional(TAG.constructed(1), "unsigned attributes");
  signer.end();
  // The signature is over the attributes under the tag of a set, in the place of [0].
  const signed = attributes.whole.slice();
  signed[0] = TAG.set;
  const values = readAttributes(signed, signer);
  const attribute = (name: string) => values.get(name)?.();
  const type = attribute(ATTRIBUTE.contentType);
  if (!type || readOid(type, "value") !== contentType)
    signer.refuse("signed attributes", `the content's type ${contentType} expected`);
  type?.end();
  const stated = attribute(ATTRIBUTE.messageDigest);
  const own = await digest(hash, content);
  if (!stated || !sameBytes(stated.read(TAG.octetString, "value").content, own))
    signer.refuse(
      "signed attributes",
      "the content's digest expected (messageDigest), found another or none: the content was changed",
    );
  stated?.end();
  return { isSigner, hash, scheme, signature, signed, attribute };
}

/** Issuer and serial number (version 1), or the key's identifier (version 3). */
function readSignerName(signer: DerReader, version: number): SignedData["isSigner"] {
  if (version === 3) {
    const identifier = signer.read(TAG.primitive(0), "key identifier").content;
    return (certificate) => {
      const own = subjectKeyIdentifier(certificate);
      return own !== undefined && sameBytes(own, identifier);
    };
  }
  if (version !== 1) signer.refuse("version", "1 or 3 expected");
  const name = signer.inside("name");
  const issuer = name.read(TAG.sequence, "issuer").whole;
  const serial = readInteger(name, "serial number");
  name.end();
  return (certificate) => sameBytes(certificate.issuer, issuer) && sameBytes(certificate.serial, serial);
}

/** Attributes by name, each there once and with one value. */
function readAttributes(signed: Uint8Array, signer: DerReader): Map<string, () => DerReader> {
  const list = new DerReader(signed, signer.what, signer.file).inside("signed attributes", TAG.set);
  const values = new Map<string, () => DerReader>();
  list.list(MOST_ATTRIBUTES, () => {
    const attribute = list.inside("attribute");
    const name = readOid(attribute, "name");
    const set = attribute.read(TAG.set, "values");
    attribute.end();
    if (values.has(name)) list.refuse("attribute", `each once expected, found ${name} twice`);
    values.set(name, () => new DerReader(set.content, `${list.what}: ${name}`, list.file));
  });
  return values;
}
