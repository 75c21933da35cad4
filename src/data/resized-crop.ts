/** Random windows of pictures, brought to one size. */

import { FLOAT_MAX, objectOf, optionsOf, within } from "../demand";
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";
import type { Generator } from "../tensor/random";
import { pictureSize } from "./picture-size";
import type { PictureWindow } from "./resample";
import type { ResampleTransform } from "./transforms";

/** Options of {@link randomResizedCrop}. */
export interface RandomResizedCropOptions {
  /** Of the pictures that come out: of a square, or height and width. */
  size: number | readonly [height: number, width: number];
  /** Least and greatest share of the picture's area. Default [0.08, 1]. */
  scale?: readonly [low: number, high: number];
  /** Least and greatest width / height of the window. Default [3/4, 4/3]. */
  ratio?: readonly [low: number, high: number];
}

/** Windows that are tried before the largest one in the middle is taken. */
const ATTEMPTS = 10;

/**
 * A window of random area and shape at a random place, brought to `size`: torchvision's
 * `RandomResizedCrop`, with its filter (bilinear, antialiased) but without rounding to bytes.
 *
 * Up to ten times an area is drawn, uniform in `scale`, and a ratio whose logarithm is uniform; the
 * first window that fits into the picture gets a place, every place equally likely. If none fits it
 * is the largest window in the middle whose ratio is allowed. Draws two numbers per attempt and two
 * for the place.
 *
 * @throws ArgumentError if size is not one or two whole numbers from 1, or scale and ratio are not
 *   0 < low ≤ high (≤ 1 of scale)
 */
export function randomResizedCrop(options: RandomResizedCropOptions): ResampleTransform {
  const {
    size,
    scale = [0.08, 1],
    ratio = [3 / 4, 4 / 3],
  } = optionsOf("randomResizedCrop", objectOf("randomResizedCrop", "options", options), ["size", "scale", "ratio"]);
  const areas = bounds("scale", scale, 1);
  const ratios = bounds("ratio", ratio, FLOAT_MAX);
  return {
    kind: "resample",
    size: pictureSize("randomResizedCrop", "size", size),
    window: (height, width, random) => windowOf(height, width, areas, ratios, random),
  };
}

type Bounds = readonly [low: number, high: number];

function bounds(name: string, value: unknown, most: number): Bounds {
  if (!Array.isArray(value) || value.length !== 2) {
    throw new ArgumentError(`randomResizedCrop: expected ${name} to be [low, high], got ${shown(value)}`);
  }
  const [low, high] = value.map((v, i) => within("randomResizedCrop", `${name}[${i}]`, v, 0, most)) as [number, number];
  if (low > 0 && low <= high) return [low, high];
  throw new ArgumentError(`randomResizedCrop: expected ${name} with 0 < low <= high, got ${shown(value)}`);
}

function windowOf(height: number, width: number, areas: Bounds, ratios: Bounds, random: Generator): PictureWindow {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const area = height * width * random.uniform(...areas);
    const ratio = Math.exp(random.uniform(Math.log(ratios[0]), Math.log(ratios[1])));
    const [w, h] = [Math.round(Math.sqrt(area * ratio)), Math.round(Math.sqrt(area / ratio))];
    if (w < 1 || h < 1 || w > width || h > height) continue;
    return { top: random.integer(height - h + 1), left: random.integer(width - w + 1), height: h, width: w };
  }
  const own = width / height;
  const w = own > ratios[1] ? Math.round(height * ratios[1]) : width;
  const h = own < ratios[0] ? Math.round(width / ratios[0]) : height;
  const [tall, wide] = [Math.max(1, h), Math.max(1, w)];
  return { top: Math.floor((height - tall) / 2), left: Math.floor((width - wide) / 2), height: tall, width: wide };
}
