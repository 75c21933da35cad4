/**
 * Augmentation and normalisation of byte images, fused: however many transforms there are, a pixel is read once, looked up in a
 * table of 256 values a channel, and written once, from the planes of the data set to the channels-last floats of the batch.
 *
 * For that a transform says of which kind it is. Geometry decides where pixels are read from, a value map becomes part of the
 * table, and anything else works on the finished floats. A list of transforms has them in this order.
 */
import { ArgumentError, ShapeError } from "../errors";
import type { Generator } from "../tensor/random";
import type { ImageSet } from "./dataset";

/**
 * One axis of the picture being made: its position x shows the source's position origin + step·x, if that lies in
 * [low, high), and black otherwise.
 */
export class Axis {
  origin = 0;
  step: 1 | -1 = 1;
  size = 0;
  low = 0;
  high = 0;

  /** The whole source, as it is. */
  reset(size: number): void {
    this.origin = 0;
    this.step = 1;
    this.size = size;
    this.low = 0;
    this.high = size;
  }

  /** Shows `size` positions from `start` of what was shown; those outside of it are black. */
  window(start: number, size: number): void {
    const end = this.origin + this.step * (this.size - 1);
    // What an earlier window cut away must not come back as the border of this one.
    this.low = Math.max(this.low, Math.min(this.origin, end));
    this.high = Math.min(this.high, Math.max(this.origin, end) + 1);
    this.origin += this.step * start;
    this.size = size;
  }

  /** Turns the axis round: what was last is first. */
  reverse(): void {
    this.origin += this.step * (this.size - 1);
    this.step = this.step === 1 ? -1 : 1;
  }

  /** First position that shows the source. */
  get first(): number {
    const at = this.step === 1 ? this.low - this.origin : this.origin - this.high + 1;
    return Math.min(Math.max(at, 0), this.size);
  }

  /** One after the last position that shows the source; not below `first`. */
  get end(): number {
    const at = this.step === 1 ? this.high - this.origin : this.origin - this.low + 1;
    return Math.min(Math.max(at, this.first), this.size);
  }
}

/** Decides where the pixels of a picture come from, by moving the two axes. Every picture must get the same size. */
export interface GeometryTransform {
  readonly kind: "geometry";
  place(rows: Axis, columns: Axis, random: Generator): void;
}

/** Maps the value of a pixel, 0 … 1 at first, by its channel alone. Evaluated once for each of the 256 values. */
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

/** Something done to every image of a batch; see {@link randomCrop}, {@link randomHorizontalFlip}, {@link normalize}. */
export type ImageTransform = GeometryTransform | ValueTransform | PixelTransform;

/**
 * A window of `size` (default: the image's own) at a random place of the image with a black border of `padding` pixels, every
 * place equally likely. As torchvision's `RandomCrop`, the border is black before normalisation. Draws two numbers.
 *
 * @throws ArgumentError if `padding` is not a whole number from 0, `size` not one from 1; and on use, if the window is larger than
 *   the image with its border
 */
export function randomCrop({ padding = 0, size }: { padding?: number; size?: number }): GeometryTransform {
  if (!Number.isInteger(padding) || padding < 0) {
    throw new ArgumentError(`randomCrop: expected padding to be a whole number from 0, got ${padding}`);
  }
  if (size !== undefined && (!Number.isInteger(size) || size < 1)) {
    throw new ArgumentError(`randomCrop: expected size to be a whole number from 1, got ${size}`);
  }
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
  if (!(p >= 0 && p <= 1)) throw new ArgumentError(`randomHorizontalFlip: expected p from 0 to 1, got ${p}`);
  return {
    kind: "geometry",
    place(_rows, columns, random) {
      if (random.uniform() < p) columns.reverse();
    },
  };
}

/**
 * (value − mean[channel]) / std[channel], value on the scale 0 … 1, every step rounded to float32: torchvision's `Normalize` bit by
 * bit.
 *
 * @throws ArgumentError if mean and std differ in length, are not finite, or a std is not positive; on use, ShapeError if the image
 *   has another number of channels
 */
export function normalize(mean: readonly number[], std: readonly number[]): ValueTransform {
  if (mean.length !== std.length || !mean.every(Number.isFinite) || !std.every((s) => Number.isFinite(s) && s > 0)) {
    throw new ArgumentError(
      `normalize: expected as many means as positive deviations, got mean [${mean.join(", ")}], std [${std.join(", ")}]`,
    );
  }
  const means = Float32Array.from(mean);
  const stds = Float32Array.from(std);
  return {
    kind: "value",
    channels: mean.length,
    map: (value, channel) => Math.fround(Math.fround(value - means[channel]!) / stds[channel]!),
  };
}

const ORDER = ["geometry", "value", "pixels"] as const;

/**
 * Writes images of one size through a list of transforms. With an empty list a byte becomes byte / 255.
 *
 * @throws ArgumentError if the kinds are not in the order geometry, value, pixels
 * @throws ShapeError if a value transform is made for another number of channels
 */
export class ImageWriter {
  readonly #source: Pick<ImageSet, "channels" | "height" | "width">;
  readonly #geometry: GeometryTransform[] = [];
  readonly #pixels: PixelTransform[] = [];
  /** channels × 256: what becomes of each byte. */
  readonly #table: Float32Array;
  readonly #rows = new Axis();
  readonly #columns = new Axis();
  /** Height, width and channels of the pictures written. */
  readonly shape: readonly [height: number, width: number, channels: number];

  /** @param random draws for one trial placement, which tells the size of the pictures */
  constructor(
    source: Pick<ImageSet, "channels" | "height" | "width">,
    transforms: readonly ImageTransform[],
    random: Generator,
  ) {
    this.#source = source;
    const values: ValueTransform[] = [];
    let floor = 0;
    for (const [i, transform] of transforms.entries()) {
      const rank = ORDER.indexOf(transform.kind);
      if (rank < floor) {
        throw new ArgumentError(
          `transforms: expected the kinds in the order ${ORDER.join(", ")}, but number ${i} is "${transform.kind}" ` +
            `${rank < 0 ? "" : `after "${ORDER[floor]}"`}; move crops and flips before normalize`,
        );
      }
      floor = rank;
      if (transform.kind === "geometry") this.#geometry.push(transform);
      else if (transform.kind === "pixels") this.#pixels.push(transform);
      else values.push(transform);
    }
    const { channels } = source;
    for (const { channels: made } of values) {
      if (made !== undefined && made !== channels) {
        throw new ShapeError(
          `transforms: expected images of ${made} channels, as normalize was given, got ${channels}`,
        );
      }
    }
    this.#table = new Float32Array(channels * 256);
    for (let c = 0; c < channels; c++) {
      for (let byte = 0; byte < 256; byte++) {
        this.#table[c * 256 + byte] = values.reduce((v, t) => t.map(v, c), Math.fround(byte / 255));
      }
    }
    this.#place(random);
    this.shape = [this.#rows.size, this.#columns.size, channels];
  }

  /**
   * Writes image `index` of `set` as height × width × channels floats to `out` from `offset` on; `random` decides the augmentation.
   *
   * @throws ShapeError if a geometry transform gave this picture another size than the first
   */
  write(set: ImageSet, index: number, out: Float32Array, offset: number, random: Generator): void {
    const [height, width, channels] = this.shape;
    const rows = this.#rows;
    const columns = this.#columns;
    this.#place(random);
    if (rows.size !== height || columns.size !== width) {
      throw new ShapeError(
        `transforms: expected every picture to be ${height}x${width} as the first, got ${rows.size}x${columns.size}`,
      );
    }
    const { images } = set;
    const table = this.#table;
    const plane = set.height * set.width;
    const step = columns.step;
    const firstRow = rows.first;
    const endRow = rows.end;
    const firstColumn = columns.first;
    const endColumn = columns.end;
    for (let y = 0; y < height; y++) {
      const shown = y >= firstRow && y < endRow;
      const first = shown ? firstColumn : width;
      const end = shown ? endColumn : width;
      const line = (rows.origin + rows.step * y) * set.width + columns.origin + step * first;
      for (let c = 0; c < channels; c++) {
        const entry = c * 256;
        const black = table[entry]!;
        let to = offset + y * width * channels + c;
        let from = (index * channels + c) * plane + line;
        let x = 0;
        for (; x < first; x++, to += channels) out[to] = black;
        for (; x < end; x++, to += channels, from += step) out[to] = table[entry + images[from]!]!;
        for (; x < width; x++, to += channels) out[to] = black;
      }
    }
    if (this.#pixels.length > 0) {
      const pixels = out.subarray(offset, offset + height * width * channels);
      for (const transform of this.#pixels) transform.apply(pixels, this.shape, random);
    }
  }

  #place(random: Generator): void {
    this.#rows.reset(this.#source.height);
    this.#columns.reset(this.#source.width);
    for (const transform of this.#geometry) transform.place(this.#rows, this.#columns, random);
  }
}
