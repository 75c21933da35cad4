export { binomialPValue, matchThreshold } from "./statistics";
export { type LayerMatch, rejoin, type Verification, type VerifyOptions, verify } from "./verify";
