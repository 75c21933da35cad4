export { passportMeans, passportScales, windowMeans } from "./branch";
export { type Branch, PassportConv2d, type PassportConv2dOptions, type PrivateScales } from "./passport-aware";
export { type SignLossOptions, signLoss } from "./sign-loss";
export { capacity, decodeSignature, signatureBits, signatureBytes } from "./signature";
