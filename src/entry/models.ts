/** `@pan/core/models`: the papers' networks, ready to be protected or already so. */
import "../tensor/methods";

export { AlexNet, alexNetConfig } from "../models/alexnet";
export { type AnyNetwork, buildNetwork, buildPlain, loadDeployed } from "../models/build";
export type { ImageNetworkSettings, NetworkNorm, NetworkSettings, Passports } from "../models/config";
export { ConvNet } from "../models/convnet";
export type { ConvNetConfig, LayerSpec } from "../models/described/convnet";
export type { NetworkConfig } from "../models/described/network";
export type { PointNetConfig } from "../models/described/pointnet";
export type { ResNetConfig } from "../models/described/resnet";
export { setImagePassports } from "../models/image-passports";
export { PointNet, pointNetConfig } from "../models/pointnet";
export { ResNet, ResNet9, ResNet18, resNetConfig } from "../models/resnet";

// what these take and give

export type { AlexNetOptions, AlexNetSettings } from "../models/alexnet";
export type { NormedMap } from "../models/block";
export type { ChannelSource } from "../models/channels";
export type { ImagePassportOptions } from "../models/image-passports";
export type { MapLayer } from "../models/layers";
export type { BranchNormName, NormName } from "../models/norm-names";
export type { OfPassports, PlainConfig } from "../models/plain";
export type { PointNetOptions, PointNetSettings } from "../models/pointnet";
export type { BasicBlock, ResNetOptions } from "../models/resnet";
export type { TNet } from "../models/tnet";
