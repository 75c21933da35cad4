/**
 * `@pan/core/verify`: verdicts from files alone, for verifiers on any JavaScript: no WebGPU,
 * nothing of Node. Its names are those of other entries on purpose; `verify` and `judge` are those
 * of `@pan/core/ownership` in all but what needs a network that runs.
 */

// errors

export { ArgumentError, FormatError, PanError, StateDictError } from "../errors";

// a verifier

export type { AskTriggers, TriggerQuestions } from "../ownership/ask";
export { type JudgeFilesOptions, judgeFiles as judge } from "../ownership/judge-files";
export type { Judgment, RivalFiles } from "../ownership/judgment";
export type { Mark } from "../ownership/mark";
export type { NetworkFile } from "../ownership/network-file";
export type { Possession } from "../ownership/possession";
export type { RelationEvidence } from "../ownership/relation";
export type { VerdictName } from "../ownership/verdict";
export type { Verification } from "../ownership/verification";
export { type VerifyFilesOptions, verifyFiles as verify } from "../ownership/verify-files";

// answers to an opened group of triggers

export { type AnswersEvidence, type Opening, verifyAnswers } from "../ownership/claim/opening";
