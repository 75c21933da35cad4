/** `@pan/core/passport`: passports at the norms of any network. */
import "../tensor/methods";

export type { Branch, BranchAccuracy } from "../passport/branches";
export type { SecretPlan } from "../passport/built-in";
export { imagePassports, randomPassport, shufflePassport } from "../passport/generators";
export { countSigns, type LayerSigns } from "../passport/matches";
export { Passport } from "../passport/passport";
export type { PassportPlace } from "../passport/place";
export { type ProtectOptions, protect } from "../passport/protect";
export { Protected, type TrainingPass } from "../passport/protected";
export { protectAs } from "../passport/restore";
export { branchesOf, SCHEMES, type Scheme, secretBranch } from "../passport/schemes";
export { signLoss } from "../passport/sign-loss";
export { capacity, decodeBytes, signBytes } from "../passport/signature";
export type { SignatureText } from "../passport/texts";
export type { Network } from "../passport/trace";
