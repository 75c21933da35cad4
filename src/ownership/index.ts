export { bind } from "./claim/bind";
export { type CommitOptions, commit } from "./claim/commitment";
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
export { type Possession, provePossession } from "./claim/possession";
export type { ClaimSpec, TriggerSpec } from "./claim/spec";
export { boundTriggers, suppliedTriggers, type TriggersLikeOptions, triggersLike } from "./claim/training";
export type { Dated } from "./dates";
export { newSecret } from "./digest";
export type { NetworkFile } from "./network-file";
export { type RelationOptions, relation } from "./relation/related";
export type { ComparedLayer, RelationEvidence } from "./relation/relation";
export type { Examination, LayerMatch } from "./running/examination";
export { type ExamineOptions, examine } from "./running/examine";
export { type Rejoined, rejoin, rejoinSuspect } from "./running/rejoin";
export type { TriggerHits } from "./running/triggers";
export { binomialPValue, matchThreshold, type SignatureBalance, signatureBalance, twoSidedPValue } from "./statistics";
export { empiricalPValue, type NullOptions, type NullSample, nullOfCredentials, nullOfNetworks } from "./suspect/null";
export { type RealignedLayer, type Realignment, type RealignOptions, realign } from "./suspect/realign";
export { judge, type Rival } from "./verdict/judge";
export type { JudgeOptions, Judgment } from "./verdict/judgment";
export type { Hits, Mark } from "./verdict/mark";
export type { RivalFacts, Ruling } from "./verdict/ruling";
export type { Judgement, VerdictName } from "./verdict/verdict";
export type { Verification } from "./verdict/verification";
export { type VerifyOptions, verify } from "./verdict/verify";
