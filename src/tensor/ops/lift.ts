/** Operations between a batch in parts and one that all parts share. */
import { keepBatch } from "../parts";
import { broadcastStrides, stridesOf } from "../shape";
import { record, Tensor } from "../tensor";
import { sumTo } from "./reduce-to";
import { copyRegion } from "./strided";
import { unstack } from "./unstack";

/** The same elements, cut into parts otherwise. */
function regroup(x: Tensor, shape: readonly number[], parts: number): Tensor {
  const y = record("reshape", x.view(shape), [x], [], () => (g) => [g.view(x.shape)]);
  y.parts = parts;
  return y;
}

/** Whether `x` is the batch [N, …] of which `parted` has several. */
const isShared = (x: Tensor, { parts, shape }: Tensor): boolean =>
  x.parts === 1 && x.rank === shape.length && x.shape[0] === shape[0]! / parts;

/**
 * f(a, b) for an f that broadcasts. Where one of them is in parts [parts · N, …] and the other the
 * batch [N, …] that all of them share, f is given [parts, N, …] and [1, N, …].
 * @throws ArgumentError where the parts would meet another dimension than the first.
 */
export function together(op: string, a: Tensor, b: Tensor, f: (a: Tensor, b: Tensor) => Tensor): Tensor {
  // What is no tensor is f's to refuse.
  if (!(a instanceof Tensor && b instanceof Tensor) || (a.parts === 1 && b.parts === 1)) return f(a, b);
  const rank = Math.max(a.rank, b.rank);
  for (const t of [a, b]) keepBatch(op, t, t.rank < rank);
  const parts = Math.max(a.parts, b.parts);
  const [parted, other] = a.parts > 1 ? [a, b] : [b, a];
  if (!isShared(other, parted)) return f(a, b);
  const cut = (t: Tensor) => regroup(t, [t.parts, t.shape[0]! / t.parts, ...t.shape.slice(1)], 1);
  const y = f(cut(a), cut(b));
  return regroup(y, [y.shape[0]! * y.shape[1]!, ...y.shape.slice(2)], parts);
}

/** Tensors for an operation that does not broadcast: those that parts share are repeated. */
export function lifted<T extends readonly Tensor[]>(tensors: T): T {
  const parted = tensors.find((t) => t.parts > 1);
  if (!parted) return tensors;
  return tensors.map((t) => (isShared(t, parted) ? repeated(t, parted.parts) : t)) as unknown as T;
}

/** A batch that parts share, for each of them: [N, …] → [parts · N, …]. */
export function repeated(x: Tensor, parts: number): Tensor {
  const whole = [parts, ...x.shape];
  const y = x.newEmpty([parts * x.shape[0]!, ...x.shape.slice(1)]);
  const fromStrides = broadcastStrides(x.shape, whole);
  copyRegion(x, y, { shape: whole, fromStrides, toStrides: stridesOf(whole) }, "expand");
  y.parts = parts;
  return record("expand", y, [x], [], () => (g) => [sumTo(g.view(whole), x.shape)]);
}

/** Parts along a dimension of their own: [parts · N, …] → [parts, N, …], no longer in parts. */
export const stacked = (x: Tensor, parts = x.parts): Tensor =>
  regroup(x, [parts, x.shape[0]! / parts, ...x.shape.slice(1)], 1);

/** The parts of a batch, each a tensor of its own: [parts · N, …] → parts times [N, …]. */
export const partsOf = (x: Tensor, parts = x.parts): Tensor[] => (parts === 1 ? [x] : unstack(stacked(x, parts)));
