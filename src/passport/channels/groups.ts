/** Channels of a network that hang together. */
import { type Network, type NetworkSample, type NetworkTrace, traceNetwork } from "../trace";
import { factorsOf } from "./factors";
import { type Entries, entriesOf, fatesOf, settleBlocks } from "./fates";
import { follow } from "./follow";
import { FIXED, type Ledger, type Port } from "./ledger";
import { named, place, runsOf } from "./runs";
import type { ChannelGroup, ChannelMember, Channels } from "./types";

/** As {@link channelsIn}, of one pass of a sample. @throws as `traceNetwork`. */
export const channelsOf = (network: Network, sample: NetworkSample): Channels =>
  channelsIn(traceNetwork(network, sample));

/**
 * Which channels of a traced network hang together, and may be permuted, scaled or negated
 * together: followed from operation to operation. What an operation does that is not known here
 * keeps its channels in their place, as do inputs and outputs of the network.
 *
 * Source of the idea: Fang et al., "DepGraph", CVPR 2023.
 */
export function channelsIn(trace: NetworkTrace): Channels {
  const ledger = follow(trace);
  const ports = [...ledger.placePorts.values()];
  for (const port of ports) if (ledger.isStill(port)) for (const a of port.atoms) ledger.places.mark(a, FIXED);
  return { groups: groupsOf(ledger, ports, trace), factors: factorsOf(ledger, trace) };
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

/** The members of a part in a port; [null] where they do not lie regularly. */
function membersOf(part: readonly (readonly number[])[], port: Port, entries: Entries, trace: NetworkTrace) {
  const lists = part.map((unit) => unit.map((root) => entries.get(root) ?? []));
  if (!lists[0]![0]!.length) return [];
  const runs = runsOf(lists);
  if (!runs) return [null];
  const role = (["out", "in", "norm"].includes(port.kind) ? port.kind : "value") as ChannelMember["role"];
  return runs.flatMap((run) => named(port, trace).map((at): ChannelMember => ({ ...at, role, ...run })));
}
