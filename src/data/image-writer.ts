/**
 * Images through a list of transforms, fused: however many crops, flips and value maps there are, a
 * pixel is read once and written once, from the planes of the data set to the channels-last floats
 * of the batch. A byte is looked up in a table of 256 values for its channel; a float goes through
 * the value maps one after the other. Resampling makes floats of its own first; changes of colour
 * come between the writing and the value maps.
 */

import { instance, objectOf, whole } from "../demand";
import { ArgumentError, LimitError, ShapeError } from "../errors";
import { shown } from "../io/shown";
import { Generator } from "../tensor/random";
import { Axis } from "./axis";
import { checkRoom } from "./check";
import { pictureSize } from "./picture-size";
import { type PictureWindow, Resampler } from "./resample";
import { type ImageSet, notAPixel, type Pixels } from "./sample-set";
import { checkTransforms, IMAGE_KINDS } from "./transform-kinds";
import type {
  ColorTransform,
  GeometryTransform,
  ImageTransform,
  PixelTransform,
  ResampleTransform,
  ValueTransform,
} from "./transforms";

/** The size of the images that a writer reads. */
type ImageSize = Pick<ImageSet, "channels" | "height" | "width">;

/**
 * Writes images of one size through a list of transforms. With an empty list a byte becomes byte /
 * 255, and a float stays what it is.
 *
 * @throws ArgumentError if the kinds are not in the order resample, geometry, color, value,
 *   pixels, or a value map makes of a byte what is not a finite number
 * @throws ShapeError if a value transform is made for another number of channels
 */
export class ImageWriter {
  readonly #source: ImageSize;
  readonly #resample: ResampleTransform[] = [];
  readonly #geometry: GeometryTransform[] = [];
  readonly #colors: ColorTransform[] = [];
  readonly #values: ValueTransform[] = [];
  readonly #pixels: PixelTransform[] = [];
  /** channels × 256: what becomes of each byte. */
  readonly #table: Float32Array;
  readonly #resampler: Resampler | undefined;
  /** Height and width of what geometry works on. */
  readonly #height: number;
  readonly #width: number;
  readonly #rows = new Axis();
  readonly #columns = new Axis();
  /** Height, width and channels of the pictures written. */
  readonly shape: readonly [height: number, width: number, channels: number];

  /** @param random draws for one trial placement, which tells the size of the pictures */
  constructor(source: ImageSize, transforms: readonly ImageTransform[], random: Generator) {
    objectOf("ImageWriter", "the size of the images", source);
    const { channels, height, width } = source;
    whole("ImageWriter", "channels", channels);
    whole("ImageWriter", "height", height);
    whole("ImageWriter", "width", width);
    instance("ImageWriter", "random", random, Generator);
    this.#source = { channels, height, width };
    this.#sort(transforms);
    for (const { channels: made } of this.#values) {
      if (made !== undefined && made !== channels) {
        throw new ShapeError(
          `transforms: expected images of ${shown(made)} channels, as normalize was given, got ${channels}`,
        );
      }
    }
    this.#table = this.#tableOfBytes();
    const [resample] = this.#resample;
    [this.#height, this.#width] = resample ? pictureSize("transforms", "size", resample.size) : [height, width];
    if (resample) {
      this.#resampler = new Resampler(channels, this.#height, this.#width);
      this.#window(resample, random);
    }
    this.#place(random);
    this.shape = [this.#rows.size, this.#columns.size, channels];
  }

  /**
   * Writes image `index` of `set` as height × width × channels floats to `out` from `offset` on;
   * `random` decides the augmentation.
   *
   * @throws ArgumentError if there is no image `index`, or no room in `out`
   * @throws ShapeError if the images are not of the writer's size, or a geometry transform gave
   *   this picture another size than the first
   * @throws FormatError if a pixel of a set of floats is not in [0, 1]
   */
  write(set: ImageSet<Pixels>, index: number, out: Float32Array, offset: number, random: Generator): void {
    const [height, width, channels] = this.shape;
    this.#check(set, index, out, offset, random);
    const resampled = this.#resampled(set, index, random);
    this.#place(random);
    const [rows, columns] = [this.#rows.size, this.#columns.size];
    if (rows !== height || columns !== width) {
      throw new ShapeError(
        `transforms: expected every picture to be ${height}x${width} as the first, got ${rows}x${columns}`,
      );
    }
    if (resampled) this.#writeFloats(resampled, 0, out, offset);
    else if (set.images instanceof Uint8Array) this.#writeBytes(set.images, index, out, offset);
    else this.#writeFloats(set.images, index, out, offset);
    if (this.#colors.length === 0 && this.#pixels.length === 0) return;
    const pixels = out.subarray(offset, offset + height * width * channels);
    if (this.#colors.length > 0) {
      for (const transform of this.#colors) transform.apply(pixels, this.shape, random);
      for (let i = 0; i < pixels.length; i++) pixels[i] = this.#mapped(pixels[i]!, i % channels);
    }
    for (const transform of this.#pixels) transform.apply(pixels, this.shape, random);
  }

  /** The planes of a window of image `index`, where a transform asks for one. */
  #resampled({ images }: ImageSet<Pixels>, index: number, random: Generator): Float32Array | undefined {
    const [resample] = this.#resample;
    const resampler = this.#resampler;
    if (!resample || !resampler) return undefined;
    const { channels, height, width } = this.#source;
    const window = this.#window(resample, random);
    const unit = images instanceof Uint8Array ? 1 / 255 : 1;
    resampler.run(images, index * channels * height * width, height, width, window, unit);
    return resampler.planes;
  }

  #window(resample: ResampleTransform, random: Generator): PictureWindow {
    const { height, width } = this.#source;
    const found: unknown = resample.window(height, width, random);
    const window = (typeof found === "object" && found !== null ? found : {}) as PictureWindow;
    const fits = (start: number, size: number, whole: number) =>
      Number.isSafeInteger(start) && Number.isSafeInteger(size) && start >= 0 && size >= 1 && start + size <= whole;
    if (fits(window.top, window.height, height) && fits(window.left, window.width, width)) return window;
    throw new ArgumentError(
      `transforms: expected a transform of kind resample to give a window inside of ${height}x${width}, got ${shown(found)}`,
    );
  }

  #writeBytes(images: Uint8Array, index: number, out: Float32Array, offset: number): void {
    const [height, width, channels] = this.shape;
    const rows = this.#rows;
    const columns = this.#columns;
    const table = this.#table;
    const plane = this.#height * this.#width;
    const step = columns.step;
    const firstRow = rows.first;
    const endRow = rows.end;
    const firstColumn = columns.first;
    const endColumn = columns.end;
    for (let y = 0; y < height; y++) {
      const isShown = y >= firstRow && y < endRow;
      const first = isShown ? firstColumn : width;
      const end = isShown ? endColumn : width;
      const line = (rows.origin + rows.step * y) * this.#width + columns.origin + step * first;
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
  }

  /** As for bytes, but that a value has to be mapped each time. */
  #writeFloats(images: Float32Array, index: number, out: Float32Array, offset: number): void {
    const [height, width, channels] = this.shape;
    const [sourceHeight, sourceWidth] = [this.#height, this.#width];
    const { first: firstRow, end: endRow, origin: rowOrigin, step: rowStep } = this.#rows;
    const { first: firstColumn, end: endColumn, origin, step } = this.#columns;
    for (let c = 0; c < channels; c++) {
      const black = this.#table[c * 256]!;
      const plane = (index * channels + c) * sourceHeight;
      let to = offset + c;
      for (let y = 0; y < height; y++) {
        const isShown = y >= firstRow && y < endRow;
        const line = (plane + rowOrigin + rowStep * y) * sourceWidth + origin;
        for (let x = 0; x < width; x++, to += channels) {
          const at = line + step * x;
          out[to] = isShown && x >= firstColumn && x < endColumn ? this.#written(images[at]!, c, at) : black;
        }
      }
    }
  }

  /** Sorts transforms by kind, which must be their order already. */
  #sort(transforms: readonly ImageTransform[]): void {
    checkTransforms(transforms);
    let floor = 0;
    for (const [i, transform] of transforms.entries()) {
      const rank = IMAGE_KINDS.indexOf(transform.kind);
      if (rank < floor) {
        throw new ArgumentError(
          `transforms: expected the kinds in the order ${IMAGE_KINDS.join(", ")}, but number ${i} is "${transform.kind}" ` +
            `${rank < 0 ? "" : `after "${IMAGE_KINDS[floor]}"`}; move crops and flips before normalize`,
        );
      }
      floor = rank;
      if (transform.kind === "resample") {
        if (this.#resample.push(transform) > 1) {
          throw new ArgumentError(`transforms: expected at most one of kind resample, but number ${i} is another`);
        }
      } else if (transform.kind === "color") this.#colors.push(transform);
      else if (transform.kind === "geometry") this.#geometry.push(transform);
      else if (transform.kind === "pixels") this.#pixels.push(transform);
      else this.#values.push(transform);
    }
  }

  #tableOfBytes(): Float32Array {
    const { channels } = this.#source;
    if (channels > 2 ** 20) throw new LimitError(`ImageWriter: expected at most 2^20 channels, got ${channels}`);
    const table = new Float32Array(channels * 256);
    for (let c = 0; c < channels; c++) {
      for (let byte = 0; byte < 256; byte++) {
        const value = this.#mapped(Math.fround(byte / 255), c);
        // Colours are changed before values are mapped.
        table[c * 256 + byte] = this.#colors.length > 0 ? byte / 255 : value;
      }
    }
    return table;
  }

  /** What is written of pixel number `at`, a float. */
  #written(pixel: number, channel: number, at: number): number {
    const { channels, height, width } = this.#source;
    if (!(pixel >= 0 && pixel <= 1)) throw notAPixel("images", pixel, at, channels * height * width);
    return this.#colors.length > 0 ? pixel : this.#mapped(pixel, channel);
  }

  #mapped(pixel: number, channel: number): number {
    let value = pixel;
    for (const transform of this.#values) value = transform.map(value, channel);
    return checkedValue(value, pixel, channel);
  }

  #check(set: ImageSet<Pixels>, index: number, out: Float32Array, offset: number, random: Generator): void {
    const { channels, height, width } = this.#source;
    objectOf("ImageWriter.write", "a set of images", set);
    const { images } = set;
    if (set.channels !== channels || set.height !== height || set.width !== width) {
      throw new ShapeError(`ImageWriter.write: expected images of ${channels}x${height}x${width}, as it was made for`);
    }
    if (!(images instanceof Uint8Array || images instanceof Float32Array)) {
      throw new ArgumentError(`ImageWriter.write: expected images in bytes or floats, got ${shown(images)}`);
    }
    if (!Number.isSafeInteger(index) || index < 0 || (index + 1) * channels * height * width > images.length) {
      throw new ArgumentError(`ImageWriter.write: expected the index of an image of the set, got ${shown(index)}`);
    }
    checkRoom("ImageWriter.write", this.shape[0] * this.shape[1] * channels, out, offset);
    instance("ImageWriter.write", "random", random, Generator);
  }

  #place(random: Generator): void {
    const [height, width] = [this.#height, this.#width];
    this.#rows.reset(height);
    this.#columns.reset(width);
    for (const transform of this.#geometry) transform.place(this.#rows, this.#columns, random);
    if (this.#rows.fits(height) && this.#columns.fits(width)) return;
    throw new ArgumentError(
      "transforms: expected transforms of kind geometry to leave whole positions of the image on both axes; " +
        "move the axes by window() and reverse()",
    );
  }
}

function checkedValue(value: number, pixel: number, channel: number): number {
  if (typeof value === "number" && Number.isFinite(Math.fround(value))) return value;
  throw new ArgumentError(
    `transforms: expected maps of values to give finite numbers, got ${shown(value)} for ${pixel} in channel ${channel}`,
  );
}
