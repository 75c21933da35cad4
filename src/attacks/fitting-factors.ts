/** A sum that is to be positive: Σ_u factor[u] · shares[u] + rest. */
export interface WantedSum {
  readonly shares: Float64Array;
  readonly rest: number;
}

const STEPS = 300;
/** Largest factor, and one over the smallest, once all shares are of one size. */
const RANGE = 64;

/**
 * Positive factors x that make as many sums positive as were found: accelerated projected gradient
 * descent (Beck and Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm", 2009) on the
 * convex
 *
 *     Σ_rows max(0, 1 − Σ_u x[u] · shares[u] − rest)²,   1/64 ≤ x ≤ 64
 *
 * with columns, then rows, scaled to one length; the best of all steps. Random sums can all be had
 * where factors are as many as rows.
 */
export function fittingFactors(rows: readonly WantedSum[], count: number): Float64Array<ArrayBuffer> {
  const columns = Float64Array.from(
    { length: count },
    (_, u) => Math.sqrt(rows.reduce((sum, { shares }) => sum + shares[u]! ** 2, 0)) || 1,
  );
  const scaled = rows.map(({ shares, rest }) => {
    const even = shares.map((share, u) => share / columns[u]!);
    const length = Math.hypot(rest, ...even) || 1;
    return { shares: even.map((share) => share / length), rest: rest / length };
  });
  const rate = 1 / largestCurvature(scaled, count);
  let best = new Float64Array(count).fill(1);
  let [x, ahead, momentum] = [best, best, 1];
  let most = 0;
  for (let step = 0; step < STEPS && most < rows.length; step++) {
    const down = descent(scaled, ahead);
    const next = ahead.map((v, u) => Math.max(1 / RANGE, Math.min(RANGE, v + rate * down[u]!)));
    const faster = (1 + Math.sqrt(1 + 4 * momentum ** 2)) / 2;
    ahead = next.map((v, u) => v + ((momentum - 1) / faster) * (v - x[u]!));
    [x, momentum] = [next, faster];
    const positive = scaled.reduce((n, row) => n + (sumOf(row, x) > 0 ? 1 : 0), 0);
    if (positive > most) [most, best] = [positive, x];
  }
  return best.map((v, u) => v / columns[u]!);
}

function sumOf({ shares, rest }: WantedSum, x: Float64Array): number {
  let sum = rest;
  for (let u = 0; u < x.length; u++) sum += shares[u]! * x[u]!;
  return sum;
}

/** Half of the gradient, downwards. */
function descent(rows: readonly WantedSum[], x: Float64Array): Float64Array {
  const down = new Float64Array(x.length);
  for (const row of rows) {
    const lack = 1 - sumOf(row, x);
    if (lack > 0) for (let u = 0; u < x.length; u++) down[u]! += lack * row.shares[u]!;
  }
  return down;
}

/** Largest eigenvalue of AᵀA, by power iteration. */
function largestCurvature(rows: readonly WantedSum[], count: number): number {
  let [vector, value] = [new Float64Array(count).fill(1), 1];
  for (let i = 0; i < 20; i++) {
    const image = new Float64Array(count);
    for (const { shares } of rows) {
      const along = sumOf({ shares, rest: 0 }, vector);
      for (let u = 0; u < count; u++) image[u]! += along * shares[u]!;
    }
    value = Math.hypot(...image) || 1;
    vector = image.map((v) => v / value);
  }
  return value;
}
