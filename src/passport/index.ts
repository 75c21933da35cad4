export type { AroundNorm } from "./branch-pass";
export type { Branch, BranchAccuracy } from "./branches";
export type { SecretPlan } from "./built-in";
export {
  type ChannelGroup,
  type ChannelMember,
  type ChannelPart,
  type ChannelRun,
  type Channels,
  channelsOf,
  type FactorGroup,
  type FactorMember,
} from "./channels";
export { passportGammaBeta, passportMeans, windowMeans } from "./closed-form";
export { imagePassports, randomPassport, shufflePassport } from "./generators";
export type { LinearMap } from "./linear-map";
export { countSigns, type LayerSigns } from "./matches";
export { type GammaBeta, Passport, type PassportPair, type PassportTensors } from "./passport";
export type { MapGeometry, PassportPlace } from "./place";
export { type PlaceOptions, type ProtectOptions, protect } from "./protect";
export { type DeployOptions, Protected, type TrainingPass, type TrainingPassOptions } from "./protected";
export { protectAs } from "./restore";
export { branchesOf, SCHEMES, type Scheme, secretBranch } from "./schemes";
export { type SignLossOptions, signLoss } from "./sign-loss";
export {
  capacity,
  decodeBytes,
  decodeSignature,
  signatureBits,
  signatureBytes,
  signBytes,
  spreadSignature,
} from "./signature";
export type { SignatureText } from "./texts";
export type { Inputs, InputsOf, Network } from "./trace";
