import { accumulateAtKernel, correctKernel } from "../../../shaders/reduce.wgsl";
import { number } from "../../demand";
import { ArgumentError } from "../../errors";
import { shown } from "../../io/shown";
import { showShape } from "../shape";
import { noGrad, type Tensor } from "../tensor";
import { traced } from "../trace";
import { withLabels } from "./loss";
import { expectTensors, type Integers } from "./operands";
import { sum } from "./reduce";

/** Values that one invocation adds up; more are first reduced. */
const SERIAL = 1024;

/**
 * 1 for every row of logits [N, C] whose greatest element stands at the row's label, else 0: [N],
 * f32, no gradient. The first of equal logits counts; a NaN is greater than all; a label outside 0
 * … C − 1 is never met.
 * @throws ShapeError unless logits are f32 [N, C] with C > 0 and labels integers [N].
 */
export const correctRows = (logits: Tensor, labels: Integers): Tensor => correct("correctRows", logits, labels);

function correct(what: string, logits: Tensor, labels: Integers): Tensor {
  return withLabels(what, "logits", logits, labels, "any", (t, rows, n) => {
    const y = logits.newEmpty([rows]);
    logits.device.run(correctKernel, null, { x: logits.buffer, labels: t.buffer, y: y.buffer }, { rows, n });
    return y;
  });
}

/**
 * Number of rows of logits [N, C] whose greatest element stands at the row's label, of shape [].
 * @throws ShapeError unless logits are f32 [N, C] with C > 0 and labels integers [N].
 */
export function correctCount(logits: Tensor, labels: Integers): Tensor {
  const rows = correct("correctCount", logits, labels);
  const y = sum(rows);
  rows.dispose();
  return y;
}

/**
 * totals[slot] += weight · Σ value, in place on the GPU and without a graph, so that a training
 * step needs no readback: keep one small `totals` for an epoch, add each step's loss (weight: the
 * batch size), {@link correctRows} and count, and read it when it is shown. Totals are f32: counts
 * are exact up to 2²⁴.
 * @throws ArgumentError for a slot outside totals, a weight that is no number, or a value that
 * shares its memory.
 * @throws ShapeError for integers.
 */
export function accumulateAt(totals: Tensor, slot: number, value: Tensor, weight = 1): void {
  expectTensors("accumulateAt", { totals, value });
  number("accumulateAt", "weight", weight);
  if (!Number.isInteger(slot) || slot < 0 || slot >= totals.size) {
    throw new ArgumentError(
      `accumulateAt: slot ${shown(slot)} of totals of shape ${showShape(totals.shape)}: use 0 to ${totals.size - 1}`,
    );
  }
  if (value.buffer === totals.buffer)
    throw new ArgumentError("accumulateAt: the value is a view of the totals it is added to: give a copy");
  const x = value.size > SERIAL ? noGrad(() => sum(value)) : value;
  totals.device.run(accumulateAtKernel, null, { x: x.buffer, totals: totals.buffer }, { n: x.size, slot, weight });
  traced("accumulateAt", totals, [value]);
  if (x !== value) x.dispose();
}
