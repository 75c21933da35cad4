/** `@pan/core/ownership`: claims to a network, and what they are worth. */
import "../tensor/methods";

// an owner

export { bind } from "../ownership/claim/bind";
export type { DerivedClaim } from "../ownership/claim/derive";
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
export type { Examination } from "../ownership/examination";
export { type ExamineOptions, examine } from "../ownership/examine";
export { judge, type Rival } from "../ownership/judge";
export type { Judgment } from "../ownership/judgment";
export type { Mark } from "../ownership/mark";
export { rejoin } from "../ownership/rejoin";
export { relation } from "../ownership/related";
export type { RelationEvidence } from "../ownership/relation";
export type { VerdictName } from "../ownership/verdict";
export type { Verification } from "../ownership/verification";
export { type VerifyOptions, verify } from "../ownership/verify";

// what chance does

export { empiricalPValue, type NullSample, nullOfCredentials, nullOfNetworks } from "../ownership/null";
export { realign } from "../ownership/realign";
export { binomialPValue, matchThreshold, signatureBalance, twoSidedPValue } from "../ownership/statistics";
