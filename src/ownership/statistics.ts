/** What guessing achieves: the binomial law behind p-values and thresholds. */

import { numbers } from "../demand";
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";

/** Most trials: the terms of more take seconds, and no network has so many bits. */
const MOST_TRIALS = 2 ** 24;

const isCount = (n: unknown, least: number): boolean =>
  Number.isSafeInteger(n) && (n as number) >= least && (n as number) <= MOST_TRIALS;
const isBetween = (p: unknown): boolean => typeof p === "number" && p > 0 && p < 1;

function checkLaw(n: number, probability: number): void {
  if (!isCount(n, 1) || !isBetween(probability))
    throw new ArgumentError(
      `expected a whole number of trials n ≥ 1 (up to ${MOST_TRIALS}) and a probability between 0 and 1, got n = ${shown(n)}, probability = ${shown(probability)}. Pass the length of the signature, or the number of triggers.`,
    );
}

/**
 * P(X = k) of one trial less, from that of k: the terms are walked in logarithms because 2^-n
 * leaves the doubles beyond n = 1074.
 */
const step = (k: number, n: number, probability: number) =>
  Math.log(k / (n - k + 1)) + Math.log((1 - probability) / probability);

/**
 * Probability that guessing hits `matched` or more of n:
 *
 *     p = P(X ≥ matched),   X ~ Bin(n, probability)
 *
 * Exact but for rounding. Below about 1e-308 the result is 0.
 * @param probability of one hit: ½ for a bit (default), 1/classes for a trigger's label.
 * @throws ArgumentError unless 0 ≤ matched ≤ n are whole numbers, n ≥ 1, and 0 < probability < 1.
 */
export function binomialPValue(matched: number, n: number, probability = 0.5): number {
  if (!isCount(n, 1) || !isCount(matched, 0) || matched > n) {
    throw new ArgumentError(
      `expected whole numbers 0 ≤ matched ≤ n, 1 ≤ n ≤ ${MOST_TRIALS}, got matched = ${shown(matched)}, n = ${shown(n)}`,
    );
  }
  checkLaw(n, probability);
  let log = n * Math.log(probability);
  let tail = Math.exp(log);
  for (let k = n; k > matched; k--) {
    log += step(k, n, probability);
    tail += Math.exp(log);
  }
  return Math.min(1, tail);
}

/**
 * Probability that guessing deviates from half of n bits as far as `matched` does, to either side:
 *
 *     p = P(|X − n/2| ≥ |matched − n/2|) = min(1, 2·P(X ≥ max(matched, n − matched))),   X ~ Bin(n, ½)
 *
 * A signature turned as a whole, by negating every γ, is as unlikely as one that matches.
 * @throws ArgumentError as {@link binomialPValue}.
 */
export function twoSidedPValue(matched: number, n: number): number {
  // Refused before anything is made of them.
  const upper = binomialPValue(matched, n);
  return Math.min(1, 2 * (2 * matched >= n ? upper : binomialPValue(n - matched, n)));
}

/**
 * Smallest number of hits that pure guessing reaches with probability `rate` at most:
 *
 *     min { k : P(X ≥ k) ≤ rate },   X ~ Bin(n, probability)
 *
 * `n + 1` where even n hits would not do (n = 16 bits at 1e-6). For bits at 1e-6: 51 of 64, 167 of
 * 256, 520 of 896.
 *
 * @throws ArgumentError unless n is a whole number ≥ 1, 0 < rate < 1 and 0 < probability < 1.
 */
export function matchThreshold(n: number, rate = 1e-6, probability = 0.5): number {
  if (!isCount(n, 1) || !isBetween(rate)) {
    throw new ArgumentError(
      `expected a whole number of bits ≥ 1 (up to ${MOST_TRIALS}) and a rate between 0 and 1, got n = ${shown(n)}, rate = ${shown(rate)}. Pass the length of the signature.`,
    );
  }
  checkLaw(n, probability);
  let log = n * Math.log(probability);
  let tail = Math.exp(log);
  let k = n;
  if (tail > rate) return n + 1;
  while (k > 0) {
    log += step(k, n, probability);
    if (tail + Math.exp(log) > rate) return k;
    tail += Math.exp(log);
    k--;
  }
  return k;
}

/** How many bits of a signature are +1, and whether coins fall so. */
export interface SignatureBalance {
  bits: number;
  /** Bits that are +1. */
  ones: number;
  /**
   * Two-sided, of fair coins: small for signatures of texts, whose first bit a character is always
   * 0, and of networks whose γ all have one sign.
   */
  pValue: number;
}

/**
 * Balance of a signature, or of the signs of γ: a claim whose bits are nearly all alike matches
 * every network whose γ are all alike.
 * @param signs +1 and −1 (or γ itself; 0 counts as −1)
 * @throws ArgumentError for none, or what is no list of numbers.
 */
export function signatureBalance(signs: ArrayLike<number>): SignatureBalance {
  numbers("signatureBalance", "signs", signs);
  let ones = 0;
  for (let i = 0; i < signs.length; i++) if (signs[i]! > 0) ones++;
  return { bits: signs.length, ones, pValue: twoSidedPValue(ones, signs.length) };
}
