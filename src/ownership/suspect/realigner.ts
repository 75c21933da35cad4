import { StateDictError } from "../../errors";
import type { HostTensor, StateDict } from "../../io/host-tensor";
import {
  type ChannelGroup,
  type ChannelMember,
  type ChannelRun,
  type Channels,
  type FactorGroup,
  permuteChannels,
  rowsOf,
  scaleChannels,
} from "../../passport/channels";
import { sameShape, showShape } from "../../tensor/shape";
import { type Filters, lengthsOf, matched, meanCosine } from "./matching";
import { keyOf, meet, type Place, type Span, spanOf, whole } from "./spans";

/** How the outputs of one map, or of another tensor that makes channels, were put back. */
export interface RealignedLayer {
  /** The map's name: that of its weight without the end. */
  name: string;
  channels: number;
  /** Channels that stood elsewhere. */
  moved: number;
  /** Filters that were negated. */
  negated: number;
  /**
   * Mean cosine, without its sign, of the suspect's filters and the owner's, matched: 1 for the
   * same up to scale, far below for unrelated networks.
   */
  similarity: number;
  /** Whether the layer is similar enough to be taken for a copy; else it is left as it was. */
  copied: boolean;
}

/** A tensor that makes channels. */
interface Writer {
  readonly run: ChannelMember;
  readonly units: number;
  readonly each: number;
}

/** A part of a group whose channels are not in order yet. */
interface Pending {
  readonly group: ChannelGroup;
  readonly part: number;
  readonly writers: readonly Writer[];
}

const isMatrix = ({ shape }: HostTensor): boolean => shape.filter((n) => n > 1).length > 1;

/**
 * Puts one suspect's channels into the order, sign and scale of its owner's: what {@link realign}
 * says, group by group.
 */
export class Realigner {
  readonly #layers = new Map<string, RealignedLayer & Place & { runs: [ChannelRun, number, number][] }>();
  readonly #pending: Pending[];
  readonly #factors: Set<FactorGroup>;
  /** Groups whose units are in order. */
  readonly #settled = new Set<ChannelGroup>();
  /** Where channels are in an order, and whether it is the owner's. */
  readonly #ordered: { readonly span: Span; readonly copied: boolean }[] = [];
  /** By the tensors of norms: whether the map in front is a copy. */
  readonly #fronts = new Map<string, boolean>();

  constructor(
    readonly suspect: StateDict,
    readonly own: StateDict,
    { groups, factors }: Channels,
    private readonly least: number,
  ) {
    this.#pending = groups.flatMap((group) =>
      group.parts.map(({ each, members }, part): Pending => {
        const makers = members.filter((run) => run.role !== "in" && run.role !== "norm" && this.#makes(run, true));
        return { group, part, writers: makers.map((run) => ({ run, units: group.units, each })) };
      }),
    );
    this.#factors = new Set(factors);
    for (const { writers } of this.#pending) for (const { run, units, each } of writers) this.#note(run, units, each);
    for (const group of factors) for (const run of this.#maps(group)) this.#note(run, group.units, 1);
  }

  run(): void {
    for (;;) {
      this.#settleFactors(false);
      const next = this.#next();
      if (next) this.#order(next);
      else if (!this.#settleFactors(true)) break;
    }
    for (const layer of this.#layers.values()) {
      layer.similarity = this.#similarity(layer);
      layer.copied = layer.similarity >= this.least && this.#isOrdered(whole(layer)) !== false;
    }
  }

  layers(): RealignedLayer[] {
    return [...this.#layers.values()].map(({ tensor: _t, axis: _a, runs: _r, ...layer }) => layer);
  }

  /**
   * Whether a tensor that makes channels is there to be compared.
   * @throws StateDictError where it has to be.
   */
  #makes({ tensor }: Place, needed: boolean): boolean {
    const [is, was] = [this.suspect.get(tensor), this.own.get(tensor)];
    if (!was || !isMatrix(was)) return false;
    if (is && sameShape(is.shape, was.shape)) return true;
    if (!needed) return false;
    throw new StateDictError(
      `${tensor}: ${is ? `shape ${showShape(is.shape)}` : "missing"} in the suspect, ${showShape(was.shape)} in the owner's network: not the same structure`,
    );
  }

  /** The maps whose outputs have a group's factors. A classifier of another task has other rows. */
  #maps = ({ members }: FactorGroup): ChannelRun[] =>
    members.filter((run) => run.power === 1 && this.#makes(run, false));

  #note(run: ChannelRun, units: number, each: number): void {
    const key = keyOf(run);
    const known = this.#layers.get(key);
    if (!known) {
      const { tensor, axis } = run;
      const name = tensor.replace(/\.weight$/, "");
      const none = { channels: 0, moved: 0, negated: 0, similarity: 0, copied: false };
      this.#layers.set(key, { name, ...none, tensor, axis, runs: [] });
      return this.#note(run, units, each);
    }
    // A factor for some of its channels, or for all, adds none.
    if (known.runs.some(([r]) => r.start === run.start)) return;
    known.runs.push([run, units, each]);
    known.channels = this.own.get(run.tensor)!.shape[run.axis]!;
  }

  #rows(run: ChannelRun, units: number, each = 1): Filters {
    return [rowsOf(this.own.get(run.tensor), run, units, each), rowsOf(this.suspect.get(run.tensor), run, units, each)];
  }

  /** Mean |cosine| of the filters in their places, of one channel each. */
  #similarity({ tensor, axis }: Place): number {
    const channels = this.own.get(tensor)!.shape[axis]!;
    const run = { tensor, axis, start: 0, unit: 1, channel: 0, times: 1, stride: 1 };
    const [own, theirs] = this.#rows(run, channels);
    return meanCosine(own, theirs, channels);
  }

  /** Whether nothing is to be put back yet along the other axes of a tensor. */
  #isComparable({ tensor, axis }: Place): boolean {
    const across = (run: Place) => run.tensor === tensor && run.axis !== axis;
    if (this.#pending.some(({ group, part }) => group.parts[part]!.members.some(across))) return false;
    return ![...this.#factors].some(({ members }) => members.some(across));
  }

  /** Whether channels that lie here are still to be put in order. */
  #isOpen = (span: Span): boolean =>
    this.#pending.some(({ group, part }) => {
      const { each, members } = group.parts[part]!;
      return members.some((run) => meet(spanOf(run, group.units, each), span));
    });

  /** Whether channels that lie here are in the owner's order; undefined where they have none. */
  #isOrdered(span: Span): boolean | undefined {
    const here = this.#ordered.filter((o) => meet(o.span, span));
    return here.length ? here.every(({ copied }) => copied) : undefined;
  }

  /**
   * The next part to be put in order: one whose maps can all be compared; where there is none, the
   * one of which the most can.
   */
  #next(): (Pending & { comparable: readonly Writer[] }) | null {
    let best: (Pending & { comparable: readonly Writer[] }) | null = null;
    let most = 0;
    for (const pending of this.#pending) {
      const comparable = pending.writers.filter(({ run }) => this.#isComparable(run));
      if (comparable.length && comparable.length === pending.writers.length) return { ...pending, comparable };
      const numbers = comparable.reduce((sum, { run, units, each }) => {
        const { data, shape } = this.own.get(run.tensor)!;
        // Filters over one channel each say the least.
        return sum + (data.length / (units * each)) * (shape[1] === 1 ? 2 ** -20 : 1);
      }, 0);
      if (numbers > most) [best, most] = [{ ...pending, comparable }, numbers];
    }
    return best;
  }

  /** Puts the channels of a part in order, and with the first one of a group its units. */
  #order({ group, part, comparable }: Pending & { comparable: readonly Writer[] }): void {
    const free = !this.#settled.has(group);
    const sides = this.#pending.flatMap((side) => {
      if (side.group !== group || !(free || side.part === part)) return [];
      const writers = side.part === part ? comparable : side.writers.filter(({ run }) => this.#isComparable(run));
      return writers.length ? [{ side, writers }] : [];
    });
    const match = matched(
      group.units,
      sides.map(({ side, writers }) => ({
        each: group.parts[side.part]!.each,
        filters: writers.map(({ run, units, each }) => this.#rows(run, units, each)),
      })),
      free,
    );
    for (const { side } of sides) this.#pending.splice(this.#pending.indexOf(side), 1);
    this.#settled.add(group);
    const copied = match.similarity >= Math.max(this.least, match.needed);
    for (const { side } of sides)
      for (const run of group.parts[side.part]!.members)
        this.#ordered.push({ span: spanOf(run, group.units, group.parts[side.part]!.each), copied });
    if (!copied) return;
    const within = group.parts.map(({ each }, p) => {
      const at = sides.findIndex(({ side }) => side.part === p);
      return at < 0 ? match.units.map(() => Array.from({ length: each }, (_, e) => e)) : match.within[at]!;
    });
    const stands = (p: number, u: number, e: number) => match.units[u] === u && within[p]![u]![e] === e;
    let moves = false;
    group.parts.forEach(({ each, members }, p) => {
      for (let u = 0; u < group.units; u++)
        for (let e = 0; e < each; e++) {
          if (stands(p, u, e)) continue;
          moves = true;
          for (const run of members) {
            const layer = this.#layers.get(keyOf(run));
            if (layer) layer.moved += run.times;
          }
        }
    });
    if (moves) permuteChannels(this.suspect, group, { units: match.units, within });
  }

  /**
   * Gives channels the owner's sign and size, wherever their order is settled and all that makes
   * them can be compared.
   * @param any one of those is enough, as where nothing else goes on
   * @returns whether there were such
   */
  #settleFactors(any: boolean): boolean {
    let some = false;
    for (let again = true; again; ) {
      again = false;
      for (const group of this.#factors) {
        const made = group.members.filter((run) => run.power === 1);
        if (made.some((run) => this.#isOpen(spanOf(run, group.units, 1)))) continue;
        const maps = this.#maps(group);
        const comparable = maps.filter((run) => this.#isComparable(run));
        const ready = maps.length ? comparable.length === maps.length : this.#knowsFront(group);
        if (!ready && !(any && (comparable.length || !maps.length))) continue;
        this.#factors.delete(group);
        this.#settle(group, comparable);
        some = again = true;
        if (any) return true;
      }
    }
    return some;
  }

  /**
   * Whether it is known that the channels of norms are copies: their order is the owner's, or the
   * maps in front are settled. γ alone, which those may turn, waits for them.
   */
  #knowsFront({ units, members, sign }: FactorGroup): boolean {
    const made = members.filter((m) => m.power === 1);
    const waiting = [...this.#factors].some((g) =>
      g.members.some((m) => m.power !== 1 && made.some(({ tensor }) => tensor === m.tensor)),
    );
    return (
      !waiting || (made.some((m) => this.#isOrdered(spanOf(m, units, 1)) !== undefined) && !(sign && made.length < 2))
    );
  }

  #settle(group: FactorGroup, maps: readonly ChannelRun[]): void {
    const { units, members } = group;
    const made = members.filter((m) => m.power === 1);
    const ends = members.filter((m) => m.power !== 1);
    const copied = maps.length
      ? maps.every((m) => this.#isOrdered(spanOf(m, units, 1)) !== false && this.#similarity(m) >= this.least)
      : made.every((m) => this.#isOrdered(spanOf(m, units, 1)) ?? this.#fronts.get(m.tensor) ?? false);
    for (const m of ends) this.#fronts.set(m.tensor, copied && (this.#fronts.get(m.tensor) ?? true));
    const there = ({ tensor }: Place) => this.suspect.has(tensor) || !this.own.has(tensor);
    // Norms that are folded have no γ that could be negated or scaled.
    const complete = members.every(
      (m) => there(m) || m.power === 2 || m.power === -1 || (m.power === 1 && maps.length),
    );
    if (!copied || !complete) return;
    const measured = maps.length ? maps : made;
    const turnable = maps.length ? maps : made.filter((m) => !this.#fronts.has(m.tensor) && !this.#isFront(m.tensor));
    const scale = group.scale && members.every((m) => there(m));
    const lengths = lengthsOf(
      measured.map((run) => this.#rows(run, units)),
      units,
    );
    const turned = lengthsOf(
      (turnable.length ? turnable : measured).map((run) => this.#rows(run, units)),
      units,
    );
    const factors = Float64Array.from(
      lengths,
      ({ ratio }, u) => (scale ? ratio : 1) * (group.sign && turned[u]!.turned ? -1 : 1),
    );
    if (factors.every((f) => f === 1)) return;
    scaleChannels(this.suspect, group, factors);
    for (const run of maps) {
      const layer = this.#layers.get(keyOf(run))!;
      factors.forEach((f) => {
        if (f < 0) layer.negated += run.times;
      });
    }
  }

  /** Whether factors in front of a norm end at this tensor. */
  #isFront = (tensor: string): boolean =>
    [...this.#factors].some((g) => g.members.some((m) => m.power !== 1 && m.tensor === tensor));
}
