import { ArgumentError } from "../errors";
import { type PassportPlace, positionsOf, tapMeans, tapsOf } from "../passport/place";
import { checkPlace } from "../passport/plan";

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
  /** Cholesky factors of the normal equations of each group of channels. */
  readonly #factors: readonly Float64Array[];
  /** A. */
  readonly #taps: Float64Array;
  readonly #bias: Float32Array | null;
  /** Filters of a group, and numbers of one. */
  readonly #filters: number;
  readonly #size: number;

  /**
   * @param weight [O, I/groups, …], as in state dicts
   * @param bias [O], of a layer that has one
   * @throws ArgumentError where filters outnumber the taps of one that average different positions,
   * or depend on each other: then no passport gives them all any value one likes.
   */
  constructor(
    readonly place: PassportPlace,
    weight: Float32Array,
    bias: Float32Array | null = null,
  ) {
    const { channels, inChannels, groups } = place;
    const [taps, inputs] = [tapsOf(place), inChannels / groups];
    const filters = channels / groups;
    const size = inputs * taps;
    this.#taps = tapMeans(place);
    const free = inputs * distinctRows(this.#taps, taps);
    if (filters > free) {
      const same = free < size ? ` of which ${free} average different positions` : "";
      const each = groups > 1 ? ` in each of ${groups} groups` : "";
      throw new ArgumentError(
        `${place.norm} has ${filters} filters of ${size} taps${same}${each}: more equations than unknowns, no passport solves them all. Leave this layer out`,
      );
    }
    this.#weight = weight;
    this.#bias = bias;
    this.#filters = filters;
    this.#size = size;
    const square = rowProducts(this.#taps, this.#taps, taps, positionsOf(place));
    const seen = new Float64Array(weight.length);
    for (let at = 0; at < weight.length; at += taps)
      for (let t = 0; t < taps; t++)
        for (let u = 0; u < taps; u++) seen[at + t]! += square[t * taps + u]! * weight[at + u]!;
    this.#factors = Array.from({ length: groups }, (_, g) => {
      const rows = (of: Float32Array | Float64Array) => of.subarray(g * filters * size, (g + 1) * filters * size);
      const factor = rowProducts(rows(weight), rows(seen), filters, size);
      cholesky(factor, filters, ridgeOf(factor, filters));
      return factor;
    });
  }

  /** The smallest passport P, in the order of state dicts, with avg(W * P) = target. */
  solve(target: ArrayLike<number>): Float32Array<ArrayBuffer> {
    const { inChannels, kind } = this.place;
    const [taps, area] = [tapsOf(this.place), positionsOf(this.place)];
    const [filters, size] = [this.#filters, this.#size];
    const wanted = Float64Array.from(target, (t, o) => t - (this.#bias?.[o] ?? 0));
    const shares = new Float64Array(inChannels * taps);
    this.#factors.forEach((factor, g) => {
      const multipliers = substitute(factor, filters, wanted.slice(g * filters, (g + 1) * filters));
      for (let o = 0; o < filters; o++)
        for (let k = 0; k < size; k++)
          shares[g * size + k]! += multipliers[o]! * this.#weight[(g * filters + o) * size + k]!;
    });
    // A linear map's passport has its channels last.
    const split = (at: number) =>
      kind === "linear" ? [at % inChannels, Math.floor(at / inChannels)] : [Math.floor(at / area), at % area];
    return Float32Array.from({ length: inChannels * area }, (_, at) => {
      const [channel, position] = split(at) as [number, number];
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
 * @throws ArgumentError for what is no place of a passport.
 */
export function isSolvable(place: PassportPlace): boolean {
  checkPlace(place, "isSolvable");
  return place.channels <= place.inChannels * distinctRows(tapMeans(place), tapsOf(place));
}
