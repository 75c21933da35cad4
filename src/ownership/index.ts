export { type Rejoined, rejoin, rejoinSuspect } from "./rejoin";
export { binomialPValue, matchThreshold } from "./statistics";
export type { TriggerHits } from "./triggers";
export { type LayerMatch, type Verification, type VerifyOptions, verify } from "./verify";
