/** Channels that may be multiplied by factors. */
import type { NetworkTrace } from "../trace";
import { entriesOf, Fates } from "./fates";
import { type Ledger, NO_SCALE, NO_SIGN, ONE, type Port } from "./ledger";
import { named, place, runsOf } from "./runs";
import type { FactorGroup, FactorMember } from "./types";

/** Kinds of use that one operation makes of one axis of a tensor; others do not go together. */
const TOGETHER = [
  ["norm-in", "norm-out"],
  ["scale-in", "scale-out"],
];

/** Factors of a network, by what is multiplied together. */
export function factorsOf(ledger: Ledger, trace: NetworkTrace): FactorGroup[] {
  const { factorPorts, factors } = ledger;
  const ports = [...factorPorts.values()];
  const kinds = new Map<string, Set<string>>();
  const key = ({ tensor, axis }: Port) => `${trace.tensors.get(tensor)!.names[0]} ${axis}`;
  for (const port of ports)
    kinds.set(key(port), (kinds.get(key(port)) ?? new Set()).add(`${port.kind} ${port.groups}`));
  for (const port of ports) {
    const used = [...kinds.get(key(port))!].map((k) => k.split(" ")[0]!);
    const fits = used.length === 1 || TOGETHER.some((t) => used.every((k) => t.includes(k)));
    if (!fits || ledger.isStill(port)) for (const a of port.atoms) factors.mark(a, ONE);
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
      const plus = port.power === 2 ? { plus: ledger.epsilons.get(port.tensor)! } : {};
      return runs.flatMap((run) => named(port, trace).map((at) => ({ ...at, power: port.power, ...plus, ...run })));
    });
    // Those that lie in no order keep their factors.
    if (members.includes(null)) return [];
    const flags = factors.flags(ordered[0]!);
    const [scale, sign] = [!(flags & NO_SCALE), !(flags & NO_SIGN)];
    return [{ units: ordered.length, scale, sign, members: members as FactorMember[] }];
  });
}
