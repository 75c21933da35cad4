import { BatchNorm } from "../../nn/batch-norm";
import type { BranchNorms } from "../../passport/options";

/**
 * One set of running statistics, called `bn0`, that both branches use and move, each by its own
 * batches: the authors' layers for point clouds hold a `bn1` too and never use it.
 */
export function sharedStatistics(channels: number, relu: boolean): BranchNorms {
  const norm = new BatchNorm(channels, { affine: false, relu });
  return { of: [norm, norm], names: ["bn0"] };
}
