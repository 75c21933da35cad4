import { ArgumentError } from "../errors";
import type { Affine } from "../nn/norm";
import { add, mul, relu as rectify } from "../tensor/ops/elementwise";
import { groupNorm, instanceNorm } from "../tensor/ops/norm";
import type { Tensor } from "../tensor/tensor";

/**
 * Normalisations without running statistics, which any number of branches share:
 * `gn` group norm in O/16 groups (one, below 16 channels), `in` instance norm, `ln` layer norm over all positions and channels of a sample, `none` nothing.
 */
export type StatelessNorm = "gn" | "in" | "ln" | "none";

/** Channels of one group of `gn`, as in the authors' code. */
const GROUP = 16;

/**
 * y = relu(γ ⊙ norm(h) + β), the ReLU optional. Shapes: h [N, …, O], γ and β [O] → [N, …, O].
 *
 * Layer norm over [H, W, C] without an affine map of its own, followed by γ and β a channel, has the statistics of group norm with one group, whose
 * kernel applies them in the same pass.
 */
export function statelessNorm(norm: StatelessNorm, h: Tensor, affine: Required<Affine>, relu: boolean): Tensor {
  const options = { ...affine, relu };
  const channels = h.shape[h.rank - 1]!;
  if (norm === "gn") return groupNorm(h, groupsOf(channels), options);
  if (norm === "ln") return groupNorm(h, 1, options);
  if (norm === "in") return instanceNorm(h, options);
  const { gamma, beta } = affine;
  const scaled = gamma ? mul(h, gamma) : h;
  const y = beta ? add(scaled, beta) : scaled;
  return relu ? rectify(y) : y;
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
