export { AlexNet, type AlexNetOptions } from "./alexnet";
export { withoutDuplicates } from "./authors";
export { type ConvNetConfig, checkConfig, type LayerSpec, layerSizes, passportLayers } from "./config";
export { type BothBranches, ConvBlock, ConvNet, type LayerSigns } from "./convnet";
export {
  type BranchAccuracy,
  type CredentialInfo,
  joinState,
  readCredential,
  type SplitState,
  splitState,
} from "./split";
