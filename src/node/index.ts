/** Entry `@pan/core/node`: what needs Node. */
export { loadCifar10, loadCifar100, loadImageRecords } from "./cifar";
export { type AdapterChoice, type DawnOptions, dawn, describeAdapter } from "./dawn";
export { fileCheckpoints, loadSafetensors, saveSafetensors, type WriteOptions, writeFileAtomic } from "./files";
export { type ImageFolderOptions, loadImageFolder } from "./image-folder";
export type { OnSkip } from "./mesh-tree";
export {
  loadMeshFolders,
  loadModelNet10,
  loadModelNet40,
  type ModelNet,
  type ModelNetOptions,
  type ModelNetProgress,
} from "./modelnet";
