import { gatherGradKernel, gatherKernel, oneHotKernel } from "../../../shaders/gather.wgsl";
import { ArgumentError, ShapeError } from "../../errors";
import { axisOf, showShape, sizeOf } from "../shape";
import { record, Tensor } from "../tensor";

/** The bits of a quiet NaN and of 1: the kernels write words, as WGSL has no NaN constant. */
const NAN_BITS = 0x7fc00000;
const ONE_BITS = 0x3f800000;

/**
 * Picks slices along one dimension: y[…, k…, …] = x[…, indices[k…], …]. With a weight matrix and axis 0 this is an embedding.
 *
 * An index outside 0 … n − 1 (negative ones do not count from the end) cannot be reported by the GPU: its slice is NaN, or 0 in an integer
 * tensor, and no gradient flows from it.
 *
 * The gradient adds up, for each slice of x, what came back to its copies, in the order of the indices: deterministic, at the price of every
 * element of the gradient reading all K indices (n·K index reads a column). Meant for up to some thousands of indices.
 *
 * Shape: x [A…, n, B…], indices [K…] (i32 or u32) → [A…, K…, B…].
 *
 * @throws ShapeError when the indices are not integers or x has no such dimension.
 */
export function indexSelect(x: Tensor, axis: number, indices: Tensor): Tensor {
  expectIntegers("indexSelect", indices);
  if (x.rank === 0)
    throw new ShapeError("indexSelect: a tensor without dimensions has none to choose from: reshape it to [1] first");
  const d = axisOf(axis, x.rank, "indexSelect");
  const n = x.shape[d]!;
  const sizes = { n, k: indices.size, inner: sizeOf(x.shape.slice(d + 1)) };
  const y = Tensor.empty([...x.shape.slice(0, d), ...indices.shape, ...x.shape.slice(d + 1)], x.dtype);
  const missing = x.dtype === "f32" ? NAN_BITS : 0;
  x.device.run(
    gatherKernel,
    null,
    { x: x.buffer, indices: indices.buffer, y: y.buffer },
    { count: y.size, ...sizes, missing },
  );
  return record("indexSelect", y, [x], [indices], (chosen) => (g) => {
    const dx = Tensor.empty(x.shape);
    g.device.run(
      gatherGradKernel,
      null,
      { g: g.buffer, indices: chosen.buffer, dx: dx.buffer },
      { count: dx.size, ...sizes },
    );
    return [dx];
  });
}

/**
 * y[k…, j] = 1 where j = labels[k…], else 0; a label outside 0 … classes − 1 gives a row of NaN.
 *
 * Shape: labels [K…] (i32 or u32) → f32 [K…, classes].
 *
 * @throws ShapeError when the labels are not integers, ArgumentError when `classes` is not a whole number from 1.
 */
export function oneHot(labels: Tensor, classes: number): Tensor {
  expectIntegers("oneHot", labels);
  if (!Number.isSafeInteger(classes) || classes < 1) {
    throw new ArgumentError(`oneHot: expected the number of classes, a whole number from 1, found ${classes}`);
  }
  const y = Tensor.empty([...labels.shape, classes]);
  const params = { count: y.size, n: classes, one: ONE_BITS, missing: NAN_BITS };
  labels.device.run(oneHotKernel, null, { indices: labels.buffer, y: y.buffer }, params);
  return y;
}

function expectIntegers(op: string, indices: Tensor): void {
  if (indices.dtype === "f32") {
    throw new ShapeError(
      `${op}: needs i32 or u32 indices, found f32${showShape(indices.shape)}: upload them as an Int32Array`,
    );
  }
}
