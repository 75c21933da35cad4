/**
 * What a run of the comparison leaves: numbers of every row and library, and what follows from
 * them.
 */
import type { AdapterClass } from "../../src/gpu/adapter";
import { median } from "../median";
import type { Counts, LibraryName } from "./protocol";

/** How a library did on a row. */
export interface LibraryRecord {
  /**
   * `right`: agrees with ours and was timed. `wrong`: does not agree. `cannot`: refused, died or
   * did not answer.
   */
  status: "right" | "wrong" | "cannot";
  /** Why it cannot, else null. */
  reason: string | null;
  /**
   * Largest difference from ours, as a share of the largest value (of a training step: of each
   * loss); null for ours and where there is nothing to compare.
   */
  error: number | null;
  /** Milliseconds of the first run, which compiles. */
  firstMs: number | null;
  /** Runs that were timed together each round. */
  runs: number;
  /** Milliseconds a run, one entry per round; null in rounds that its time budget did not allow. */
  rounds: (number | null)[];
  /** Median of the rounds. */
  ms: number | null;
  counts: Counts | null;
}

export interface RowRecord {
  name: string;
  flop: number;
  libraries: Partial<Record<LibraryName, LibraryRecord>>;
  /** The adapter's multiply-adds in registers, operations per second, one entry per round. */
  ceilings: (number | null)[];
  /** Ours as a share of that ceiling, median of the rounds' own. */
  share: number | null;
  /**
   * The fastest peer that is right, and its time divided by ours, median of the rounds' own: above
   * 1 ours is faster.
   */
  best: { peer: LibraryName; ratio: number } | null;
}

export interface PeersRecord {
  adapter: string;
  kind: AdapterClass;
  versions: Record<string, string>;
  options: Record<string, number | string>;
  rows: RowRecord[];
}

/** Median of the numbers among the values, or null where there is none. */
export function medianOf(values: readonly (number | null)[]): number | null {
  const present = values.filter((v): v is number => v !== null);
  return present.length ? median(present) : null;
}

/**
 * Median of top/bottom, round by round; null without a round that has both. A ratio inside of a
 * round leaves out how the machine drifts between rounds.
 */
export const medianRatio = (top: readonly (number | null)[], bottom: readonly (number | null)[]): number | null =>
  medianOf(top.map((t, i) => (t === null || bottom[i] == null ? null : t / bottom[i])));

/** The fastest right peer against ours. */
export function bestPeer(libraries: RowRecord["libraries"]): RowRecord["best"] {
  const { ours, ...peers } = libraries;
  if (ours?.status !== "right") return null;
  const right = Object.entries(peers).filter(([, p]) => p.status === "right" && p.ms !== null);
  const [fastest] = right.sort(([, a], [, b]) => a.ms! - b.ms!);
  const ratio = fastest ? medianRatio(fastest[1].rounds, ours.rounds) : null;
  return ratio === null ? null : { peer: fastest![0] as LibraryName, ratio };
}

/** Ours as a share of the ceiling of the same round. */
export const shareOfCeiling = (row: Pick<RowRecord, "flop" | "ceilings" | "libraries">): number | null =>
  medianRatio(
    (row.libraries.ours?.rounds ?? []).map((ms) => (ms === null ? null : row.flop / (ms / 1000))),
    row.ceilings,
  );

/** max |a − b| / max |b|; infinite where lengths differ or a value is not a number. */
export function relativeError(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Infinity;
  let [difference, largest] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i]! - b[i]!);
    if (!(d < Infinity)) return Infinity;
    difference = Math.max(difference, d);
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return difference === 0 ? 0 : difference / largest;
}

/** The largest of |a − b| / |b|, each by itself; infinite as {@link relativeError}. */
export function largestRelative(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Infinity;
  return Math.max(...[...a].map((_, i) => relativeError(a.subarray(i, i + 1), b.subarray(i, i + 1))));
}
