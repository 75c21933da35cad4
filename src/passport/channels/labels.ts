/**
 * Labels of the elements of tensors: numbers ("atoms") that say which of them belong to one channel.
 * An array of labels has a tensor's dimensions, each in full, or 1 where the label does not depend
 * on it. Label 0 is no channel: what stays in its place.
 */
import { sizeOf, stridesOf } from "../../tensor/shape";

export interface Labels {
  readonly shape: readonly number[];
  readonly data: Int32Array;
}

/** Labels of a tensor with no channels. */
export const noLabels = (rank: number): Labels => ({ shape: new Array(rank).fill(1), data: new Int32Array(1) });

/** Labels along one dimension. */
export const along = (data: Int32Array, axis: number, rank: number): Labels => ({
  shape: Array.from({ length: rank }, (_, d) => (d === axis ? data.length : 1)),
  data,
});

/** Dimensions that labels depend on. */
export const axesOf = ({ shape }: Labels): number[] => shape.flatMap((n, d) => (n > 1 ? [d] : []));

export const isEmpty = ({ data }: Labels): boolean => data.every((a) => a === 0);

/** More labels than this are not written out: what would need them stays where it is. */
export const MOST_LABELS = 2 ** 23;

/** Calls `f` with the place of each element of `shape` in several arrays of labels, aligned right. */
export function walk(shape: readonly number[], arrays: readonly Labels[], f: (...places: number[]) => void): void {
  const strides = arrays.map(({ shape: own }) => {
    const lead = shape.length - own.length;
    const all = stridesOf(own);
    return shape.map((_, d) => (d < lead || own[d - lead] === 1 ? 0 : all[d - lead]!));
  });
  const places = arrays.map(() => 0);
  const visit = (d: number): void => {
    if (d === shape.length) return f(...places);
    for (let i = 0; i < shape[d]!; i++) {
      visit(d + 1);
      for (let k = 0; k < places.length; k++) places[k]! += strides[k]![d]!;
    }
    for (let k = 0; k < places.length; k++) places[k]! -= strides[k]![d]! * shape[d]!;
  };
  if (!shape.includes(0)) visit(0);
}

/** The common shape of labels, aligned right. */
export function commonShape(...arrays: readonly Labels[]): number[] {
  const rank = Math.max(...arrays.map((l) => l.shape.length));
  return Array.from({ length: rank }, (_, d) =>
    Math.max(...arrays.map((l) => l.shape[d - rank + l.shape.length] ?? 1)),
  );
}

/** Labels written out to a shape that they are broadcast to. */
export function spreadTo(l: Labels, shape: readonly number[]): Labels {
  const data = new Int32Array(sizeOf(shape));
  let at = 0;
  walk(shape, [l], (from) => {
    data[at++] = l.data[from]!;
  });
  return { shape, data };
}

/** The same with dimensions that nothing depends on left out. */
function collapsed(l: Labels): Labels {
  let { shape, data } = l;
  for (let d = 0; d < shape.length; d++) {
    if (shape[d]! <= 1) continue;
    const less = shape.map((n, k) => (k === d ? 1 : n));
    const first = new Int32Array(sizeOf(less));
    const strides = stridesOf(shape);
    let at = 0;
    let same = true;
    walk(less, [{ shape, data }], (from) => {
      first[at++] = data[from]!;
      for (let i = 1; i < shape[d]!; i++) same &&= data[from + i * strides[d]!] === data[from];
    });
    if (same) [shape, data] = [less, first];
  }
  return { shape, data };
}

/** Labels of the same elements under another shape; null where they are too many to write out. */
export function reshaped(l: Labels, from: readonly number[], to: readonly number[]): Labels | null {
  // Stretches of dimensions that hold the same elements before and behind; only those in which
  // something depends on a dimension are written out.
  const [wide, narrow]: [number[], number[]] = [[], []];
  let [i, j] = [0, 0];
  while (i < from.length || j < to.length) {
    const [i0, j0] = [i, j];
    let [a, b] = [from[i++] ?? 1, to[j++] ?? 1];
    while (a !== b) {
      if (a < b && i < from.length) a *= from[i++]!;
      else if (j < to.length) b *= to[j++]!;
      else return null;
    }
    const depends = l.shape.slice(i0, i).some((n) => n > 1);
    for (let d = i0; d < Math.min(i, from.length); d++) wide.push(depends ? from[d]! : 1);
    for (let d = j0; d < Math.min(j, to.length); d++) narrow.push(depends ? to[d]! : 1);
  }
  if (sizeOf(wide) > MOST_LABELS) return null;
  return collapsed({ shape: narrow, data: spreadTo(l, wide).data });
}

export function permuted(l: Labels, dims: readonly number[]): Labels {
  const shape = dims.map((d) => l.shape[d]!);
  const strides = stridesOf(l.shape);
  const data = new Int32Array(l.data.length);
  const order = dims.map((d) => strides[d]!);
  for (let at = 0; at < data.length; at++) {
    let [rest, from] = [at, 0];
    for (let d = shape.length - 1; d >= 0; d--) {
      from += (rest % shape[d]!) * order[d]!;
      rest = Math.floor(rest / shape[d]!);
    }
    data[at] = l.data[from]!;
  }
  return { shape, data };
}

/**
 * The labels in a block of `size` from `from`; 0 outside of what there is, where something depends
 * on a dimension.
 */
export function block(l: Labels, from: readonly number[], size: readonly number[]): Labels {
  const shape = l.shape.map((n, d) => (n > 1 ? size[d]! : 1));
  const data = new Int32Array(sizeOf(shape));
  const strides = stridesOf(l.shape);
  for (let at = 0; at < data.length; at++) {
    let [rest, place, within] = [at, 0, true];
    for (let d = shape.length - 1; d >= 0; d--) {
      const i = (rest % shape[d]!) + (l.shape[d]! > 1 ? from[d]! : 0);
      rest = Math.floor(rest / shape[d]!);
      within &&= i >= 0 && i < l.shape[d]!;
      place += i * strides[d]!;
    }
    if (within) data[at] = l.data[place]!;
  }
  return { shape, data };
}

/** Labels of tensors of these shapes, joined along a dimension that some of them depend on. */
export function joined(parts: readonly Labels[], shapes: readonly (readonly number[])[], axis: number): Labels {
  const common = commonShape(...parts);
  const whole = common.map((n, d) => (d === axis ? shapes.reduce((sum, s) => sum + s[axis]!, 0) : n));
  const data = new Int32Array(sizeOf(whole));
  const strides = stridesOf(whole);
  let start = 0;
  parts.forEach((l, k) => {
    const own = whole.map((n, d) => (d === axis ? shapes[k]![axis]! : n));
    const place = { shape: whole, data };
    const here = spreadTo(l, own);
    let at = 0;
    walk(own, [place], (to) => {
      data[to + start * strides[axis]!] = here.data[at++]!;
    });
    start += shapes[k]![axis]!;
  });
  return { shape: whole, data };
}

/** Which atoms are one, and what is known of each such class. */
export class Atoms {
  readonly #parents: number[] = [0];
  readonly #flags: number[] = [0];

  fresh(count: number): Int32Array {
    const first = this.#parents.length;
    for (let i = 0; i < count; i++) {
      this.#parents.push(first + i);
      this.#flags.push(0);
    }
    return Int32Array.from({ length: count }, (_, i) => first + i);
  }

  /** The one that stands for the class of an atom. */
  find(a: number): number {
    let root = a;
    while (this.#parents[root] !== root) root = this.#parents[root]!;
    for (let at = a; at !== root; ) {
      const next = this.#parents[at]!;
      this.#parents[at] = root;
      at = next;
    }
    return root;
  }

  /** What happens to one happens to the other; to 0 nothing happens. */
  tie(a: number, b: number, nothing: number): void {
    if (a === 0 || b === 0) return this.mark(a || b, nothing);
    const [x, y] = [this.find(a), this.find(b)];
    if (x === y) return;
    const [low, high] = x < y ? [x, y] : [y, x];
    this.#parents[high] = low;
    this.#flags[low]! |= this.#flags[high]!;
  }

  mark(a: number, flags: number): void {
    if (a) this.#flags[this.find(a)]! |= flags;
  }

  flags = (a: number): number => this.#flags[this.find(a)]!;
}
