import { type SoftmaxOp, softmaxGradKernel, softmaxKernel } from "../../../shaders/softmax.wgsl";
import { keepBatch } from "../parts";
import { axisOf, sizeOf } from "../shape";
import { record, type Tensor } from "../tensor";
import { div, exp, log, sub } from "./elementwise";
import { expectTensors } from "./operands";
import { amax, sum } from "./reduce";

/**
 * Lines up to this long are walked by one invocation; longer ones are put together from reductions,
 * which split them.
 */
const LONGEST_LINE = 4096;

function along(op: SoftmaxOp, x: Tensor, axis: number): Tensor {
  expectTensors(op, { x });
  const d = axisOf(axis, x.rank, op);
  keepBatch(op, x, d === 0);
  const n = x.shape[d] ?? 1;
  if (n > LONGEST_LINE) return composed(op, x, d);
  const sizes = { lines: n === 0 ? 0 : x.size / n, n, inner: sizeOf(x.shape.slice(d + 1)) };
  const y = x.newEmpty(x.shape);
  x.device.run(softmaxKernel, op, { x: x.buffer, y: y.buffer }, sizes);
  const backward = (sy: Tensor) => (g: Tensor) => {
    const dx = g.newEmpty(g.shape);
    g.device.run(softmaxGradKernel, op, { g: g.buffer, y: sy.buffer, dx: dx.buffer }, sizes);
    return [dx];
  };
  return record(op, y, [x], [y], backward, { axes: [d] });
}

function composed(op: SoftmaxOp, x: Tensor, d: number): Tensor {
  const shifted = sub(x, amax(x.detach(), d, { keepdim: true }));
  const powers = exp(shifted);
  const total = sum(powers, d, { keepdim: true });
  return op === "softmax" ? div(powers, total) : sub(shifted, log(total));
}

/**
 * y = exp(x) / Σ exp(x) along `axis` (default: the last; PyTorch has none), shifted by the maximum
 * so that nothing overflows; of x's shape. A line with NaN or +∞, or of −∞ alone, gives NaN.
 * @throws ShapeError for a dimension that x does not have, or integers.
 */
export const softmax = (x: Tensor, axis = -1): Tensor => along("softmax", x, axis);

/**
 * y = x − log Σ exp(x) along `axis` (default: the last), shifted like {@link softmax}; of x's
 * shape.
 * @throws ShapeError as {@link softmax}.
 */
export const logSoftmax = (x: Tensor, axis = -1): Tensor => along("logSoftmax", x, axis);
