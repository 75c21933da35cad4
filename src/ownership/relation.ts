/** Whether one network is made from another, from weights alone. */
import type { SafetensorsFile } from "../io/safetensors";
import { deployedConfig } from "../models/described/network";
import type { Channels } from "../passport/channels/types";
import { sizeOf } from "../tensor/shape";
import { assigned } from "./assignment";
import { fixedPointsPValue, fixedPointsThreshold, type Matchings } from "./fixed-points";
import { type Chosen, type Columns, type Hidden, HiddenChannels, type Places, type Placing, type Use } from "./hidden";
import { aliveOf, dotOf, isUnrivalled, likeness, numbersOf, type RowPair } from "./likeness";
import { findNetwork } from "./suspect";

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
  /** Whether one of the networks is made from the other: agreements ≥ needed. */
  related: boolean;
  /** What was left out, and why, in sentences. */
  notes: string[];
}

/** Fewest numbers of a channel that are compared: shorter rows are alike by chance. */
const LEAST = 16;

/** Numbers of a row that suffice to find it again. */
const ENOUGH = 64;

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

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
  return {
    agreements,
    channels: layers.reduce((sum, l) => sum + l.channels, 0),
    layers,
    pValue: fixedPointsPValue(agreements, layers),
    needed,
    related: agreements >= needed,
    notes,
  };
}

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

  constructor(private readonly hidden: HiddenChannels) {
    this.notes = hidden.notes;
  }

  run(): void {
    for (let left = this.hidden.all; left.length; ) {
      const ready = left.filter((h) => this.#numbers(this.#known(h.writers)) >= LEAST);
      const next = ready.find((h) => this.#known(h.writers).length === h.writers.length) ?? ready[0];
      if (!next) {
        for (const { name } of left)
          this.notes.push(`${name}: fewer than ${LEAST} numbers in front of its channels can be compared`);
        return;
      }
      left = left.filter((h) => h !== next);
      this.#compare(next);
    }
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
    const front = this.#known(h.writers);
    for (const { use } of front) this.#seen.add(use.weight.name);
    const alive = this.#alive(h, front);
    const chosen: Chosen = [[...alive[0]], [...alive[1]]];
    const first = matched(this.#rows(h, front, chosen), chosen);
    this.#placings.set(h, this.#placing(h, front, first));
    const fresh = h.readers.filter(({ weight }) => !this.#seen.has(weight.name));
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
    for (const { use } of known) this.#seen.add(use.weight.name);
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
    this.layers.push({
      name: h.name,
      channels: Math.min(own.length, theirs.length),
      among: Math.max(own.length, theirs.length),
      coincidences: both.length,
      agreements: both.filter((sure) => sure).length,
    });
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
      if (numbersOf(rows) < LEAST) continue;
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

const all = ({ counts }: Hidden): Chosen => [range(counts[0]), range(counts[1])];

function placingOf({ counts }: Hidden, pairs: readonly Pair[], sign: (pair: Pair) => number): Placing {
  const placing = { order: new Int32Array(counts[0]).fill(-1), signs: new Int8Array(counts[0]).fill(1) };
  for (const pair of pairs) {
    placing.order[pair.own] = pair.theirs;
    placing.signs[pair.own] = sign(pair) < 0 ? -1 : 1;
  }
  return placing;
}

/** A channel of the released network, and the one of the suspect that it was matched with. */
interface Pair {
  readonly own: number;
  readonly theirs: number;
  readonly score: number;
  /** Products of both in each tensor: their signs say whether it is turned. */
  readonly dots: readonly number[];
  /** Whether neither is as like to any other. */
  readonly sure: boolean;
}

function matched(rows: readonly RowPair[], [own, theirs]: Chosen, centred = false): Pair[] {
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
const numbersAt = ({ weight, run }: Use): number => run.times * sizeOf(weight.shapes[0].slice(2));

/** The channels that are most alike by what is in front: enough, and at most half of them. */
function keysOf(pairs: readonly Pair[], uses: readonly Use[]): Pair[] {
  const count = Math.ceil(ENOUGH / Math.min(...uses.map(numbersAt)));
  return [...pairs].sort((a, b) => b.score - a.score).slice(0, Math.min(count, pairs.length >> 1));
}
