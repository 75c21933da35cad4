export { type DisguiseOptions, disguise } from "./disguise";
export { type FlipSignsOptions, flipSigns } from "./flip-signs";
export { type RandomPassportsOptions, randomPassports } from "./random-passports";
export type { AttackOptions, AttackRecord, AttackStep, Measurement, Target } from "./record";
export { PassportEquations } from "./solve";
export { type ForgeryOptions, solvePassports } from "./solved-passports";
export { type PruneOptions, prune, pruned, type QuantiseOptions, quantise, quantised } from "./weights";
