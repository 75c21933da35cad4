export { type DisguiseOptions, disguise, disguises } from "./disguise";
export { CollectiveErb, type ExpandedResidualBlock, IndividualErb } from "./erb";
export { type FineTuneOptions, fineTune } from "./fine-tune";
export { type FlipSignsOptions, flipSigns } from "./flip-signs";
export { overwrite } from "./overwrite";
export { type RandomPassportsOptions, randomPassports } from "./random-passports";
export type { AttackOptions, AttackRecord, AttackStep, Measurement, Target } from "./record";
export { type ReplaceScalesOptions, replaceScales } from "./replace-scales";
export { PassportEquations } from "./solve";
export { type ForgeryOptions, solvePassports } from "./solved-passports";
export {
  type ForgedPassports,
  type PassportVariant,
  type TrainPassportsOptions,
  trainPassports,
} from "./train-passports";
export { type TrainScalesOptions, trainScales } from "./train-scales";
export type { TrainingBudget } from "./training";
export { type PruneOptions, prune, pruned, type QuantiseOptions, quantise, quantised } from "./weights";
