import {
  crossEntropyGradKernel,
  crossEntropyKernel,
  nllGradKernel,
  nllKernel,
  type PairLoss,
  pairLossGradKernel,
  pairLossKernel,
} from "../../../shaders/softmax.wgsl";
import { weightedEntropyGradKernel, weightedEntropyKernel } from "../../../shaders/weighted-entropy.wgsl";
import { oneOf, within } from "../../demand";
import { ShapeError } from "../../errors";
import { sameShape, showShape } from "../shape";
import { record, type Tensor } from "../tensor";
import { div } from "./elementwise";
import {
  expectBelow,
  expectInt32,
  expectOptions,
  expectShape,
  expectTensors,
  type Integers,
  withIntegers,
} from "./operands";
import { mean, sum } from "./reduce";
import { areProbabilities, softEntropy } from "./soft-entropy";

/** What becomes of the values of a loss: their mean, their sum, or all of them. */
export type Reduction = "mean" | "sum" | "none";

/** Options all losses have. */
export interface LossOptions {
  /** Default `"mean"`; over an empty batch it is NaN. */
  readonly reduction?: Reduction;
}

/**
 * Scores [N, C] with a label each, given to `body` as a tensor.
 * @param classes `"known"`: labels that the host knows are refused outside 0 … C − 1.
 * @throws ShapeError unless scores are f32 [N, C], C > 0, and labels integers [N].
 * @throws ArgumentError for labels out of range, and other things.
 */
export function withLabels(
  what: string,
  name: string,
  scores: Tensor,
  labels: Integers,
  classes: "known" | "any",
  body: (labels: Tensor, rows: number, classes: number) => Tensor,
): Tensor {
  expectTensors(what, { [name]: scores });
  const [rows, n] = scores.shape;
  if (scores.rank !== 2 || !n) {
    throw new ShapeError(`${what}: ${name} are of shape [N, C] with C > 0, found ${showShape(scores.shape)}`);
  }
  return withIntegers(what, "labels", labels, classes === "known" ? n : Infinity, scores, (t) => {
    if (sameShape(t.shape, [rows!])) return body(t, rows!, n);
    throw new ShapeError(
      `${what}: labels are of shape [${rows}], one a row of the ${name}, found ${showShape(t.shape)}`,
    );
  });
}

const REDUCTIONS: readonly Reduction[] = ["mean", "sum", "none"];

/**
 * Reduces the values of a loss; `values` is given up. `step` and `scale` are how the gradient
 * reaches each of them.
 */
function reduceLoss(values: Tensor, reduction: Reduction): { y: Tensor; g_step: number; scale: number } {
  if (reduction === "none") return { y: values, g_step: 1, scale: 1 };
  const y = reduction === "mean" ? mean(values) : sum(values);
  const scale = reduction === "mean" ? 1 / values.size : 1;
  values.dispose();
  return { y, g_step: 0, scale };
}

/** Options of {@link crossEntropy}. */
export interface CrossEntropyOptions extends LossOptions {
  /** ε of label smoothing: the target is (1 − ε) at the label plus ε/C everywhere. Default 0. */
  readonly labelSmoothing?: number | undefined;
  /**
   * Rows with this label (any whole number, as PyTorch's −100) are left out: their loss and
   * gradient are 0, and they do not count in a mean. Default: none.
   */
  readonly ignoreIndex?: number | undefined;
  /** A weight w of each class, [C], a constant: no gradient reaches it. Default: 1. */
  readonly weight?: Tensor | null | undefined;
}

/**
 * Cross-entropy of logits [N, C] with integer labels [N] (PyTorch's `cross_entropy`): for each row
 * log Σ exp x − (1 − ε) x_label − ε·mean(x), computed shifted by the row's maximum. Of shape [], or
 * [N] unreduced; added up in a fixed order.
 *
 * With weights of the classes it is −(1 − ε) w_label log p_label − ε/C Σ w_c log p_c, p = softmax
 * x. The mean is the sum divided by the sum of w_label over the rows that are not ignored: NaN
 * where all are.
 *
 * A label outside 0 … C − 1 is refused where the host knows it: in a list, and in a tensor that it
 * uploaded. One that the GPU computed, or that is written between replays of a recorded step, makes
 * its row's loss and gradient NaN; so does one that lies between the classes and an `ignoreIndex`
 * that is none of them, as the host knows the least and the greatest label alone.
 *
 * A tensor of floats [N, C] in the place of labels has probabilities t of all classes, as mixup
 * makes them: −Σ w_c ((1 − ε) t_c + ε/C) log p_c, whose mean is over N; gradients reach t too.
 * @param labels integers, or a list of whole numbers, which is uploaded; or probabilities
 * @throws ShapeError unless logits are f32 [N, C] with C > 0, labels integers [N] or f32 [N, C],
 * and weight f32 [C].
 * @throws ArgumentError for an ignoreIndex beside probabilities, labels out of range, an unknown
 * reduction, labelSmoothing outside 0 … 1, or an ignoreIndex that is no whole number of 32 bits.
 */
export function crossEntropy(logits: Tensor, labels: Integers, options: CrossEntropyOptions = {}): Tensor {
  expectOptions("crossEntropy", options, ["reduction", "labelSmoothing", "ignoreIndex", "weight"]);
  const { reduction = "mean", labelSmoothing = 0, ignoreIndex, weight } = options;
  oneOf("crossEntropy", "reduction", reduction, REDUCTIONS);
  within("crossEntropy", "labelSmoothing", labelSmoothing, 0, 1);
  if (areProbabilities(labels)) return softEntropy(logits, labels, options);
  if (ignoreIndex === undefined && weight == null)
    return withLabels("crossEntropy", "logits", logits, labels, "known", (t, rows, classes) =>
      entropyOf(logits, t, rows, classes, reduction, labelSmoothing),
    );
  if (ignoreIndex !== undefined) expectInt32("crossEntropy", "ignoreIndex", ignoreIndex);
  return withLabels("crossEntropy", "logits", logits, labels, "any", (t, rows, classes) => {
    if (weight != null) expectShape("crossEntropy", "weight", weight, [classes]);
    expectBelow("crossEntropy", "labels", t.range, classes, ignoreIndex);
    return weightedEntropyOf(logits, t, rows, classes, { reduction, labelSmoothing, ignoreIndex, weight });
  });
}

function entropyOf(
  logits: Tensor,
  labels: Tensor,
  rows: number,
  n: number,
  reduction: Reduction,
  smoothing: number,
): Tensor {
  const values = logits.newEmpty([rows]);
  const stats = logits.newEmpty([rows, 2]);
  const buffers = { x: logits.buffer, labels: labels.buffer, loss: values.buffer, stats: stats.buffer };
  logits.device.run(crossEntropyKernel, null, buffers, { rows, n, smoothing });
  const { y, ...how } = reduceLoss(values, reduction);
  const backward = (x: Tensor, l: Tensor, s: Tensor) => (g: Tensor) => {
    const dx = g.newEmpty(x.shape);
    const bound = { g: g.buffer, x: x.buffer, labels: l.buffer, stats: s.buffer, dx: dx.buffer };
    g.device.run(crossEntropyGradKernel, null, bound, { count: dx.size, n, smoothing, ...how });
    return [dx];
  };
  // Probabilities are told by how far each logit is below the greatest.
  const out = record("crossEntropy", y, [logits], [logits, labels, stats], backward, undefined, { exact: [logits] });
  stats.dispose();
  return out;
}

/** The same with weights of the classes, or a label that is left out. */
function weightedEntropyOf(
  logits: Tensor,
  labels: Tensor,
  rows: number,
  n: number,
  { reduction, labelSmoothing: smoothing = 0, ignoreIndex, weight }: CrossEntropyOptions,
): Tensor {
  const spec = { weighted: !!weight, ignoring: ignoreIndex !== undefined };
  const common = { n, smoothing, ignored: (ignoreIndex ?? 0) >>> 0 };
  const [loss, share, stats] = [logits.newEmpty([rows]), logits.newEmpty([rows]), logits.newEmpty([rows, 4])];
  const read = { x: logits.buffer, labels: labels.buffer, weights: (weight ?? logits).buffer };
  const written = { loss: loss.buffer, share: share.buffer, stats: stats.buffer };
  logits.device.run(weightedEntropyKernel, spec, { ...read, ...written }, { rows, ...common });
  const reduced = reduction === "none" ? loss : sum(loss);
  const total = reduction === "mean" ? sum(share) : null;
  const y = total ? div(reduced, total) : reduced;
  const saved = [logits, labels, weight ?? logits, stats, total ?? stats];
  const backward =
    (...[x, l, w, s, of]: Tensor[]) =>
    (g: Tensor) => {
      const dx = g.newEmpty(x!.shape);
      const by = total ? div(g, of!) : g;
      const buffers = { g: by.buffer, x: x!.buffer, labels: l!.buffer, weights: w!.buffer, stats: s!.buffer };
      const sizes = { count: dx.size, g_step: reduction === "none" ? 1 : 0, ...common };
      g.device.run(weightedEntropyGradKernel, spec, { ...buffers, dx: dx.buffer }, sizes);
      return [dx];
    };
  record("crossEntropy", y, [logits], saved, backward, undefined, { exact: [logits] });
  for (const t of [loss, share, stats, reduced, total]) if (t && t !== y) t.dispose();
  return y;
}

/**
 * Negative log likelihood −x_label of log probabilities [N, C] with integer labels [N] (PyTorch's
 * `nll_loss`). Labels are treated as {@link crossEntropy} does.
 * @throws ShapeError unless logProbs are f32 [N, C] with C > 0 and labels integers [N].
 * @throws ArgumentError for labels out of range, or an unknown reduction.
 */
export function nllLoss(logProbs: Tensor, labels: Integers, options: LossOptions = {}): Tensor {
  const reduction = reductionOf("nllLoss", options);
  return withLabels("nllLoss", "logProbs", logProbs, labels, "known", (t, rows, n) => {
    const values = logProbs.newEmpty([rows]);
    logProbs.device.run(nllKernel, null, { x: logProbs.buffer, labels: t.buffer, loss: values.buffer }, { rows, n });
    const { y, ...how } = reduceLoss(values, reduction);
    return record("nllLoss", y, [logProbs], [t], (l) => (g) => {
      const dx = g.newEmpty([rows, n]);
      const buffers = { g: g.buffer, labels: l.buffer, dx: dx.buffer };
      g.device.run(nllGradKernel, null, buffers, { count: dx.size, n, ...how });
      return [dx];
    });
  });
}

function reductionOf(what: string, options: LossOptions): Reduction {
  expectOptions(what, options, ["reduction"]);
  const { reduction = "mean" } = options;
  oneOf(what, "reduction", reduction, REDUCTIONS);
  return reduction;
}

function pairLoss(what: string, loss: PairLoss, [a, x]: Named, [b, target]: Named, options: LossOptions): Tensor {
  const reduction = reductionOf(what, options);
  expectTensors(what, { [a]: x, [b]: target });
  if (!sameShape(x.shape, target.shape)) {
    throw new ShapeError(
      `${what}: ${a} and ${b} are of one shape, found ${showShape(x.shape)} and ${showShape(target.shape)}`,
    );
  }
  const values = x.newEmpty(x.shape);
  x.device.run(pairLossKernel, loss, { x: x.buffer, t: target.buffer, y: values.buffer }, { count: x.size });
  const { y, ...how } = reduceLoss(values, reduction);
  const backward = (sx: Tensor, st: Tensor) => (g: Tensor) => {
    const gradient = (by: "dx" | "dt") => {
      const d = g.newEmpty(sx.shape);
      g.device.run(
        pairLossGradKernel,
        { loss, by },
        { g: g.buffer, x: sx.buffer, t: st.buffer, d: d.buffer },
        { count: d.size, ...how },
      );
      return d;
    };
    return [x.requiresGrad ? gradient("dx") : null, target.requiresGrad ? gradient("dt") : null];
  };
  return record(what, y, [x, target], [x, target], backward, undefined, { exact: [x, target] });
}

/** An argument with its name. */
type Named = readonly [name: string, value: Tensor];

/**
 * Squared error (x − target)² of two tensors of one shape; differentiable towards both. Of shape
 * [], or the tensors' unreduced.
 * @throws ShapeError unless both are f32 and of one shape.
 * @throws ArgumentError for an unknown reduction.
 */
export const mseLoss = (x: Tensor, target: Tensor, options: LossOptions = {}): Tensor =>
  pairLoss("mseLoss", "squared", ["x", x], ["target", target], options);

/**
 * Binary cross-entropy of logits x with targets t in 0 … 1: (1 − t) x + max(−x, 0) + log(1 +
 * e^−|x|), which overflows nowhere; differentiable towards both.
 * @throws ShapeError unless both are f32 and of one shape.
 * @throws ArgumentError for an unknown reduction.
 */
export const binaryCrossEntropyWithLogits = (logits: Tensor, targets: Tensor, options: LossOptions = {}): Tensor =>
  pairLoss("binaryCrossEntropyWithLogits", "logits", ["logits", logits], ["targets", targets], options);
