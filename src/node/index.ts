/** Entry `@pan/core/node`: what needs Node. */
export { loadCifar10 } from "./cifar";
export { type AdapterChoice, type DawnOptions, dawn, describeAdapter } from "./dawn";
export { fileCheckpoints, loadSafetensors, saveSafetensors, writeFileAtomic } from "./files";
