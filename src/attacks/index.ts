export { type DisguiseOptions, type DisguisesOptions, disguise, disguises } from "./disguise";
export { type DistilOptions, distil } from "./distil";
export { CollectiveErb, type ExpandedResidualBlock, IndividualErb } from "./erb";
export { type FineTuneOptions, fineTune } from "./fine-tune";
export { type FlipSignsOptions, flipSigns } from "./flip-signs";
export {
  type BoundForgery,
  type BoundForgeryMeans,
  type BoundForgeryOptions,
  forgeBoundClaim,
} from "./forge-bound-claim";
export { type BoundForgeriesOptions, forgeBoundClaims } from "./forge-bound-claims";
export { type ForgedTriggers, type ForgeTriggersOptions, forgeTriggers } from "./forge-triggers";
export { type ForgedWatermark, type ForgeWatermarkOptions, forgeWatermark } from "./forge-watermark";
export { overwrite } from "./overwrite";
export { type RandomPassportsOptions, randomPassports } from "./random-passports";
export type { AttackOptions, AttackRecord, AttackStep, Measurement, Target } from "./record";
export { type ReplaceScalesOptions, replaceScales } from "./replace-scales";
export { isSolvable, PassportEquations } from "./solve";
export { type ForgeryOptions, solvePassports } from "./solved-passports";
export {
  type ForgedPassports,
  type PassportVariant,
  type TrainPassportsOptions,
  trainPassports,
} from "./train-passports";
export { type TrainScalesOptions, trainScales } from "./train-scales";
export type { ForgingBudget, PlainTarget, TrainingBudget } from "./training";
export { type UnlearnTriggersOptions, unlearnTriggers } from "./unlearn-triggers";
export type { WatermarkDetection, WatermarkRecord } from "./watermark-record";
export {
  attackFeatureWatermark,
  attackTriggerSet,
  type MarkedNetwork,
  type TransferTask,
  type WatermarkAttackOptions,
} from "./watermarks";
export { type PruneOptions, prune, pruned, type QuantiseOptions, quantise, quantised } from "./weights";
