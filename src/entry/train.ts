/** `@pan/core/train`: the trainer, evaluation, histories, checkpoints. */
import "../tensor/methods";

export { type Checkpoint, type CheckpointStore, decodeCheckpoint, encodeCheckpoint } from "../train/checkpoint";
export { type EvaluateOptions, evaluate } from "../train/evaluate";
export type { Fit } from "../train/fit";
export { bestEpoch, type EpochRecord, epochsCsv, type History, type StepRecord, stepsCsv } from "../train/history";
export type { EarlyStop, Progress, TrainerOptions, TrainingMode, TriggerOptions } from "../train/options";
export { predict } from "../train/predict";
export type { TaskBatch, TaskFunction, TaskOptions } from "../train/task";
export { type FitOptions, Trainer } from "../train/trainer";

// what these take and give

export type { Measured, MeasureOptions } from "../train/evaluate";
export type { PredictOptions } from "../train/predict";
