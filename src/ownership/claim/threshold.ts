/** How unlikely a mark has to be. */

/** Claims that nobody can try. */
export const TRIALS = 2 ** 80;

/**
 * The rate that one claim is held to: whoever tries 2⁸⁰ of them finds one that fits with the
 * false-positive rate at most. Nothing is discounted, for a commitment neither: one dated root
 * could hold 2⁴⁰ commitments.
 * @param tests of which any is enough, and suspects that were searched
 */
export const claimThreshold = (falsePositiveRate: number, tests = 1): number => falsePositiveRate / TRIALS / tests;
