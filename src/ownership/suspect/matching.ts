/** Matching the filters of two networks. */

/** Filters of both networks, one row per channel: the owner's, the suspect's. */
export type Filters = readonly [own: Float32Array, theirs: Float32Array];

/** Channels of units, and the filters that make them. */
export interface Side {
  readonly each: number;
  readonly filters: readonly Filters[];
}

/** Which of the suspect's channels is which of the owner's. */
export interface Match {
  readonly units: readonly number[];
  /** By side and unit. */
  readonly within: readonly (readonly (readonly number[])[])[];
  /** Mean |cosine| of the pairs. */
  readonly similarity: number;
  /** What it has to be, so that chance does not make it. */
  readonly needed: number;
}

/** Rows scaled to length 1. */
function unitRows(data: Float32Array, rows: number): Float32Array {
  const m = data.length / rows;
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) {
    let square = 0;
    for (let k = 0; k < m; k++) square += data[r * m + k]! ** 2;
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let k = 0; k < m; k++) out[r * m + k] = data[r * m + k]! * scale;
  }
  return out;
}

/**
 * |cosine| of every two rows, a mean over several kinds of filters by their lengths. [rows, rows]
 */
function cosines(filters: readonly Filters[], rows: number, near: (to: number, from: number) => boolean): Float64Array {
  const all = filters.reduce((sum, [own]) => sum + own.length / rows, 0);
  const found = new Float64Array(rows * rows);
  for (const [own, theirs] of filters) {
    const m = own.length / rows;
    const [a, b] = [unitRows(own, rows), unitRows(theirs, rows)];
    for (let to = 0; to < rows; to++)
      for (let from = 0; from < rows; from += 4) {
        // Four at once: what is loaded of one side serves all of them.
        const last = Math.min(from + 4, rows) - 1;
        if (![from, from + 1, from + 2, last].some((i) => near(to, i))) continue;
        const at = [0, 1, 2, 3].map((i) => Math.min(from + i, last) * m) as [number, number, number, number];
        let [w, x, y, z] = [0, 0, 0, 0];
        for (let k = 0; k < m; k++) {
          const v = a[to * m + k]!;
          w += v * b[at[0] + k]!;
          x += v * b[at[1] + k]!;
          y += v * b[at[2] + k]!;
          z += v * b[at[3] + k]!;
        }
        const cosine = [w, x, y, z];
        for (let i = from; i <= last; i++) found[to * rows + i]! += (Math.abs(cosine[i - from]!) * m) / all;
      }
  }
  return found;
}

/** The most alike of each, where no two have the same: what taking pairs one by one comes to. */
function bestOfEach(
  count: number,
  alike: (to: number, from: number) => number,
): { from: number[]; sum: number } | null {
  const taken = new Set<number>();
  const found: number[] = [];
  let sum = 0;
  for (let to = 0; to < count; to++) {
    let [best, value] = [0, Number.NEGATIVE_INFINITY];
    for (let from = 0; from < count; from++) {
      const here = alike(to, from);
      if (here > value) [best, value] = [from, here];
    }
    if (taken.has(best)) return null;
    taken.add(best);
    found.push(best);
    sum += value;
  }
  return { from: found, sum };
}

/** Pairs are taken from the most alike down, each once: which `from` goes to each `to`. */
function greedy(count: number, alike: (to: number, from: number) => number): { from: number[]; sum: number } {
  const best = bestOfEach(count, alike);
  if (best) return best;
  const pairs: { to: number; from: number; value: number }[] = [];
  for (let to = 0; to < count; to++)
    for (let from = 0; from < count; from++) pairs.push({ to, from, value: alike(to, from) });
  pairs.sort((a, b) => b.value - a.value);
  const found = new Array<number>(count).fill(-1);
  const taken = new Set<number>();
  let sum = 0;
  for (const { to, from, value } of pairs) {
    if (found[to] !== -1 || taken.has(from)) continue;
    found[to] = from;
    taken.add(from);
    sum += value;
  }
  return { from: found, sum };
}

/**
 * What the best of n random filters of m numbers reaches: cos² of one is beyond t with a chance of
 * about (1 − t)^((m − 1) / 2).
 */
const byChance = (n: number, m: number): number => (m > 1 ? Math.sqrt(1 - n ** (-2 / (m - 1))) : 1);

/** How alike channels of a side are: that of place `to` and the one at `from`. */
interface Alikeness {
  readonly each: number;
  alike(to: number, from: number): number;
}

/** Which unit goes where, and which channel within it, by side and unit. */
export type Assignment = Pick<Match, "units" | "within"> & {
  /** Sum of the pairs' likeness. */
  readonly sum: number;
};

/**
 * Assigns units to places, and the channels within them, on all sides together: pairs are taken
 * from the most alike down.
 * @param free whether units may change places, or their channels alone
 */
export function unitsAssigned(units: number, sides: readonly Alikeness[], free = true): Assignment {
  const inner = (side: number, to: number, from: number) => {
    const { each, alike } = sides[side]!;
    if (each === 1) return { from: [0], sum: alike(to, from) };
    return greedy(each, (e, f) => alike(to * each + e, from * each + f));
  };
  const both = (to: number, from: number) => sides.reduce((sum, _, s) => sum + inner(s, to, from).sum, 0);
  const order = free ? greedy(units, both).from : Array.from({ length: units }, (_, u) => u);
  const pairs = order.map((from, to) => sides.map((_, s) => inner(s, to, from)));
  return {
    units: order,
    within: sides.map((_, s) => pairs.map((of) => of[s]!.from)),
    sum: pairs.flat().reduce((sum, of) => sum + of.sum, 0),
  };
}

/**
 * Matches units, and the channels within them, on all sides together, by their filters.
 * @param free whether units may change places, or their channels alone
 */
export function matched(units: number, sides: readonly Side[], free: boolean): Match {
  const alike = sides.map(({ each, filters }) => {
    const row = units * each;
    const near = (to: number, from: number) => free || Math.floor(to / each) === Math.floor(from / each);
    const table = cosines(filters, row, near);
    return { each, alike: (to: number, from: number) => table[to * row + from]! };
  });
  const total = sides.reduce((sum, { each }) => sum + each, 0);
  const { sum, ...order } = unitsAssigned(units, alike, free);
  const chance = sides.reduce((sum, { each, filters }) => {
    const m = filters.reduce((n, [own]) => n + own.length / (units * each), 0);
    return sum + (each / total) * byChance(free ? units * each : each, m);
  }, 0);
  return { ...order, similarity: sum / (units * total), needed: (1 + chance) / 2 };
}

/** Mean |cosine| of rows with the same place. */
export function meanCosine(own: Float32Array, theirs: Float32Array, rows: number): number {
  const [a, b] = [unitRows(own, rows), unitRows(theirs, rows)];
  const m = a.length / rows;
  let sum = 0;
  for (let r = 0; r < rows; r++) {
    let cosine = 0;
    for (let k = 0; k < m; k++) cosine += a[r * m + k]! * b[r * m + k]!;
    sum += Math.abs(cosine);
  }
  return sum / rows;
}

/**
 * Length of the owner's rows over the suspect's, of all filters together, and whether those are
 * turned.
 */
export function lengthsOf(filters: readonly Filters[], rows: number): { ratio: number; turned: boolean }[] {
  return Array.from({ length: rows }, (_, r) => {
    let [mine, theirs, both] = [0, 0, 0];
    for (const [own, other] of filters) {
      const m = own.length / rows;
      for (let k = r * m; k < (r + 1) * m; k++) {
        mine += own[k]! ** 2;
        theirs += other[k]! ** 2;
        both += own[k]! * other[k]!;
      }
    }
    return { ratio: mine > 0 && theirs > 0 ? Math.sqrt(mine / theirs) : 1, turned: both < 0 };
  });
}
