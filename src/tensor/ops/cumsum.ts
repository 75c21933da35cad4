import { cumsumCarryKernel, cumsumKernel } from "../../../shaders/cumsum.wgsl";
import { keepBatch } from "../parts";
import { sizeOf } from "../shape";
import { record, type Tensor } from "../tensor";
import { dimension } from "./movement";
import { FLOATS } from "./operands";

/**
 * Elements that are added up one after the other; of longer lines the chunks' totals are summed in
 * the same way, and carried on. Depends on nothing, so that every device does the same.
 */
const CHUNK = 256;

/**
 * Running sums along a dimension: y[…, k, …] = Σ over i ≤ k of x[…, i, …], in a fixed order.
 *
 * The gradient is the running sum of g from the end on.
 *
 * Shape: of x, which is kept.
 *
 * @throws ShapeError for a dimension that x does not have, or integers.
 */
export function cumsum(x: Tensor, axis: number): Tensor {
  const d = dimension(x, axis, "cumsum", FLOATS);
  keepBatch("cumsum", x, d === 0);
  return record("cumsum", running(x, d, false), [x], [], () => (g) => [running(g, d, true)], { axes: [d] });
}

/** @param reverse from the end of the dimension on */
function running(x: Tensor, d: number, reverse: boolean): Tensor {
  const y = x.newEmpty(x.shape);
  const n = x.shape[d]!;
  const inner = sizeOf(x.shape.slice(d + 1));
  const chunks = Math.ceil(n / CHUNK);
  const totals = x.newEmpty([...x.shape.slice(0, d), chunks, inner]);
  const sizes = { n, inner, chunks, length: CHUNK, reverse: reverse ? 1 : 0 };
  const buffers = { x: x.buffer, y: y.buffer, totals: totals.buffer };
  x.device.run(cumsumKernel, null, buffers, { ...sizes, count: totals.size });
  if (chunks > 1) {
    const sums = running(totals, d, false);
    const count = (y.size / n) * (n - CHUNK);
    x.device.run(cumsumCarryKernel, null, { sums: sums.buffer, y: y.buffer }, { ...sizes, count });
    sums.dispose();
  }
  totals.dispose();
  return y;
}
