/** `@pan/core/models`: the papers' networks, ready to be protected or already so. */
import "../tensor/methods";

export { AlexNet, alexNetConfig } from "../models/alexnet";
export { type AnyNetwork, buildNetwork, buildPlain, loadDeployed } from "../models/build";
export type { Passports } from "../models/config";
export { ConvNet } from "../models/convnet";
export type { ConvNetConfig } from "../models/described/convnet";
export type { NetworkConfig } from "../models/described/network";
export type { PointNetConfig } from "../models/described/pointnet";
export type { ResNetConfig } from "../models/described/resnet";
export { setImagePassports } from "../models/image-passports";
export { PointNet, pointNetConfig } from "../models/pointnet";
export { ResNet, ResNet9, ResNet18, resNetConfig } from "../models/resnet";
