export { decodeNpy } from "../io/npy";
export { type Mesh, parseOff } from "../io/off";
export * from "./axis";
export * from "./cifar";
export {
  concatImages,
  type Dataset,
  type ImageParts,
  type ImageSet,
  imageSet,
  isPointSet,
  type Pixels,
  sampleShape,
  selectSamples,
  subset,
} from "./dataset";
export * from "./held-out";
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
export type { SampleTransform } from "./samples";
export * from "./surface";
export * from "./transforms";
