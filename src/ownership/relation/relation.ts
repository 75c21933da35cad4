/** Whether one network is made from another, from weights alone. */
import type { StateDict } from "../../io/host-tensor";
import type { SafetensorsFile } from "../../io/safetensors";
import { deployedConfig } from "../../models/described/network";
import type { Channels } from "../../passport/channels/types";
import { sizeOf } from "../../tensor/shape";
import { findNetwork } from "../suspect/suspect";
import { fixedPointsPValue, fixedPointsThreshold, type Matchings } from "./fixed-points";
import {
  type Chosen,
  type Columns,
  type Hidden,
  HiddenChannels,
  type Places,
  type Placing,
  type Use,
  type Weight,
} from "./hidden";
import { aliveOf, numbersOf, type RowPair } from "./likeness";
import { all, isTooMany, keysOf, matched, numbersAt, type Pair, placingOf, range } from "./pairs";
import { isSamePrint, printOf } from "./prints";

/** Channels of one layer that were matched twice. */
export interface ComparedLayer extends Matchings {
  /** The map that makes them: the name of its weight without the end. */
  name: string;
  /** On how many both matchings agree. */
  coincidences: number;
  /** On how many of these beyond doubt: neither is as like to any other, in either matching. */
  agreements: number;
}

/** What `relation` found. */
export interface RelationEvidence {
  /** Channels on which both matchings agree beyond doubt, of all layers. */
  agreements: number;
  /** Channels that could agree. */
  channels: number;
  layers: ComparedLayer[];
  /** P(independent networks agree on as many). */
  pValue: number;
  /** Fewest agreements that independent networks reach with the false-positive rate at most. */
  needed: number;
  /**
   * Shares of the tensors that both files have (of two dimensions and more), and of the numbers in
   * them, whose channels agree: tables that every network of a structure has agree as well, and are
   * few.
   */
  covered: { tensors: number; numbers: number };
  /**
   * Share of the numbers (of tensors of two dimensions and more) that are in tensors which both
   * files have, of the file in which it is less: a comparison of little shows nothing.
   */
  common: number;
  /**
   * Whether one of the networks is made from the other: agreements ≥ needed, and a third of the
   * tensors and half of the numbers are covered.
   */
  related: boolean;
  /** What was left out, and why, in sentences. */
  notes: string[];
}

/** Fewest numbers of a channel that are compared: shorter rows are alike by chance. */
const LEAST = 16;

/** Shares of tensors and numbers that have to agree, and of a layer's channels. */
const COVERED = { tensors: 1 / 3, numbers: 1 / 2, channels: 1 / 4 };

/**
 * Whether one of two networks is made from the other, by channels that are known: see `relation`.
 * @throws FormatError for a released file that describes another network than it holds;
 * StateDictError when the suspect has none of its weights.
 */
export function relationBetween(
  suspect: SafetensorsFile,
  released: SafetensorsFile,
  channels: Channels,
  falsePositiveRate: number,
): RelationEvidence {
  const described = released.metadata["model"] !== undefined;
  const own = described ? findNetwork(released.tensors, deployedConfig(released)).tensors : released.tensors;
  const found = new Relation(new HiddenChannels(own, suspect.tensors, channels));
  found.run();
  const { layers, notes } = found;
  const agreements = layers.reduce((sum, l) => sum + l.agreements, 0);
  const needed = fixedPointsThreshold(layers, falsePositiveRate);
  const covered = found.covered();
  const isWhole = covered.tensors >= COVERED.tensors && covered.numbers >= COVERED.numbers;
  if (agreements >= needed && !isWhole)
    notes.push(
      `channels agree in ${shareOf(covered.tensors)} of the tensors and ${shareOf(covered.numbers)} of their numbers alone: so may tables that all networks of this structure have, and the rest of the networks has nothing in common`,
    );
  return {
    agreements,
    channels: layers.reduce((sum, l) => sum + l.channels, 0),
    layers,
    pValue: fixedPointsPValue(agreements, layers),
    needed,
    covered,
    common: found.common(own, suspect.tensors),
    related: agreements >= needed && isWhole,
    notes,
  };
}

const shareOf = (share: number): string => `${(100 * share).toFixed(0)} %`;

/** A map on one side of some channels, and what of it can be compared. */
interface Known {
  readonly use: Use;
  readonly columns: Columns;
}

class Relation {
  readonly layers: ComparedLayer[] = [];
  readonly notes: string[];
  readonly #placings = new Map<Hidden, Placing>();
  /** Tensors whose numbers some matching has seen: another one by them would be no news. */
  readonly #seen = new Set<string>();
  /** What their channels are like: tied tensors have others' numbers under their own names. */
  readonly #prints: Float64Array[] = [];
  /** Those of every use that was asked for. */
  readonly #printed = new Map<Use, readonly Float64Array[]>();
  /** Tensors whose channels agree. */
  readonly #agreeing = new Set<string>();

  constructor(private readonly hidden: HiddenChannels) {
    this.notes = hidden.notes;
  }

  run(): void {
    const left = new Set(this.hidden.all);
    const fronts = new Map<Hidden, { numbers: number; isWhole: boolean }>();
    const behind = this.#behind();
    let stale: Iterable<Hidden> = left;
    while (left.size) {
      for (const h of stale) {
        const known = this.#known(h.writers);
        fronts.set(h, { numbers: this.#numbers(known), isWhole: known.length === h.writers.length });
      }
      const ready = [...left].filter((h) => fronts.get(h)!.numbers >= LEAST);
      const next = ready.find((h) => fronts.get(h)!.isWhole) ?? ready[0];
      if (!next) break;
      left.delete(next);
      this.#compare(next);
      stale = behind.get(next) ?? [];
    }
    for (const { name } of left)
      this.notes.push(`${name}: fewer than ${LEAST} numbers in front of its channels can be compared`);
  }

  /** By channels: those whose maps read them, and know more once they are matched. */
  #behind(): ReadonlyMap<Hidden, ReadonlySet<Hidden>> {
    const found = new Map<Hidden, Set<Hidden>>();
    for (const h of this.hidden.all)
      for (const use of h.writers)
        for (const { hidden } of this.hidden.across(use)) found.set(hidden, (found.get(hidden) ?? new Set()).add(h));
    return found;
  }

  /** How much of both networks agrees. */
  covered(): RelationEvidence["covered"] {
    const all = this.hidden.weights;
    const numbers = (of: readonly Weight[]) => of.reduce((sum, { shapes }) => sum + sizeOf(shapes[0]), 0);
    const agreeing = all.filter(({ name }) => this.#agreeing.has(name));
    return { tensors: agreeing.length / all.length, numbers: numbers(agreeing) / numbers(all) };
  }

  /** Of which share of each file's numbers there is anything to compare, the lesser one. */
  common(released: StateDict, suspect: StateDict): number {
    const shares = [released, suspect].map((state, side) => {
      const tables = [...state.values()].filter(({ shape }) => shape.length > 1);
      const whole = tables.reduce((sum, { data }) => sum + data.length, 0);
      return this.hidden.weights.reduce((sum, { shapes }) => sum + sizeOf(shapes[side as 0 | 1]), 0) / whole;
    });
    return Math.min(...shares);
  }

  /** Whether a matching has seen these numbers, of either network, under whatever name. */
  #isSeen(h: Hidden, use: Use): boolean {
    if (this.#seen.has(use.weight.name)) return true;
    return this.#printsOf(h, use).some((own) => this.#prints.some((other) => isSamePrint(own, other)));
  }

  #see(h: Hidden, use: Use): void {
    if (this.#seen.has(use.weight.name)) return;
    this.#seen.add(use.weight.name);
    this.#prints.push(...this.#printsOf(h, use));
  }

  #printsOf(h: Hidden, use: Use): readonly Float64Array[] {
    const known = this.#printed.get(use);
    if (known) return known;
    const { released, suspect } = this.hidden.rows(h, use, all(h), this.hidden.allColumns(use));
    const prints = [printOf(released), printOf(suspect)];
    this.#printed.set(use, prints);
    return prints;
  }

  #known(uses: readonly Use[], places: Places = (h) => this.#placings.get(h)): Known[] {
    const all = uses.map((use): Known => ({ use, columns: this.hidden.columns(use, places) }));
    return all.filter(({ columns }) => columns.entries[0].length > 0);
  }

  /** How many numbers of a channel these are. */
  #numbers = (known: readonly Known[]): number =>
    known.reduce((sum, { use, columns }) => sum + columns.entries[0].length * numbersAt(use), 0);

  #rows = (h: Hidden, known: readonly Known[], chosen: Chosen): RowPair[] =>
    known.map(({ use, columns }) => this.hidden.rows(h, use, chosen, columns));

  /** Channels of both networks that are not zero in what these maps have of them. */
  #alive(h: Hidden, known: readonly Known[]): [Set<number>, Set<number>] {
    const rows = this.#rows(h, known, all(h));
    const of = (side: "released" | "suspect"): Set<number> => {
      const alive = aliveOf(rows.map((pair) => pair[side]));
      return new Set(range(alive.length).filter((c) => alive[c]));
    };
    return [of("released"), of("suspect")];
  }

  #compare(h: Hidden): void {
    if (isTooMany(h)) {
      this.notes.push(`${h.name}: ${h.counts.join(" and ")} channels are too many to compare`);
      return;
    }
    const front = this.#known(h.writers);
    for (const { use } of front) this.#see(h, use);
    const alive = this.#alive(h, front);
    const chosen: Chosen = [[...alive[0]], [...alive[1]]];
    const first = matched(this.#rows(h, front, chosen), chosen);
    this.#placings.set(h, this.#placing(h, front, first));
    const fresh = h.readers.filter((use) => !this.#isSeen(h, use));
    if (!fresh.length) {
      this.notes.push(`${h.name}: no map that reads its channels is left to compare them by`);
      return;
    }
    const whole = fresh.map((use): Known => ({ use, columns: this.hidden.allColumns(use) }));
    const behind = this.#alive(h, whole);
    const dropped = h.counts[0] - [...alive[0]].filter((c) => behind[0].has(c)).length;
    if (dropped) this.notes.push(`${h.name}: ${dropped} of ${h.counts[0]} channels are next to zero and left out`);
    const pairs = first.filter(({ own, theirs }) => behind[0].has(own) && behind[1].has(theirs));
    const ends = fresh.every((use) => this.hidden.across(use).length === 0);
    const keys = ends ? [] : keysOf(pairs, fresh);
    const known = this.#known(fresh, this.#placesBehind(h, keys, fresh));
    if (this.#numbers(known) < LEAST) {
      this.notes.push(`${h.name}: fewer than ${LEAST} numbers behind its channels can be compared`);
      return;
    }
    for (const { use } of known) this.#see(h, use);
    const taken = [new Set(keys.map((k) => k.own)), new Set(keys.map((k) => k.theirs))] as const;
    const rest = [0, 1].map((side) => chosen[side]!.filter((c) => behind[side]!.has(c) && !taken[side]!.has(c)));
    const [own, theirs] = rest as [number[], number[]];
    if (!own.length || !theirs.length) return;
    const before = new Map(pairs.map((pair) => [pair.own, pair]));
    const second = matched(this.#rows(h, known, [own, theirs]), [own, theirs], true);
    const both = second.flatMap((pair) => {
      const first = before.get(pair.own);
      return first?.theirs === pair.theirs ? [first.sure && pair.sure] : [];
    });
    const channels = Math.min(own.length, theirs.length);
    const agreements = both.filter((sure) => sure).length;
    const among = Math.max(own.length, theirs.length);
    this.layers.push({ name: h.name, channels, among, coincidences: both.length, agreements });
    if (agreements > 1 && agreements >= COVERED.channels * channels)
      for (const { use } of [...front, ...known]) this.#agreeing.add(use.weight.name);
  }

  /** Where channels are by what is in front of them, and with which sign they are read. */
  #placing(h: Hidden, front: readonly Known[], pairs: readonly Pair[]): Placing {
    const placing = placingOf(h, pairs, () => 1);
    const turns = front.map(({ use }) => this.hidden.turns(h, use));
    for (const { own, theirs, dots } of pairs) {
      const votes = turns.reduce((sum, turn, i) => sum + (turn ? turn(own, theirs) * dots[i]! : 0), 0);
      placing.signs[own] = votes < 0 ? -1 : 1;
    }
    return placing;
  }

  /**
   * Where the channels behind some others are, and with which sign they are made: by their filters
   * over the key channels alone, so that the weights of all other channels stay unseen.
   */
  #placesBehind(h: Hidden, keys: readonly Pair[], uses: readonly Use[]): Places {
    const { signs } = this.#placings.get(h)!;
    const ofKeys = placingOf(h, keys, ({ own }) => signs[own]!);
    const filters = new Map<Hidden, { tensor: string; rows: RowPair }[]>();
    for (const use of uses)
      for (const { hidden, run } of this.hidden.across(use)) {
        const { weight } = use;
        const columns = this.hidden.columns({ weight, run }, (of) => (of === h ? ofKeys : undefined));
        if (!columns.entries[0].length) continue;
        const rows = this.hidden.rows(hidden, { weight, run }, all(hidden), columns);
        filters.set(hidden, [...(filters.get(hidden) ?? []), { tensor: weight.name, rows }]);
      }
    const found = new Map<string, Placing>();
    for (const [hidden, of] of filters) {
      const rows = of.map((f) => f.rows);
      if (numbersOf(rows) < LEAST || isTooMany(hidden)) continue;
      const pairs = matched(rows, all(hidden));
      of.forEach(({ tensor }, i) => {
        found.set(
          `${hidden.name} ${tensor}`,
          placingOf(hidden, pairs, ({ dots }) => dots[i]!),
        );
      });
    }
    return (hidden, tensor) => found.get(`${hidden.name} ${tensor}`);
  }
}
