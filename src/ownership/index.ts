export { bind } from "./claim/bind";
export type { ClaimDigests, DerivedClaim, TriggerGroup } from "./claim/derive";
export { LEAST_BITS } from "./claim/derive";
export { type OpenedGroup, openedTriggers } from "./claim/opened-triggers";
export {
  type AnswersEvidence,
  type Opening,
  openGroup,
  verifyAnswers,
} from "./claim/opening";
export { type Binding, boundCredential, claimDigest } from "./claim/own";
export type { ClaimSpec, TriggerSpec } from "./claim/spec";
export { boundTriggers, suppliedTriggers, type TriggersLikeOptions, triggersLike } from "./claim/training";
export { type CommitOptions, commit } from "./commitment";
export { newSecret } from "./digest";
export type { Examination, LayerMatch } from "./examination";
export { type ExamineOptions, examine } from "./examine";
export { judge, type Rival } from "./judge";
export type { JudgeOptions, Judgment } from "./judgment";
export type { Hits, Mark } from "./mark";
export type { NetworkFile } from "./network-file";
export { empiricalPValue, type NullOptions, type NullSample, nullOfCredentials, nullOfNetworks } from "./null";
export { type Possession, provePossession } from "./possession";
export { type RealignedLayer, type Realignment, type RealignOptions, realign } from "./realign";
export { type Rejoined, rejoin, rejoinSuspect } from "./rejoin";
export { type RelationOptions, relation } from "./related";
export type { ComparedLayer, RelationEvidence } from "./relation";
export type { RivalFacts, Ruling } from "./ruling";
export { binomialPValue, matchThreshold, type SignatureBalance, signatureBalance, twoSidedPValue } from "./statistics";
export type { TriggerHits } from "./triggers";
export type { Dated, Judgement, VerdictName } from "./verdict";
export type { Verification } from "./verification";
export { type VerifyOptions, verify } from "./verify";
