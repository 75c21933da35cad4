export type { Branch, BranchAccuracy } from "./branches";
export { passportGammaBeta, passportMeans, windowMeans } from "./closed-form";
export { imagePassports, randomPassport, shufflePassport } from "./generators";
export {
  type GammaBeta,
  PassportLayer,
  type PassportPair,
  type PassportTensors,
} from "./layer";
export type { BranchNormName, NormName } from "./norms";
export type { BranchNorms, LinearMap, PassportLayerOptions } from "./options";
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
