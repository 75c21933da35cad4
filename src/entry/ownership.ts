/** `@pan/core/ownership`: claims to a network, and what they are worth. */
import "../tensor/methods";

// an owner

export type { DerivedClaim } from "../ownership/claim/derive";
export { type Binding, bind, boundCredential, claimDigest } from "../ownership/claim/own";
export type { ClaimSpec, TriggerSpec } from "../ownership/claim/spec";
export { commit } from "../ownership/commitment";
export { newSecret } from "../ownership/digest";
export type { NetworkFile } from "../ownership/network-file";
export { type Possession, provePossession } from "../ownership/possession";

// triggers

export {
  type AnswersEvidence,
  type Opening,
  openedTriggers,
  openGroup,
  verifyAnswers,
} from "../ownership/claim/opening";
export { boundTriggers, triggersLike } from "../ownership/claim/training";

// a verifier

export { readCredential } from "../models/credential";
export { type Examination, type ExamineOptions, examine } from "../ownership/examine";
export { type Judgment, judge, type Rival } from "../ownership/judge";
export type { Mark } from "../ownership/mark";
export { rejoin } from "../ownership/rejoin";
export { type RelationEvidence, relation } from "../ownership/relation";
export type { VerdictName } from "../ownership/verdict";
export { type Verification, type VerifyOptions, verify } from "../ownership/verify";

// what chance does

export { empiricalPValue, type NullSample, nullOfCredentials, nullOfNetworks } from "../ownership/null";
export { realign } from "../ownership/realign";
export { binomialPValue, matchThreshold, signatureBalance, twoSidedPValue } from "../ownership/statistics";
