export { sha256Hex, sha512Hex } from "../io/digest";
export {
  type Bundle,
  bundleSignature,
  decodeBundle,
  encodeBundle,
  signBundle,
  verifyBundle,
  withTimestamp,
} from "./bundle";
export {
  type Envelope,
  type EnvelopeSignature,
  envelopeFromJson,
  envelopeToJson,
  pae,
  signEnvelope,
  verifyEnvelope,
} from "./dsse";
export {
  keyHint,
  newSigningKey,
  publicKeyOf,
  publicKeyPem,
  type Signer,
  type SigningAlgorithm,
  type SigningKey,
  signerOf,
  verifySignature,
} from "./keys";
export { type ModelFiles, type SignedModel, type SignModelOptions, signModel, verifyModel } from "./openssf";
export {
  decodeStatement,
  encodeStatement,
  findSubject,
  IN_TOTO,
  type Statement,
  type Subject,
  subjectOf,
} from "./statement";
export { type Timestamp, type TimestampTrust, verifyTimestamp } from "./timestamp";
export { type TimestampQueryOptions, timestampQuery } from "./timestamp-query";
