/** `@pan/core/ownership`: claims to a network, and what they are worth. */
import "../tensor/methods";

// an owner

export { bind } from "../ownership/claim/bind";
export type { ClaimDigests, DerivedClaim, TriggerGroup } from "../ownership/claim/derive";
export { type Binding, boundCredential, claimDigest } from "../ownership/claim/own";
export type { ClaimSpec, TriggerSpec } from "../ownership/claim/spec";
export { commit } from "../ownership/commitment";
export { newSecret } from "../ownership/digest";
export type { NetworkFile } from "../ownership/network-file";
export { type Possession, provePossession } from "../ownership/possession";

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
export type { Counterpart } from "../ownership/counterparts";
export type { Examination, LayerMatch } from "../ownership/examination";
export { type ExamineOptions, examine } from "../ownership/examine";
export { judge, type Rival } from "../ownership/judge";
export type { JudgeOptions, Judgment } from "../ownership/judgment";
export type { Hits, Mark } from "../ownership/mark";
export { rejoin } from "../ownership/rejoin";
export { relation } from "../ownership/related";
export type { ComparedLayer, RelationEvidence } from "../ownership/relation";
export type { Dated, Judgement, VerdictName } from "../ownership/verdict";
export type { Verification } from "../ownership/verification";
export { type VerifyOptions, verify } from "../ownership/verify";

// what chance does

export { empiricalPValue, type NullSample, nullOfCredentials, nullOfNetworks } from "../ownership/null";
export { realign } from "../ownership/realign";
export { binomialPValue, matchThreshold, signatureBalance, twoSidedPValue } from "../ownership/statistics";

// what these take and give

export type { CredentialInfo } from "../models/credential";
export type { OpenedGroup } from "../ownership/claim/opened-triggers";
export type { BoundTriggersOptions, SuppliedTriggersOptions, TriggersLikeOptions } from "../ownership/claim/training";
export type { TriggerInputs } from "../ownership/claim/triggers";
export type { CommitOptions } from "../ownership/commitment";
export type { Evidence } from "../ownership/evidence";
export type { BranchHits } from "../ownership/fidelity";
export type { Matchings } from "../ownership/fixed-points";
export type { NullOptions } from "../ownership/null";
export type { RealignedLayer, Realignment, RealignOptions } from "../ownership/realign";
export type { RelationOptions } from "../ownership/related";
export type { RivalFacts, Ruling } from "../ownership/ruling";
export type { SignatureBalance } from "../ownership/statistics";
export type { TriggerHits } from "../ownership/triggers";
