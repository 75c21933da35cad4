/** How alike the channels of two networks are, by what stands in front of them or behind. */

/** Numbers of the channels of one tensor: [channels, columns, inner]. */
export interface Rows {
  readonly data: Float32Array;
  readonly channels: number;
  readonly columns: number;
  readonly inner: number;
}

/** The same columns of both networks. */
export interface RowPair {
  readonly released: Rows;
  readonly suspect: Rows;
}

/** Rounds that rows and columns are given one length in, in turn. */
const ROUNDS = 8;

/** Length over the median one below which a channel says nothing but rounding. */
const NEAR_ZERO = 1e-6;

/**
 * Rows of one length, whose columns have one length too (Sinkhorn): neither factors of channels nor
 * those of the channels that they read are seen any more. Rows and columns of zeros stay.
 */
function balanced({ data, channels, columns, inner }: Rows): Float32Array<ArrayBuffer> {
  const squares = new Float64Array(channels * columns);
  for (let i = 0; i < squares.length; i++)
    for (let k = i * inner; k < (i + 1) * inner; k++) squares[i]! += data[k]! ** 2;
  const row = new Float64Array(channels).fill(1);
  const column = new Float64Array(columns).fill(1);
  const level = (into: Float64Array, by: Float64Array, at: (i: number, j: number) => number) =>
    into.forEach((_, i) => {
      let sum = 0;
      for (let j = 0; j < by.length; j++) sum += squares[at(i, j)]! * by[j]!;
      into[i] = sum > 0 ? by.length / sum : 0;
    });
  for (let round = 0; round < ROUNDS; round++) {
    if (columns > 1) level(column, row, (j, i) => i * columns + j);
    level(row, column, (i, j) => i * columns + j);
  }
  const scale = 1 / Math.sqrt(columns);
  const out = new Float32Array(data.length);
  for (let i = 0; i < channels; i++)
    for (let j = 0; j < columns; j++) {
      const factor = Math.sqrt(row[i]! * column[j]!) * scale;
      const from = (i * columns + j) * inner;
      for (let k = from; k < from + inner; k++) out[k] = data[k]! * factor;
    }
  return out;
}

/** Adds weight · |a · bᵀ| of rows of m numbers. */
function addProducts(into: Float64Array, a: Float32Array, b: Float32Array, m: number, weight: number): void {
  const [rows, columns] = [a.length / m, b.length / m];
  const sums = new Float64Array(8);
  for (let r = 0; r < rows; r += 2)
    for (let c = 0; c < columns; c += 4) {
      // Two by four at once: what is loaded serves several. At the end some are computed twice.
      const [i, j] = [r * m, Math.min(r + 1, rows - 1) * m];
      const [p, q] = [c * m, Math.min(c + 1, columns - 1) * m];
      const [s, t] = [Math.min(c + 2, columns - 1) * m, Math.min(c + 3, columns - 1) * m];
      let [ip, iq, is, it, jp, jq, js, jt] = [0, 0, 0, 0, 0, 0, 0, 0];
      for (let k = 0; k < m; k++) {
        const x = a[i + k]!;
        const y = a[j + k]!;
        const u = b[p + k]!;
        const v = b[q + k]!;
        const w = b[s + k]!;
        const z = b[t + k]!;
        ip += x * u;
        iq += x * v;
        is += x * w;
        it += x * z;
        jp += y * u;
        jq += y * v;
        js += y * w;
        jt += y * z;
      }
      sums.set([ip, iq, is, it, jp, jq, js, jt]);
      for (let e = 0; e < 2 && r + e < rows; e++)
        for (let f = 0; f < 4 && c + f < columns; f++)
          into[(r + e) * columns + c + f]! += weight * Math.abs(sums[4 * e + f]!);
    }
}

/**
 * Takes the mean over its columns from each row, place by place of the kernel, in place, and gives
 * it length 1 again: a pattern that a channel has alike in all columns needs no order of theirs, so
 * it would tell channels apart in networks that have nothing else in common.
 */
function withoutPattern(data: Float32Array, { channels, columns, inner }: Rows): Float32Array {
  if (columns < 2) return data;
  const m = columns * inner;
  for (let from = 0; from < channels * m; from += m) {
    for (let k = 0; k < inner; k++) {
      let mean = 0;
      for (let j = k; j < m; j += inner) mean += data[from + j]! / columns;
      for (let j = k; j < m; j += inner) data[from + j]! -= mean;
    }
    let square = 0;
    for (let j = from; j < from + m; j++) square += data[j]! ** 2;
    const scale = square > NEAR_ZERO ** 2 ? 1 / Math.sqrt(square) : 0;
    for (let j = from; j < from + m; j++) data[j]! *= scale;
  }
  return data;
}

/**
 * |cosine| of every channel of the released network with every one of the suspect, behind
 * {@link balanced}; a mean over several tensors by their numbers. [released, suspect]
 * @param centred behind {@link withoutPattern}
 */
export function likeness(pairs: readonly RowPair[], centred = false): Float64Array<ArrayBuffer> {
  const [{ released, suspect }] = pairs as [RowPair];
  const found = new Float64Array(released.channels * suspect.channels);
  const all = numbersOf(pairs);
  for (const pair of pairs) {
    const m = pair.released.columns * pair.released.inner;
    const [own, theirs] = [pair.released, pair.suspect].map((rows) => {
      const even = balanced(rows);
      return centred ? withoutPattern(even, rows) : even;
    });
    addProducts(found, own!, theirs!, m, m / all);
  }
  return found;
}

/** Product of a channel of the released network with one of the suspect, as they lie. */
export function dotOf({ released, suspect }: RowPair, own: number, theirs: number): number {
  const m = released.columns * released.inner;
  let sum = 0;
  for (let k = 0; k < m; k++) sum += released.data[own * m + k]! * suspect.data[theirs * m + k]!;
  return sum;
}

/** How many numbers of each channel are compared. */
export const numbersOf = (pairs: readonly RowPair[]): number =>
  pairs.reduce((sum, { released: { columns, inner } }) => sum + columns * inner, 0);

/** Channels that are not zero, or next to it, in any tensor. */
export function aliveOf(all: readonly Rows[]): boolean[] {
  const alive = new Array<boolean>(all[0]!.channels).fill(true);
  for (const { data, channels, columns, inner } of all) {
    const m = columns * inner;
    const lengths = Float64Array.from({ length: channels }, (_, c) => {
      let sum = 0;
      for (let k = c * m; k < (c + 1) * m; k++) sum += data[k]! ** 2;
      return Math.sqrt(sum);
    });
    const median = lengths.slice().sort()[channels >> 1]!;
    lengths.forEach((length, c) => {
      if (!(length > NEAR_ZERO * median)) alive[c] = false;
    });
  }
  return alive;
}

/** Whether an entry is more than all others of its row and of its column. */
export function isUnrivalled(scores: Float64Array, columns: number, row: number, column: number): boolean {
  const own = scores[row * columns + column]!;
  for (let c = 0; c < columns; c++) if (c !== column && scores[row * columns + c]! >= own) return false;
  for (let r = 0; r * columns < scores.length; r++) if (r !== row && scores[r * columns + column]! >= own) return false;
  return true;
}
