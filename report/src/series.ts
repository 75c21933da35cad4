/** Preparing numbers for charts: averaging, binning, choosing ticks and dots. */

import { ArgumentError } from "@pan/core";

/**
 * Raises {@link ArgumentError} if a value is not finite. Plot silently leaves such values out, and
 * a chart that leaves data out says something false.
 */
export function requireFinite(values: readonly number[], chart: string): void {
  const i = values.findIndex((v) => !Number.isFinite(v));
  if (i >= 0) {
    throw new ArgumentError(
      `${chart}: expected finite numbers, got ${values[i]} at position ${i}. Leave such values out, or say why they are missing.`,
    );
  }
}

/** At most this many points are drawn on a line; more cannot be told apart. */
const MAX_POINTS = 240;

/**
 * Averages neighbouring points into at most `max` groups, so that no stretch of a long run is left
 * out.
 */
export function thin<T extends { x: number; y: number }>(
  points: readonly T[],
  max = MAX_POINTS,
): { x: number; y: number }[] {
  const size = Math.ceil(points.length / max);
  const out: { x: number; y: number }[] = [];
  for (let i = 0; i < points.length; i += size) {
    const group = points.slice(i, i + size);
    const mean = (key: "x" | "y") => group.reduce((sum, p) => sum + p[key], 0) / group.length;
    out.push({ x: mean("x"), y: mean("y") });
  }
  return out;
}

/**
 * The smallest value; of none, infinity. Not `Math.min(...values)`: a call takes only so many
 * arguments, and a long run has more records.
 */
export function least(values: Iterable<number>): number {
  let found = Number.POSITIVE_INFINITY;
  for (const v of values) found = Math.min(found, v);
  return found;
}

/** The largest value; of none, minus infinity. */
export function most(values: Iterable<number>): number {
  let found = Number.NEGATIVE_INFINITY;
  for (const v of values) found = Math.max(found, v);
  return found;
}

/** Smallest and largest value, widened a little where they agree, so that a scale exists. */
export function span(values: readonly number[], room = 0): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const v of values) {
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  if (values.length === 0) return [0, 1];
  if (low === high) return [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  return [low - room * (high - low), high + room * (high - low)];
}

/**
 * Ticks at whole numbers, multiples of 1, 2 or 5 times a power of ten, `count` at most (one more
 * where both ends are ticks).
 */
export function wholeTicks([low, high]: readonly [number, number], count: number): number[] {
  const least = Math.max(1, (high - low) / count);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= least) ?? 10);
  const ticks: number[] = [];
  for (let t = Math.ceil(low / step) * step; t <= high; t += step) ticks.push(t);
  return ticks;
}

/** Counts of values in equal bins over `domain`; values on the upper end belong to the last bin. */
export function bins(values: readonly number[], domain: readonly [number, number], count: number) {
  const width = (domain[1] - domain[0]) / count;
  const out = Array.from({ length: count }, (_, i) => ({
    x1: domain[0] + i * width,
    x2: domain[0] + (i + 1) * width,
    n: 0,
  }));
  for (const v of values) {
    const i = Math.min(count - 1, Math.floor((v - domain[0]) / width));
    const bin = out[i];
    if (bin) bin.n++;
  }
  return out;
}

/** At most this many dots stand in a row; longer rows show evenly spaced ranks of their values. */
export const MAX_DOTS = 400;

/**
 * Every k-th value by size, ends included, so that the shape and the extremes of the distribution
 * stay.
 */
export function ranks(values: readonly number[], max = MAX_DOTS): number[] {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length <= max) return sorted;
  return Array.from({ length: max }, (_, i) => sorted[Math.round((i * (sorted.length - 1)) / (max - 1))]!);
}

/**
 * The i-th number of van der Corput's sequence in base 2: spreads dots evenly over a row's height,
 * the same in every run.
 */
export function corput(i: number): number {
  let [value, scale] = [0, 0.5];
  for (let n = i + 1; n > 0; n >>= 1, scale /= 2) value += (n & 1) * scale;
  return value;
}
