import { partsOf } from "../tensor/ops/lift";
import { concat } from "../tensor/ops/movement";
import type { Affine } from "../tensor/ops/norm/affine";
import { type Normaliser, normalise } from "../tensor/ops/norm/normalise";
import type { Over } from "../tensor/ops/norm/over";
import { Tensor } from "../tensor/tensor";
import { BatchNorm } from "./batch-norm";
import type { Norm } from "./norm";

/** What one part of a batch goes through. */
export interface NormPart {
  readonly norm: Norm;
  /** γ and β in the place of the norm's own. */
  readonly affine?: Affine | undefined;
}

/** How {@link normaliseParts} takes a batch. */
export interface PartsOptions {
  /**
   * All parts read the same x [N, …] (default false); else theirs lie one after the other,
   * [parts · N, …].
   */
  shared?: boolean;
  /** Default `normalise`; or one with something fused behind it. */
  normaliser?: Normaliser;
}

/**
 * Each part of a batch through its norm, as if it were a batch of its own, in as many launches as
 * one. A batch norm that stands there several times moves its running statistics with each of its
 * parts, in their order.
 *
 * Shape: x [N, …, C] where the parts share it, else [parts · N, …, C] → [parts · N, …, C].
 */
export function normaliseParts(
  x: Tensor,
  parts: readonly NormPart[],
  { shared = false, normaliser = normalise }: PartsOptions = {},
): Tensor {
  const { norm: head } = parts[0]!;
  const affine = parts.map((p) => p.norm.affine(p.affine));
  const same = parts.every((p) => p.norm === head);
  const common = same && affine.every((a) => sameAffine(a, affine[0]!)) ? affine.slice(0, 1) : affine;
  // Statistics of an item do not know what else lies in the batch.
  const asOne = parts.length === 1 || (!(head instanceof BatchNorm) && !shared && same && common.length === 1);
  if (asOne) return head.run(x, common[0]!, normaliser);
  // A mean over all batches moves by another weight with each part: parts go one after the other.
  const apart = !parts.every((p) => alike(p.norm, head)) || (head instanceof BatchNorm && isMean(head));
  if (apart) {
    const each = shared ? parts.map(() => x) : partsOf(x, parts.length);
    const y = concat(
      parts.map((p, i) => p.norm.run(each[i]!, affine[i]!, normaliser)),
      0,
    );
    y.parts = parts.length;
    return y;
  }
  const { over, eps, relu } = head;
  const running = head instanceof BatchNorm ? runningOf(x, parts, same) : undefined;
  return normaliser(x, { over, running, affine: common, parts: parts.length, shared, eps, relu });
}

function runningOf(x: Tensor, parts: readonly NormPart[], same: boolean) {
  const norms = parts.map((p) => p.norm as BatchNorm);
  const [{ training, momentum }] = norms as [BatchNorm];
  if (training) for (const norm of norms) norm.countBatches(x);
  const distinct = same ? norms.slice(0, 1) : norms;
  const sets = distinct.map(({ runningMean, runningVar }) => ({ mean: runningMean, variance: runningVar }));
  return { sets, training, momentum: momentum ?? 0 };
}

const isMean = ({ training, momentum }: BatchNorm) => training && momentum === null;

function sameAffine(a: Affine, b: Affine): boolean {
  if (a instanceof Tensor || b instanceof Tensor) return a === b;
  return a.gamma === b.gamma && a.beta === b.beta;
}

/** Whether two norms do the same but for their tensors. */
function alike(a: Norm, b: Norm): boolean {
  if (a instanceof BatchNorm !== b instanceof BatchNorm) return false;
  if (a instanceof BatchNorm && b instanceof BatchNorm && (a.training !== b.training || a.momentum !== b.momentum))
    return false;
  return a.eps === b.eps && a.relu === b.relu && sameOver(a.over, b.over);
}

const sameOver = (a: Over, b: Over): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);
