import { accumulateAtKernel, correctKernel } from "../../../shaders/reduce.wgsl";
import { ArgumentError, ShapeError } from "../../errors";
import { showShape } from "../shape";
import { noGrad, Tensor } from "../tensor";
import { checkRows } from "./loss";
import { sum } from "./reduce";

/** Values that one invocation adds up; more are first reduced. */
const SERIAL = 1024;

/**
 * 1 for every row of logits [N, C] whose greatest element stands at the row's label, else 0: [N], f32, no gradient. The first of equal logits
 * counts; a NaN is greater than all; a label outside 0 … C − 1 is never met.
 * @throws ShapeError unless logits are f32 [N, C] with C > 0 and labels i32 or u32 [N].
 */
export function correctRows(logits: Tensor, labels: Tensor): Tensor {
  const [rows, n] = checkRows("correctRows", logits, labels);
  const y = Tensor.empty([rows]);
  logits.device.run(correctKernel, null, { x: logits.buffer, labels: labels.buffer, y: y.buffer }, { rows, n });
  return y;
}

/** Number of rows that {@link correctRows} marks, of shape []. @throws ShapeError as {@link correctRows}. */
export function correctCount(logits: Tensor, labels: Tensor): Tensor {
  const rows = correctRows(logits, labels);
  const y = sum(rows);
  rows.dispose();
  return y;
}

/**
 * totals[slot] += weight · Σ value, in place on the GPU and without a graph, so that a training step needs no readback: keep one small `totals`
 * for an epoch, add each step's loss (weight: the batch size), {@link correctRows} and count, and read it when it is shown.
 * Totals are f32: counts are exact up to 2²⁴.
 * @throws ArgumentError for a slot outside totals, or a value that shares its memory. @throws ShapeError for integers.
 */
export function accumulateAt(totals: Tensor, slot: number, value: Tensor, weight = 1): void {
  for (const t of [totals, value])
    if (t.dtype !== "f32") throw new ShapeError(`accumulateAt: needs f32 tensors, found ${t.dtype}`);
  if (!Number.isInteger(slot) || slot < 0 || slot >= totals.size) {
    throw new ArgumentError(
      `accumulateAt: slot ${slot} of totals of shape ${showShape(totals.shape)}: use 0 to ${totals.size - 1}`,
    );
  }
  if (value.buffer === totals.buffer)
    throw new ArgumentError("accumulateAt: the value is a view of the totals it is added to: give a copy");
  const x = value.size > SERIAL ? noGrad(() => sum(value)) : value;
  totals.device.run(accumulateAtKernel, null, { x: x.buffer, totals: totals.buffer }, { n: x.size, slot, weight });
  if (x !== value) x.dispose();
}
