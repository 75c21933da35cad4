export { type Checkpoint, type CheckpointStore, decodeCheckpoint, encodeCheckpoint } from "./checkpoint";
export { type EvaluateOptions, evaluate, type Measured, type MeasureOptions } from "./evaluate";
export {
  bestEpoch,
  type EpochRecord,
  epochsCsv,
  type History,
  meanAccuracy,
  type StepRecord,
  stepsCsv,
} from "./history";
export type { EarlyStop, Progress, TrainerOptions, TrainingMode, TriggerOptions } from "./options";
export { type PredictOptions, predict } from "./predict";
export type { TaskBatch, TaskFunction, TaskOptions } from "./task";
export { type FitOptions, Trainer } from "./trainer";
