export { AlexNet, type AlexNetOptions } from "./alexnet";
export type { Block } from "./block";
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
export { withoutDuplicates } from "./compat/state-dicts";
export { trunkUpdates } from "./compat/trunk-updates";
export {
  branchesOf,
  hasFc,
  type ImageNetworkSettings,
  type NetworkNorm,
  type NetworkSettings,
  type Passports,
  passportPlan,
  SCHEMES,
  type Scheme,
  type SignatureText,
  secretBranch,
} from "./config";
export { ConvNet, type ConvNetConfig, type LayerSpec } from "./convnet";
export { type ImagePassportOptions, setImagePassports } from "./image-passports";
export type { MapLayer } from "./layers";
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
export { transformPenalty } from "./tnet";
