/** In which orders of dimensions a tensor of one program may lie in a file of another. */

/** Numbers of a suspect's tensor in the order of the owner's dimensions: its own, or finer ones. */
export interface View {
  /** How it lies in the suspect, in words. */
  readonly how: string;
  readonly offset: number;
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
}

/**
 * Orders by the number of dimensions that are not 1: where each of the owner's (PyTorch's) is in
 * the suspect.
 */
const ORDERS: Readonly<Record<number, readonly (readonly [how: string, order: readonly number[]])[]>> = {
  1: [["as it is", [0]]],
  2: [
    ["as it is", [0, 1]],
    ["transposed", [1, 0]],
  ],
  3: [
    ["as it is", [0, 1, 2]],
    ["kernel, in, out", [2, 1, 0]],
    ["out, kernel, in", [0, 2, 1]],
    ["kernel first, in one dimension", [2, 0, 1]],
    ["in, out, kernel", [1, 0, 2]],
  ],
  4: [
    ["as it is", [0, 1, 2, 3]],
    ["HWIO", [3, 2, 0, 1]],
    ["OHWI", [0, 3, 1, 2]],
    ["IOHW", [1, 0, 2, 3]],
  ],
  5: [
    ["as it is", [0, 1, 2, 3, 4]],
    ["DHWIO", [4, 3, 0, 1, 2]],
    ["ODHWI", [0, 4, 1, 2, 3]],
  ],
};

/** Most tensors that are one behind the other in one, as queries, keys and values are. */
const MOST_BLOCKS = 16;

export const withoutOnes = (shape: readonly number[]): number[] => shape.filter((n) => n !== 1);

/** Whether a tensor of that shape has rows, as those of maps have. */
export const hasRows = (shape: readonly number[]): boolean => withoutOnes(shape).length > 1;

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** Steps between neighbours along each dimension of a tensor that lies in a row. */
const stridesOf = (sizes: readonly number[]): number[] => sizes.map((_, d) => product(sizes.slice(d + 1)));

/**
 * Every way in which a tensor of a suspect, or a part of it, can be one of the owner's: by the
 * shapes alone.
 * @param channels of maps in front of a layer that flattens, by which columns are ordered otherwise
 */
export function viewsOf(own: readonly number[], theirs: readonly number[], channels: readonly number[]): View[] {
  const [a, b] = [withoutOnes(own), withoutOnes(theirs)];
  const [wanted, there] = [product(a), product(b)];
  if (!a.length || a.length !== b.length || there < wanted || there % wanted) return [];
  const blocks = there / wanted;
  if (blocks > 1 && (blocks > MOST_BLOCKS || a.length < 2)) return [];
  const strides = stridesOf(b);
  const found: View[] = [];
  for (const [how, order] of ORDERS[a.length] ?? []) {
    // Parts lie behind each other along the owner's first dimension.
    if (!a.every((n, d) => b[order[d]!] === (d ? n : n * blocks))) continue;
    const step = order.map((at) => strides[at]!);
    for (let part = 0; part < blocks; part++) {
      const words = blocks > 1 ? `part ${part + 1} of ${blocks}${how === "as it is" ? "" : `, ${how}`}` : how;
      found.push({ how: words, offset: part * a[0]! * step[0]!, sizes: a, strides: step });
    }
  }
  if (a.length === 2 && blocks === 1) found.push(...flattened(a as [number, number], b, channels));
  return found;
}

/** Columns behind a flattened picture: channels first in PyTorch, last in TensorFlow. */
function flattened(
  [rows, columns]: readonly [number, number],
  theirs: readonly number[],
  channels: readonly number[],
): View[] {
  const strides = stridesOf(theirs);
  const found: View[] = [];
  for (const [words, order] of ORDERS[2]!) {
    if (theirs[order[0]!] !== rows || theirs[order[1]!] !== columns) continue;
    const [row, column] = [strides[order[0]!]!, strides[order[1]!]!];
    for (const c of new Set(channels)) {
      const positions = columns / c;
      if (c < 2 || positions < 2 || !Number.isInteger(positions)) continue;
      const how = `behind a flattened HWC of ${c} channels${words === "as it is" ? "" : `, ${words}`}`;
      found.push({ how, offset: 0, sizes: [rows, c, positions], strides: [row, column, column * c] });
    }
  }
  return found;
}

/** Places in the suspect's data, row-major in the view's sizes. */
export function placesOf({ offset, sizes, strides }: View): Float64Array {
  const places = new Float64Array(product(sizes));
  const index = new Array<number>(sizes.length).fill(0);
  let at = offset;
  for (let i = 0; i < places.length; i++) {
    places[i] = at;
    for (let d = sizes.length - 1; d >= 0; d--) {
      at += strides[d]!;
      if (++index[d]! < sizes[d]!) break;
      at -= sizes[d]! * strides[d]!;
      index[d] = 0;
    }
  }
  return places;
}

/** Where one number of a view is, by its row and its place in the row. */
export function placeAt({ offset, sizes, strides }: View, row: number, column: number): number {
  let [at, rest] = [offset + row * strides[0]!, column];
  for (let d = sizes.length - 1; d > 0; d--) {
    at += (rest % sizes[d]!) * strides[d]!;
    rest = Math.floor(rest / sizes[d]!);
  }
  return at;
}
