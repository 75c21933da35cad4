/** Channels of two networks, matched with each other. */
import { sizeOf } from "../../tensor/shape";
import { assigned } from "./assignment";
import type { Chosen, Hidden, Placing, Use } from "./hidden";
import { dotOf, isUnrivalled, likeness, type RowPair } from "./likeness";

/**
 * Pairs of channels that are compared at most: what is kept and what a matching takes grow with
 * them, and how many channels a table is said to have is up to whoever wrote the file.
 */
const MOST_PAIRS = 2 ** 24;

/** Numbers of a row that suffice to find it again. */
const ENOUGH = 64;

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

export const isTooMany = ({ counts }: Hidden): boolean => counts[0] * counts[1] > MOST_PAIRS;

export const all = ({ counts }: Hidden): Chosen => [range(counts[0]), range(counts[1])];

export function placingOf({ counts }: Hidden, pairs: readonly Pair[], sign: (pair: Pair) => number): Placing {
  const placing = { order: new Int32Array(counts[0]).fill(-1), signs: new Int8Array(counts[0]).fill(1) };
  for (const pair of pairs) {
    placing.order[pair.own] = pair.theirs;
    placing.signs[pair.own] = sign(pair) < 0 ? -1 : 1;
  }
  return placing;
}

/** A channel of the released network, and the one of the suspect that it was matched with. */
export interface Pair {
  readonly own: number;
  readonly theirs: number;
  readonly score: number;
  /** Products of both in each tensor: their signs say whether it is turned. */
  readonly dots: readonly number[];
  /** Whether neither is as like to any other. */
  readonly sure: boolean;
}

export function matched(rows: readonly RowPair[], [own, theirs]: Chosen, centred = false): Pair[] {
  if (!own.length || !theirs.length) return [];
  const scores = likeness(rows, centred);
  return [...assigned(scores, own.length, theirs.length)].flatMap((c, r) => {
    if (c < 0) return [];
    const sure = isUnrivalled(scores, theirs.length, r, c);
    const dots = rows.map((pair) => dotOf(pair, r, c));
    return [{ own: own[r]!, theirs: theirs[c]!, score: scores[r * theirs.length + c]!, sure, dots }];
  });
}

/** Numbers of a channel in one column of a tensor. */
export const numbersAt = ({ weight, run }: Use): number => run.times * sizeOf(weight.shapes[0].slice(2));

/** The channels that are most alike by what is in front: enough, and at most half of them. */
export function keysOf(pairs: readonly Pair[], uses: readonly Use[]): Pair[] {
  const count = Math.ceil(ENOUGH / Math.min(...uses.map(numbersAt)));
  return [...pairs].sort((a, b) => b.score - a.score).slice(0, Math.min(count, pairs.length >> 1));
}
