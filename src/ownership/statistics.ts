/** What guessing achieves: the binomial law behind p-values and thresholds. */
import { ArgumentError } from "../errors";

/**
 * Probability that guessing matches `matched` or more of n bits:
 *
 *     p = P(X ≥ matched),   X ~ Bin(n, ½)
 *
 * Exact but for rounding: the terms are added from the smallest up. Below about 1e-308 the result is 0.
 * @throws ArgumentError unless 0 ≤ matched ≤ n are whole numbers and n ≥ 1.
 */
export function binomialPValue(matched: number, n: number): number {
  if (!Number.isInteger(n) || n < 1 || !Number.isInteger(matched) || matched < 0 || matched > n) {
    throw new ArgumentError(`expected whole numbers 0 ≤ matched ≤ n, n ≥ 1, got matched = ${matched}, n = ${n}`);
  }
  let log = -n * Math.LN2;
  let tail = Math.exp(log);
  for (let k = n; k > matched; k--) {
    log += Math.log(k / (n - k + 1));
    tail += Math.exp(log);
  }
  return Math.min(1, tail);
}

/**
 * Smallest number of agreeing bits that pure guessing reaches with probability `rate` at most:
 *
 *     min { k : P(X ≥ k) ≤ rate },   X ~ Bin(n, ½)
 *
 * `n + 1` where even all n bits would not do (n = 16 at 1e-6). For 1e-6: 51 of 64, 167 of 256, 520 of 896.
 *
 * @throws ArgumentError unless n is a whole number ≥ 1 and 0 < rate < 1.
 */
export function matchThreshold(n: number, rate = 1e-6): number {
  if (!Number.isInteger(n) || n < 1 || !(rate > 0 && rate < 1)) {
    throw new ArgumentError(
      `expected a whole number of bits ≥ 1 and a rate between 0 and 1, got n = ${n}, rate = ${rate}. Pass the length of the signature.`,
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
