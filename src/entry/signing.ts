/** `@pan/core/signing`: keys, signed bundles, time stamps, OpenSSF model signing. */
import "../tensor/methods";

export { sha256Hex, sha512Hex } from "../io/digest";
export { type Bundle, bundleSignature, decodeBundle, encodeBundle, withTimestamp } from "../signing/bundle";
export {
  newSigningKey,
  publicKeyPem,
  type Signer,
  type SigningAlgorithm,
  type SigningKey,
  signerOf,
  verifySignature,
} from "../signing/keys";
export { type ModelFiles, signModel, verifyModel } from "../signing/openssf";
export { type Timestamp, type TimestampTrust, verifyTimestamp } from "../signing/timestamp";
export { timestampQuery } from "../signing/timestamp-query";

// what these take and give

export type { Hash } from "../io/digest";
export type { Envelope, EnvelopeSignature } from "../signing/dsse";
export type { SignedModel, SignModelOptions } from "../signing/openssf";
export type { TimestampQueryOptions } from "../signing/timestamp-query";
