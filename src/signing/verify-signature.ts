import { FormatError } from "../errors";
import { toFixedSignature } from "./ecdsa";
import { CURVES, importPublicKey, type PublicKey, type SignatureScheme } from "./public-key";

/** Longest signature: RSA of 8192 bits. */
const LONGEST = 1024;

/**
 * Whether a signature over bytes was made with a key. Signatures by ECDSA are DER.
 * @throws FormatError for a scheme that does not belong to the key, and numbers that are no key;
 * UnavailableError where this browser has no Ed25519. A signature that is malformed does not
 * verify.
 */
export async function signatureHolds(
  key: PublicKey,
  scheme: SignatureScheme,
  bytes: Uint8Array,
  signature: Uint8Array,
  what: string,
): Promise<boolean> {
  if (key.kind !== scheme.kind)
    throw new FormatError(`${what}: a signature by ${key.kind} expected, found one by ${scheme.kind}`);
  const imported = await importPublicKey(key, scheme, what);
  const fixed = fixedForm(key, signature, what);
  if (!fixed) return false;
  try {
    return await crypto.subtle.verify(verifyAlgorithm(scheme), imported, fixed, bytes as Uint8Array<ArrayBuffer>);
  } catch (cause) {
    // Of what no signature can be (a PSS salt longer than the key has room for) engines throw.
    if ((cause as Error).name === "OperationError") return false;
    throw cause;
  }
}

/** The signature as WebCrypto takes it; null for what is none. */
function fixedForm(key: PublicKey, signature: Uint8Array, what: string): Uint8Array<ArrayBuffer> | null {
  if (signature.length > LONGEST) return null;
  if (key.kind !== "ECDSA") return signature.slice() as Uint8Array<ArrayBuffer>;
  try {
    return toFixedSignature(signature, CURVES[key.curve].size, what);
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

function verifyAlgorithm(scheme: SignatureScheme) {
  if (scheme.kind === "ECDSA") return { name: "ECDSA", hash: scheme.hash };
  if (scheme.kind === "Ed25519") return { name: "Ed25519" };
  const { saltLength } = scheme;
  return saltLength === undefined ? { name: "RSASSA-PKCS1-v1_5" } : { name: "RSA-PSS", saltLength };
}
