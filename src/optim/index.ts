export { Adam, type AdamOptions, AdamW } from "./adam";
export { type ClipOptions, clipGradNorm, clipGradValue } from "./clip";
export { Optimizer, type OptimizerState, type ParamGroup, type Params } from "./optimizer";
export * from "./schedules";
export { SGD, type SGDOptions } from "./sgd";
