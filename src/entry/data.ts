/** `@pan/core/data`: sets in memory and streamed, loaders, augmentation, formats of data sets. */
import "../tensor/methods";

// sets

export { arrays, type Dataset, dataset, type Sample } from "../data/dataset";
export { type TriggerClouds, triggerClouds, withoutClasses } from "../data/held-out";
export { type ImageStream, imageStream } from "../data/image-stream";
export { normalizeUnitSphere, type PointSet, pointSet, takePoints } from "../data/point-cloud";
export {
  concatImages,
  type ImageSet,
  imageSet,
  isPointSet,
  type SampleSet,
  selectSamples,
  subset,
  type TrainingSet,
} from "../data/sample-set";
export type { AnySet, SampleTransform } from "../data/samples";
export { trainTestSplit } from "../data/split";

// loading

export type { Batch, HostBatch, TensorBatch } from "../data/batch";
export { toTensors } from "../data/batch";
export { type BatchTransform, DataLoader } from "../data/loader";

// pictures

export { imagesFromFiles } from "../data/image-files";
export type { ImageFolder } from "../data/picture-set";

// augmentation of images

export { colorJitter } from "../data/color-jitter";
export { mixup } from "../data/mixup";
export { randomResizedCrop } from "../data/resized-crop";
export {
  centerCrop,
  cutout,
  type ImageTransform,
  normalize,
  randomCrop,
  randomHorizontalFlip,
} from "../data/transforms";

// augmentation of clouds

export {
  type PointTransform,
  pointTransform,
  randomCloudRotation,
  randomCloudScale,
  randomCloudShift,
  randomPointDropout,
  randomPointJitter,
} from "../data/point-transforms";
export { sampleSurface } from "../data/surface";

// formats

export {
  CIFAR_MEAN,
  CIFAR_STD,
  CIFAR10_CLASSES,
  CIFAR100_CLASSES,
  cifarTransform,
  parseCifar10,
  parseCifar100,
} from "../data/cifar";
export {
  MODELNET10_CLASSES,
  MODELNET40_CLASSES,
  parseModelNetNames,
  parseModelNetPoints,
  parseModelNetShapes,
} from "../data/modelnet";
export { decodeNpy } from "../io/npy";
export { type Mesh, parseOff } from "../io/off";
