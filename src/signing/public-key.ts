/**
 * Public keys as SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), of the kinds that are understood:
 *
 *     ECDSA over P-256, P-384, P-521 (RFC 5480), Ed25519 (RFC 8410), RSA (RFC 3279, certificates only)
 *
 * Everything about a key is decided here, before WebCrypto sees it.
 */
import { FormatError, UnavailableError } from "../errors";
import { toHex } from "../io/digest";
import { onlyElement } from "./der";
import { noParameters, readBits, readInteger, readOid } from "./der-values";

/** Elliptic curves: bytes of a coordinate, and the digest that belongs to signatures over them. */
export const CURVES = {
  "P-256": { oid: "1.2.840.10045.3.1.7", size: 32, hash: "SHA-256" },
  "P-384": { oid: "1.3.132.0.34", size: 48, hash: "SHA-384" },
  "P-521": { oid: "1.3.132.0.35", size: 66, hash: "SHA-512" },
} as const;

/** The name of an elliptic curve. */
export type Curve = keyof typeof CURVES;

const OIDS = { ec: "1.2.840.10045.2.1", ed25519: "1.3.101.112", rsa: "1.2.840.113549.1.1.1" };

/** A public key of a kind that is understood. */
export type PublicKey = { readonly spki: Uint8Array<ArrayBuffer> } & (
  | { readonly kind: "ECDSA"; readonly curve: Curve }
  | { readonly kind: "Ed25519" }
  | { readonly kind: "RSA" }
);

/** Largest key: RSA of 8192 bits. */
const LONGEST = 2048;
const RSA_BITS = [2048, 8192] as const;

/**
 * y of the points of Ed25519 whose order divides 8, the two that are larger than the field too,
 * without the sign of x. Under such a "key" signatures verify that nobody made.
 */
const SMALL_ORDER = new Set([
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
]);

/**
 * Reads a public key.
 * @throws FormatError for what is no SubjectPublicKeyInfo in DER, a key of another kind or size,
 * and points in another form than the uncompressed one.
 */
export function parsePublicKey(spki: Uint8Array, what: string): PublicKey {
  if (spki.length > LONGEST)
    throw new FormatError(`${what}: a public key of at most ${LONGEST} bytes expected, found ${spki.length}`);
  const own = spki.slice() as Uint8Array<ArrayBuffer>;
  const key = onlyElement(own, what);
  const algorithm = key.inside("algorithm");
  const kind = readOid(algorithm, "kind");
  if (kind === OIDS.ec) {
    const named = readOid(algorithm, "curve");
    algorithm.end();
    const curve = (Object.keys(CURVES) as Curve[]).find((name) => CURVES[name].oid === named);
    if (!curve) return key.refuse("curve", `P-256, P-384 or P-521 expected, found ${named}`);
    const point = readBits(key, "point");
    key.end();
    if (point[0] !== 4 || point.length !== 1 + 2 * CURVES[curve].size)
      key.refuse(
        "point",
        `an uncompressed point of ${curve} expected, ${1 + 2 * CURVES[curve].size} bytes that begin with 4`,
      );
    return { kind: "ECDSA", curve, spki: own };
  }
  if (kind === OIDS.ed25519) {
    algorithm.end();
    const point = readBits(key, "point").slice();
    key.end();
    if (point.length !== 32) key.refuse("point", `32 bytes of Ed25519 expected, found ${point.length}`);
    point[31]! &= 0x7f;
    if (SMALL_ORDER.has(toHex(point)))
      key.refuse("point", "a point of large order expected, found one under which anything verifies");
    return { kind: "Ed25519", spki: own };
  }
  if (kind !== OIDS.rsa) return key.refuse("kind", `an elliptic curve, Ed25519 or RSA expected, found ${kind}`);
  noParameters(algorithm);
  const rsa = onlyElement(readBits(key, "numbers"), `${what}: numbers`);
  key.end();
  const modulus = readInteger(rsa, "modulus");
  const exponent = readInteger(rsa, "exponent");
  rsa.end();
  const bits = 8 * modulus.length - (modulus[0] === 0 ? 8 : 0);
  const negative = modulus[0]! >= 0x80;
  if (negative || bits < RSA_BITS[0] || bits > RSA_BITS[1])
    key.refuse("modulus", `${RSA_BITS[0]} to ${RSA_BITS[1]} bits expected`);
  // Odd, above 1 and below 2³²: what it costs to verify grows with it.
  const odd = (exponent.at(-1)! & 1) === 1;
  if (exponent[0]! >= 0x80 || exponent.length > 4 || !odd || (exponent.length === 1 && exponent[0] === 1))
    key.refuse("exponent", "an odd number from 3 to 2^32 expected");
  return { kind: "RSA", spki: own };
}

/** How a signature is made, apart from the key. */
export type SignatureScheme =
  | { readonly kind: "ECDSA"; readonly hash: "SHA-256" | "SHA-384" | "SHA-512" }
  | { readonly kind: "Ed25519" }
  | { readonly kind: "RSA"; readonly hash: "SHA-256" | "SHA-384" | "SHA-512"; readonly saltLength?: number };

/** The scheme that belongs to a key that signs for itself. */
export function ownScheme(key: PublicKey, what: string): SignatureScheme {
  if (key.kind === "ECDSA") return { kind: "ECDSA", hash: CURVES[key.curve].hash };
  if (key.kind === "Ed25519") return { kind: "Ed25519" };
  throw new FormatError(
    `${what}: a key of an elliptic curve or Ed25519 expected, found RSA, which only certificates may have`,
  );
}

/**
 * A key as WebCrypto has it, for one scheme.
 * @throws FormatError for numbers that are no key (a point beside the curve); UnavailableError
 * where this browser does not have that kind.
 */
export async function importPublicKey(key: PublicKey, scheme: SignatureScheme, what: string): Promise<CryptoKey> {
  try {
    return await crypto.subtle.importKey("spki", key.spki, importAlgorithm(key, scheme), false, ["verify"]);
  } catch (cause) {
    throw (
      notThere(key.kind === "ECDSA" ? key.curve : key.kind, cause) ??
      new FormatError(`${what}: a public key expected, found numbers that are none`, { cause })
    );
  }
}

function importAlgorithm(key: PublicKey, scheme: SignatureScheme) {
  if (key.kind === "ECDSA") return { name: "ECDSA", namedCurve: key.curve };
  if (key.kind === "Ed25519") return { name: "Ed25519" };
  const { hash, saltLength } = scheme as SignatureScheme & { kind: "RSA" };
  return { name: saltLength === undefined ? "RSASSA-PKCS1-v1_5" : "RSA-PSS", hash };
}

/**
 * The error to throw where WebCrypto does not know a kind of keys; undefined for any other fault.
 */
export function notThere(kind: string, cause: unknown): UnavailableError | undefined {
  if ((cause as { name?: unknown } | null)?.name !== "NotSupportedError") return undefined;
  return new UnavailableError(
    `The WebCrypto of this browser has no ${kind}: use a newer one or Node 20, or sign by ECDSA over P-256, which all have`,
    { cause },
  );
}
