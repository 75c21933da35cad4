/** `@pan/core/node`: what needs Node: Dawn, files, folders of data sets. */
export { loadCifar10, loadCifar100, loadImageRecords } from "../node/cifar";
export { type DawnOptions, dawn, describeAdapter } from "../node/dawn";
export {
  fileCheckpoints,
  saveSafetensors,
  type WriteOptions,
  writeFileAtomic,
} from "../node/files";
export { type ImageFolderOptions, loadImageFolder } from "../node/image-folder";
export { loadMeshFolders, loadModelNet10, loadModelNet40, type ModelNet } from "../node/modelnet";
export { loadSafetensors, loadWeights, type ReadOptions } from "../node/read-files";
export { jsonLines, type RunLog, tensorBoard } from "../node/run-log";

// what these take and give

export type { AdapterClass } from "../gpu/adapter";
export type { AdapterChoice } from "../node/adapter-help";
export type { OnSkip } from "../node/mesh-tree";
export type { ModelNetOptions, ModelNetProgress } from "../node/modelnet";
