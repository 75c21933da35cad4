/** What guessing achieves: the binomial law behind the threshold drawn in the figures. */

import { ArgumentError } from "../errors";

/**
 * Smallest number of agreeing bits that pure guessing reaches with probability `rate` at most:
 *
 *     min { k : P(X ≥ k) ≤ rate },   X ~ Bin(n, ½)
 *
 * `n + 1` where even all n bits would not do (n = 16 at 1e-6). For 1e-6: 51 of 64, 167 of 256, 520 of 896.
 *
 * Raises {@link ArgumentError} unless n is a whole number ≥ 1 and 0 < rate < 1.
 */
export function chanceThreshold(n: number, rate = 1e-6): number {
  if (!Number.isInteger(n) || n < 1 || !(rate > 0 && rate < 1)) {
    throw new ArgumentError(
      `Expected a whole number of bits ≥ 1 and a rate between 0 and 1, got n = ${n}, rate = ${rate}. Pass the length of the signature.`,
    );
  }
  // Terms C(n, k) / 2^n from k = n downwards, in logarithms because 2^-n leaves the doubles beyond n = 1074.
  let log = -n * Math.LN2;
  let tail = Math.exp(log);
  let k = n;
  if (tail > rate) return n + 1;
  while (k > 0) {
    log += Math.log(k / (n - k + 1));
    if (tail + Math.exp(log) > rate) return k;
    tail += Math.exp(log);
    k--;
  }
  return k;
}
