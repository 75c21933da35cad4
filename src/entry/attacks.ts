/**
 * `@pan/core/attacks`: what claims are tried with, and the watermarks that passports are held
 * against.
 */
import "../tensor/methods";

export { disguise, disguises } from "../attacks/disguise";
export { distil } from "../attacks/distil";
export { fineTune } from "../attacks/fine-tune";
export { flipSigns } from "../attacks/flip-signs";
export { type BoundForgery, type BoundForgeryOptions, forgeBoundClaim } from "../attacks/forge-bound-claim";
export { forgeBoundClaims } from "../attacks/forge-bound-claims";
export { forgeTriggers } from "../attacks/forge-triggers";
export { forgeWatermark } from "../attacks/forge-watermark";
export { overwrite } from "../attacks/overwrite";
export { randomPassports } from "../attacks/random-passports";
export type { AttackOptions, AttackRecord, AttackStep, Measurement, Target } from "../attacks/record";
export { replaceScales } from "../attacks/replace-scales";
export { isSolvable } from "../attacks/solve";
export { solvePassports } from "../attacks/solved-passports";
export { type PassportVariant, trainPassports } from "../attacks/train-passports";
export { trainScales } from "../attacks/train-scales";
export type { PlainTarget, TrainingBudget } from "../attacks/training";
export type { WatermarkDetection, WatermarkRecord } from "../attacks/watermark-record";
export { attackFeatureWatermark, attackTriggerSet, type MarkedNetwork, type TransferTask } from "../attacks/watermarks";
export { prune, pruned, quantise, quantised } from "../attacks/weights";
// watermarks
export { FeatureWatermark } from "../watermarks/feature";
