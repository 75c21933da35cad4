/** `@pan/core/passport`: passports at the norms of any network. */
import "../tensor/methods";

export type { Branch, BranchAccuracy } from "../passport/branches";
export type { SecretPlan } from "../passport/built-in";
export { imagePassports, randomPassport, shufflePassport } from "../passport/generators";
export { countSigns, type LayerSigns } from "../passport/matches";
export { Passport } from "../passport/passport";
export type { MapGeometry, PassportPlace } from "../passport/place";
export { type ProtectOptions, protect } from "../passport/protect";
export { Protected, type TrainingPass } from "../passport/protected";
export { protectAs } from "../passport/restore";
export { branchesOf, SCHEMES, type Scheme, secretBranch } from "../passport/schemes";
export { signLoss } from "../passport/sign-loss";
export { capacity, decodeBytes, signBytes } from "../passport/signature";
export type { SignatureText } from "../passport/texts";
export type { Inputs, InputsOf, Network, NetworkSample } from "../passport/trace";

// what these take and give

export type { AroundNorm, PassOptions } from "../passport/branch-pass";
export type { Power } from "../passport/channels/ledger";
export type {
  ChannelGroup,
  ChannelMember,
  ChannelPart,
  ChannelRun,
  Channels,
  FactorGroup,
  FactorMember,
} from "../passport/channels/types";
export type { LinearMap } from "../passport/linear-map";
export type { GammaBeta, PassportOptions, PassportPair, PassportTensors } from "../passport/passport";
export type { PlaceOptions } from "../passport/protect";
export type { DeployOptions, GammaBetas, OutputOf, TrainingPassOptions } from "../passport/protected";
export type { SignLossOptions } from "../passport/sign-loss";
export type { PassportSite, Secret, Site } from "../passport/site";
