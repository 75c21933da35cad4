/** How often two independent matchings of the same channels agree: fixed points of permutations. */

/** Two matchings of `channels` ones with as many of `among`, each once. */
export interface Matchings {
  readonly channels: number;
  /** `channels` or more: those of the larger network. */
  readonly among: number;
}

/** Terms of the law of one pair of matchings beyond which no double is left. */
const MOST = 170;

/**
 * Law of the number F of pairs that a fixed and a uniformly random injection of n channels into m
 * have in common: the rencontres numbers where n = m.
 *
 *     P(F = k) = Σ_i (−1)^i · (n)_{k+i} / ((m)_{k+i} · k! · i!),   (n)_j = n·(n − 1)…(n − j + 1)
 *
 * Its factorial moments are (n)_j / (m)_j ≤ 1, where those of Poisson(1) are 1.
 */
function lawOf({ channels: n, among: m }: Matchings): Float64Array {
  const most = Math.min(n, MOST);
  const ratio = new Float64Array(most + 1).fill(1);
  const factorial = new Float64Array(most + 1).fill(1);
  for (let j = 1; j <= most; j++) {
    ratio[j] = (ratio[j - 1]! * (n - j + 1)) / (m - j + 1);
    factorial[j] = factorial[j - 1]! * j;
  }
  return Float64Array.from({ length: most + 1 }, (_, k) => {
    let sum = 0;
    for (let i = most - k; i >= 0; i--) sum += ((i % 2 ? -1 : 1) * ratio[k + i]!) / factorial[i]!;
    return Math.max(0, sum) / factorial[k]!;
  });
}

/** Law of the sum over independent pairs of matchings. */
export function fixedPointsLaw(all: readonly Matchings[]): Float64Array {
  let sum = Float64Array.of(1);
  for (const law of all.map(lawOf)) {
    const next = new Float64Array(sum.length + law.length - 1);
    sum.forEach((p, i) => {
      if (p > 0) for (let k = 0; k < law.length; k++) next[i + k]! += p * law[k]!;
    });
    sum = next;
  }
  return sum;
}

/** P(F ≥ k) for k from 0 to the most there can be, and 0 beyond. */
function tails(all: readonly Matchings[]): Float64Array {
  const tail = Float64Array.from([...fixedPointsLaw(all), 0]);
  for (let k = tail.length - 2; k >= 0; k--) tail[k]! += tail[k + 1]!;
  return tail.map((p) => Math.min(1, p));
}

/** Probability that independent matchings agree on so many channels or more, over all pairs. */
export const fixedPointsPValue = (agreements: number, all: readonly Matchings[]): number => {
  const tail = tails(all);
  return tail[Math.min(agreements, tail.length - 1)]!;
};

/**
 * Fewest agreements that independent matchings reach with probability `rate` at most; one more than
 * there are channels where even all of them would not do.
 *
 * For 30 channels a pair and more this is the threshold of Poisson(number of pairs): 10 of one pair
 * at 1e-6, 20 of five.
 */
export const fixedPointsThreshold = (all: readonly Matchings[], rate: number): number => {
  if (rate <= 0) return 1 + all.reduce((sum, { channels }) => sum + channels, 0);
  return tails(all).findIndex((p) => p <= rate);
};
