/**
 * What a dispatch takes on a card: the largest of its arithmetic, its workgroup memory and its
 * memory, each at the card's full rate, and of the wait of one invocation for what each turn of its
 * loop loads; and a launch. Left out are latencies that too few waves leave open besides, caches,
 * and memory that is not read in order: it is about the least that this machine code can take, and
 * of use for comparing kernels.
 */
import type { CapturedDispatch } from "./capture";
import { type Card, laneRate, peak } from "./cards";
import type { CodeCounts, Counts } from "./hot-loop";

export const PARTS = ["arithmetic", "workgroup", "memory", "latency"] as const;

/** What binds a kernel. */
export type Part = (typeof PARTS)[number];

export interface DispatchTime extends Readonly<Record<Part, number>> {
  readonly launch: number;
  readonly total: number;
  /** With every multiply-add at the card's peak and every buffer moved once, nothing else. */
  readonly ideal: number;
}

export interface Work extends Pick<CapturedDispatch, "operations" | "loads" | "bytes"> {
  /** Workgroups, and invocations of one. */
  readonly groups: number;
  readonly size: number;
}

/**
 * Bytes that a dispatch moves at least: its buffers once, but no more than it loads where that is
 * counted.
 */
const moved = ({ loads, bytes }: Work): number => (loads > 0 ? Math.min(4 * loads, bytes) : bytes);

/**
 * Turns of the hot loop that an invocation makes: what it takes for the dispatch's multiply-adds,
 * or, of a kernel that counts none, to move its bytes.
 */
export function turnsOf(work: Work, turn: Counts): number {
  const { operations, groups, size } = work;
  const invocations = groups * size;
  if (operations > 0 && turn.multiplyAdds > 0) return operations / 2 / turn.multiplyAdds / invocations;
  return turn.bufferBytes > 0 ? moved(work) / turn.bufferBytes / invocations : 1;
}

export function timeOf(work: Work, { turn, rest }: CodeCounts, card: Card): DispatchTime {
  const { operations, groups, size } = work;
  const turns = turn ? turnsOf(work, turn) : 0;
  const each = (name: keyof Counts) => rest[name] + turns * (turn?.[name] ?? 0);
  // A workgroup stays on one unit, or on its share of one: the dispatch ends with the unit that has
  // most of them.
  const places = card.units * Math.max(1, Math.floor(card.fill / size));
  const uneven = (Math.ceil(groups / places) * places) / groups;
  const invocations = groups * size * uneven;
  const slots = each("vector") - each("paired") * (1 - 1 / card.dual);
  const times = {
    arithmetic: (invocations * slots) / laneRate(card),
    workgroup: (invocations * each("workgroupBytes")) / (card.units * card.workgroupBytes * card.clock),
    memory: moved(work) / card.memory,
    latency: card.latency * ((turn?.bufferBytes ? turns : 0) + (rest.bufferBytes ? 1 : 0)),
  };
  return {
    ...times,
    launch: card.launch,
    total: Math.max(...PARTS.map((part) => times[part])) + card.launch,
    ideal: Math.max(operations / peak(card), times.memory),
  };
}

/** The part that takes longest. */
export const binding = (time: Readonly<Record<Part, number>>): Part =>
  PARTS.reduce((a, b) => (time[b] > time[a] ? b : a));
