export { decodeNpy } from "../io/npy";
export { type Mesh, parseOff } from "../io/off";
export * from "./axis";
export { type Batch, type BatchArray, type BatchArrays, type HostBatch, type TensorBatch, toTensors } from "./batch";
export * from "./cifar";
export { type ColorJitterOptions, colorJitter, type JitterRange } from "./color-jitter";
export {
  type AnyDataset,
  type ArrayPart,
  type ArrayParts,
  arrays,
  type Dataset,
  dataset,
  isDataset,
  type Sample,
} from "./dataset";
export type { Field, Fields, PerField, Rows } from "./fields";
export * from "./held-out";
export { type ImageFilesOptions, imagesFromFiles } from "./image-files";
export { type ImageStream, imageStream, isImageStream } from "./image-stream";
export * from "./image-writer";
export type { LabelledSet, LabelSource } from "./labelled";
export * from "./loader";
export { type MixupOptions, mixup } from "./mixup";
export {
  MODELNET10_CLASSES,
  MODELNET40_CLASSES,
  type ModelNetShape,
  parseModelNetNames,
  parseModelNetPoints,
  parseModelNetShapes,
} from "./modelnet";
export type { ImageFolder, PictureProgress, PictureSetOptions, SkippedPicture } from "./picture-set";
export type { PictureOptions, PictureSize } from "./picture-size";
export { normalizeUnitSphere, type PointParts, type PointSet, pointSet, takePoints } from "./point-cloud";
export * from "./point-transforms";
export type { PictureWindow } from "./resample";
export { type RandomResizedCropOptions, randomResizedCrop } from "./resized-crop";
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
export { type AnySet, asDataset, type ClassDataset, type SampleTransform } from "./samples";
export { type SplitOptions, trainTestSplit } from "./split";
export * from "./surface";
export * from "./transforms";
