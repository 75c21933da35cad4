/**
 * Which branch of a network to run: the two of a passport-aware one, or the only one of a network
 * whose passports go with it (`passport`).
 */
export type Branch = "public" | "private" | "passport";

/** All branches. */
export const BRANCHES: readonly Branch[] = ["public", "private", "passport"];

/** Accuracy of each branch, 0 to 1. */
export type BranchAccuracy = Partial<Record<Branch, number>>;
