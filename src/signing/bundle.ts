/**
 * Sigstore bundles, version 0.3 (github.com/sigstore/protobuf-specs, sigstore_bundle.proto): an
 * envelope with one signature, which key made it, and time stamps over the signature's bytes. Keys
 * come from elsewhere; entries of transparency logs are allowed and not looked at.
 */
import { objectOf, refuse, text } from "../demand";
import { ArgumentError, FormatError } from "../errors";
import { bytesOf } from "../io/bytes";
import { canonicalJson, parseStrictJson } from "../io/json";
import { shown } from "../io/shown";
import { fromBase64, toBase64 } from "./base64";
import { type Envelope, envelopeFromJson, envelopeToJson, signEnvelope, verifyEnvelope } from "./dsse";
import { fieldsOf, listField, optionalText } from "./fields";
import { keyHint, type Signer } from "./keys";
import { readStamp } from "./timestamp";
import { LONGEST_TOKEN } from "./timestamp-token";

/** A signed payload, and when it was signed. */
export interface Bundle {
  readonly envelope: Envelope;
  /** Names the key, for looking it up: SHA-256 of its PEM. Empty where it is not given. */
  readonly hint: string;
  /** Responses of time-stamp authorities in DER, over {@link bundleSignature}. */
  readonly timestamps: readonly Uint8Array[];
}

const MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";
/** Longest bundle, in characters. */
const LONGEST = 2 ** 22;
const MOST_STAMPS = 16;
const MOST_LOG_ENTRIES = 64;

/** A payload signed, without time stamps yet. @throws as {@link signEnvelope}. */
export async function signBundle(payload: Uint8Array, payloadType: string, signer: Signer): Promise<Bundle> {
  const envelope = await signEnvelope(payload, payloadType, signer);
  // Hint and key id are the same, as the bundle's format demands.
  return { envelope, hint: envelope.signatures[0]!.keyid, timestamps: [] };
}

/**
 * The bytes that time stamps are over: those of the signature.
 * @throws ArgumentError for what is no bundle.
 */
export const bundleSignature = (bundle: Bundle): Uint8Array =>
  checkedBundle("bundleSignature", bundle).envelope.signatures[0]!.sig.slice();

/** @throws ArgumentError for what is no bundle. */
function checkedBundle(what: string, bundle: Bundle): Bundle {
  const { envelope, hint, timestamps } = objectOf(what, "a bundle, as decodeBundle() gives one,", bundle);
  const { payload, payloadType, signatures } = objectOf(what, "a bundle with an envelope", envelope);
  bytesOf(payload, `${what}: the payload`);
  text(what, "payloadType", payloadType);
  text(what, "hint", hint);
  if (!Array.isArray(signatures) || !signatures.length)
    refuse(what, "signatures", "a list of one signature or more", signatures);
  for (const signature of signatures) {
    const { keyid, sig } = objectOf(what, "a signature { keyid, sig }", signature);
    text(what, "keyid", keyid);
    bytesOf(sig, `${what}: sig`);
  }
  if (!Array.isArray(timestamps)) refuse(what, "timestamps", "a list of responses", timestamps);
  for (const stamp of timestamps) bytesOf(stamp, `${what}: a time stamp`);
  return bundle;
}

/**
 * The bundle with one time stamp more. Whose it is, is not verified here: `verifyTimestamp` does,
 * with the authority's root.
 * @param response of an authority, or the token alone, in DER
 * @throws ArgumentError for no bytes, too many of them, or too many stamps; FormatError for what is
 * no stamp (a page, a refusal), and one over anything but {@link bundleSignature}.
 */
export async function withTimestamp(bundle: Bundle, response: Uint8Array): Promise<Bundle> {
  const stamp = bytesOf(response, "withTimestamp: the response").slice();
  checkedBundle("withTimestamp", bundle);
  if (stamp.length > LONGEST_TOKEN || bundle.timestamps.length >= MOST_STAMPS)
    throw new ArgumentError(`withTimestamp: at most ${MOST_STAMPS} stamps of at most ${LONGEST_TOKEN} bytes expected`);
  await readStamp(stamp, bundleSignature(bundle));
  return { ...bundle, timestamps: [...bundle.timestamps, stamp] };
}

/**
 * The payload of a bundle, once its signature is found to be the key's.
 * @throws FormatError for another key than the bundle names, another type, or a signature that is
 * not the key's; UnavailableError where this browser has no Ed25519.
 */
export async function verifyBundle(bundle: Bundle, key: string | Uint8Array, payloadType: string): Promise<Uint8Array> {
  const own = await keyHint(key);
  for (const named of [bundle.hint, ...bundle.envelope.signatures.map(({ keyid }) => keyid)])
    if (named !== "" && named !== own)
      throw new FormatError(
        `the bundle: the key ${own} expected, found a signature by ${shown(named)}: it is somebody else's`,
      );
  return verifyEnvelope(bundle.envelope, key, payloadType);
}

/** A bundle as a file: canonical JSON. @throws ArgumentError for what is no bundle. */
export function encodeBundle(bundle: Bundle): string {
  const { envelope, hint, timestamps } = checkedBundle("encodeBundle", bundle);
  const stamps = timestamps.map((stamp) => ({ signedTimestamp: toBase64(stamp) }));
  return canonicalJson({
    mediaType: MEDIA_TYPE,
    verificationMaterial: {
      publicKey: { hint },
      tlogEntries: [],
      ...(stamps.length > 0 && { timestampVerificationData: { rfc3161Timestamps: stamps } }),
    },
    dsseEnvelope: envelopeToJson(envelope),
  });
}

/**
 * A bundle out of a file. Nothing is verified.
 * @throws FormatError for anything but a bundle of version 0.3 with a key, an envelope with one
 * signature, and nothing that the format does not know. `rawBytes` and `keyDetails` of the key,
 * which OpenSSF model signing 1.0 wrote, are not looked at.
 */
export function decodeBundle(file: string): Bundle {
  const what = "the bundle";
  const known = ["mediaType", "verificationMaterial", "dsseEnvelope"];
  const { mediaType, verificationMaterial, dsseEnvelope } = fieldsOf(parseStrictJson(file, what, LONGEST), what, known);
  if (mediaType !== MEDIA_TYPE)
    throw new FormatError(`${what}: the media type ${MEDIA_TYPE} expected, found ${shown(mediaType)}`);
  const material = fieldsOf(verificationMaterial, `${what}: verificationMaterial`, [
    "publicKey",
    "tlogEntries",
    "timestampVerificationData",
  ]);
  const { hint } = fieldsOf(material["publicKey"], `${what}: publicKey`, ["hint", "rawBytes", "keyDetails"]);
  listField(material["tlogEntries"] ?? [], `${what}: tlogEntries`, MOST_LOG_ENTRIES);
  const { rfc3161Timestamps } = fieldsOf(
    material["timestampVerificationData"] ?? {},
    `${what}: timestampVerificationData`,
    ["rfc3161Timestamps"],
  );
  const envelope = envelopeFromJson(dsseEnvelope, `${what}: dsseEnvelope`, "refused");
  if (envelope.signatures.length !== 1)
    throw new FormatError(`${what}: exactly one signature expected, found ${envelope.signatures.length}`);
  return {
    envelope,
    hint: optionalText(hint, `${what}: hint`),
    timestamps: listField(rfc3161Timestamps ?? [], `${what}: rfc3161Timestamps`, MOST_STAMPS).map((entry) =>
      stampOf(
        fieldsOf(entry, `${what}: a time stamp`, ["signedTimestamp"])["signedTimestamp"],
        `${what}: signedTimestamp`,
      ),
    ),
  };
}

function stampOf(value: unknown, what: string): Uint8Array {
  const stamp = fromBase64(value, what);
  if (stamp.length > LONGEST_TOKEN)
    throw new FormatError(`${what}: at most ${LONGEST_TOKEN} bytes expected, found ${stamp.length}`);
  return stamp;
}
