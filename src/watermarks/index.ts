export { FeatureWatermark, type FeatureWatermarkOptions, type WatermarkReading } from "./feature";
export { detectTriggers, type TriggerDetectionOptions } from "./trigger-set";
export type { WeightSource } from "./weights";
