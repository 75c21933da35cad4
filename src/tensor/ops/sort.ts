import { alongKernel, FIRST_RUN, sortMergeKernel, sortRunsKernel } from "../../../shaders/sort.wgsl";
import { flag, optionsOf, refuse } from "../../demand";
import { keepBatch } from "../parts";
import { sizeOf } from "../shape";
import { derived, record, type Tensor } from "../tensor";
import { dimension, narrow } from "./movement";

/** Options of {@link sort} and {@link argsort}. */
export interface SortOptions {
  /** The dimension that is put in order (default −1, the last). */
  axis?: number;
  /** Greatest first (default false). */
  descending?: boolean;
}

/** Options of {@link topK}. */
export interface TopKOptions {
  /** The dimension that is chosen from (default −1, the last). */
  axis?: number;
  /** The greatest, or else the smallest (default true). */
  largest?: boolean;
}

/** Elements in order, and where each came from. */
export interface Sorted {
  /** Of the input's type; differentiable. */
  readonly values: Tensor;
  /** i32: positions along the axis in the input. */
  readonly indices: Tensor;
}

/**
 * Puts the elements along `axis` in order: values[…, k, …] = x[…, indices[…, k, …], …].
 *
 * Equal elements stay in the order they have, in both directions. A NaN is greater than all
 * numbers, −0 equals 0, as in PyTorch's `sort` with `stable=True`. Values are moved bit for bit;
 * their gradient goes back to where they came from.
 *
 * Runs are merged (⌈log₂(n / 64)⌉ + 2 launches for lines of n elements), so that lines may be of
 * any length.
 *
 * Shape: [A…, n, B…] → both the same.
 *
 * @throws ShapeError for a dimension that x does not have; ArgumentError for options that are none.
 */
export function sort(x: Tensor, options: SortOptions = {}): Sorted {
  const { d, descending } = sorting("sort", x, options);
  const indices = orderOf(x, d, descending);
  return { values: takeAlong("sort", x, d, indices), indices };
}

/**
 * The indices of {@link sort}, alone.
 * @throws as {@link sort}.
 */
export function argsort(x: Tensor, options: SortOptions = {}): Tensor {
  const { d, descending } = sorting("argsort", x, options);
  return orderOf(x, d, descending);
}

/**
 * The k greatest (or smallest) elements along `axis`, the greatest (smallest) first: the first k of
 * {@link sort}. Of equal elements the first ones are chosen.
 *
 * Shape: [A…, n, B…] → both [A…, k, B…].
 *
 * @throws ShapeError for a dimension that x does not have; ArgumentError when k is no whole number
 * from 0 to n, or for options that are none.
 */
export function topK(x: Tensor, k: number, options: TopKOptions = {}): Sorted {
  const { axis = -1, largest = true } = optionsOf("topK", options, ["axis", "largest"]);
  const d = dimension(x, axis, "topK");
  keepBatch("topK", x, d === 0);
  flag("topK", "largest", largest);
  const n = x.shape[d]!;
  if (!Number.isInteger(k) || k < 0 || k > n) refuse("topK", "k", `a whole number from 0 to ${n}`, k);
  const all = orderOf(x, d, largest);
  const indices = narrow(all, d, 0, k);
  all.dispose();
  return { values: takeAlong("topK", x, d, indices), indices };
}

function sorting(op: string, x: Tensor, options: SortOptions) {
  const { axis = -1, descending = false } = optionsOf(op, options, ["axis", "descending"]);
  const d = dimension(x, axis, op);
  keepBatch(op, x, d === 0);
  return { d, descending: flag(op, "descending", descending) };
}

/** Positions of the elements along dimension d in their order, as i32. */
function orderOf(x: Tensor, d: number, descending: boolean): Tensor {
  const spec = { dtype: x.dtype, descending };
  const sizes = { count: x.size, n: x.shape[d]!, inner: sizeOf(x.shape.slice(d + 1)) };
  let order = x.newEmpty(x.shape, "i32");
  x.device.run(sortRunsKernel, spec, { x: x.buffer, order: order.buffer }, sizes);
  for (let run = FIRST_RUN; run < sizes.n; run *= 2) {
    const merged = x.newEmpty(x.shape, "i32");
    const buffers = { x: x.buffer, order: order.buffer, merged: merged.buffer };
    x.device.run(sortMergeKernel, spec, buffers, { ...sizes, run });
    order.dispose();
    order = merged;
  }
  return derived("argsort", order, [x], { axes: [d], form: descending ? "descending" : "ascending" });
}

/** The elements at `indices` along dimension d, no position twice on a line. */
function takeAlong(name: string, x: Tensor, d: number, indices: Tensor): Tensor {
  const y = x.newEmpty(indices.shape);
  const sizes = { count: y.size, n: x.shape[d]!, k: indices.shape[d]!, inner: sizeOf(x.shape.slice(d + 1)) };
  x.device.run(alongKernel, "take", { x: x.buffer, at: indices.buffer, y: y.buffer }, sizes);
  const backward = (at: Tensor) => (g: Tensor) => {
    const dx = sizes.k === sizes.n ? g.newEmpty(x.shape) : g.newFull(x.shape, 0);
    g.device.run(alongKernel, "put", { x: g.buffer, at: at.buffer, y: dx.buffer }, sizes);
    return [dx];
  };
  return record(name, y, [x], [indices], backward, { axes: [d], chosen: [indices] });
}
