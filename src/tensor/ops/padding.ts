/** What convolutions, functions and layers alike, put around their inputs. */
import { refuse, whole } from "../../demand";
import type { Pair } from "../shape";
import { pairOf } from "./operands";

/** Zeros in front of an axis and behind it. */
export type Sides = readonly [before: number, after: number];

/** What is put around each axis of an input; `even` where both sides of every axis get the same. */
export interface Padding {
  readonly sides: readonly Sides[];
  readonly even: boolean;
}

/**
 * The padding of each axis: numbers as they are given, none for `"valid"`, or for `"same"` what
 * keeps the input's size, dilation · (kernel − 1) in all, the odd one behind, as PyTorch's.
 * @throws ArgumentError for `"same"` with strides, and for anything that is no padding.
 */
export function paddingOf(
  what: string,
  padding: Pair | "same" | "valid",
  { kernel, stride, dilation }: Readonly<Record<"kernel" | "stride" | "dilation", readonly number[]>>,
): Padding {
  if (padding !== "same") {
    const given = padding === "valid" ? 0 : padding;
    if (typeof given === "string") refuse(what, "padding", 'numbers, "same" or "valid"', given);
    const both = kernel.length === 1 ? [whole(what, "padding", given, 0)] : pairOf(what, "padding", given, 0);
    return { sides: both.map((n) => [n, n]), even: true };
  }
  if (stride.some((s) => s !== 1)) refuse(what, "stride", 'a 1 where padding is "same"', stride);
  const sides = kernel.map((k, d): Sides => {
    const all = dilation[d]! * (k - 1);
    return [Math.floor(all / 2), Math.ceil(all / 2)];
  });
  return { sides, even: sides.every(([before, after]) => before === after) };
}
