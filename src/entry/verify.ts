/**
 * `@pan/core/verify`: verdicts from files alone, for verifiers on any JavaScript: no WebGPU,
 * nothing of Node. Its names are those of other entries on purpose; `verify` and `judge` are those
 * of `@pan/core/ownership` in all but what needs a network that runs.
 */

// errors

export { ArgumentError, FormatError, PanError, StateDictError } from "../errors";

// a verifier

export type { AskTriggers, TriggerQuestions } from "../ownership/claim/answers";
export type { Possession } from "../ownership/claim/possession";
export type { Dated } from "../ownership/dates";
export type { NetworkFile } from "../ownership/network-file";
export type { ComparedLayer, RelationEvidence } from "../ownership/relation/relation";
export { type JudgeFilesOptions, judgeFiles as judge } from "../ownership/verdict/judge-files";
export type { JudgeOptions, Judgment, RivalFiles } from "../ownership/verdict/judgment";
export type { Hits, Mark } from "../ownership/verdict/mark";
export type { Judgement, VerdictName } from "../ownership/verdict/verdict";
export type { Verification } from "../ownership/verdict/verification";
export { type VerifyFilesOptions, verifyFiles as verify } from "../ownership/verdict/verify-files";

// answers to an opened group of triggers

export { type AnswersEvidence, type Opening, verifyAnswers } from "../ownership/claim/opening";

// what these take and give

export type { ErrorCode } from "../errors";
export type { HostArray, HostTensor, SafetensorsDtype, StateDict } from "../io/host-tensor";
export type { SafetensorsFile } from "../io/safetensors";
export type { NonSharedFloat32Array, NonSharedUint8Array } from "../io/typed-arrays";
export type { WeightsFile, WeightsFormat } from "../io/weights";
export type { ClaimSpec, TriggerSpec } from "../ownership/claim/spec";
export type { TriggerInputs } from "../ownership/claim/triggers";
export type { Matchings } from "../ownership/relation/fixed-points";
export type { Examination, LayerMatch } from "../ownership/running/examination";
export type { BranchHits } from "../ownership/running/fidelity";
export type { TriggerHits } from "../ownership/running/triggers";
export type { Counterpart } from "../ownership/suspect/counterparts";
export type { Evidence } from "../ownership/verdict/evidence";
export type { RivalFacts, Ruling } from "../ownership/verdict/ruling";
export type { Branch, BranchAccuracy } from "../passport/branches";
export type { MapGeometry, PassportPlace } from "../passport/place";
export type { Scheme } from "../passport/schemes";
export type { Bundle } from "../signing/bundle";
export type { Envelope, EnvelopeSignature } from "../signing/dsse";
