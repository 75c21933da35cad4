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

export type { Batch, BatchArray, BatchArrays, HostBatch, TensorBatch } from "../data/batch";
export { toTensors } from "../data/batch";
export { type BatchTransform, DataLoader } from "../data/loader";

// pictures

export { imagesFromFiles } from "../data/image-files";
export type { ImageFolder, PictureProgress, PictureSetOptions, SkippedPicture } from "../data/picture-set";

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

// what these take and give

export type { Axis } from "../data/axis";
export type { Cifar10Options, Cifar100Options } from "../data/cifar";
export type { ColorJitterOptions, JitterRange } from "../data/color-jitter";
export type { AnyDataset, ArrayPart, ArrayParts, FieldOf, FieldsOf } from "../data/dataset";
export type { Elements, ElementsOfField, Field, Fields, PerField, Rows } from "../data/fields";
export type { TriggerCloudOptions } from "../data/held-out";
export type { ChosenFile, ChosenFiles, ImageFilesOptions, SomeFile } from "../data/image-files";
export type { LabelledSet, LabelSource } from "../data/labelled";
export type { BatchOf, DataLoaderOptions } from "../data/loader";
export type { MixupOptions } from "../data/mixup";
export type { ModelNetShape } from "../data/modelnet";
export type { PictureOptions, PictureSize } from "../data/picture-size";
export type { PointParts } from "../data/point-cloud";
export type { CoordinateAxis } from "../data/point-transforms";
export type { PictureWindow } from "../data/resample";
export type { RandomResizedCropOptions } from "../data/resized-crop";
export type { ImageParts, Pixels } from "../data/sample-set";
export type { SplitOptions } from "../data/split";
export type {
  ColorTransform,
  GeometryTransform,
  PixelTransform,
  ResampleTransform,
  ValueTransform,
} from "../data/transforms";
