/** `@pan/core/models`: the papers' networks, ready to be protected or already so. */
import "../tensor/methods";

export { AlexNet, alexNetConfig } from "../models/alexnet";
export { type AnyNetwork, buildNetwork, buildPlain, loadDeployed, type NetworkConfig } from "../models/build";
export type { Passports } from "../models/config";
export { ConvNet, type ConvNetConfig } from "../models/convnet";
export { setImagePassports } from "../models/image-passports";
export { PointNet, type PointNetConfig, pointNetConfig } from "../models/pointnet";
export { ResNet, ResNet9, ResNet18, type ResNetConfig, resNetConfig } from "../models/resnet";
