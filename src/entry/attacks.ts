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
export type { ForgingBudget, PlainTarget, TrainingBudget } from "../attacks/training";
export { unlearnTriggers } from "../attacks/unlearn-triggers";
export type { WatermarkDetection, WatermarkRecord } from "../attacks/watermark-record";
export { attackFeatureWatermark, attackTriggerSet, type MarkedNetwork, type TransferTask } from "../attacks/watermarks";
export { prune, pruned, quantise, quantised } from "../attacks/weights";
// watermarks
export { FeatureWatermark } from "../watermarks/feature";

// what these take and give

export type { DisguiseOptions, DisguisesOptions } from "../attacks/disguise";
export type { DistilOptions } from "../attacks/distil";
export type { FineTuneOptions } from "../attacks/fine-tune";
export type { FlipSignsOptions } from "../attacks/flip-signs";
export type { BoundForgeryMeans } from "../attacks/forge-bound-claim";
export type { BoundForgeriesOptions, ForgerySetting } from "../attacks/forge-bound-claims";
export type { ForgedTriggers, ForgeTriggersOptions } from "../attacks/forge-triggers";
export type { ForgedWatermark, ForgeWatermarkOptions } from "../attacks/forge-watermark";
export type { RandomPassportsOptions } from "../attacks/random-passports";
export type { ReplaceScalesOptions } from "../attacks/replace-scales";
export type { ForgeryOptions } from "../attacks/solved-passports";
export type { ForgedPassports, TrainPassportsOptions } from "../attacks/train-passports";
export type { TrainScalesOptions } from "../attacks/train-scales";
export type { UnlearnTriggersOptions } from "../attacks/unlearn-triggers";
export type { WatermarkAttackOptions } from "../attacks/watermarks";
export type { PruneOptions, QuantiseOptions } from "../attacks/weights";
export type { FeatureWatermarkOptions, WatermarkReading } from "../watermarks/feature";
export type { WeightSource } from "../watermarks/weights";
