/**
 * What a dispatch takes on a card: the largest of its arithmetic, its workgroup memory and its
 * memory, each at the card's full rate, and a launch. Waiting is not in it: neither latencies that
 * too few waves leave open, nor caches, nor memory that is not read in order. So it is a lower
 * bound of what this machine code can take, and of use for comparing kernels.
 */
import type { CapturedDispatch } from "./capture";
import { type Card, laneRate, peak } from "./cards";
import type { CodeCounts, Counts } from "./hot-loop";

export const PARTS = ["arithmetic", "workgroup", "memory"] as const;

/** What binds a kernel. */
export type Part = (typeof PARTS)[number];

export interface DispatchTime extends Readonly<Record<Part, number>> {
  readonly launch: number;
  readonly total: number;
  /** With every multiply-add at the card's peak and every buffer moved once, nothing else. */
  readonly ideal: number;
}

export interface Work extends Pick<CapturedDispatch, "operations" | "bytes"> {
  /** Workgroups, and invocations of one. */
  readonly groups: number;
  readonly size: number;
}

/**
 * Turns of the hot loop that an invocation makes: what it takes for the dispatch's multiply-adds,
 * or, of a kernel that counts none, to move the bytes of its buffers once.
 */
export function turnsOf({ operations, bytes, groups, size }: Work, turn: Counts): number {
  const invocations = groups * size;
  if (operations > 0 && turn.multiplyAdds > 0) return operations / 2 / turn.multiplyAdds / invocations;
  return turn.bufferBytes > 0 ? bytes / turn.bufferBytes / invocations : 1;
}

export function timeOf(work: Work, { turn, rest }: CodeCounts, card: Card): DispatchTime {
  const { operations, bytes, groups, size } = work;
  const turns = turn ? turnsOf(work, turn) : 0;
  const each = (name: keyof Counts) => rest[name] + turns * (turn?.[name] ?? 0);
  // A workgroup stays on one unit: the dispatch ends with the unit that has most of them.
  const uneven = (Math.ceil(groups / card.units) * card.units) / groups;
  const invocations = groups * size * uneven;
  const slots = each("vector") - each("multiplyAdds") * (1 - 1 / card.dual);
  const times = {
    arithmetic: (invocations * slots) / laneRate(card),
    workgroup: (invocations * each("workgroupBytes")) / (card.units * card.workgroupBytes * card.clock),
    memory: bytes / card.memory,
  };
  return {
    ...times,
    launch: card.launch,
    total: Math.max(...PARTS.map((part) => times[part])) + card.launch,
    ideal: Math.max(operations / peak(card), bytes / card.memory),
  };
}

/** The part that takes longest. */
export const binding = (time: Readonly<Record<Part, number>>): Part =>
  PARTS.reduce((a, b) => (time[b] > time[a] ? b : a));
