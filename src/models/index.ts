export { AlexNet, type AlexNetOptions } from "./alexnet";
export { type Block, PlainBlock } from "./block";
export {
  type AnyNetwork,
  buildNetwork,
  type CredentialInfo,
  checkConfig,
  deployedConfig,
  loadDeployed,
  type NetworkConfig,
  networkLayers,
  readCredential,
} from "./build";
export { negateFilters, permuteChannels, scaleChannels, scaleFilters } from "./channels";
export { withoutDuplicates, withoutUnused } from "./compat/state-dicts";
export { trunkUpdates } from "./compat/trunk-updates";
export {
  branchesOf,
  hasFc,
  type ImageNetworkSettings,
  type NetworkNorm,
  type NetworkSettings,
  normOf,
  type Passports,
  passportPlan,
  SCHEMES,
  type Scheme,
  type SignatureText,
  secretBranch,
  signatureTexts,
} from "./config";
export { ConvNet, type ConvNetConfig, type LayerSpec, layerSizes } from "./convnet";
export { type HiddenChannels, hiddenChannels } from "./edges";
export { foldBatchNorm } from "./fold";
export { type ImagePassportOptions, setImagePassports } from "./image-passports";
export { type MapLayer, passportPlaces } from "./layers";
export {
  countSigns,
  type DeployOptions,
  type LayerSigns,
  Network,
  type TrainingPass,
  type TrainingPassOptions,
} from "./network";
export type { PassOptions } from "./pass";
export { PointNet, type PointNetConfig, type PointNetOptions } from "./pointnet";
export { ResNet, ResNet9, ResNet18, type ResNetConfig, type ResNetOptions } from "./resnet";
export { type GammaBetas, joinState, type SplitState, type Structure, splitState } from "./split";
export { TNet, transformPenalty } from "./tnet";
