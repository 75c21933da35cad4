/**
 * Augmentation and normalisation of images. A transform says of which kind it is, so that a list of
 * them can be fused (`ImageWriter`): resampling brings a window of the image to another size,
 * geometry decides where pixels are read from, colour changes pixels of 0 … 1, a value map what
 * becomes of each, and anything else works on the finished floats. A list of transforms has them in
 * this order.
 */

import { FLOAT_MAX, objectOf, optionsOf, whole, within } from "../demand";
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";
import type { Generator } from "../tensor/random";
import type { Axis } from "./axis";
import { evenHalf, type PictureSize, pictureSize } from "./picture-size";
import type { PictureWindow } from "./resample";

/** Brings a window of every image to one size; a list has at most one, before everything else. */
export interface ResampleTransform {
  readonly kind: "resample";
  /** Of what comes out. */
  readonly size: PictureSize;
  /** The window of an image of this size: whole pixels inside of it. */
  window(height: number, width: number, random: Generator): PictureWindow;
}

/**
 * Decides where the pixels of a picture come from, by moving the two axes. Every picture must get
 * the same size.
 */
export interface GeometryTransform {
  readonly kind: "geometry";
  place(rows: Axis, columns: Axis, random: Generator): void;
}

/**
 * Changes the colours of a picture in place, before values are mapped: height × width × channels
 * floats 0 … 1, channels last, which must stay in this range.
 */
export interface ColorTransform {
  readonly kind: "color";
  apply(
    pixels: Float32Array,
    shape: readonly [height: number, width: number, channels: number],
    random: Generator,
  ): void;
}

/**
 * Maps the value of a pixel, 0 … 1 at first, by its channel alone. Evaluated once for each of the
 * 256 values of a byte; for every pixel where pixels are floats, or colours were changed before.
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
 * Something done to every image of a batch; see {@link randomResizedCrop}, {@link randomCrop},
 * {@link randomHorizontalFlip}, {@link colorJitter}, {@link normalize}, {@link cutout}.
 */
export type ImageTransform = ResampleTransform | GeometryTransform | ColorTransform | ValueTransform | PixelTransform;

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
 * The window of `size` in the middle of the image, as torchvision's `CenterCrop`; beside a smaller
 * image it is black. What images are tested with that were trained by windows of them.
 *
 * @throws ArgumentError if size is not one or two whole numbers from 1
 */
export function centerCrop(size: number | PictureSize): GeometryTransform {
  const [height, width] = pictureSize("centerCrop", "size", size);
  const place = (axis: Axis, wanted: number) => {
    const room = axis.size - wanted;
    axis.window(room < 0 ? -Math.floor(-room / 2) : evenHalf(room), wanted);
  };
  return {
    kind: "geometry",
    place(rows, columns) {
      place(rows, height);
      place(columns, width);
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

/**
 * Erases squares of the finished picture, whose centres are anywhere in it: `size` pixels wide,
 * except where they reach over its borders. Behind {@link normalize} the `fill` of 0 is the mean
 * colour. Draws two numbers per hole.
 *
 * Source: DeVries, Taylor, "Improved regularization of convolutional neural networks with Cutout",
 * 2017.
 *
 * @throws ArgumentError if size or holes is not a whole number from 1, or fill no finite number
 */
export function cutout(options: { size: number; holes?: number; fill?: number }): PixelTransform {
  const {
    size,
    holes = 1,
    fill = 0,
  } = optionsOf("cutout", objectOf("cutout", "options", options), ["size", "holes", "fill"]);
  whole("cutout", "size", size);
  whole("cutout", "holes", holes);
  within("cutout", "fill", fill, -FLOAT_MAX, FLOAT_MAX);
  return {
    kind: "pixels",
    apply(pixels, [height, width, channels], random) {
      for (let hole = 0; hole < holes; hole++) {
        const top = random.integer(height) - Math.floor(size / 2);
        const left = random.integer(width) - Math.floor(size / 2);
        const [first, end] = [Math.max(0, left), Math.min(width, left + size)];
        for (let y = Math.max(0, top); y < Math.min(height, top + size); y++) {
          pixels.fill(fill, (y * width + first) * channels, (y * width + end) * channels);
        }
      }
    },
  };
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
