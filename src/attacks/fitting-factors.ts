/** A sum that is to be positive: Σ_u factor[u] · shares[u] + rest. */
export interface WantedSum {
  readonly shares: Float64Array;
  readonly rest: number;
}

const STEPS = 200;
/** Largest factor, and one over the smallest. */
const RANGE = 16;
/** How sharply a sum that is nearly positive is told from one that is. */
const SHARPNESS = 8;
const RATE = 0.1;

/**
 * Positive factors that make as many sums positive as were found: Adam (Kingma and Ba, ICLR 2015)
 * on
 *
 *     Σ_rows softplus(−8 · (Σ_u e^θ[u] · shares[u] + rest) / ‖e^θ‖),   |θ| ≤ ln 16
 *
 * with every row at length 1, the best of all steps kept. Random sums can nearly all be had where
 * factors are as many as rows.
 */
export function fittingFactors(rows: readonly WantedSum[], count: number): Float64Array<ArrayBuffer> {
  const most = Math.log(RANGE);
  const lengths = rows.map(({ shares, rest }) => Math.hypot(rest, ...shares) || 1);
  const log = new Float64Array(count);
  const [mean, square] = [new Float64Array(count), new Float64Array(count)];
  let best = new Float64Array(count).fill(1);
  let found = -1;
  for (let step = 1; step <= STEPS && found < rows.length; step++) {
    const factors = log.map(Math.exp);
    const size = Math.hypot(...factors);
    const slope = new Float64Array(count);
    let positive = 0;
    rows.forEach(({ shares, rest }, r) => {
      const sum = shares.reduce((total, share, u) => total + share * factors[u]!, rest);
      if (sum > 0) positive++;
      const scale = size * lengths[r]!;
      const pull = SHARPNESS / (1 + Math.exp((SHARPNESS * sum) / scale)) / scale;
      for (let u = 0; u < count; u++) slope[u]! += pull * shares[u]! * factors[u]!;
    });
    if (positive > found) [found, best] = [positive, factors];
    for (let u = 0; u < count; u++) {
      mean[u] = 0.9 * mean[u]! + 0.1 * slope[u]!;
      square[u] = 0.99 * square[u]! + 0.01 * slope[u]! ** 2;
      const move = mean[u]! / (1 - 0.9 ** step) / (Math.sqrt(square[u]! / (1 - 0.99 ** step)) + 1e-12);
      log[u] = Math.max(-most, Math.min(most, log[u]! + RATE * move));
    }
  }
  return best;
}
