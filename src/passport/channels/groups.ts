/** Channels of a network that hang together. */
import { TO_TORCH } from "../../nn/state";
import { type Network, type NetworkTrace, type Sample, traceNetwork } from "../trace";
import { Follower } from "./follow";
import { FIXED, type Ledger, NO_SCALE, NO_SIGN, ONE, type Port, type Power } from "./known";

/**
 * Where channels lie along an axis of a tensor in PyTorch's order. Channel e of unit u has the
 * entries `start + u · unit + e · channel + i · stride`, i from 0 to `times` − 1.
 */
export interface ChannelRun {
  /** State-dict name. */
  readonly tensor: string;
  readonly axis: number;
  /**
   * Of the inputs of a grouped map (first axis: blocks of rows, one per group): entries count the
   * channels of all groups, and the axis is that of one. Default 1.
   */
  readonly groups?: number;
  readonly start: number;
  readonly unit: number;
  readonly channel: number;
  readonly times: number;
  readonly stride: number;
}

/** A tensor that has channels: a map's outputs or inputs, a norm's numbers, or others. */
export interface ChannelMember extends ChannelRun {
  readonly role: "out" | "in" | "norm" | "value";
}

/** Channels of each unit, that move with it, and change places within it. */
export interface ChannelPart {
  /** Channels of one unit. */
  readonly each: number;
  readonly members: readonly ChannelMember[];
}

/**
 * Channels that may change places, in all members alike, without a change of what the network
 * computes. Ordinary ones are units by themselves (`each` 1); channels of a group norm, a grouped
 * convolution or an attention head keep together, and whole units change places.
 */
export interface ChannelGroup {
  readonly units: number;
  readonly parts: readonly ChannelPart[];
}

/** A tensor that goes with factors of channels. */
export interface FactorMember extends ChannelRun {
  /** Its numbers are multiplied by the factor to this power, or by its sign. */
  readonly power: Power;
}

/** Channels that may be multiplied by factors, in all members, without a change of the network. */
export interface FactorGroup {
  /** Factors, one per unit. */
  readonly units: number;
  /** Any positive factor; in front of batch norm up to its ε. */
  readonly scale: boolean;
  /** A factor of −1. */
  readonly sign: boolean;
  readonly members: readonly FactorMember[];
}

/** What a network's state dict can be rearranged by. JSON-able. */
export interface Channels {
  readonly groups: readonly ChannelGroup[];
  readonly factors: readonly FactorGroup[];
}

/** As {@link channelsIn}, of one pass of a sample. @throws as `traceNetwork`. */
export const channelsOf = (network: Network, sample: Sample): Channels => channelsIn(traceNetwork(network, sample));

/**
 * Which channels of a traced network hang together, and may be permuted, scaled or negated
 * together: followed from operation to operation. What an operation does that is not known here
 * keeps its channels in their place, as do inputs and outputs of the network.
 *
 * Source of the idea: Fang et al., "DepGraph", CVPR 2023.
 */
export function channelsIn(trace: NetworkTrace): Channels {
  const { ledger } = new Follower(trace);
  const ports = [...ledger.placePorts.values()];
  for (const { tensor, atoms } of ports)
    if (ledger.frozen.has(tensor)) for (const a of atoms) ledger.places.mark(a, FIXED);
  return { groups: groupsOf(ledger, ports, trace), factors: factorsOf(ledger, trace) };
}

/** Entries of each class in each port, from the front. */
type Entries = ReadonlyMap<number, readonly number[]>;

const entriesOf = ({ atoms }: Port, find: (a: number) => number): Entries => {
  const entries = new Map<number, number[]>();
  atoms.forEach((a, i) => {
    const root = find(a);
    const list = entries.get(root);
    if (list) list.push(i);
    else entries.set(root, [i]);
  });
  return entries;
};

/** Classes by what happens to them: equal texts, equal fates. */
class Fates {
  readonly #of = new Map<number, number>();
  readonly #known = new Map<string, number>();

  of = (root: number): number => this.#of.get(root) ?? 0;

  add(root: number, what: string): void {
    const text = `${this.of(root)} ${what}`;
    let id = this.#known.get(text);
    if (id === undefined) this.#known.set(text, (id = this.#known.size + 1));
    this.#of.set(root, id);
  }
}

function fatesOf({ uses, places }: Ledger, entries: readonly Entries[]): Fates {
  const fates = new Fates();
  uses.forEach(({ labels, chosen }, id) => {
    const seen = new Map<number, number[]>();
    labels.data.forEach((a, i) => {
      if (a === 0) return;
      const root = places.find(a);
      const list = seen.get(root);
      if (list) list.push(i);
      else seen.set(root, [i]);
    });
    for (const [root, list] of seen) {
      // Which of its elements are chosen, counted among its own.
      const which = chosen ? list.flatMap((i, rank) => (chosen[i] ? [rank] : [])).join() : "";
      if (!chosen || which) fates.add(root, `${id}:${list.length}:${which}`);
    }
  });
  entries.forEach((port, id) => {
    for (const [root, list] of port) fates.add(root, `port ${id}:${list.length}`);
  });
  return fates;
}

/** Which block each class lies in, once blocks that are one are tied, and what cannot move is marked. */
function settleBlocks({ inBlocks, places }: Ledger): Map<number, Set<number>> {
  const find = (a: number) => places.find(a);
  for (;;) {
    let tied = false;
    const byFamily = new Map<number, Map<number, number>>();
    for (const { child, block, family } of inBlocks) {
      const of = byFamily.get(family) ?? new Map<number, number>();
      byFamily.set(family, of);
      const known = of.get(find(child));
      of.set(find(child), find(block));
      if (known === undefined || find(known) === find(block)) continue;
      places.tie(known, block, FIXED);
      tied = true;
    }
    if (tied) continue;
    const families = [...byFamily.values()];
    for (const [i, one] of families.entries())
      for (const other of families.slice(i + 1)) {
        const shared = [...one].flatMap(([c, p]) => (other.has(c) ? [[find(p), find(other.get(c)!)] as const] : []));
        const open = shared.filter(([p, q]) => p !== q);
        if (!open.length) continue;
        const [to, back] = [new Map<number, number>(), new Map<number, number>()];
        let same = true;
        for (const [p, q] of shared) {
          same &&= (to.get(p) ?? q) === q && (back.get(q) ?? p) === p;
          to.set(p, q);
          back.set(q, p);
        }
        // The same blocks twice are one; blocks across each other stay, and what lies in both moves
        // within both.
        for (const [p, q] of open)
          if (same) places.tie(p, q, FIXED);
          else for (const b of [p, q]) places.mark(b, FIXED);
        tied ||= same;
      }
    if (!tied) break;
  }
  const blocksOf = new Map<number, Set<number>>();
  for (const { child, block } of inBlocks) {
    const [c, b] = [find(child), find(block)];
    if (c === b) places.mark(c, FIXED);
    const set = blocksOf.get(c) ?? new Set<number>();
    blocksOf.set(c, set.add(b));
  }
  // One level of blocks moves.
  for (const [c, blocks] of blocksOf)
    for (const b of blocks) {
      if (places.flags(c) & FIXED) places.mark(b, FIXED);
      for (const above of blocksOf.get(b) ?? []) places.mark(above, FIXED);
    }
  return blocksOf;
}

function groupsOf(ledger: Ledger, ports: readonly Port[], trace: NetworkTrace): ChannelGroup[] {
  const { places } = ledger;
  for (;;) {
    const blocksOf = settleBlocks(ledger);
    const entries = ports.map((p) => entriesOf(p, (a) => places.find(a)));
    const fates = fatesOf(ledger, entries);
    const isFixed = (root: number) => (places.flags(root) & FIXED) !== 0;
    const moving = (root: number) => [...(blocksOf.get(root) ?? [])].find((b) => !isFixed(b));
    const first = new Map<number, string>();
    entries.forEach((port, id) => {
      for (const [root, [at]] of port) if (!first.has(root)) first.set(root, place(id, at!));
    });
    // Channels by the block that they move with.
    const children = new Map<number, number[]>();
    for (const root of blocksOf.keys()) {
      const block = moving(root);
      if (block !== undefined) children.set(block, [...(children.get(block) ?? []), root]);
    }
    const kind = (root: number) =>
      `${fates.of(root)} in ${[...(blocksOf.get(root) ?? [])].filter(isFixed).sort().join()}`;
    const sorted = (roots: readonly number[]) =>
      [...roots].sort((a, b) => ((first.get(a) ?? "~") < (first.get(b) ?? "~") ? -1 : 1));
    const kindsIn = (root: number): Map<string, number[]> => {
      const kinds = new Map<string, number[]>();
      for (const c of sorted(children.get(root) ?? [])) kinds.set(kind(c), [...(kinds.get(kind(c)) ?? []), c]);
      return kinds;
    };
    const units = new Map<string, number[]>();
    const tops = new Set([...first.keys(), ...children.keys()]);
    for (const root of tops) {
      if (isFixed(root) || moving(root) !== undefined) continue;
      const within = [...kindsIn(root)].map(([k, list]) => `${k} × ${list.length}`).sort();
      const key = [kind(root), ...within].join(" | ");
      units.set(key, [...(units.get(key) ?? []), root]);
    }
    const found: { group: ChannelGroup; at: string }[] = [];
    let odd = false;
    for (const roots of units.values()) {
      const top = (root: number) => [first.get(root), ...(children.get(root) ?? []).map((c) => first.get(c))];
      const least = (root: number) => top(root).reduce((a, b) => ((a ?? "~") < (b ?? "~") ? a : b))!;
      const ordered = [...roots].sort((a, b) => (least(a) < least(b) ? -1 : 1));
      const kinds = ordered.map(kindsIn);
      const parts: number[][][] = [...kinds[0]!.keys()].map((k) => kinds.map((of) => of.get(k)!));
      if (first.has(ordered[0]!)) parts.unshift(ordered.map((root) => [root]));
      if (ordered.length === 1 && parts.every(([unit]) => unit!.length === 1)) continue;
      const members = parts.map((part) =>
        ports.flatMap((port, id) =>
          port.groups > 1 && port.groups === port.atoms.length ? [] : membersOf(part, port, entries[id]!, trace),
        ),
      );
      if (members.every((m) => m.every((one) => one !== null))) {
        const group = {
          units: ordered.length,
          parts: parts.map((part, i) => ({ each: part[0]!.length, members: members[i]! as ChannelMember[] })),
        };
        found.push({ group, at: least(ordered[0]!) });
        continue;
      }
      // What does not lie regularly stays: first the units, then the channels in them.
      for (const root of ordered) places.mark(root, FIXED);
      odd = true;
    }
    if (!odd) return found.sort((a, b) => (a.at < b.at ? -1 : 1)).map(({ group }) => group);
  }
}

const place = (port: number, at: number): string => `${port}`.padStart(6, "0") + `${at}`.padStart(10, "0");

/** The members of a part in a port; [null] where they do not lie regularly. */
function membersOf(part: readonly (readonly number[])[], port: Port, entries: Entries, trace: NetworkTrace) {
  const lists = part.map((unit) => unit.map((root) => entries.get(root) ?? []));
  if (!lists[0]![0]!.length) return [];
  const runs = runsOf(lists);
  if (!runs) return [null];
  const role = (["out", "in", "norm"].includes(port.kind) ? port.kind : "value") as ChannelMember["role"];
  return runs.flatMap((run) => named(port, trace).map((at): ChannelMember => ({ ...at, role, ...run })));
}

/** The names of a port's tensor, and its axis in PyTorch's order. */
function named({ tensor, axis, groups }: Port, { tensors }: NetworkTrace) {
  const { names, layout } = tensors.get(tensor)!;
  const torch = layout === "same" ? axis : TO_TORCH[layout].indexOf(axis);
  return names.map((name) => ({ tensor: name, axis: torch, ...(groups > 1 && { groups }) }));
}

/** Entries of channels, by unit, as regular runs; null where they lie otherwise. */
function runsOf(lists: readonly (readonly (readonly number[])[])[]): Omit<ChannelRun, "tensor" | "axis">[] | null {
  const [head, next] = lists;
  const count = head![0]!.length;
  const lines = Array.from({ length: count }, (_, k) => {
    const start = head![0]![k]!;
    const [unit, channel] = [next ? next[0]![k]! - start : 0, head![1] ? head![1][k]! - start : 0];
    return { start, unit, channel };
  });
  const regular = lists.every((unit, u) =>
    unit.every(
      (list, e) =>
        list.length === count &&
        list.every((at, k) => at === lines[k]!.start + u * lines[k]!.unit + e * lines[k]!.channel),
    ),
  );
  if (!regular) return null;
  const runs: { start: number; unit: number; channel: number; times: number; stride: number }[] = [];
  for (const line of lines) {
    const run = runs.at(-1);
    const alike = run && run.unit === line.unit && run.channel === line.channel;
    const stride = run ? line.start - run.start - (run.times - 1) * run.stride : 0;
    if (alike && (run.times === 1 || stride === run.stride)) {
      run.stride = stride;
      run.times++;
    } else runs.push({ ...line, times: 1, stride: 1 });
  }
  return runs;
}

/** Kinds of use that one operation makes of one axis of a tensor; others do not go together. */
const TOGETHER = [
  ["norm-in", "norm-out"],
  ["scale-in", "scale-out"],
];

function factorsOf({ factorPorts, factors, frozen }: Ledger, trace: NetworkTrace): FactorGroup[] {
  const ports = [...factorPorts.values()];
  const kinds = new Map<string, Set<string>>();
  const key = ({ tensor, axis }: Port) => `${trace.tensors.get(tensor)!.names[0]} ${axis}`;
  for (const port of ports)
    kinds.set(key(port), (kinds.get(key(port)) ?? new Set()).add(`${port.kind} ${port.groups}`));
  for (const port of ports) {
    const used = [...kinds.get(key(port))!].map((k) => k.split(" ")[0]!);
    const fits = used.length === 1 || TOGETHER.some((t) => used.every((k) => t.includes(k)));
    if (!fits || frozen.has(port.tensor)) for (const a of port.atoms) factors.mark(a, ONE);
  }
  const entries = ports.map((p) => entriesOf(p, (a) => factors.find(a)));
  const fates = new Fates();
  entries.forEach((port, id) => {
    for (const [root, list] of port) fates.add(root, `${id}:${list.length}`);
  });
  const first = new Map<number, string>();
  entries.forEach((port, id) => {
    for (const [root, [at]] of port) if (root && !first.has(root)) first.set(root, place(id, at!));
  });
  const alike = new Map<string, number[]>();
  for (const root of first.keys()) {
    const flags = factors.flags(root);
    if ((flags & ONE) === ONE) continue;
    const kind = `${fates.of(root)} ${flags}`;
    alike.set(kind, [...(alike.get(kind) ?? []), root]);
  }
  return [...alike.values()].flatMap((roots) => {
    const ordered = roots.sort((a, b) => (first.get(a)! < first.get(b)! ? -1 : 1));
    const members = ports.flatMap((port, id): (FactorMember | null)[] => {
      const lists = ordered.map((root) => [entries[id]!.get(root) ?? []]);
      if (!lists[0]![0]!.length) return [];
      const runs = runsOf(lists);
      if (!runs) return [null];
      return runs.flatMap((run) => named(port, trace).map((at) => ({ ...at, power: port.power, ...run })));
    });
    // Those that lie in no order keep their factors.
    if (members.includes(null)) return [];
    const flags = factors.flags(ordered[0]!);
    const [scale, sign] = [!(flags & NO_SCALE), !(flags & NO_SIGN)];
    return [{ units: ordered.length, scale, sign, members: members as FactorMember[] }];
  });
}
