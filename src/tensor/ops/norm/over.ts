import { ArgumentError, ShapeError } from "../../../errors";
import { shown } from "../../../io/shown";
import { type Shape, sameShape, showShape, sizeOf } from "../../shape";
import type { Tensor } from "../../tensor";
import { expectTensors } from "../operands";
import type { View } from "./layout";

/**
 * Which elements of x [N, …, C] have their mean and variance in common:
 *
 * - `batch`: those of a channel, over the batch and all positions (batch norm);
 * - `positions`: those of a channel of one item (instance norm);
 * - `{ groups }`: those of C / groups neighbouring channels of one item (group norm);
 * - `{ shape }`: the last dimensions, which have that shape, for each index before (layer norm);
 *   with `aboutZero` their mean counts as 0, and their mean square is the variance (RMS norm);
 * - `nothing`: nothing is normalised, and what is left are γ and β.
 */
export type Over =
  | "batch"
  | "positions"
  | "nothing"
  | { readonly groups: number }
  | { readonly shape: Shape; readonly aboutZero?: boolean };

/** Means count as 0. */
export const isAboutZero = (over: Over): boolean => typeof over === "object" && "shape" in over && !!over.aboutZero;

/** The operation's name in messages. */
export function nameOf(over: Over): string {
  if (typeof over === "string") return { batch: "batchNorm", positions: "instanceNorm", nothing: "scale" }[over];
  if ("groups" in over) return "groupNorm";
  return isAboutZero(over) ? "rmsNorm" : "layerNorm";
}

/** How x is cut into parts of equal size, that are normalised each by itself. */
export interface Parting {
  readonly parts: number;
  /** All parts read the same x [N, …]; else theirs lie one after the other in it. */
  readonly shared: boolean;
}

/**
 * One part of x as the kernels see it, and the shape of its γ and β.
 * @throws ShapeError when x does not fit.
 */
export function viewOf(x: Tensor, over: Over, { parts, shared }: Parting): { view: View; affine: Shape } {
  const what = nameOf(over);
  expectTensors(what, { x });
  if (typeof over === "object" && "shape" in over) return layerView(what, x, over.shape, shared ? 1 : parts);
  const least = over === "positions" ? 3 : 2;
  if (x.rank < least) {
    throw new ShapeError(
      `${what}: an input [N, ${least > 2 ? "L, " : "…, "}C] of at least ${least} dimensions is expected, found shape ${showShape(x.shape)}`,
    );
  }
  const batches = x.shape[0]! / (shared ? 1 : parts);
  const [rows, channels] = [sizeOf(x.shape.slice(1, -1)), x.shape[x.rank - 1]!];
  const view = { batches, rows, channels, groups: channels };
  if (over === "positions") {
    if (rows >= 2) return { view, affine: [channels] };
    throw new ShapeError(
      `${what}: expected more than 1 position per channel, found input ${showShape(x.shape)}: use a larger input, or another normalisation`,
    );
  }
  if (typeof over === "string") return { view: { ...view, batches: 1, rows: batches * rows }, affine: [channels] };
  const { groups } = over;
  if (Number.isInteger(groups) && groups >= 1 && channels % groups === 0)
    return { view: { ...view, groups }, affine: [channels] };
  throw new ShapeError(
    `${what}: a number of groups that divides the ${channels} channels of input ${showShape(x.shape)} is expected, found ${shown(groups)}`,
  );
}

function layerView(what: string, x: Tensor, shape: Shape, parts: number): { view: View; affine: Shape } {
  const lead = x.rank - shape.length;
  if (shape.length === 0 || lead < 0 || !sameShape(x.shape.slice(lead), shape)) {
    throw new ShapeError(
      `${what}: an input that ends in ${showShape(shape)} is expected, found shape ${showShape(x.shape)}`,
    );
  }
  const batches = sizeOf(x.shape.slice(0, lead)) / parts;
  return { view: { batches, rows: 1, channels: sizeOf(shape), groups: 1 }, affine: shape };
}

/**
 * Rows of each part that have mean and variance: those of its first `measured` items.
 * @throws ArgumentError unless it has so many, and rows are a batch's.
 */
export function measuredRows(x: Tensor, over: Over, view: View, { parts, shared }: Parting, measured?: number): number {
  if (measured === undefined) return view.rows;
  const items = x.shape[0]! / (shared ? 1 : parts);
  const fits = Number.isInteger(measured) && measured >= 1 && measured <= items;
  if (over === "batch" && fits) return (view.rows / items) * measured;
  throw new ArgumentError(
    `${nameOf(over)}: measured: a number of items from 1 to the ${items} of ${parts > 1 ? "each part of " : ""}a batch that is normalised as one expected, found ${shown(measured)}`,
  );
}

/**
 * @throws ShapeError, ArgumentError unless x can be cut so, with γ and β for each part or for all.
 */
export function checkParting(x: Tensor, over: Over, { parts, shared }: Parting, affine: number): void {
  const what = nameOf(over);
  if (!Number.isInteger(parts) || parts < 1)
    throw new ArgumentError(`${what}: a whole number of parts from 1 expected, found ${shown(parts)}`);
  const whole = shared || parts === 1 || (x.rank > 0 && x.shape[0]! % parts === 0);
  if (whole && (affine === 1 || affine === parts)) return;
  throw new ShapeError(
    `${what}: ${parts} parts of equal size, with γ and β for each or for all, are expected, found input ${showShape(x.shape)} and ${affine} of γ and β`,
  );
}
