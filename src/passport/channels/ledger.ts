/** What is known of the channels of a traced network, operation by operation. */
import { sizeOf } from "../../tensor/shape";
import type { Tensor } from "../../tensor/tensor";
import type { TracedOp } from "../../tensor/trace";
import type { NetworkTrace } from "../trace";
import { Atoms, along, axesOf, block, commonShape, type Labels, noLabels, walk } from "./labels";

export type Op = TracedOp<Tensor>;

/** Of places: what may not be exchanged. */
export const FIXED = 1;
/** Of factors: what may not be negated, or scaled; neither. */
export const NO_SIGN = 1;
export const NO_SCALE = 2;
export const ONE = NO_SIGN | NO_SCALE;

/**
 * How a tensor's values go with a factor f of their channel: times f to this power, or its sign.
 */
export type Power = 1 | -1 | 2 | "sign";

/** An axis of one of the network's tensors, whose entries have labels. */
export interface Port {
  readonly tensor: Tensor;
  /** In our order of dimensions. */
  readonly axis: number;
  /** Of a grouped map: the axis is that of one group, and the labels are those of all. */
  readonly groups: number;
  readonly kind: string;
  readonly power: Power;
  readonly atoms: Int32Array;
}

/**
 * A part of one of the network's tensors: for each dimension an axis of it, and where it begins.
 */
export interface View {
  readonly tensor: Tensor;
  readonly axes: readonly ({ readonly axis: number; readonly from: number } | null)[];
  readonly shape: readonly number[];
}

/** Labels for places and for factors. */
export interface Known {
  readonly place: Labels;
  readonly factor: Labels;
}

/** Something that happens to labelled elements: those that it does not happen to are others. */
export interface Use {
  readonly labels: Labels;
  /** Which of them it happens to; all of them where it is not there. */
  readonly chosen?: Uint8Array;
}

/** Labels with the shape of the tensor that they are of. */
export interface Sized {
  readonly labels: Labels;
  readonly shape: readonly number[];
}

/** Labels of a trace while it is gone through, and what ties them. */
export class Ledger {
  readonly places = new Atoms();
  readonly factors = new Atoms();
  readonly uses: Use[] = [];
  /** Channels that lie in one block, and move with it; blocks that were found together. */
  readonly inBlocks: { readonly child: number; readonly block: number; readonly family: number }[] = [];
  readonly placePorts = new Map<string, Port>();
  readonly factorPorts = new Map<string, Port>();
  /** Tensors, and axes of tensors, that something was done with of which nothing is known. */
  readonly frozen = new Set<Tensor>();
  private readonly still = new Set<string>();
  /** What norms add to running variances. */
  readonly epsilons = new Map<Tensor, number>();
  readonly #known = new Map<Tensor, Known>();
  readonly #views = new Map<Tensor, View>();
  readonly #ids = new Map<Tensor, number>();
  #family = 0;

  constructor({ tensors }: Pick<NetworkTrace, "tensors">) {
    for (const tensor of tensors.keys()) {
      const axes = tensor.shape.map((_, axis) => ({ axis, from: 0 }));
      this.#views.set(tensor, { tensor, axes, shape: tensor.shape });
      this.#ids.set(tensor, this.#ids.size);
    }
  }

  /** The part of the network's own tensors that this is, where it is one. */
  view = (t: Tensor): View | undefined => this.#views.get(t);

  setView(t: Tensor, view: View): void {
    this.#views.set(t, view);
  }

  set(t: Tensor, place: Labels, factor: Labels): void {
    this.#known.set(t, { place, factor });
  }

  /** Whether anything was said of a tensor by an operation before. */
  has = (t: Tensor): boolean => this.#known.has(t);

  of(t: Tensor): Known {
    const known = this.#known.get(t);
    if (known) return known;
    const view = this.#views.get(t);
    return view ? this.asValues(view) : { place: noLabels(t.rank), factor: noLabels(t.rank) };
  }

  /** The network's own numbers as values, with channels along a dimension (default: the last). */
  asValues(view: View, dim = view.axes.findLastIndex((a, d) => a !== null && view.shape[d]! > 1)): Known {
    const rank = view.axes.length;
    if (dim < 0) {
      this.frozen.add(view.tensor);
      return { place: noLabels(rank), factor: noLabels(rank) };
    }
    return { place: this.placesOf(view, dim), factor: along(this.factorPort(view, dim, "value", 1), dim, rank) };
  }

  /** Labels of a part of the network's own along one of its dimensions, the others as they are. */
  placesOf(view: View, dim: number): Labels {
    const rank = view.axes.length;
    this.usedAlong(view, [dim]);
    return dim < 0 ? noLabels(rank) : along(this.placePort(view, dim, "value"), dim, rank);
  }

  /** A part of the network's own has channels along these dimensions, and along its others none. */
  usedAlong({ tensor, axes, shape }: View, dims: readonly number[]): void {
    axes.forEach((place, d) => {
      if (place && shape[d]! > 1 && !dims.includes(d)) this.still.add(`${this.#ids.get(tensor)} ${place.axis}`);
    });
  }

  /** Whether the entries of a port stay where they are. */
  isStill = ({ tensor, axis }: Port): boolean =>
    this.frozen.has(tensor) || this.still.has(`${this.#ids.get(tensor)} ${axis}`);

  placePort(view: View, dim: number, kind: string, groups = 1): Int32Array {
    return this.#port(this.placePorts, this.places, view, dim, groups, kind, 1, `${groups}`);
  }

  factorPort(view: View, dim: number, kind: string, power: Power, groups = 1): Int32Array {
    return this.#port(this.factorPorts, this.factors, view, dim, groups, kind, power, `${kind} ${power} ${groups}`);
  }

  #port(
    ports: Map<string, Port>,
    atoms: Atoms,
    { tensor, axes, shape }: View,
    dim: number,
    groups: number,
    kind: string,
    power: Power,
    key: string,
  ): Int32Array {
    const place = axes[dim];
    const size = shape[dim]! * groups;
    if (!place || size === 1) return new Int32Array(size);
    const { axis, from } = place;
    const name = `${this.#ids.get(tensor)} ${axis} ${key}`;
    let port = ports.get(name);
    if (!port) {
      port = { tensor, axis, groups, kind, power, atoms: atoms.fresh(tensor.shape[axis]! * groups) };
      ports.set(name, port);
    }
    return port.atoms.subarray(from, from + size);
  }

  /** Something happens to all elements alike. */
  use(labels: Labels, chosen?: Uint8Array): void {
    if (axesOf(labels).length) this.uses.push(chosen ? { labels, chosen } : { labels });
  }

  /** These stay where they are. */
  fix(...all: readonly Labels[]): void {
    for (const { data } of all) for (const a of data) this.places.mark(a, FIXED);
  }

  limit(labels: Labels, flags: number): void {
    for (const a of labels.data) this.factors.mark(a, flags);
  }

  tie(a: Labels, b: Labels): void {
    walk(commonShape(a, b), [a, b], (i, j) => this.places.tie(a.data[i!]!, b.data[j!]!, FIXED));
  }

  tieFactors(a: Labels, b: Labels): void {
    walk(commonShape(a, b), [a, b], (i, j) => this.factors.tie(a.data[i!]!, b.data[j!]!, ONE));
  }

  /** One factor for all along some dimensions. */
  oneFactor(labels: Labels, axes: readonly number[]): Labels {
    const first = block(
      labels,
      labels.shape.map(() => 0),
      labels.shape.map((n, d) => (axes.includes(d) ? 1 : n)),
    );
    this.tieFactors(labels, first);
    return first;
  }

  lieIn(child: Labels, blocks: Labels): void {
    const family = ++this.#family;
    walk(commonShape(child, blocks), [child, blocks], (i, j) => {
      const [c, b] = [child.data[i!]!, blocks.data[j!]!];
      // A block that something lies in which does not move, does not move either.
      if (c === 0) this.places.mark(b, FIXED);
      else this.inBlocks.push({ child: c, block: b || this.#stillBlock(), family });
    });
  }

  #stillBlock(): number {
    const [atom] = this.places.fresh(1) as unknown as [number];
    this.places.mark(atom, FIXED);
    return atom;
  }

  /** Labels of blocks of elements along some dimensions, in which they may change places. */
  blocks(labels: Labels, axes: readonly number[]): Labels {
    const inner = axesOf(labels).filter((d) => axes.includes(d));
    if (!inner.length) return labels;
    const shape = labels.shape.map((n, d) => (inner.includes(d) ? 1 : n));
    const count = sizeOf(shape);
    if (count === 1) return { shape, data: new Int32Array(1) };
    const found = { shape, data: this.places.fresh(count) };
    this.lieIn(labels, found);
    return found;
  }

  /**
   * Labels of an elementwise combination, broadcasting: channels of both are one where they depend
   * on the same dimensions; where one depends on fewer, its are blocks of the other's.
   */
  join(a: Sized, b: Sized): Labels {
    const rank = Math.max(a.shape.length, b.shape.length);
    const wide = ({ labels, shape }: Sized): Sized => ({ labels: aligned(labels, rank), shape: ones(shape, rank) });
    const [x, y] = [wide(a), wide(b)];
    const [ofX, ofY] = [axesOf(x.labels), axesOf(y.labels)];
    // What varies along a dimension and has no labels there keeps the other's channels in place.
    if (ofX.some((d) => !ofY.includes(d) && y.shape[d]! > 1)) this.fix(x.labels);
    if (ofY.some((d) => !ofX.includes(d) && x.shape[d]! > 1)) this.fix(y.labels);
    const within = (p: readonly number[], q: readonly number[]) => p.every((d) => q.includes(d));
    if (within(ofX, ofY) && within(ofY, ofX)) {
      this.tie(x.labels, y.labels);
      return x.labels;
    }
    const [large, small] = within(ofY, ofX) ? [x, y] : [y, x];
    if (!axesOf(small.labels).length) this.fix(small.labels);
    else if (within(axesOf(small.labels), axesOf(large.labels))) this.lieIn(large.labels, small.labels);
    else this.fix(small.labels);
    return large.labels;
  }
}

/** Dimensions of 1 in front. */
export const ones = (shape: readonly number[], rank: number): number[] => [
  ...new Array(rank - shape.length).fill(1),
  ...shape,
];

export const aligned = (l: Labels, rank: number): Labels => ({ shape: ones(l.shape, rank), data: l.data });

export const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

/** Which labels lie in a block. */
export function inBlock(labels: Labels, from: readonly number[], size: readonly number[]): Uint8Array | undefined {
  if (labels.shape.every((n, d) => n === 1 || n === size[d])) return undefined;
  const places = { shape: labels.shape, data: Int32Array.from(labels.data, (_, i) => i) };
  const chosen = new Uint8Array(labels.data.length);
  for (const i of block(places, from, size).data) chosen[i] = 1;
  return chosen;
}
