/** Which channels are of one kind: the same happens to them, and they lie in blocks alike. */
import { FIXED, type Ledger, type Port } from "./ledger";

/** Entries of each class in each port, from the front. */
export type Entries = ReadonlyMap<number, readonly number[]>;

export const entriesOf = ({ atoms }: Port, find: (a: number) => number): Entries => {
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
export class Fates {
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

export function fatesOf({ uses, places }: Ledger, entries: readonly Entries[]): Fates {
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

/**
 * Which block each class lies in, once blocks that are one are tied, and what cannot move is
 * marked.
 */
export function settleBlocks({ inBlocks, places }: Ledger): Map<number, Set<number>> {
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
