/**
 * Keys that sign: ECDSA over P-256 by default, which every browser's WebCrypto has and OpenSSF
 * model signing takes; Ed25519; and, read from files, ECDSA over P-384 and P-521. Private keys are
 * PKCS#8 in PEM, public keys SubjectPublicKeyInfo in PEM or DER.
 */
import { callable, oneOf, optionsOf, refuse } from "../demand";
import { ArgumentError, FormatError } from "../errors";
import { bytesOf } from "../io/bytes";
import { sha256Hex } from "../io/digest";
import { isObject } from "../io/shown";
import { onlyElement } from "./der";
import { readOid, readSmall } from "./der-values";
import { toDerSignature } from "./ecdsa";
import { fromPem, toPem } from "./pem";
import { CURVES, type Curve, notThere, ownScheme, parsePublicKey } from "./public-key";
import { signatureHolds } from "./verify-signature";

/** What a new key may sign by. */
export type SigningAlgorithm = "ECDSA-P256" | "Ed25519";

const ALGORITHMS: readonly SigningAlgorithm[] = ["ECDSA-P256", "Ed25519"];

/**
 * Whatever signs: a private key in memory ({@link signerOf}), or a callback into a token, a cloud's
 * key service or a browser extension.
 */
export interface Signer {
  /** The key that verifies: SubjectPublicKeyInfo in DER. */
  readonly publicKey: Uint8Array;
  /**
   * The signature over the bytes: ECDSA in DER, with SHA-256 over P-256, SHA-384 over P-384 and
   * SHA-512 over P-521; Ed25519 as its 64 bytes.
   */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** A key pair in PEM. */
export interface SigningKey {
  /** PKCS#8. Whoever has it signs as the owner: keep it secret. */
  readonly privateKey: string;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: string;
}

/** Longest private key that is read, in bytes of DER. */
const LONGEST = 2048;

/**
 * A fresh key pair.
 * @throws ArgumentError for options that are not known; UnavailableError where this browser has no
 * Ed25519.
 */
export async function newSigningKey(options?: { algorithm?: SigningAlgorithm }): Promise<SigningKey> {
  const { algorithm = "ECDSA-P256" } = optionsOf("newSigningKey", options, ["algorithm"]);
  oneOf("newSigningKey", "algorithm", algorithm, ALGORITHMS);
  const kind = algorithm === "Ed25519" ? { name: "Ed25519" } : { name: "ECDSA", namedCurve: "P-256" };
  let pair: CryptoKeyPair;
  try {
    pair = (await crypto.subtle.generateKey(kind, true, ["sign", "verify"])) as CryptoKeyPair;
  } catch (cause) {
    throw notThere(algorithm, cause) ?? cause;
  }
  return {
    privateKey: toPem("PRIVATE KEY", new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey))),
    publicKey: toPem("PUBLIC KEY", new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey))),
  };
}

/**
 * A signer with a private key in memory.
 * @param privateKey PKCS#8 in PEM, not encrypted, of ECDSA (P-256, P-384, P-521) or Ed25519; what
 * `openssl genpkey` writes
 * @throws FormatError for anything else; UnavailableError where this browser has no Ed25519.
 */
export async function signerOf(privateKey: string): Promise<Signer> {
  const what = "the private key";
  const blocks = fromPem(privateKey, what);
  const [block] = blocks;
  if (blocks.length !== 1 || block!.label !== "PRIVATE KEY")
    throw new FormatError(
      `${what}: one block "PRIVATE KEY" expected, found ${blocks
        .map(({ label }) => label)
        .join(", ")
        .slice(0, 80)}: \`openssl pkcs8 -topk8 -nocrypt\` converts other forms`,
    );
  const { der } = block!;
  const kind = privateKind(der, what);
  const algorithm = kind === "Ed25519" ? { name: "Ed25519" } : { name: "ECDSA", namedCurve: kind };
  let key: CryptoKey;
  let publicKey: Uint8Array<ArrayBuffer>;
  try {
    key = await crypto.subtle.importKey("pkcs8", der, algorithm, true, ["sign"]);
    // WebCrypto gives no public key of a private one, but JSON web keys hold both.
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", key);
    const half = { kty: kty!, crv: crv!, x: x!, ...(y !== undefined && { y }) };
    const verifying = await crypto.subtle.importKey("jwk", half, algorithm, true, ["verify"]);
    publicKey = new Uint8Array(await crypto.subtle.exportKey("spki", verifying));
  } catch (cause) {
    throw notThere(kind, cause) ?? new FormatError(`${what}: a key expected, found numbers that are none`, { cause });
  }
  return {
    publicKey,
    async sign(bytes) {
      const own = bytesOf(bytes, "sign").slice() as Uint8Array<ArrayBuffer>;
      if (kind === "Ed25519") return new Uint8Array(await crypto.subtle.sign("Ed25519", key, own));
      const fixed = await crypto.subtle.sign({ name: "ECDSA", hash: CURVES[kind].hash }, key, own);
      return toDerSignature(new Uint8Array(fixed));
    },
  };
}

/** The curve of a private key in PKCS#8 (RFC 5958), or Ed25519. */
function privateKind(der: Uint8Array, what: string): Curve | "Ed25519" {
  if (der.length > LONGEST) throw new FormatError(`${what}: at most ${LONGEST} bytes expected, found ${der.length}`);
  const key = onlyElement(der, what);
  if (readSmall(key, "version") > 1) key.refuse("version", "0 or 1 expected");
  const algorithm = key.inside("algorithm");
  const kind = readOid(algorithm, "kind");
  if (kind === "1.3.101.112") return "Ed25519";
  const named = kind === "1.2.840.10045.2.1" ? readOid(algorithm, "curve") : undefined;
  const curve = (Object.keys(CURVES) as Curve[]).find((name) => CURVES[name].oid === named);
  return curve ?? key.refuse("algorithm", "ECDSA over P-256, P-384 or P-521, or Ed25519 expected, found another");
}

/**
 * A public key as SubjectPublicKeyInfo in DER.
 * @param key PEM or DER
 * @throws ArgumentError for neither text nor bytes; FormatError for another thing than one public
 * key of ECDSA (P-256, P-384, P-521) or Ed25519.
 */
export function publicKeyOf(key: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const what = "the public key";
  return signingKeyOf(typeof key === "string" ? derOf(key, what) : bytesOf(key, what), what).spki;
}

function derOf(pem: string, what: string): Uint8Array {
  const blocks = fromPem(pem, what);
  const [block] = blocks;
  if (blocks.length === 1 && block!.label === "PUBLIC KEY") return block!.der;
  throw new FormatError(
    `${what}: one block "PUBLIC KEY" expected, found ${blocks
      .map(({ label }) => label)
      .join(", ")
      .slice(0, 80)}: \`openssl pkey -pubout\` writes one`,
  );
}

/** A public key of a kind that may sign envelopes. */
function signingKeyOf(spki: Uint8Array, what: string) {
  const key = parsePublicKey(spki, what);
  return { ...key, scheme: ownScheme(key, what) };
}

/**
 * A public key in PEM.
 * @throws ArgumentError for neither text nor bytes; FormatError for no public key.
 */
export const publicKeyPem = (key: string | Uint8Array): string => toPem("PUBLIC KEY", publicKeyOf(key));

/**
 * What names a key in bundles and envelopes: SHA-256 of its PEM in hexadecimal, as OpenSSF model
 * signing has it (`_signing/sign_ec_key.py` of sigstore/model-transparency).
 * @throws as {@link publicKeyOf}.
 */
export const keyHint = async (key: string | Uint8Array): Promise<string> =>
  sha256Hex(new TextEncoder().encode(publicKeyPem(key)));

/**
 * Whether a signature over bytes was made with a key; a malformed one was not.
 * @param key PEM or DER
 * @param signature ECDSA in DER, Ed25519 as its 64 bytes
 * @throws ArgumentError for neither text nor bytes; FormatError for no public key; UnavailableError
 * where this browser has no Ed25519.
 */
export async function verifySignature(
  key: string | Uint8Array,
  bytes: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const what = "the public key";
  const parsed = signingKeyOf(publicKeyOf(key), what);
  const own = bytesOf(bytes, "verifySignature: the bytes").slice();
  return signatureHolds(parsed, parsed.scheme, own, bytesOf(signature, "verifySignature: the signature"), what);
}

/**
 * The signature of a signer that was handed in, checked: a callback that signs something else is
 * found out here, and not by the first who verifies.
 * @throws ArgumentError for what is no signer, and a signature that its own key does not verify;
 * FormatError for a public key that is not understood.
 */
export async function signWith(signer: Signer, bytes: Uint8Array, what: string): Promise<Uint8Array> {
  checkSigner(signer, what);
  const signature = bytesOf(await signer.sign(bytes.slice()), `${what}: the signature`).slice();
  if (await verifySignature(signer.publicKey, bytes, signature)) return signature;
  throw new ArgumentError(
    `${what}: a signature that the signer's own public key verifies expected: ECDSA in DER with the digest of its curve, Ed25519 as 64 bytes`,
  );
}

/** @throws ArgumentError for what is no signer; FormatError for a key that is not understood. */
export function checkSigner(signer: unknown, what: string): asserts signer is Signer {
  if (!isObject(signer)) refuse(what, "the signer", "{ publicKey, sign }", signer, "signerOf(privateKey) makes one");
  callable(what, "the signer's sign", signer["sign"]);
  publicKeyOf(bytesOf(signer["publicKey"], `${what}: the signer's public key`));
}
