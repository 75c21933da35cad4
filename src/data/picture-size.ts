/** Sizes of pictures: as options give them, and how a picture of any size is brought to one. */

import { whole } from "../demand";
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";

/** Height and width of pictures. */
export type PictureSize = readonly [height: number, width: number];

/**
 * Height and width from an option: a number is both.
 *
 * @throws ArgumentError unless they are whole numbers from 1
 */
export function pictureSize(what: string, name: string, value: unknown): PictureSize {
  if (!Array.isArray(value)) return [whole(what, name, value), whole(what, name, value)];
  if (value.length !== 2) {
    throw new ArgumentError(`${what}: expected ${name} as one number or [height, width], got ${shown(value)}`);
  }
  return [whole(what, `${name}[0]`, value[0]), whole(what, `${name}[1]`, value[1])];
}

/** How pictures of many sizes are brought to one. */
export interface PictureOptions {
  /** Of the pictures that come out: of a square, or height and width. */
  size: number | PictureSize;
  /**
   * `"crop"` (default) keeps the proportions: the picture is resized until it just covers `size`,
   * and its middle is cut out. `"stretch"` resizes to `size` whatever the proportions.
   */
  fit?: "crop" | "stretch";
  /**
   * With `"crop"`: what the shorter side is resized to before the middle is cut out, such as 256
   * with a size of 224.
   */
  resize?: number;
}

/** What is done to one picture: resized as a whole, then cut. */
export interface Placement {
  readonly resized: PictureSize;
  readonly top: number;
  readonly left: number;
}

/** Half of a whole number, rounded to the nearest and from the middle to the even one. */
export const evenHalf = (n: number): number => {
  const half = Math.floor(n / 2);
  return n % 2 !== 0 && half % 2 !== 0 ? half + 1 : half;
};

/**
 * Where a picture of `height` × `width` goes: torchvision's `Resize` (the longer side rounded down)
 * and `CenterCrop`.
 */
export function placement(
  [height, width]: PictureSize,
  size: PictureSize,
  { fit, resize }: { readonly fit: "crop" | "stretch"; readonly resize?: number | undefined },
): Placement {
  if (fit === "stretch") return { resized: size, top: 0, left: 0 };
  const factor = resize === undefined ? Math.max(size[0] / height, size[1] / width) : resize / Math.min(height, width);
  // Without the hair that a product of floats may lack, a side that fits exactly would lose a
  // pixel.
  const along = (side: number, least: number) => Math.max(least, Math.floor(side * factor + 1e-6));
  const resized: PictureSize = [along(height, size[0]), along(width, size[1])];
  return { resized, top: evenHalf(resized[0] - size[0]), left: evenHalf(resized[1] - size[1]) };
}
