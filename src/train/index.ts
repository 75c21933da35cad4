export { type Checkpoint, type CheckpointStore, decodeCheckpoint, encodeCheckpoint } from "./checkpoint";
export { type EvaluateOptions, evaluate } from "./evaluate";
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
export { type FitOptions, Trainer } from "./trainer";
