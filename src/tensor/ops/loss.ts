import {
  crossEntropyGradKernel,
  crossEntropyKernel,
  nllGradKernel,
  nllKernel,
  type PairLoss,
  pairLossGradKernel,
  pairLossKernel,
} from "../../../shaders/softmax.wgsl";
import { ArgumentError, ShapeError } from "../../errors";
import { sameShape, showShape } from "../shape";
import { record, Tensor } from "../tensor";
import { mean, sum } from "./reduce";

/** What becomes of the values of a loss: their mean, their sum, or all of them. */
export type Reduction = "mean" | "sum" | "none";

/** Options all losses have. */
export interface LossOptions {
  /** Default `"mean"`; over an empty batch it is NaN. */
  readonly reduction?: Reduction;
}

/** Sizes N and C of scores with labels. @throws ShapeError unless scores are f32 [N, C], C > 0, and labels i32 or u32 [N]. */
export function checkRows(what: string, scores: Tensor, labels: Tensor): [rows: number, classes: number] {
  const [rows, classes] = scores.shape;
  if (scores.dtype !== "f32" || scores.rank !== 2 || !classes) {
    throw new ShapeError(
      `${what}: scores are f32 of shape [N, C] with C > 0, found ${scores.dtype} ${showShape(scores.shape)}`,
    );
  }
  if (labels.dtype === "f32" || !sameShape(labels.shape, [rows!])) {
    throw new ShapeError(
      `${what}: labels are i32 or u32 of shape [${rows}], one a row of the scores, found ${labels.dtype} ${showShape(labels.shape)}`,
    );
  }
  return [rows!, classes];
}

/** Reduces the values of a loss; `values` is given up. `step` and `scale` are how the gradient reaches each of them. */
function reduceLoss(what: string, values: Tensor, reduction: Reduction): { y: Tensor; g_step: number; scale: number } {
  if (reduction === "none") return { y: values, g_step: 1, scale: 1 };
  if (reduction !== "mean" && reduction !== "sum") {
    values.dispose();
    throw new ArgumentError(`${what}: reduction is "mean", "sum" or "none", found ${JSON.stringify(reduction)}`);
  }
  const y = reduction === "mean" ? mean(values) : sum(values);
  const scale = reduction === "mean" ? 1 / values.size : 1;
  values.dispose();
  return { y, g_step: 0, scale };
}

/** Options of {@link crossEntropy}. */
export interface CrossEntropyOptions extends LossOptions {
  /** ε of label smoothing: the target is (1 − ε) at the label plus ε/C everywhere. Default 0. */
  readonly labelSmoothing?: number;
}

/**
 * Cross-entropy of logits [N, C] with integer labels [N] (PyTorch's `cross_entropy`): for each row
 * log Σ exp x − (1 − ε) x_label − ε·mean(x), computed shifted by the row's maximum. Of shape [], or [N] unreduced; added up in a fixed order.
 *
 * A label outside 0 … C − 1 makes its row's loss and gradient NaN (there is no `ignore_index`): whoever has the labels on the host checks them there.
 * @throws ShapeError unless logits are f32 [N, C] with C > 0 and labels i32 or u32 [N].
 * @throws ArgumentError for an unknown reduction, or labelSmoothing outside 0 … 1.
 */
export function crossEntropy(
  logits: Tensor,
  labels: Tensor,
  { reduction = "mean", labelSmoothing: smoothing = 0 }: CrossEntropyOptions = {},
): Tensor {
  const [rows, n] = checkRows("crossEntropy", logits, labels);
  if (!(smoothing >= 0 && smoothing <= 1))
    throw new ArgumentError(`crossEntropy: labelSmoothing is a number from 0 to 1, found ${smoothing}`);
  const values = Tensor.empty([rows]);
  const stats = Tensor.empty([rows, 2]);
  const buffers = { x: logits.buffer, labels: labels.buffer, loss: values.buffer, stats: stats.buffer };
  logits.device.run(crossEntropyKernel, null, buffers, { rows, n, smoothing });
  const { y, ...how } = reduceLoss("crossEntropy", values, reduction);
  const out = record("crossEntropy", y, [logits], [logits, labels, stats], (x, l, s) => (g) => {
    const dx = Tensor.empty(x.shape);
    const bound = { g: g.buffer, x: x.buffer, labels: l.buffer, stats: s.buffer, dx: dx.buffer };
    g.device.run(crossEntropyGradKernel, null, bound, { count: dx.size, n, smoothing, ...how });
    return [dx];
  });
  stats.dispose();
  return out;
}

/**
 * Negative log likelihood −x_label of log probabilities [N, C] with integer labels [N] (PyTorch's `nll_loss`). Labels outside 0 … C − 1 give NaN as in
 * {@link crossEntropy}.
 * @throws ShapeError unless logProbs are f32 [N, C] with C > 0 and labels i32 or u32 [N]. @throws ArgumentError for an unknown reduction.
 */
export function nllLoss(logProbs: Tensor, labels: Tensor, { reduction = "mean" }: LossOptions = {}): Tensor {
  const [rows, n] = checkRows("nllLoss", logProbs, labels);
  const values = Tensor.empty([rows]);
  logProbs.device.run(nllKernel, null, { x: logProbs.buffer, labels: labels.buffer, loss: values.buffer }, { rows, n });
  const { y, ...how } = reduceLoss("nllLoss", values, reduction);
  return record("nllLoss", y, [logProbs], [labels], (l) => (g) => {
    const dx = Tensor.empty([rows, n]);
    g.device.run(nllGradKernel, null, { g: g.buffer, labels: l.buffer, dx: dx.buffer }, { count: dx.size, n, ...how });
    return [dx];
  });
}

function pairLoss(what: string, loss: PairLoss, x: Tensor, target: Tensor, reduction: Reduction): Tensor {
  if (x.dtype !== "f32" || target.dtype !== "f32" || !sameShape(x.shape, target.shape)) {
    const found = [x, target].map((t) => `${t.dtype} ${showShape(t.shape)}`).join(" and ");
    throw new ShapeError(`${what}: needs two f32 tensors of one shape, found ${found}`);
  }
  const values = Tensor.empty(x.shape);
  x.device.run(pairLossKernel, loss, { x: x.buffer, t: target.buffer, y: values.buffer }, { count: x.size });
  const { y, ...how } = reduceLoss(what, values, reduction);
  return record(what, y, [x, target], [x, target], (sx, st) => (g) => {
    const gradient = (by: "dx" | "dt") => {
      const d = Tensor.empty(sx.shape);
      g.device.run(
        pairLossGradKernel,
        { loss, by },
        { g: g.buffer, x: sx.buffer, t: st.buffer, d: d.buffer },
        { count: d.size, ...how },
      );
      return d;
    };
    return [x.requiresGrad ? gradient("dx") : null, target.requiresGrad ? gradient("dt") : null];
  });
}

/**
 * Squared error (x − target)² of two tensors of one shape; differentiable towards both. Of shape [], or the tensors' unreduced.
 * @throws ShapeError unless both are f32 and of one shape. @throws ArgumentError for an unknown reduction.
 */
export const mseLoss = (x: Tensor, target: Tensor, { reduction = "mean" }: LossOptions = {}): Tensor =>
  pairLoss("mseLoss", "squared", x, target, reduction);

/**
 * Binary cross-entropy of logits x with targets t in 0 … 1: max(x, 0) − x t + log(1 + e^−|x|), which overflows nowhere; differentiable towards both.
 * @throws ShapeError unless both are f32 and of one shape. @throws ArgumentError for an unknown reduction.
 */
export const binaryCrossEntropyWithLogits = (
  logits: Tensor,
  targets: Tensor,
  { reduction = "mean" }: LossOptions = {},
): Tensor => pairLoss("binaryCrossEntropyWithLogits", "logits", logits, targets, reduction);
