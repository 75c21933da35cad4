export { passportMeans, passportScales, windowMeans } from "./branch";
export { imagePassports, randomPassport, shufflePassport } from "./generators";
export {
  type Branch,
  type BranchesCall,
  PassportLayer,
  type PassportLayerOptions,
  type PassportPair,
  type PrivateScales,
  type RowBias,
  type ScaleRows,
} from "./layer";
export type { LinePlacement, PlanePlacement } from "./map";
export type { StatelessNorm } from "./norm";
export {
  type BranchNorm,
  PassportAware,
  type PassportAwareOptions,
  PassportConv1d,
  type PassportConv1dOptions,
  PassportConv2d,
  type PassportConv2dOptions,
  PassportLinear,
  type PassportLinearOptions,
} from "./passport-aware";
export {
  type OnlyNorm,
  PassportOnly,
  PassportOnlyConv1d,
  type PassportOnlyConv1dOptions,
  PassportOnlyConv2d,
  type PassportOnlyConv2dOptions,
  PassportOnlyLinear,
  type PassportOnlyLinearOptions,
  type PassportOnlyOptions,
} from "./passport-only";
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
