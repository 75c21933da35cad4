/** `@pan/core/optim`: optimisers, schedules of learning rates, averages of weights. */
import "../tensor/methods";

export { Adam, AdamW } from "../optim/adam";
export { ExponentialMovingAverage } from "../optim/average";
export { clipGradNorm, clipGradValue } from "../optim/clip";
export { Optimizer, type OptimizerState } from "../optim/optimizer";
export type { Params } from "../optim/params";
export { constantLR, cosineLR, multiStepLR, oneCycleLR, type Schedule, stepLR, warmupLR } from "../optim/schedules";
export { SGD } from "../optim/sgd";
