export { decodeNpy } from "../io/npy";
export { type Mesh, parseOff } from "../io/off";
export * from "./axis";
export { type Batch, type BatchArray, type BatchArrays, type HostBatch, type TensorBatch, toTensors } from "./batch";
export * from "./cifar";
export {
  concatImages,
  type ImageParts,
  type ImageSet,
  imageSet,
  isPointSet,
  type Pixels,
  type SampleSet,
  sampleShape,
  selectSamples,
  subset,
  type TrainingSet,
} from "./sample-set";
export { type ArrayPart, type ArrayParts, arrays, type Dataset, dataset, isDataset, type Sample } from "./dataset";
export type { Field, Fields, PerField, Rows } from "./fields";
export * from "./held-out";
export { type ImageStream, imageStream, isImageStream } from "./image-stream";
export * from "./image-writer";
export type { LabelledSet, LabelSource } from "./labelled";
export * from "./loader";
export {
  MODELNET10_CLASSES,
  MODELNET40_CLASSES,
  type ModelNetShape,
  parseModelNetNames,
  parseModelNetPoints,
  parseModelNetShapes,
} from "./modelnet";
export { normalizeUnitSphere, type PointParts, type PointSet, pointSet, takePoints } from "./point-cloud";
export * from "./point-transforms";
export { type AnySet, asDataset, type ClassDataset, type SampleTransform } from "./samples";
export * from "./surface";
export * from "./transforms";
