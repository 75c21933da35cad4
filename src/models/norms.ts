import { BatchNorm } from "../nn/batch-norm";
import { ChannelAffine, GroupNorm, InstanceNorm, LayerNorm, type Norm, type NormOptions } from "../nn/norm";
import { type BranchNormName, groupsOf } from "./norm-names";

/** A norm by its name. */
export function makeNorm(norm: BranchNormName, channels: number, options: NormOptions): Norm {
  if (norm === "bn" || norm === "sbn") return new BatchNorm(channels, options);
  if (norm === "in") return new InstanceNorm(channels, options);
  if (norm === "ln") return new LayerNorm(channels, options);
  return norm === "none"
    ? new ChannelAffine(channels, options)
    : new GroupNorm(groupsOf(norm, channels), channels, options);
}
