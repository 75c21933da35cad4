export { type Checkpoint, type CheckpointStore, decodeCheckpoint, encodeCheckpoint } from "./checkpoint";
export { type EvaluateOptions, evaluate } from "./evaluate";
export type { EpochRecord, History, StepRecord } from "./history";
export { type Progress, Trainer, type TrainerOptions } from "./trainer";
