import { ArgumentError } from "../errors";
import { shown } from "../io/shown";

/**
 * Normalisations by the names of the papers' code: `bn` batch norm, `gn` group norm in O/16 groups
 * (one, below 16 channels), `gn1` group norm in one group, which spans all positions and channels
 * of an item, `in` instance norm, `ln` layer norm over the channels of each position, `none` a
 * scale and a shift alone.
 */
export type NormName = "bn" | "gn" | "gn1" | "in" | "ln" | "none";

/** The same of two branches; `sbn` is batch norm whose running statistics both branches share. */
export type BranchNormName = NormName | "sbn";

export const NORM_NAMES: readonly NormName[] = ["bn", "gn", "gn1", "in", "ln", "none"];
export const BRANCH_NORM_NAMES: readonly BranchNormName[] = ["bn", "sbn", "gn", "gn1", "in", "ln", "none"];

/** Channels of one group of `gn`, as in the authors' code. */
const GROUP = 16;

/** Groups that a norm makes of so many channels: what it normalises together. */
export function groupsOf(norm: BranchNormName, channels: number): number {
  if (norm === "gn") return Math.max(1, Math.floor(channels / GROUP));
  return norm === "gn1" || norm === "ln" ? 1 : channels;
}

/**
 * @throws ArgumentError when the norm is none of `allowed`, or does not go with the number of
 * channels or the kind of map.
 */
export function checkNorm(norm: unknown, allowed: readonly string[], channels: number, positions: boolean): void {
  if (!allowed.includes(norm as string))
    throw new ArgumentError(`norm is one of ${allowed.join(", ")}, found ${shown(norm)}`);
  if (norm === "gn" && channels % groupsOf("gn", channels) !== 0)
    throw new ArgumentError(
      `norm "gn" makes ${groupsOf("gn", channels)} groups of ${channels} channels, which do not divide: take a multiple of ${GROUP} channels, or "gn1"`,
    );
  if (norm === "in" && !positions)
    throw new ArgumentError('norm "in" takes statistics over positions, and rows of a linear map have none: take "ln"');
}
