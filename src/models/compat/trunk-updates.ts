import type { AroundNorm } from "../../passport/branch-pass";

/**
 * Running statistics of what both branches share, moved as the authors' code does: it computes that
 * part once for each branch, so a training batch counts `updates` times there,
 *
 *     running = (1 − m)ᵏ · running + (1 − (1 − m)ᵏ) · batch
 *
 * where this package computes it once. Undefined for one update, which is what happens anyway.
 */
export function trunkUpdates(updates: number): AroundNorm | undefined {
  if (updates === 1) return undefined;
  return (norm, x, body) => {
    const { momentum, training } = norm;
    if (!training || momentum === null) return body();
    norm.momentum = 1 - (1 - momentum) ** updates;
    try {
      return body();
    } finally {
      norm.momentum = momentum;
      norm.countBatches(x, updates - 1);
    }
  };
}
