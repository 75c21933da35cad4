/** `@pan/core/optim`: optimisers, schedules of learning rates, averages of weights. */
import "../tensor/methods";

export { Adam, AdamW } from "../optim/adam";
export { ExponentialMovingAverage } from "../optim/average";
export { clipGradNorm, clipGradValue } from "../optim/clip";
export { Optimizer, type OptimizerState } from "../optim/optimizer";
export type { ParamGroup, Params } from "../optim/params";
export { constantLR, cosineLR, multiStepLR, oneCycleLR, type Schedule, stepLR, warmupLR } from "../optim/schedules";
export { SGD } from "../optim/sgd";

// what these take and give

export type { AdamOptions } from "../optim/adam";
export type { ExponentialMovingAverageOptions } from "../optim/average";
export type { ClipOptions } from "../optim/clip";
export type { OptimizerRule } from "../optim/optimizer";
export type { CosineOptions, OneCycleOptions } from "../optim/schedules";
export type { SGDOptions } from "../optim/sgd";
