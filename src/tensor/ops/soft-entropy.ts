import { refuse } from "../../demand";
import { scope } from "../storage";
import { Tensor } from "../tensor";
import { affine, mul } from "./elementwise";
import { expectShape, expectTensors } from "./operands";
import { mean, sum } from "./reduce";
import { logSoftmax } from "./softmax";

/** Options of a cross-entropy, as `crossEntropy` has checked those that all losses have. */
interface SoftEntropyOptions {
  readonly reduction?: "mean" | "sum" | "none";
  readonly labelSmoothing?: number | undefined;
  readonly ignoreIndex?: number | undefined;
  readonly weight?: Tensor | null | undefined;
}

/** Whether the targets of a cross-entropy are probabilities of all classes, and not labels. */
export const areProbabilities = (targets: unknown): targets is Tensor =>
  targets instanceof Tensor && targets.dtype === "f32" && targets.rank === 2;

/**
 * Cross-entropy of logits [N, C] with probabilities t [N, C] (PyTorch's `cross_entropy` with such a
 * target): for each row −Σ w_c ((1 − ε) t_c + ε/C) log softmax(x)_c. The mean divides by N,
 * whatever the weights are. Rows of t need not add up to 1. A logit of −∞ makes NaN of its row,
 * even where t is 0.
 *
 * Put together of other operations, so that gradients reach the probabilities too.
 * @throws ShapeError unless both are f32 and of one shape, and weight is f32 [C].
 * @throws ArgumentError for an `ignoreIndex`, which is a label.
 */
export function softEntropy(
  logits: Tensor,
  probabilities: Tensor,
  { reduction = "mean", labelSmoothing = 0, ignoreIndex, weight }: SoftEntropyOptions,
): Tensor {
  expectTensors("crossEntropy", { logits });
  expectShape("crossEntropy", "probabilities", probabilities, logits.shape);
  const classes = logits.shape[1]!;
  if (ignoreIndex !== undefined)
    refuse("crossEntropy", "ignoreIndex", "undefined with probabilities", ignoreIndex, "it is a label");
  if (weight != null) expectShape("crossEntropy", "weight", weight, [classes]);
  return scope(() => {
    const wanted = labelSmoothing ? affine(probabilities, 1 - labelSmoothing, labelSmoothing / classes) : probabilities;
    const terms = mul(logSoftmax(logits), weight == null ? wanted : mul(wanted, weight.detach()));
    const rows = affine(sum(terms, 1), -1);
    if (reduction === "none") return rows;
    return reduction === "mean" ? mean(rows) : sum(rows);
  });
}
