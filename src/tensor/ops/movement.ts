import { whole } from "../../demand";
import { ShapeError } from "../../errors";
import { shown } from "../../io/shown";
import { copyOf } from "../backward";
import { checkElement } from "../elements";
import { keepBatch } from "../parts";
import { axisOf, broadcastStrides, type Shape, sameShape, showShape, sizeOf, stridesOf } from "../shape";
import { record, type Tensor } from "../tensor";
import { reshape } from "./elementwise";
import { lifted } from "./lift";
import { ALL, expectNumbers, expectTensorList, expectTensors } from "./operands";
import { sumTo } from "./reduce-to";
import { copyRegion } from "./strided";

/**
 * Reorders dimensions: y.shape[d] = x.shape[dims[d]]. A view when only dimensions of size 1 change
 * places, otherwise a copy.
 * @throws ShapeError unless `dims` names each dimension once (negative ones count from the end).
 */
export function permute(x: Tensor, dims: readonly number[]): Tensor {
  expectTensors("permute", { x }, ALL);
  const listed = expectNumbers("permute", "dims", dims);
  const order = listed.map((d) => axisOf(d, x.rank, "permute"));
  if (order.length !== x.rank || new Set(order).size !== x.rank) {
    throw new ShapeError(
      `permute: expected each of the ${x.rank} dimensions of ${showShape(x.shape)} once, found ${showShape(listed)}`,
    );
  }
  keepBatch("permute", x, order[0] !== 0);
  const shape = order.map((d) => x.shape[d]!);
  const moving = order.filter((d) => x.shape[d] !== 1);
  let y: Tensor;
  if (moving.every((d, i) => i === 0 || moving[i - 1]! < d)) y = x.view(shape);
  else {
    y = x.newEmpty(shape);
    const strides = stridesOf(x.shape);
    copyRegion(x, y, { shape, fromStrides: order.map((d) => strides[d]!), toStrides: stridesOf(shape) }, "permute");
  }
  const back = new Array<number>(order.length);
  order.forEach((d, i) => {
    back[d] = i;
  });
  return record("permute", y, [x], [], () => (g) => [permute(g, back)], { dims: order });
}

/** Exchanges two dimensions. @throws ShapeError when either is not one of the tensor's. */
export function transpose(x: Tensor, a: number, b: number): Tensor {
  expectTensors("transpose", { x }, ALL);
  const [i, j] = [axisOf(a, x.rank, "transpose"), axisOf(b, x.rank, "transpose")];
  return permute(
    x,
    x.shape.map((_, d) => (d === i ? j : d === j ? i : d)),
  );
}

/**
 * The elements start ≤ i < start + length along one dimension. `start` may count from the end,
 * `length` may be 0. A copy, where PyTorch gives a view; of a whole dimension alone a view, which
 * shares x's memory: what is written to one, the other has too.
 * @throws ShapeError when the range is not within the dimension.
 */
export function narrow(x: Tensor, axis: number, start: number, length: number): Tensor {
  const d = dimension(x, axis, "narrow");
  const n = x.shape[d]!;
  whole("narrow", "start", start, -n, ShapeError);
  whole("narrow", "length", length, 0, ShapeError);
  const first = start < 0 ? start + n : start;
  if (first + length > n) {
    throw new ShapeError(
      `narrow: elements ${start} to ${start + length} of dimension ${axis}, which has ${n} in ${showShape(x.shape)}`,
    );
  }
  const from = x.shape.map((_, k) => (k === d ? first : 0));
  const shape = x.shape.map((m, k) => (k === d ? length : m));
  return region("narrow", x, from, shape);
}

/** The block of `shape` that begins at `from`; its gradient is padded with zeros. */
function region(name: string, x: Tensor, from: readonly number[], shape: Shape): Tensor {
  keepBatch(name, x, shape[0] !== x.shape[0]);
  if (sameShape(shape, x.shape)) return record(name, x.view(shape), [x], [], () => (g) => [g], { from });
  const before = x.shape;
  const y = x.newEmpty(shape);
  const fromStrides = stridesOf(x.shape);
  const fromOffset = offsetOf(from, fromStrides);
  copyRegion(x, y, { shape, fromStrides, fromOffset, toStrides: stridesOf(shape) }, name);
  const around = from.map((f, d) => [f, before[d]! - f - shape[d]!] as const);
  return record(name, y, [x], [], () => (g) => [pad(g, around)], { from });
}

/**
 * Joins tensors along one dimension; all other sizes and the data type must agree. A copy, one
 * dispatch per tensor. `axis` has no default, where that of PyTorch's `cat` is 0.
 * @throws ShapeError when they do not agree, ArgumentError for an empty list.
 */
export function concat(xs: readonly Tensor[], axis: number): Tensor {
  expectTensorList("concat", "xs", xs);
  const d = dimension(xs[0]!, axis, "concat");
  for (const t of xs) keepBatch("concat", t, d === 0);
  const all = lifted(xs);
  const head = all[0]!;
  const fits = (t: Tensor) => t.rank === head.rank && t.shape.every((n, k) => k === d || n === head.shape[k]);
  if (!all.every(fits)) {
    const odd = all.find((t) => !fits(t))!;
    throw new ShapeError(
      `concat along dimension ${axis}: all other sizes must agree, found ${showShape(head.shape)} and ${showShape(odd.shape)}`,
    );
  }
  const starts: number[] = [];
  let total = 0;
  for (const t of all) {
    starts.push(total);
    total += t.shape[d]!;
  }
  let y: Tensor;
  if (all.length === 1) y = copyOf(head);
  else {
    y = head.newEmpty(head.shape.map((n, k) => (k === d ? total : n)));
    const toStrides = stridesOf(y.shape);
    all.forEach((t, i) => {
      copyRegion(
        t,
        y,
        { shape: t.shape, fromStrides: stridesOf(t.shape), toStrides, toOffset: starts[i]! * toStrides[d]! },
        "concat",
      );
    });
  }
  return record(
    "concat",
    y,
    all,
    [],
    () => (g) => all.map((t, i) => (t.requiresGrad ? narrow(g, d, starts[i]!, t.shape[d]!) : null)),
    { axes: [d] },
  );
}

/**
 * Joins tensors of one shape along a new dimension: y has `xs.length` at `axis` (default 0, as
 * PyTorch's), which may be −1 for a new last dimension.
 * @throws ShapeError when the shapes differ, ArgumentError for an empty list.
 */
export function stack(xs: readonly Tensor[], axis = 0): Tensor {
  expectTensorList("stack", "xs", xs);
  const head = xs[0]!;
  const d = axisOf(axis, head.rank + 1, "stack");
  for (const t of xs) keepBatch("stack", t, d === 0);
  const odd = xs.find((t) => t.parts === head.parts && !sameShape(t.shape, head.shape));
  if (odd)
    throw new ShapeError(
      `stack: all tensors must have one shape, found ${showShape(head.shape)} and ${showShape(odd.shape)}`,
    );
  const parts = xs.map((t) => reshape(t, [...t.shape.slice(0, d), 1, ...t.shape.slice(d)]));
  const y = concat(parts, d);
  for (const t of parts) t.dispose();
  return y;
}

/**
 * Puts `value` around a tensor: `pads[d]` elements [before, after] along dimension d. A copy.
 * @throws ShapeError unless there is one pair of non-negative whole numbers a dimension.
 * @throws ArgumentError for a value that the tensor's type cannot hold.
 */
export function pad(x: Tensor, pads: readonly (readonly [before: number, after: number])[], value = 0): Tensor {
  expectTensors("pad", { x }, ALL);
  const isPair = (p: unknown) =>
    Array.isArray(p) && p.length === 2 && p.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
  if (!Array.isArray(pads) || pads.length !== x.rank || !pads.every(isPair)) {
    throw new ShapeError(
      `pad: pads are ${x.rank} pairs of whole numbers from 0 for ${showShape(x.shape)}, found ${shown(pads)}`,
    );
  }
  checkElement("pad: value", value, x.dtype);
  keepBatch("pad", x, x.rank > 0 && Math.max(...pads[0]!) > 0);
  const shape = x.shape.map((n, d) => pads[d]![0] + n + pads[d]![1]);
  const from = pads.map(([before]) => before);
  let y: Tensor;
  if (sameShape(shape, x.shape)) y = copyOf(x);
  else {
    y = x.newFull(shape, value);
    const toStrides = stridesOf(shape);
    copyRegion(
      x,
      y,
      { shape: x.shape, fromStrides: stridesOf(x.shape), toStrides, toOffset: offsetOf(from, toStrides) },
      "pad",
    );
  }
  const inner = x.shape;
  return record("pad", y, [x], [], () => (g) => [region("pad", g, from, inner)], { from, value });
}

/**
 * Reverses the order of the elements along each of `axes`.
 * @throws ShapeError for a dimension named twice or not there.
 */
export function flip(x: Tensor, axes: readonly number[]): Tensor {
  expectTensors("flip", { x }, ALL);
  const listed = expectNumbers("flip", "axes", axes);
  const turned = new Set(listed.map((a) => axisOf(a, x.rank, "flip")));
  if (turned.size !== listed.length) throw new ShapeError(`flip: a dimension is named twice in ${showShape(listed)}`);
  keepBatch("flip", x, turned.has(0));
  const y = x.newEmpty(x.shape);
  const strides = stridesOf(x.shape);
  const last = x.shape.map((n, d) => (turned.has(d) ? n - 1 : 0));
  const fromStrides = strides.map((s, d) => (turned.has(d) ? -s : s));
  copyRegion(x, y, { shape: x.shape, fromStrides, fromOffset: offsetOf(last, strides), toStrides: strides }, "flip");
  return record("flip", y, [x], [], () => (g) => [flip(g, listed)], { axes: [...turned] });
}

/**
 * Repeats sizes of 1, and new leading dimensions, to `shape`; −1 keeps a size. A copy, and a view
 * where nothing is repeated; the gradient is summed back.
 * @throws ShapeError when x does not broadcast to `shape`.
 */
export function expand(x: Tensor, shape: Shape): Tensor {
  expectTensors("expand", { x }, ALL);
  const given = expectNumbers("expand", "shape", shape);
  // The batch of each part is that of all.
  const isEach = x.parts > 1 && given.length === x.rank && given[0]! * x.parts === x.shape[0];
  const sizes = isEach ? [-1, ...given.slice(1)] : given;
  const shift = sizes.length - x.rank;
  const target = sizes.map((n, d) => (n === -1 ? (x.shape[d - shift] ?? -1) : n));
  const fits =
    shift >= 0 &&
    target.every(
      (n, d) =>
        Number.isSafeInteger(n) && n >= 0 && (d < shift || x.shape[d - shift] === n || x.shape[d - shift] === 1),
    );
  if (!fits) {
    throw new ShapeError(
      `expand: ${showShape(x.shape)} does not repeat to ${showShape(sizes)}: from the right, each size must stay, or be 1 and grow`,
    );
  }
  keepBatch("expand", x, shift > 0);
  let y: Tensor;
  if (sizeOf(target) === x.size) y = x.view(target);
  else {
    y = x.newEmpty(target);
    copyRegion(
      x,
      y,
      { shape: target, fromStrides: broadcastStrides(x.shape, target), toStrides: stridesOf(target) },
      "expand",
    );
  }
  return record("expand", y, [x], [], () => (g) => [sumTo(g, x.shape)]);
}

/**
 * Cuts a tensor along one dimension into pieces of the sizes given, which must add up; 0 is a size
 * too. Copies; a single piece is a view.
 * @throws ShapeError when they do not add up.
 */
export function split(x: Tensor, sizes: readonly number[], axis: number): Tensor[] {
  const d = dimension(x, axis, "split");
  const listed = expectNumbers("split", "sizes", sizes);
  const total = listed.reduce((a, b) => a + b, 0);
  keepBatch("split", x, d === 0 && total !== x.shape[0]);
  if (total !== x.shape[d] || !listed.every((n) => Number.isInteger(n) && n >= 0)) {
    throw new ShapeError(
      `split: sizes ${showShape(listed)} add up to ${total}, dimension ${axis} of ${showShape(x.shape)} has ${x.shape[d]}`,
    );
  }
  let start = 0;
  return listed.map((n) => {
    start += n;
    return narrow(x, d, start - n, n);
  });
}

const offsetOf = (place: readonly number[], strides: readonly number[]): number =>
  place.reduce((sum, n, d) => sum + n * strides[d]!, 0);

/** Like {@link axisOf}, for operations that make no sense without dimensions. */
export function dimension(x: Tensor, axis: number, what: string, types = ALL): number {
  expectTensors(what, { x }, types);
  if (x.rank === 0)
    throw new ShapeError(`${what}: a tensor without dimensions has none to choose: reshape it to [1] first`);
  return axisOf(axis, x.rank, what);
}
