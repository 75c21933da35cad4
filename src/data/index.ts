export { decodeNpy } from "../io/npy";
export { type Mesh, parseOff } from "../io/off";
export * from "./cifar";
export {
  concatImages,
  type Dataset,
  type ImageSet,
  imageSet,
  isPointSet,
  sampleShape,
  selectSamples,
  subset,
} from "./dataset";
export * from "./held-out";
export type { LabelledSet } from "./labelled";
export * from "./loader";
export { type ModelNetShape, parseModelNetNames, parseModelNetPoints, parseModelNetShapes } from "./modelnet";
export { normalizeUnitSphere, type PointSet, pointSet, takePoints } from "./point-cloud";
export * from "./point-transforms";
export type { SampleTransform } from "./samples";
export * from "./surface";
export * from "./transforms";
