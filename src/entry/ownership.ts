/** `@pan/core/ownership`: claims to a network, and what they are worth. */
import "../tensor/methods";

// an owner

export { bind } from "../ownership/claim/bind";
export { commit } from "../ownership/claim/commitment";
export type { ClaimDigests, DerivedClaim, TriggerGroup } from "../ownership/claim/derive";
export { type Binding, boundCredential, claimDigest } from "../ownership/claim/own";
export { type Possession, provePossession } from "../ownership/claim/possession";
export type { ClaimSpec, TriggerSpec } from "../ownership/claim/spec";
export { newSecret } from "../ownership/digest";
export type { NetworkFile } from "../ownership/network-file";

// triggers

export { openedTriggers } from "../ownership/claim/opened-triggers";
export {
  type AnswersEvidence,
  type Opening,
  openGroup,
  verifyAnswers,
} from "../ownership/claim/opening";
export { boundTriggers, suppliedTriggers, triggersLike } from "../ownership/claim/training";

// a verifier

export { readCredential } from "../models/credential";
export type { Dated } from "../ownership/dates";
export { relation } from "../ownership/relation/related";
export type { ComparedLayer, RelationEvidence } from "../ownership/relation/relation";
export type { Examination, LayerMatch } from "../ownership/running/examination";
export { type ExamineOptions, examine } from "../ownership/running/examine";
export { rejoin } from "../ownership/running/rejoin";
export type { Counterpart } from "../ownership/suspect/counterparts";
export { judge, type Rival } from "../ownership/verdict/judge";
export type { JudgeOptions, Judgment } from "../ownership/verdict/judgment";
export type { Hits, Mark } from "../ownership/verdict/mark";
export type { Judgement, VerdictName } from "../ownership/verdict/verdict";
export type { Verification } from "../ownership/verdict/verification";
export { type VerifyOptions, verify } from "../ownership/verdict/verify";

// what chance does

export { binomialPValue, matchThreshold, signatureBalance, twoSidedPValue } from "../ownership/statistics";
export { empiricalPValue, type NullSample, nullOfCredentials, nullOfNetworks } from "../ownership/suspect/null";
export { realign } from "../ownership/suspect/realign";

// what these take and give

export type { CredentialInfo } from "../models/credential";
export type { CommitOptions } from "../ownership/claim/commitment";
export type { OpenedGroup } from "../ownership/claim/opened-triggers";
export type { BoundTriggersOptions, SuppliedTriggersOptions, TriggersLikeOptions } from "../ownership/claim/training";
export type { TriggerInputs } from "../ownership/claim/triggers";
export type { Matchings } from "../ownership/relation/fixed-points";
export type { RelationOptions } from "../ownership/relation/related";
export type { BranchHits } from "../ownership/running/fidelity";
export type { TriggerHits } from "../ownership/running/triggers";
export type { SignatureBalance } from "../ownership/statistics";
export type { NullOptions } from "../ownership/suspect/null";
export type { RealignedLayer, Realignment, RealignOptions } from "../ownership/suspect/realign";
export type { Evidence } from "../ownership/verdict/evidence";
export type { RivalFacts, Ruling } from "../ownership/verdict/ruling";
