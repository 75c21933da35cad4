/**
 * Time stamps of RFC 3161, verified offline against roots that the caller pins, as they were when
 * the stamp was given: a certificate that expired since is no fault. Own code on WebCrypto: in a
 * browser's bundle it takes 10 kB compressed, half of which keys and envelopes need anyway, where
 * pkijs with asn1js takes 86 kB, takes BER, checks no extended key usage, and the chain's validity
 * now instead of at the time of the stamp.
 */
import { optionsOf } from "../demand";
import { ArgumentError, FormatError } from "../errors";
import { bytesOf, sameBytes } from "../io/bytes";
import { digest, toHex } from "../io/digest";
import { readHash } from "./algorithms";
import {
  basicConstraints,
  type Certificate,
  certificatesOf,
  certifiedKey,
  extendedKeyUsage,
  keyUsage,
  USAGE,
} from "./certificate";
import { checkChain } from "./certificate-chain";
import { readSignedData, type SignedData } from "./cms";
import { type DerReader, TAG } from "./der";
import { readInteger } from "./der-values";
import { natural } from "./der-writer";
import { nameInWords } from "./distinguished-name";
import { nonceOf } from "./timestamp-query";
import { tokenOf } from "./timestamp-token";
import { parseTstInfo, type TstInfo } from "./tst-info";
import { signatureHolds } from "./verify-signature";

/** A time stamp that was verified. */
export interface Timestamp {
  /** When the bytes existed, by the authority's clock. */
  readonly time: Date;
  /**
   * How far that clock may be off, either way, in seconds; null where the authority does not say.
   */
  readonly accuracySeconds: number | null;
  /** The subject of the authority's certificate, in words. */
  readonly authority: string;
  /** The stamp's serial number, hexadecimal. */
  readonly serial: string;
}

/** What stamps are verified against. */
export interface TimestampTrust {
  /** Certificates of roots that the caller trusts to stamp: PEM, of one or several, or DER. */
  roots: readonly (string | Uint8Array)[];
  /** Certificates that the stamp was asked to leave out: the authority's, and those between. */
  certificates?: readonly (string | Uint8Array)[];
  /** The nonce of the query, where it had one. */
  nonce?: Uint8Array;
}

const TST_INFO = "1.2.840.113549.1.9.16.1.4";
const TIME_STAMPING = "1.3.6.1.5.5.7.3.8";
/**
 * Signed attributes that name the signer's certificate by a digest: RFC 2634 with SHA-1, RFC 5035.
 */
const SIGNING_CERTIFICATE = { v1: "1.2.840.113549.1.9.16.2.12", v2: "1.2.840.113549.1.9.16.2.47" };
const what = "the time stamp";

/**
 * Verifies a time stamp:
 *
 * 1. its imprint is the digest (SHA-256, SHA-384, SHA-512) of the bytes, and its nonce the query's;
 * 2. the signed attributes are those of its content (contentType, messageDigest) and name the
 *    signer's certificate (ESSCertIDv2, ESSCertID);
 * 3. its signature is by that certificate's key (RSA by PKCS#1 v1.5 or PSS, ECDSA over P-256, P-384
 *    or P-521);
 * 4. that certificate is for time stamps and nothing else (critical extended key usage);
 * 5. a path leads from it to a pinned root, each certificate valid at the stamp's time, each issuer
 *    an authority that may issue (basic constraints, key usage, path length).
 *
 * Revocation is not looked at: pin roots whose authorities are trusted to keep their keys.
 *
 * @param stamp an authority's response or the bare token, in DER
 * @param bytes what was stamped; of a bundle, `bundleSignature(bundle)`
 * @throws ArgumentError for no bytes, no root, or options that are not known; FormatError naming
 * the check that failed.
 */
export async function verifyTimestamp(stamp: Uint8Array, bytes: Uint8Array, trust: TimestampTrust): Promise<Timestamp> {
  const caller = "verifyTimestamp";
  const { roots, certificates = [], nonce } = optionsOf(caller, trust, ["roots", "certificates", "nonce"]);
  if (!Array.isArray(roots) || roots.length === 0)
    throw new ArgumentError(
      `${caller}: roots to trust expected, PEM or DER, found none: an authority publishes its own`,
    );
  const pinned = certificatesOf(roots, "a trusted root");
  const brought = certificatesOf(certificates, "a certificate");
  const own = bytesOf(bytes, `${caller}: what was stamped`);
  const { data, info } = await readStamp(bytesOf(stamp, `${caller}: the stamp`).slice(), own);
  if (nonce !== undefined) checkNonce(info.nonce, nonceOf(nonce, caller));

  const others = [...data.certificates, ...brought];
  const signer = await signerOf(data, [...others, ...pinned]);
  checkPurpose(signer);
  if (!(await signatureHolds(certifiedKey(signer), data.scheme, data.signed, data.signature, `${what}: signature`)))
    throw new FormatError(`${what}: a signature of the authority expected, found another: the stamp was changed`);
  await checkChain(signer, { roots: pinned, others, time: info.time, purpose: TIME_STAMPING });
  return {
    time: new Date(info.time),
    accuracySeconds: info.accuracy,
    authority: nameInWords(signer.subject, `${what}: authority`),
    serial: toHex(info.serial),
  };
}

/**
 * What a stamp says, of these bytes. Who says it is not looked at: {@link verifyTimestamp} does.
 * @throws FormatError for what is no stamp (a page, a refusal), and one over other bytes.
 */
export async function readStamp(stamp: Uint8Array, bytes: Uint8Array): Promise<{ data: SignedData; info: TstInfo }> {
  const data = await readSignedData(tokenOf(stamp, what), TST_INFO);
  const info = parseTstInfo(data.content, `${what}: what it says`);
  if (sameBytes(info.imprint, await digest(info.hash, bytes))) return { data, info };
  throw new FormatError(
    `${what}: the digest of the given bytes expected (imprint), found another: it is over something else`,
  );
}

function checkNonce(found: Uint8Array | undefined, nonce: Uint8Array): void {
  // The content of a number as it was written: behind tag and length.
  if (found && sameBytes(found, natural(nonce).subarray(2))) return;
  throw new FormatError(
    `${what}: the query's nonce expected, found ${found ? "another" : "none"}: it answers another query`,
  );
}

/** The certificate that the stamp names twice: by its issuer or key, and by its digest. */
async function signerOf(data: SignedData, candidates: readonly Certificate[]): Promise<Certificate> {
  const named = candidates.filter((certificate) => data.isSigner(certificate));
  if (named.length === 0)
    throw new FormatError(
      `${what}: the authority's certificate expected, found none: give it among certificates, or ask for a stamp that has it inside`,
    );
  const v1 = data.attribute(SIGNING_CERTIFICATE.v1);
  const v2 = data.attribute(SIGNING_CERTIFICATE.v2);
  const attributes = [v1 && readCertificateId(v1, "SHA-1"), v2 && readCertificateId(v2)].filter(
    (id) => id !== undefined,
  );
  if (attributes.length === 0)
    throw new FormatError(
      `${what}: a signed attribute that names the authority's certificate expected (ESSCertIDv2), found none`,
    );
  for (const certificate of named) {
    const holds = await Promise.all(attributes.map((id) => isNamedBy(certificate, id)));
    if (holds.every(Boolean)) return certificate;
  }
  throw new FormatError(
    `${what}: the certificate that the signed attributes name expected (ESSCertIDv2), found another`,
  );
}

/** A certificate by its digest, and by issuer and serial number where they are given. */
interface CertificateId {
  readonly hash: Parameters<typeof digest>[0];
  readonly value: Uint8Array;
  readonly issuerSerial: { readonly issuers: readonly Uint8Array[]; readonly serial: Uint8Array } | undefined;
}

/**
 * The first of a list of certificates: the signer's. Others, and policies, constrain nothing here.
 */
function readCertificateId(attribute: DerReader, always?: "SHA-1"): CertificateId {
  const signing = attribute.inside("signing certificate");
  attribute.end();
  const list = signing.inside("certificates");
  const id = list.inside("certificate");
  const hash = always ?? (id.tag === TAG.sequence ? readHash(id, "digest") : "SHA-256");
  const value = id.read(TAG.octetString, "value").content;
  const both = id.insideOptional("issuer and serial number", TAG.sequence);
  id.end();
  if (!both) return { hash, value, issuerSerial: undefined };
  const names = both.inside("issuer");
  const issuers = names.list(4, () => names.inside("name", TAG.constructed(4)).read(TAG.sequence, "name").whole);
  const serial = readInteger(both, "serial number");
  both.end();
  return { hash, value, issuerSerial: { issuers, serial } };
}

async function isNamedBy(certificate: Certificate, { hash, value, issuerSerial }: CertificateId): Promise<boolean> {
  if (!sameBytes(await digest(hash, certificate.whole), value)) return false;
  if (!issuerSerial) return true;
  const { issuers, serial } = issuerSerial;
  return sameBytes(serial, certificate.serial) && issuers.some((issuer) => sameBytes(issuer, certificate.issuer));
}

/** @throws FormatError unless a certificate's key is for time stamps alone (RFC 3161 §2.3). */
function checkPurpose(signer: Certificate): void {
  const fault = (problem: string) =>
    new FormatError(`${what}: a certificate for time stamps alone expected, found one ${problem}`);
  const extended = extendedKeyUsage(signer);
  if (!extended) throw fault("without extended key usage");
  if (!extended.critical) throw fault("whose extended key usage is not critical");
  if (extended.purposes.join() !== TIME_STAMPING) throw fault("for other purposes (extended key usage)");
  const usage = keyUsage(signer);
  const signing = USAGE.digitalSignature | USAGE.nonRepudiation;
  if (usage !== undefined && (usage & ~signing || !(usage & signing)))
    throw fault("whose key is not for signatures (key usage)");
  if (basicConstraints(signer).ca) throw fault("that issues certificates (basic constraints)");
}
