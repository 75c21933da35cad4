export {
  type Binding,
  type BindingInfo,
  BOUND_BITS,
  bind,
  boundCredential,
  deriveBinding,
  newSecret,
  readBinding,
} from "./binding";
export type { BoundEvidence } from "./bound";
export { type Commitment, type CommitmentMatch, commit, openCommitment } from "./commitment";
export { empiricalPValue, type NullOptions, type NullSample, nullOfCredentials, nullOfNetworks } from "./null";
export { type RealignedLayer, type Realignment, type RealignOptions, realign } from "./realign";
export { type Rejoined, rejoin, rejoinSuspect } from "./rejoin";
export { type ComparedLayer, type RelationEvidence, type RelationOptions, relation } from "./relation";
export { binomialPValue, matchThreshold, type SignatureBalance, signatureBalance, twoSidedPValue } from "./statistics";
export type { TriggerHits } from "./triggers";
export { type LayerMatch, type Verification, type VerifyOptions, verify } from "./verify";
