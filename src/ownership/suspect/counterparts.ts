/**
 * Which tensors of a suspect are those of the released file, whatever they are called and however
 * they lie: by shape and similarity. Nothing of a claim is looked at, its bits least of all.
 */
import { type HostArray, type HostTensor, type StateDict, toFloat32 } from "../../io/host-tensor";
import { showShape } from "../../tensor/shape";
import { placeAt, placesOf, type View, viewsOf, withoutOnes } from "./layouts";

/** A tensor of the suspect that was taken for one of the released file. JSON-able. */
export interface Counterpart {
  /** Its name in the suspect. */
  readonly suspect: string;
  /** Its name in the released file; of one whose norms are folded, that of the folded tensor. */
  readonly released: string;
  /** How it lies there: `as it is`, `transposed`, `HWIO`, `part 2 of 3`, … */
  readonly how: string;
  /** Mean |cosine| of the rows; of one dimension 1 − ‖a − b‖ / (‖a‖ + ‖b‖). */
  readonly similarity: number;
}

/** What {@link counterparts} found. */
export interface Counterparts {
  /** The suspect's numbers by the released names, in the released shapes. */
  readonly tensors: StateDict;
  readonly table: readonly Counterpart[];
  /**
   * In how many ways each released tensor could have been found by shape alone, by its name: what
   * whoever made the released file could choose among.
   */
  readonly ways: ReadonlyMap<string, number>;
  /** Released tensors of which several of the suspect's are too alike to choose among. */
  readonly unclear: readonly string[];
  /** Whether there were too many ways to look for all: what was not found may be there. */
  readonly isPartial: boolean;
}

/**
 * Most ways for one tensor: in a file of as many of one shape it is not looked for, since what is
 * compared grows with their square.
 */
const MOST_WAYS = 4096;
/** Most ways for all tensors together; those with fewest are looked for first. */
const MOST_IN_ALL = 2 ** 18;
/** Most pairs of a released tensor and a shape that are compared. */
const MOST_PAIRS = 2 ** 24;
/** Rows and columns that are compared: at first few, of what is not unlike more. */
const [COARSE, FINE] = [
  [16, 64],
  [64, 512],
] as const;
/** Similarity, of few numbers, below which more are not looked at. */
const UNLIKE = 0.3;
/** How much nearer to 1 than any other one has to be. */
const CLEAR = 0.5;
/** What a vector has to reach, whose numbers are alike by what they are for. */
const VECTOR = 0.9;

interface Own {
  readonly name: string;
  readonly shape: readonly number[];
  readonly numbers: Float32Array;
  /** What chance does not reach. */
  readonly needed: number;
}

interface Theirs {
  readonly name: string;
  readonly tensor: HostTensor;
  readonly numbers: Float32Array;
}

interface Candidate {
  readonly own: Own;
  readonly theirs: Theirs;
  readonly view: View;
  /** What of the suspect is taken. */
  readonly slot: string;
  readonly score: number;
}

/**
 * Finds the released tensors in a suspect. Those that are most alike are taken first; where another
 * one is nearly as like, and has other numbers, none is taken, unless both are like it as chance
 * makes none.
 *
 * Rows are compared by |cosine|, so that neither positive nor negative factors of channels count
 * (folded norms, disguises): those of networks that have nothing to do with each other reach
 * √(2/πm) of m numbers, and half way from there to 1 is needed.
 */
export function counterparts(suspect: StateDict, released: StateDict): Counterparts {
  const channels = [...released.values()]
    .filter(({ shape }) => withoutOnes(shape).length > 2)
    .map(({ shape }) => shape[0]!);
  const theirs = [...suspect]
    .filter(([, { data }]) => data.length > 1)
    .map(([name, tensor]): Theirs => ({ name, tensor, numbers: toFloat32(tensor) }));
  const all: Candidate[] = [];
  const ways = new Map<string, number>();
  let isPartial = false;
  const shapes = [...groups(theirs, ({ tensor }) => showShape(tensor.shape)).values()];
  if (released.size * shapes.length > MOST_PAIRS)
    return { tensors: new Map(), table: [], ways: new Map(), unclear: [], isPartial: true };
  const sought: { own: Own; count: number; found: { others: readonly Theirs[]; views: readonly View[] }[] }[] = [];
  for (const [name, tensor] of released) {
    if (tensor.data.length < 2) continue;
    const own: Own = { name, shape: tensor.shape, numbers: toFloat32(tensor), needed: neededOf(tensor.shape) };
    const found = shapes
      .map((others) => ({ others, views: viewsOf(own.shape, others[0]!.tensor.shape, channels) }))
      .filter(({ views }) => views.length);
    const count = found.reduce((sum, { others, views }) => sum + others.length * views.length, 0);
    ways.set(name, count);
    if (count <= MOST_WAYS) sought.push({ own, count, found });
    else isPartial = true;
  }
  for (const { own, count, found } of sought.sort((a, b) => a.count - b.count)) {
    if (all.length + count > MOST_IN_ALL) {
      isPartial = true;
      break;
    }
    for (const { others, views } of found)
      for (const other of others)
        for (const view of views)
          all.push({ own, theirs: other, view, slot: slotOf(other, view), score: likenessOf(own, other, view) });
  }
  const { chosen, left } = clearOnes(all);
  const tensors: StateDict = new Map();
  // In the order of the released file, whatever was found first.
  for (const name of released.keys()) {
    const one = chosen.get(name);
    if (one) tensors.set(name, taken(one));
  }
  const table = [...tensors.keys()].map((name): Counterpart => {
    const { theirs, view, score } = chosen.get(name)!;
    return { suspect: theirs.name, released: name, how: view.how, similarity: score };
  });
  return { tensors, table, ways, unclear: [...left].filter((name) => !chosen.has(name)), isPartial };
}

const slotOf = ({ name }: Theirs, { offset, how }: View): string =>
  `${offset} ${how.startsWith("part") ? "" : "whole"} ${name}`;

/** Whether a tensor is still the released one of that place, row by row. */
export function isAlike(released: HostTensor, suspect: HostTensor): boolean {
  const own: Own = {
    name: "",
    shape: released.shape,
    numbers: toFloat32(released),
    needed: neededOf(released.shape),
  };
  const [view] = viewsOf(released.shape, suspect.shape, []);
  if (!view) return false;
  return likenessOf(own, { name: "", tensor: suspect, numbers: toFloat32(suspect) }, view) >= own.needed;
}

/** Of rows of random numbers, half way from what chance reaches to 1. */
function neededOf(shape: readonly number[]): number {
  const [rows = 1, ...rest] = withoutOnes(shape);
  const m = rest.reduce((a, b) => a * b, 1);
  return rest.length ? (1 + Math.sqrt(2 / (Math.PI * m))) / 2 : rows > 1 ? VECTOR : 1;
}

function likenessOf(own: Own, theirs: Theirs, view: View): number {
  if (view.sizes.length < 2) return nearness(own.numbers, theirs.numbers);
  const coarse = meanCosine(own, theirs, view, COARSE);
  return coarse < UNLIKE ? coarse : meanCosine(own, theirs, view, FINE);
}

function nearness(a: Float32Array, b: Float32Array): number {
  let [mine, other, apart] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    mine += a[i]! ** 2;
    other += b[i]! ** 2;
    apart += (a[i]! - b[i]!) ** 2;
  }
  const length = Math.sqrt(mine) + Math.sqrt(other);
  const score = length > 0 ? 1 - Math.sqrt(apart) / length : 1;
  return Number.isFinite(score) ? score : 0;
}

/** Mean |cosine| of rows, of some rows and columns that are spread over all. */
function meanCosine({ numbers }: Own, theirs: Theirs, view: View, [most, wide]: readonly [number, number]): number {
  const rows = view.sizes[0]!;
  const m = numbers.length / rows;
  const some = (n: number, of: number) =>
    Array.from({ length: Math.min(n, of) }, (_, i) => Math.floor((i * of) / Math.min(n, of)));
  const columns = some(wide, m);
  // Where a column lies does not depend on the row.
  const places = columns.map((column) => placeAt(view, 0, column));
  const chosen = some(most, rows);
  let sum = 0;
  for (const row of chosen) {
    const start = row * view.strides[0]!;
    let [mine, other, both] = [0, 0, 0];
    for (let i = 0; i < columns.length; i++) {
      const a = numbers[row * m + columns[i]!]!;
      const b = theirs.numbers[start + places[i]!]!;
      mine += a * a;
      other += b * b;
      both += a * b;
    }
    const cosine = Math.abs(both) / Math.sqrt(mine * other);
    if (Number.isFinite(cosine)) sum += cosine;
  }
  return sum / chosen.length;
}

/** The pairs that are beyond doubt, by released name, and the names that are left over. */
function clearOnes(all: readonly Candidate[]): { chosen: Map<string, Candidate>; left: ReadonlySet<string> } {
  const sorted = [...all].sort((a, b) => b.score - a.score);
  const byOwn = groups(sorted, ({ own }) => own.name);
  const bySlot = groups(sorted, ({ slot }) => slot);
  const chosen = new Map<string, Candidate>();
  const used = new Set<string>();
  const left = new Set<string>();
  for (const one of sorted) {
    const { own, theirs, slot, score } = one;
    if (score < own.needed || chosen.has(own.name) || left.has(own.name) || used.has(slot)) continue;
    // The most alike of them decides: lists are sorted.
    const rivals = [
      // A map that is there twice, with its average over training say, is the owner's both times.
      byOwn
        .get(own.name)!
        .find((c) => c !== one && !used.has(c.slot) && !isCopy(c) && !sameNumbers(c.theirs, theirs)),
      bySlot.get(slot)!.find((c) => c.own !== own && !chosen.has(c.own.name) && !sameNumbers(c.own, own)),
    ];
    if (rivals.some((rival) => rival && 1 - score > CLEAR * (1 - rival.score))) {
      left.add(own.name);
      continue;
    }
    chosen.set(own.name, one);
    used.add(slot);
  }
  return { chosen, left };
}

/**
 * Whether a map is like the owner's as chance makes none. Vectors are alike by what they are for.
 */
const isCopy = ({ own, view, score }: Candidate): boolean => view.sizes.length > 1 && score >= own.needed;

function groups<T>(all: readonly T[], key: (of: T) => string): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const one of all) {
    const list = found.get(key(one));
    if (list) list.push(one);
    else found.set(key(one), [one]);
  }
  return found;
}

/** Whichever of such is taken is the same. */
const sameNumbers = (a: { numbers: Float32Array; name: string }, b: { numbers: Float32Array; name: string }): boolean =>
  a.name !== b.name && a.numbers.length === b.numbers.length && a.numbers.every((v, i) => Object.is(v, b.numbers[i]));

/** The suspect's numbers in the released shape and order. */
function taken({ own, theirs, view }: Candidate): HostTensor {
  const { dtype, data } = theirs.tensor;
  const places = placesOf(view);
  const to = new (data.constructor as Float32ArrayConstructor)(places.length) as HostArray;
  for (let i = 0; i < places.length; i++) to[i] = data[places[i]!]!;
  return { dtype, shape: own.shape, data: to };
}
