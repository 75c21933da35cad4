export { AlexNet, type AlexNetOptions, type AlexNetSettings, alexNetConfig } from "./alexnet";
export {
  type AnyNetwork,
  buildNetwork,
  buildPlain,
  checkConfig,
  deployedConfig,
  loadDeployed,
  type NetworkConfig,
} from "./build";
export type { ChannelSource } from "./channels";
export { withoutDuplicates } from "./compat/state-dicts";
export { trunkUpdates } from "./compat/trunk-updates";
export type { ImageNetworkSettings, NetworkNorm, NetworkSettings, Passports } from "./config";
export { ConvNet, type ConvNetConfig, type LayerSpec } from "./convnet";
export { type CredentialInfo, readCredential } from "./credential";
export { type ImagePassportOptions, setImagePassports } from "./image-passports";
export type { BranchNormName, NormName } from "./norms";
export { PointNet, type PointNetConfig, type PointNetOptions, type PointNetSettings, pointNetConfig } from "./pointnet";
export { ResNet, ResNet9, ResNet18, type ResNetConfig, type ResNetOptions, resNetConfig } from "./resnet";
export { transformPenalty } from "./tnet";
