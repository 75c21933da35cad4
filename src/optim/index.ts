export { Adam, type AdamOptions, AdamW } from "./adam";
export { ExponentialMovingAverage, type ExponentialMovingAverageOptions } from "./average";
export { type ClipOptions, clipGradNorm, clipGradValue } from "./clip";
export { Optimizer, type OptimizerState } from "./optimizer";
export type { ParamGroup, Params } from "./params";
export * from "./schedules";
export { SGD, type SGDOptions } from "./sgd";
