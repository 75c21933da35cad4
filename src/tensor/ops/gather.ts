import { gatherGradKernel, gatherKernel, oneHotKernel } from "../../../shaders/gather.wgsl";
import { whole } from "../../demand";
import { ShapeError } from "../../errors";
import { keepBatch } from "../parts";
import { axisOf, sizeOf } from "../shape";
import { record, type Tensor } from "../tensor";
import { ALL, expectTensors, type Integers, withIntegers } from "./operands";

/** The bits of a quiet NaN and of 1: the kernels write words, as WGSL has no NaN constant. */
const NAN_BITS = 0x7fc00000;
const ONE_BITS = 0x3f800000;

/**
 * Picks slices along one dimension: y[…, k…, …] = x[…, indices[k…], …]. With a weight matrix and
 * axis 0 this is an embedding.
 *
 * An index outside 0 … n − 1 (negative ones do not count from the end) is refused where the host
 * knows it: in a list, and in a tensor that it uploaded. Of indices that the GPU computed it cannot
 * be reported: its slice is NaN, or 0 in an integer tensor, and no gradient flows from it.
 *
 * The gradient adds up, for each slice of x, what came back to its copies, in the order of the
 * indices: deterministic, at the price of every element of the gradient reading all K indices (n·K
 * index reads a column). Meant for up to some thousands of indices.
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
  return withIntegers("indexSelect", "indices", indices, x.shape[d]!, x, (t) => select(x, d, t));
}

function select(x: Tensor, d: number, indices: Tensor): Tensor {
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
    const dx = g.newEmpty(x.shape);
    g.device.run(
      gatherGradKernel,
      null,
      { g: g.buffer, indices: chosen.buffer, dx: dx.buffer },
      { count: dx.size, ...sizes },
    );
    return [dx];
  };
  return record("indexSelect", y, [x], [indices], backward, { axes: [d] });
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
    return y;
  });
}
