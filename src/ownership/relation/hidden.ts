/**
 * Hidden channels of two networks of one structure, and the weights in front of them and behind.
 */
import { StateDictError } from "../../errors";
import { type HostTensor, type StateDict, toFloat32 } from "../../io/host-tensor";
import { entriesOf } from "../../passport/channels/apply";
import type { ChannelRun, Channels, FactorGroup, FactorMember } from "../../passport/channels/types";
import { sizeOf } from "../../tensor/shape";
import { WRAPPERS } from "../suspect/names";
import type { RowPair, Rows } from "./likeness";

/** A tensor of filters in both networks, and its numbers. */
export interface Weight {
  readonly name: string;
  readonly shapes: readonly [released: readonly number[], suspect: readonly number[]];
  readonly data: readonly [released: Float32Array, suspect: Float32Array];
}

/** Channels that lie along the first axis of a tensor, or the second. */
export interface Use {
  readonly weight: Weight;
  readonly run: ChannelRun;
}

/** Channels that hang together. */
export interface Hidden {
  /** By the first map that makes them. */
  readonly name: string;
  readonly units: number;
  readonly each: number;
  /** Channels of the released network and of the suspect: those of dummy neurons are more. */
  readonly counts: readonly [released: number, suspect: number];
  /** Maps that make them, and maps that read them. */
  readonly writers: readonly Use[];
  readonly readers: readonly Use[];
}

/** Which channels of the suspect are which of the released network. */
export interface Placing {
  /** For channels of the released network; −1 for none. */
  readonly order: Int32Array;
  /** Whether they are turned: 1, or −1; by channel of the released network. */
  readonly signs: Int8Array;
}

/** Places of channels as they lie in a tensor, where they are known. */
export type Places = (hidden: Hidden, tensor: string) => Placing | undefined;

/** The same entries of an axis in both networks, and the signs of the suspect's. */
export interface Columns {
  readonly entries: readonly [released: readonly number[], suspect: readonly number[]];
  readonly signs?: readonly number[];
}

/** Some channels of both networks. */
export type Chosen = readonly [released: readonly number[], suspect: readonly number[]];

const plainName = (name: string): string =>
  name
    .split(".")
    .filter((part) => !WRAPPERS.has(part))
    .join(".");

/**
 * Tensors of a suspect by the released network's names, under the prefix that most of them have.
 */
function byName(suspect: StateDict, names: readonly string[]): Map<string, HostTensor> {
  const plain = new Map([...suspect].map(([name, tensor]) => [plainName(name), tensor]));
  const counts = new Map<string, number>();
  for (const wanted of names)
    for (const name of plain.keys())
      if (name === wanted || name.endsWith(`.${wanted}`)) {
        const prefix = name.slice(0, name.length - wanted.length);
        counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
      }
  const [prefix = ""] = [...counts].sort(([a, n], [b, m]) => m - n || a.length - b.length).map(([p]) => p);
  return new Map(names.flatMap((name) => (plain.has(prefix + name) ? [[name, plain.get(prefix + name)!]] : [])));
}

/** All channels of two networks, and where they lie. */
export class HiddenChannels {
  readonly all: readonly Hidden[];
  /** Tensors of filters that both networks have. */
  readonly weights: readonly Weight[];
  /** What could not be used, in sentences. */
  readonly notes: string[] = [];
  /** By tensor and axis: whose channels lie there. */
  readonly #owners = new Map<string, { hidden: Hidden; run: ChannelRun }[]>();
  /** Axes with channels of whose places in the suspect nothing is known. */
  readonly #unknown = new Set<string>();
  /** By tensor and axis: entries that are some channels'. */
  readonly #taken = new Map<string, Uint8Array>();
  readonly #channels: Channels;
  readonly #states: readonly [released: StateDict, suspect: StateDict];

  /** @throws StateDictError where the suspect has none of the released network's weights. */
  constructor(released: StateDict, suspect: StateDict, channels: Channels) {
    this.#channels = channels;
    const isWeight = ({ shape }: HostTensor) => shape.length > 1;
    const names = [...released].filter(([, t]) => isWeight(t)).map(([name]) => name);
    const found = byName(suspect, [...released.keys()]);
    this.#states = [released, found];
    const weights = new Map<string, Weight>();
    for (const name of names) {
      const [own, theirs] = [released.get(name)!, found.get(name)];
      const fits =
        theirs?.shape.length === own.shape.length && theirs.shape.every((n, d) => d < 2 || n === own.shape[d]);
      if (theirs && fits)
        weights.set(name, {
          name,
          shapes: [own.shape, theirs.shape],
          data: [this.#finite(name, own), this.#finite(name, theirs)],
        });
      else this.notes.push(`${name}: ${theirs ? "of another shape" : "missing"} in the suspect and left aside`);
    }
    this.weights = [...weights.values()];
    if (!weights.size) throw new StateDictError("none of the suspect's weights is one of the released network's");
    this.all = channels.groups.flatMap(({ units, parts }) =>
      parts.flatMap(({ each, members }) => {
        const uses = members.flatMap((run) => {
          const weight = weights.get(run.tensor);
          return weight && run.axis < 2 && (run.role === "in" || run.role === "out") ? [{ weight, run }] : [];
        });
        return this.#hidden(units, each, uses);
      }),
    );
  }

  #finite(name: string, tensor: HostTensor): Float32Array {
    const data = toFloat32(tensor);
    if (data.every(Number.isFinite)) return data;
    this.notes.push(`${name}: numbers that are not finite are read as 0`);
    return data.map((v) => (Number.isFinite(v) ? v : 0));
  }

  #hidden(units: number, each: number, uses: readonly (Use & { run: { role: string } })[]): Hidden[] {
    const usable: (Use & { run: { role: string } })[] = [];
    let theirs = -1;
    for (const use of uses) {
      const { run, weight } = use;
      const grouped = (run.groups ?? 1) > 1;
      const outside = !grouped && !this.#take(use, units, each);
      const count = grouped || outside ? undefined : countOf(use, units, each);
      if (count === undefined || (theirs >= 0 && count !== theirs)) {
        this.#unknown.add(`${run.axis} ${weight.name}`);
        const why = grouped
          ? "a grouped map"
          : outside
            ? "channels outside of it, or said to be others too"
            : "channels of another number";
        this.notes.push(`${weight.name}: ${why}, not compared`);
        continue;
      }
      theirs = count;
      usable.push(use);
    }
    if (!usable.length) return [];
    const of = (role: string) => usable.filter(({ run }) => run.role === role);
    const name = (of("out")[0] ?? usable[0]!).weight.name.replace(/\.weight$/, "");
    const hidden: Hidden = {
      name,
      units,
      each,
      counts: [units * each, theirs],
      writers: of("out"),
      readers: of("in"),
    };
    for (const { run } of usable) {
      const key = `${run.axis} ${run.tensor}`;
      this.#owners.set(key, [...(this.#owners.get(key) ?? []), { hidden, run }]);
    }
    return [hidden];
  }

  /**
   * Takes the entries of an axis that channels have; false where some lie outside of it, or are
   * other channels' already: whoever says so cannot be believed.
   */
  #take({ weight, run }: Use, units: number, each: number): boolean {
    const size = weight.shapes[0][run.axis]!;
    if (units * each * run.times > size) return false;
    const key = `${run.axis} ${weight.name}`;
    const taken = this.#taken.get(key) ?? new Uint8Array(size);
    const own = new Set<number>();
    for (let u = 0; u < units; u++)
      for (let e = 0; e < each; e++)
        for (const at of entriesOf(run, u, e)) {
          if (!(at >= 0 && at < size) || taken[at] || own.has(at)) return false;
          own.add(at);
        }
    for (const at of own) taken[at] = 1;
    this.#taken.set(key, taken);
    return true;
  }

  /** Whose channels lie along the other axis of a tensor. */
  across = ({ weight, run }: Use): { hidden: Hidden; run: ChannelRun }[] =>
    this.#owners.get(`${1 - run.axis} ${weight.name}`) ?? [];

  /**
   * Entries of the other axis of a tensor that are known to be the same in both networks: those of
   * channels that are matched, and those that are no channels, as of the input.
   */
  columns(use: Use, places: Places): Columns {
    const { weight, run } = use;
    const axis = 1 - run.axis;
    const [own, theirs] = weight.shapes.map((shape) => shape[axis]!) as [number, number];
    const found: [number[], number[]] = [[], []];
    const signs: number[] = [];
    const free = new Uint8Array(own).fill(this.#unknown.has(`${axis} ${weight.name}`) || own !== theirs ? 0 : 1);
    for (const { hidden, run: other } of this.across(use)) {
      const placing = places(hidden, weight.name);
      for (let c = 0; c < hidden.counts[0]; c++) {
        const here = entries(hidden, other, 0, c);
        for (const at of here) free[at] = 0;
        const to = placing?.order[c] ?? -1;
        if (to < 0) continue;
        found[0].push(...here);
        found[1].push(...entries(hidden, other, own === theirs ? 0 : 1, to));
        signs.push(...here.map(() => placing!.signs[c]!));
      }
    }
    free.forEach((is, at) => {
      if (!is) return;
      for (const list of found) list.push(at);
      signs.push(1);
    });
    return { entries: found, signs };
  }

  /** All entries of the other axis, each network's own. */
  allColumns = ({ weight, run }: Use): Columns => {
    const [own, theirs] = weight.shapes.map((shape) => Array.from({ length: shape[1 - run.axis]! }, (_, i) => i));
    return { entries: [own!, theirs!] };
  };

  /** Numbers of channels by columns. @param chosen channels of both networks */
  rows(hidden: Hidden, { weight, run }: Use, chosen: Chosen, { entries: columns, signs }: Columns): RowPair {
    const same = weight.shapes[0][run.axis] === weight.shapes[1][run.axis];
    const of = (side: 0 | 1): Rows => {
      const shape = weight.shapes[side];
      const kernel = sizeOf(shape.slice(2));
      const inner = kernel * run.times;
      const data = new Float32Array(chosen[side].length * columns[side].length * inner);
      let to = 0;
      for (const c of chosen[side]) {
        const own = entries(hidden, run, same ? 0 : side, c);
        columns[side].forEach((column, i) => {
          const sign = side === 1 && signs ? signs[i]! : 1;
          for (const entry of own) {
            const [a, b] = run.axis === 0 ? [entry, column] : [column, entry];
            const from = (a * shape[1]! + b) * kernel;
            for (let k = 0; k < kernel; k++) data[to + k] = sign * weight.data[side][from + k]!;
            to += kernel;
          }
        });
      }
      return { data, channels: chosen[side].length, columns: columns[side].length, inner };
    };
    return { released: of(0), suspect: of(1) };
  }

  /**
   * For a map that makes channels: what its sign is times, by the released network's channels and
   * the suspect's, before the next map reads it: that of γ of the norm behind it. Undefined where
   * no sign gets through.
   */
  turns(h: Hidden, { run }: Use): ((own: number, theirs: number) => number) | undefined {
    const has = (m: FactorMember, use: Use) => m.tensor === use.run.tensor && m.axis === use.run.axis;
    const isRead = (f: FactorGroup) =>
      f.sign && f.members.some((m) => m.power === -1 && h.readers.some((u) => has(m, u)));
    if (!this.#channels.factors.some(isRead)) return undefined;
    const made = this.#channels.factors.find((f) =>
      f.members.some((m) => m.power === 1 && m.tensor === run.tensor && m.axis === run.axis),
    );
    const gamma = made?.members.find((m) => m.power === "sign")?.tensor;
    const [own, theirs] = this.#states.map((state) => {
      const tensor = gamma === undefined ? undefined : state.get(gamma);
      return tensor && toFloat32(tensor);
    });
    return (o, t) => ((own?.[o] ?? 1) < 0 ? -1 : 1) * ((theirs?.[t] ?? 1) < 0 ? -1 : 1);
  }
}

/** Entries of a channel: as in the released network, or one after the other in a larger one. */
const entries = ({ each }: Hidden, run: ChannelRun, side: 0 | 1, c: number): number[] =>
  side === 0
    ? entriesOf(run, Math.floor(c / each), c % each)
    : Array.from({ length: run.times }, (_, i) => c * run.times + i);

/**
 * Channels that a suspect has along an axis: as many as the released network, or, where they are
 * all of the axis, one after the other, as many as there is room for.
 */
function countOf({ weight, run }: Use, units: number, each: number): number | undefined {
  const [own, theirs] = weight.shapes.map((shape) => shape[run.axis]!) as [number, number];
  if (own === theirs) return units * each;
  const { start, unit, channel, times, stride } = run;
  const isPlain = start === 0 && (each === 1 || channel === times) && (units === 1 || unit === each * times);
  const whole = own === units * each * times && (times === 1 || stride === 1);
  return isPlain && whole && theirs % times === 0 ? theirs / times : undefined;
}
