export type { ClaimDigests, DerivedClaim, TriggerGroup } from "./claim/derive";
export { LEAST_BITS } from "./claim/derive";
export {
  type AnswersEvidence,
  type OpenedGroup,
  type Opening,
  openedTriggers,
  openGroup,
  verifyAnswers,
} from "./claim/opening";
export { type Binding, bind, boundCredential, claimDigest } from "./claim/own";
export type { ClaimSpec, TriggerSpec } from "./claim/spec";
export { boundTriggers, type TriggersLikeOptions, triggersLike } from "./claim/training";
export { type CommitOptions, commit } from "./commitment";
export { newSecret } from "./digest";
export { type Examination, type ExamineOptions, examine, type LayerMatch } from "./examine";
export { type JudgeOptions, type Judgment, judge, type Rival } from "./judge";
export type { Hits, Mark } from "./mark";
export type { NetworkFile } from "./network-file";
export { empiricalPValue, type NullOptions, type NullSample, nullOfCredentials, nullOfNetworks } from "./null";
export { type Possession, provePossession } from "./possession";
export { type RealignedLayer, type Realignment, type RealignOptions, realign } from "./realign";
export { type Rejoined, rejoin, rejoinSuspect } from "./rejoin";
export { type ComparedLayer, type RelationEvidence, type RelationOptions, relation } from "./relation";
export type { RivalFacts, Ruling } from "./ruling";
export { binomialPValue, matchThreshold, type SignatureBalance, signatureBalance, twoSidedPValue } from "./statistics";
export type { TriggerHits } from "./triggers";
export type { Dated, Judgement, VerdictName } from "./verdict";
export { type Verification, type VerifyOptions, verify } from "./verify";
