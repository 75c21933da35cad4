import { ArgumentError } from "../errors";
import { type MapLayer, positionsOf, tapsOf } from "../models/layers";
import { windowCount } from "../tensor/ops/windows";

/**
 * In place: the lower triangle L of a positive definite matrix [n, n] becomes its Cholesky factor,
 * L·Lᵀ = A + ridge·I.
 */
function cholesky(a: Float64Array, n: number, ridge: number): void {
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = a[i * n + j]! + (i === j ? ridge : 0);
      for (let k = 0; k < j; k++) sum -= a[i * n + k]! * a[j * n + k]!;
      if (i === j && !(sum > 0)) throw new ArgumentError("the equations are dependent: no unique solution");
      a[i * n + j] = i === j ? Math.sqrt(sum) : sum / a[j * n + j]!;
    }
  }
}

/** x of L·Lᵀ·x = b, in place of b. */
function substitute(l: Float64Array, n: number, b: Float64Array): Float64Array {
  for (let i = 0; i < n; i++) {
    let sum = b[i]!;
    for (let k = 0; k < i; k++) sum -= l[i * n + k]! * b[k]!;
    b[i] = sum / l[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    let sum = b[i]!;
    for (let k = i + 1; k < n; k++) sum -= l[k * n + i]! * b[k]!;
    b[i] = sum / l[i * n + i]!;
  }
  return b;
}

/** A·Bᵀ of rows [m, n] each. */
function rowProducts(a: ArrayLike<number>, b: ArrayLike<number>, m: number, n: number): Float64Array {
  const out = new Float64Array(m * m);
  for (let i = 0; i < m; i++)
    for (let j = 0; j < m; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += a[i * n + k]! * b[j * n + k]!;
      out[i * m + j] = sum;
    }
  return out;
}

/** Share of the mean diagonal that keeps nearly dependent filters solvable. */
const RIDGE = 1e-10;

const ridgeOf = (g: Float64Array, n: number): number => {
  let trace = 0;
  for (let i = 0; i < n; i++) trace += g[i * n + i]!;
  return (RIDGE * trace) / n;
};

/**
 * A passport layer whose weights are known: all that a forger needs. With A the average that each
 * tap of a filter takes of a channel,
 *
 *     avg(W * P)[o] = Σ_i W[o, i] · A · P[i],   so P[i] = Aᵀ · Σ_o W[o, i] · λ[o]   with (Σ_i W[·, i] · A · Aᵀ · W[·, i]ᵀ) λ = target
 *
 * is the smallest passport that gives the target, by normal equations in float64. A bias of the map
 * is part of γ and β, and is taken off the target first.
 */
export class PassportEquations {
  /** Rows: one per filter, its taps in the order of state dicts (channel, row, column). */
  readonly #weight: Float32Array;
  /** Cholesky factor of the normal equations. */
  readonly #factor: Float64Array;
  /** A. */
  readonly #taps: Float64Array;
  readonly #bias: Float32Array | null;

  /**
   * @param weight [O, I, k, k], [O, I, k] or [O, I], as in state dicts
   * @param bias [O], of a layer that has one
   * @throws ArgumentError where filters outnumber the taps of one that average different positions,
   * or depend on each other: then no passport gives them all any value one likes.
   */
  constructor(
    readonly layer: MapLayer,
    weight: Float32Array,
    bias: Float32Array | null = null,
  ) {
    const { channels, inChannels } = layer;
    const taps = tapsOf(layer);
    const size = inChannels * taps;
    this.#taps = tapMeans(layer);
    const free = inChannels * distinctRows(this.#taps, taps);
    if (channels > free) {
      const same = free < size ? ` of which ${free} average different positions` : "";
      throw new ArgumentError(
        `${layer.name} has ${channels} filters of ${size} taps${same}: more equations than unknowns, no passport solves them all. Leave this layer out`,
      );
    }
    this.#weight = weight;
    this.#bias = bias;
    const square = rowProducts(this.#taps, this.#taps, taps, positionsOf(layer));
    const seen = new Float64Array(weight.length);
    for (let at = 0; at < weight.length; at += taps)
      for (let t = 0; t < taps; t++)
        for (let u = 0; u < taps; u++) seen[at + t]! += square[t * taps + u]! * weight[at + u]!;
    this.#factor = rowProducts(weight, seen, channels, size);
    cholesky(this.#factor, channels, ridgeOf(this.#factor, channels));
  }

  /**
   * The smallest passport P, in the order of state dicts ([1, I, H, W], [1, I, L] or [1, I]), with
   * avg(W * P) = target.
   */
  solve(target: ArrayLike<number>): Float32Array<ArrayBuffer> {
    const { channels, inChannels } = this.layer;
    const [taps, area] = [tapsOf(this.layer), positionsOf(this.layer)];
    const size = inChannels * taps;
    const multipliers = substitute(
      this.#factor,
      channels,
      Float64Array.from(target, (t, o) => t - (this.#bias?.[o] ?? 0)),
    );
    const shares = new Float64Array(size);
    for (let o = 0; o < channels; o++)
      for (let k = 0; k < size; k++) shares[k]! += multipliers[o]! * this.#weight[o * size + k]!;
    return Float32Array.from({ length: inChannels * area }, (_, at) => {
      const [channel, position] = [Math.floor(at / area), at % area];
      let sum = 0;
      for (let t = 0; t < taps; t++) sum += shares[channel * taps + t]! * this.#taps[t * area + position]!;
      return sum;
    });
  }
}

/** How many of a matrix's rows differ. */
function distinctRows(rows: Float64Array, count: number): number {
  const length = rows.length / count;
  const row = (i: number) => rows.subarray(i * length, (i + 1) * length).join();
  return new Set(Array.from({ length: count }, (_, i) => row(i))).size;
}

/**
 * Whether passports can give all filters of a layer any value: there are as many numbers to choose
 * as filters.
 */
export const isSolvable = (layer: MapLayer): boolean =>
  layer.channels <= layer.inChannels * distinctRows(tapMeans(layer), tapsOf(layer));

/**
 * avg(W * P) + bias on the host, in double precision.
 * @param weight as {@link PassportEquations} takes it
 * @param passport in the order of state dicts
 */
export function averageUnder(
  layer: MapLayer,
  weight: Float32Array,
  bias: Float32Array | null,
  passport: Float32Array,
): Float32Array<ArrayBuffer> {
  const [taps, area, rows] = [tapsOf(layer), positionsOf(layer), tapMeans(layer)];
  const means = Float64Array.from({ length: layer.inChannels * taps }, (_, at) => {
    const [channel, tap] = [Math.floor(at / taps), at % taps];
    let sum = 0;
    for (let p = 0; p < area; p++) sum += rows[tap * area + p]! * passport[channel * area + p]!;
    return sum;
  });
  return Float32Array.from({ length: layer.channels }, (_, o) => {
    let sum = bias?.[o] ?? 0;
    for (let k = 0; k < means.length; k++) sum += weight[o * means.length + k]! * means[k]!;
    return sum;
  });
}

/**
 * What each tap averages: rows [taps, positions], 1/(output positions) at positions that some
 * window puts under the tap.
 */
function tapMeans(layer: MapLayer): Float64Array {
  // Along an axis that a layer does not have, its window is one position of one.
  const none = { size: 1, taps: 1, stride: 1, padding: 0, out: 1 };
  const axes = layer.inputSize.map((size) => {
    const { kernel: taps, stride, padding } = layer;
    return { size, taps, stride, padding, out: windowCount(size, taps, stride, padding) };
  });
  const [horizontal, vertical] = [axes.at(-1) ?? none, axes.at(-2) ?? none];
  const rows = new Float64Array(tapsOf(layer) * positionsOf(layer));
  for (let u = 0; u < vertical.taps; u++)
    for (let v = 0; v < horizontal.taps; v++)
      for (let y = 0; y < vertical.out; y++)
        for (let x = 0; x < horizontal.out; x++) {
          const row = y * vertical.stride + u - vertical.padding;
          const column = x * horizontal.stride + v - horizontal.padding;
          if (row < 0 || row >= vertical.size || column < 0 || column >= horizontal.size) continue;
          const at = ((u * horizontal.taps + v) * vertical.size + row) * horizontal.size + column;
          rows[at] = 1 / (vertical.out * horizontal.out);
        }
  return rows;
}
