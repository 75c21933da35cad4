import { gatherGradKernel, gatherKernel, gatherLinksKernel, oneHotKernel } from "../../../shaders/gather.wgsl";
import { optionsOf, refuse, whole } from "../../demand";
import { ShapeError } from "../../errors";
import { carryParts, expectUnparted, keepBatch } from "../parts";
import { axisOf, showShape, sizeOf } from "../shape";
import { record, type Tensor } from "../tensor";
import { traced } from "../trace";
import { ALL, expectTensors, type Integers, withIntegers } from "./operands";

/** The bits of a quiet NaN and of 1: the kernels write words, as WGSL has no NaN constant. */
const NAN_BITS = 0x7fc00000;
const ONE_BITS = 0x3f800000;
/** As an index to be skipped: none. */
const NONE = 0xffffffff;

/**
 * Picks slices along one dimension: y[…, k…, …] = x[…, indices[k…], …]. With a weight matrix and
 * axis 0 this is an embedding.
 *
 * An index outside 0 … n − 1 (negative ones do not count from the end) is refused where the host
 * knows it: in a list, and in a tensor that it uploaded. Of indices that the GPU computed it cannot
 * be reported: its slice is NaN, or 0 in an integer tensor, and no gradient flows from it.
 *
 * The gradient adds up, for each slice of x, what came back to its copies, in the order of the
 * indices: deterministic, at the price of every index looking for the next equal one, K² reads at
 * most. Meant for up to tens of thousands of indices.
 *
 * Shape: x [A…, n, B…], indices [K…] (i32 or u32, or lists of whole numbers) → [A…, K…, B…].
 *
 * @throws ShapeError when the indices are not integers or x has no such dimension.
 * @throws ArgumentError for indices out of range.
 */
export function indexSelect(x: Tensor, axis: number, indices: Integers): Tensor {
  expectTensors("indexSelect", { x }, ALL);
  if (x.rank === 0)
    throw new ShapeError("indexSelect: a tensor without dimensions has none to choose from: reshape it to [1] first");
  const d = axisOf(axis, x.rank, "indexSelect");
  keepBatch("indexSelect", x, d === 0);
  return withIntegers("indexSelect", "indices", indices, x.shape[d]!, x, (t) => {
    // Behind the first dimension they choose for all rows.
    if (d > 0) expectUnparted("indexSelect", { indices: t });
    return carryParts("indexSelect", select("indexSelect", x, d, t), [t]);
  });
}

/** @param skipped a slice that no gradient goes to */
function select(op: string, x: Tensor, d: number, indices: Tensor, skipped = NONE): Tensor {
  const n = x.shape[d]!;
  const sizes = { n, k: indices.size, inner: sizeOf(x.shape.slice(d + 1)) };
  const y = x.newEmpty([...x.shape.slice(0, d), ...indices.shape, ...x.shape.slice(d + 1)]);
  const missing = x.dtype === "f32" ? NAN_BITS : 0;
  x.device.run(
    gatherKernel,
    null,
    { x: x.buffer, indices: indices.buffer, y: y.buffer },
    { count: y.size, ...sizes, missing },
  );
  const backward = (chosen: Tensor) => (g: Tensor) => {
    const links = g.newEmpty([sizes.k, 2], "u32");
    const dx = g.newFull(x.shape, 0);
    g.device.run(gatherLinksKernel, null, { indices: chosen.buffer, links: links.buffer }, { k: sizes.k });
    g.device.run(
      gatherGradKernel,
      null,
      { g: g.buffer, indices: chosen.buffer, links: links.buffer, dx: dx.buffer },
      { count: g.size, ...sizes, skipped },
    );
    return [dx];
  };
  return record(op, y, [x], [indices], backward, { axes: [d], chosen: [indices] });
}

/** Options of {@link embedding}. */
export interface EmbeddingOptions {
  /** A row that is looked up as any other, and gets no gradient (default: none). */
  paddingIdx?: number | null;
}

/**
 * Rows of a matrix by their numbers: y[k…] = weight[indices[k…]]. Indices out of range, and the
 * order of the gradient's sums, are {@link indexSelect}'s.
 *
 * Shape: indices [K…] (i32 or u32, or lists of whole numbers), weight [n, D] → [K…, D].
 *
 * @throws ShapeError when the indices are not integers, or weight is no f32 matrix.
 * @throws ArgumentError for indices out of range, and a paddingIdx that is no row.
 */
export function embedding(indices: Integers, weight: Tensor, options?: EmbeddingOptions): Tensor {
  const op = "embedding";
  expectTensors(op, { weight });
  if (weight.rank !== 2) throw new ShapeError(`${op}: weight [n, D] is expected, found ${showShape(weight.shape)}`);
  const [n] = weight.shape as [number, number];
  const { paddingIdx = null } = optionsOf(op, options, ["paddingIdx"]);
  if (paddingIdx !== null) expectRow(op, paddingIdx, n);
  return withIntegers(op, "indices", indices, n, weight, (t) => select(op, weight, 0, t, paddingIdx ?? NONE));
}

/** @throws ArgumentError unless `paddingIdx` is the number of one of n rows. */
export function expectRow(op: string, paddingIdx: number, n: number): void {
  if (!(Number.isInteger(paddingIdx) && paddingIdx >= 0 && paddingIdx < n))
    refuse(op, "paddingIdx", `a whole number from 0 to ${n - 1}`, paddingIdx);
}

/**
 * y[k…, j] = 1 where j = labels[k…], else 0. A label outside 0 … classes − 1 is refused where the
 * host knows it, as {@link indexSelect} does; one that the GPU computed gives a row of NaN.
 *
 * Shape: labels [K…] (i32 or u32, or lists of whole numbers) → f32 [K…, classes].
 *
 * @throws ShapeError when the labels are not integers.
 * @throws ArgumentError when `classes` is not a whole number from 1, or labels are out of range.
 */
export function oneHot(labels: Integers, classes: number): Tensor {
  whole("oneHot", "classes", classes);
  return withIntegers("oneHot", "labels", labels, classes, null, (indices) => {
    const y = indices.newEmpty([...indices.shape, classes], "f32");
    const params = { count: y.size, n: classes, one: ONE_BITS, missing: NAN_BITS };
    indices.device.run(oneHotKernel, null, { indices: indices.buffer, y: y.buffer }, params);
    traced("oneHot", y, [], { chosen: [indices] });
    return y;
  });
}
