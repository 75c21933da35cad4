import { ArgumentError } from "../errors";
import { groupNormParts, instanceNormParts, type Parted, scaleParts } from "../tensor/ops/norm-parts";
import type { Tensor } from "../tensor/tensor";

/**
 * Normalisations without running statistics, which any number of branches share:
 * `gn` group norm in O/16 groups (one, below 16 channels), `in` instance norm, `ln` layer norm over all positions and channels of a sample, `none` nothing.
 */
export type StatelessNorm = "gn" | "in" | "ln" | "none";

/** Channels of one group of `gn`, as in the authors' code. */
const GROUP = 16;

/** What follows a {@link statelessNorm}. */
export interface NormEnd {
  /** A ReLU (default false). */
  relu?: boolean | undefined;
  /** The maximum of each pool×pool window (default 1, no pooling). */
  pool?: number | undefined;
}

/**
 * y = relu(γ ⊙ norm(h) + β) with γ and β for each part of a batch, the ReLU optional. Shapes: h [parts · N, …, O], or [N, …, O] where the parts share it, γ and β [O] → [parts · N, …, O], pooled where asked for.
 *
 * Layer norm over [H, W, C] without an affine map of its own, followed by γ and β a channel, has the statistics of group norm with one group, whose
 * kernel applies them in the same pass.
 */
export function statelessNorm(norm: StatelessNorm, h: Tensor, parted: Parted, end: NormEnd): Tensor {
  const channels = h.shape[h.rank - 1]!;
  if (norm === "gn") return groupNormParts(h, groupsOf(channels), parted, end);
  if (norm === "ln") return groupNormParts(h, 1, parted, end);
  return norm === "in" ? instanceNormParts(h, parted, end) : scaleParts(h, parted, end);
}

/** Groups that `gn` makes of so many channels. */
export const groupsOf = (channels: number): number => Math.max(1, Math.floor(channels / GROUP));

/** @throws ArgumentError when the norm is none of `allowed`, or does not go with the number of channels or the kind of map. */
export function checkNorm(norm: string, allowed: readonly string[], channels: number, positions: boolean): void {
  if (!allowed.includes(norm)) throw new ArgumentError(`norm is one of ${allowed.join(", ")}, found "${norm}"`);
  if (norm === "gn" && channels % groupsOf(channels) !== 0)
    throw new ArgumentError(
      `norm "gn" makes ${groupsOf(channels)} groups of ${channels} channels, which do not divide: take a multiple of ${GROUP} channels, or "ln"`,
    );
  if (norm === "in" && !positions)
    throw new ArgumentError('norm "in" takes statistics over positions, and rows of a linear map have none: take "ln"');
}
