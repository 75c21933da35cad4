/**
 * Augmentation and normalisation of images. A transform says of which kind it is, so that a list of
 * them can be fused (`ImageWriter`): geometry decides where pixels are read from, a value map what
 * becomes of them, and anything else works on the finished floats. A list of transforms has them in
 * this order.
 */

import { FLOAT_MAX, objectOf, optionsOf, whole, within } from "../demand";
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";
import type { Generator } from "../tensor/random";
import type { Axis } from "./axis";

/**
 * Decides where the pixels of a picture come from, by moving the two axes. Every picture must get
 * the same size.
 */
export interface GeometryTransform {
  readonly kind: "geometry";
  place(rows: Axis, columns: Axis, random: Generator): void;
}

/**
 * Maps the value of a pixel, 0 … 1 at first, by its channel alone. Evaluated once for each of the
 * 256 values of a byte; for every pixel where pixels are floats.
 */
export interface ValueTransform {
  readonly kind: "value";
  /** The number of channels the map is made for; left out if any number will do. */
  readonly channels?: number;
  map(value: number, channel: number): number;
}

/** Changes a finished picture in place: height × width × channels floats, channels last. */
export interface PixelTransform {
  readonly kind: "pixels";
  apply(
    pixels: Float32Array,
    shape: readonly [height: number, width: number, channels: number],
    random: Generator,
  ): void;
}

/**
 * Something done to every image of a batch; see {@link randomCrop}, {@link randomHorizontalFlip},
 * {@link normalize}.
 */
export type ImageTransform = GeometryTransform | ValueTransform | PixelTransform;

/**
 * A window of `size` (default: the image's own) at a random place of the image with a black border
 * of `padding` pixels, every place equally likely. As torchvision's `RandomCrop`, the border is
 * black before normalisation. Draws two numbers.
 *
 * @throws ArgumentError if `padding` is not a whole number from 0, `size` not one from 1; and on
 *   use, if the window is larger than the image with its border
 */
export function randomCrop(options: { padding?: number; size?: number }): GeometryTransform {
  const { padding = 0, size } = optionsOf("randomCrop", objectOf("randomCrop", "options", options), [
    "padding",
    "size",
  ]);
  whole("randomCrop", "padding", padding, 0);
  if (size !== undefined) whole("randomCrop", "size", size);
  const place = (axis: Axis, random: Generator) => {
    const wanted = size ?? axis.size;
    const room = axis.size + 2 * padding - wanted;
    if (room < 0) {
      throw new ArgumentError(
        `randomCrop: expected a size of at most ${axis.size + 2 * padding} (image ${axis.size}, padding ${padding}), got ${wanted}`,
      );
    }
    axis.window(random.integer(room + 1) - padding, wanted);
  };
  return {
    kind: "geometry",
    place(rows, columns, random) {
      place(rows, random);
      place(columns, random);
    },
  };
}

/**
 * Swaps left and right with probability p. Draws one number.
 *
 * @throws ArgumentError if p is not in [0, 1]
 */
export function randomHorizontalFlip(p = 0.5): GeometryTransform {
  within("randomHorizontalFlip", "p", p, 0, 1);
  return {
    kind: "geometry",
    place(_rows, columns, random) {
      if (random.uniform() < p) columns.reverse();
    },
  };
}

/**
 * (value − mean[channel]) / std[channel], value on the scale 0 … 1, every step rounded to float32:
 * torchvision's `Normalize` bit by bit.
 *
 * @throws ArgumentError if mean and std are empty, differ in length, are not finite, a std is not
 *   positive, or a pixel would become a number that float32 cannot hold; on use, ShapeError if the
 *   image has another number of channels
 */
export function normalize(mean: readonly number[], std: readonly number[]): ValueTransform {
  const means = channelValues("mean", mean);
  const stds = channelValues("std", std);
  if (means.length !== stds.length) {
    throw new ArgumentError(
      `normalize: expected one mean and one std for each channel, got ${means.length} means and ${stds.length} stds`,
    );
  }
  const map = (value: number, channel: number) => Math.fround(Math.fround(value - means[channel]!) / stds[channel]!);
  for (let c = 0; c < means.length; c++) {
    // The map is monotonic: what lies between the ends is no farther out than they are.
    if (stds[c]! > 0 && Number.isFinite(map(0, c)) && Number.isFinite(map(1, c))) continue;
    throw new ArgumentError(
      `normalize: expected a std above 0 that keeps pixels in the range of float32, got mean ${mean[c]} and ` +
        `std ${std[c]} for channel ${c}`,
    );
  }
  return { kind: "value", channels: means.length, map };
}

/** Numbers, one per channel, as float32. */
function channelValues(name: string, values: ArrayLike<number>): Float32Array {
  if (!Array.isArray(values) && !(values instanceof Float32Array || values instanceof Float64Array)) {
    throw new ArgumentError(`normalize: expected ${name} to be an array of numbers, got ${shown(values)}`);
  }
  if (values.length === 0) throw new ArgumentError(`normalize: expected ${name} for at least one channel, got none`);
  for (let c = 0; c < values.length; c++) within("normalize", `${name}[${c}]`, values[c], -FLOAT_MAX, FLOAT_MAX);
  return Float32Array.from(values);
}
