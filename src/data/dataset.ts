/** Labelled images in memory, as bytes: the form every image data set is brought to. */
import { ArgumentError, FormatError, ShapeError } from "../errors";

/** n labelled images of one size. Make one with {@link imageSet}, which checks that the parts agree. */
export interface ImageSet {
  /** n × channels × height × width bytes: an image is its planes one after the other, a plane its rows from the top. */
  readonly images: Uint8Array;
  /** n class indices, each from 0 and below `classes.length`. */
  readonly labels: Uint8Array | Int32Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Names of the classes, in the order of their indices. */
  readonly classes: readonly string[];
  /** n, the number of images. */
  readonly length: number;
}

/**
 * Puts checked parts together to an {@link ImageSet}. Nothing is copied.
 *
 * @throws ArgumentError if channels, height or width is not a whole number from 1
 * @throws ShapeError if the number of bytes is not labels × channels × height × width
 * @throws FormatError if a label is not below the number of classes
 */
export function imageSet(parts: Omit<ImageSet, "length">): ImageSet {
  const { images, labels, channels, height, width, classes } = parts;
  for (const [name, value] of Object.entries({ channels, height, width })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new ArgumentError(`imageSet: expected ${name} to be a whole number from 1, got ${value}`);
    }
  }
  const expected = labels.length * channels * height * width;
  if (images.length !== expected) {
    throw new ShapeError(
      `imageSet: expected ${expected} bytes for ${labels.length} images of ${channels}x${height}x${width}, got ${images.length}`,
    );
  }
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    if (label < 0 || label >= classes.length) {
      throw new FormatError(
        `imageSet: image ${i} has label ${label}, but there are ${classes.length} classes; labels count from 0`,
      );
    }
  }
  return { images, labels, channels, height, width, classes, length: labels.length };
}

/**
 * Images start … end − 1, as views into the same bytes.
 *
 * @throws ArgumentError if not 0 ≤ start ≤ end ≤ length
 */
export function subset(set: ImageSet, start: number, end: number): ImageSet {
  if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end < start || end > set.length) {
    throw new ArgumentError(
      `subset: expected whole numbers 0 <= start <= end <= ${set.length}, got start ${start}, end ${end}`,
    );
  }
  const bytes = set.channels * set.height * set.width;
  return {
    ...set,
    images: set.images.subarray(start * bytes, end * bytes),
    labels: set.labels.subarray(start, end),
    length: end - start,
  };
}

/**
 * One set after the other, copied together.
 *
 * @throws ArgumentError if there is no set
 * @throws ShapeError if the sets differ in image size or in classes
 */
export function concatImages(sets: readonly ImageSet[]): ImageSet {
  const first = sets[0];
  if (!first) throw new ArgumentError("concat: expected at least one set, got none");
  const kind = (s: ImageSet) =>
    `${s.channels}x${s.height}x${s.width} images of ${s.classes.length} classes (${s.classes.slice(0, 3).join(", ")}, ...)`;
  const length = sets.reduce((sum, set) => sum + set.length, 0);
  const bytes = first.channels * first.height * first.width;
  const images = new Uint8Array(length * bytes);
  const labels = sets.every((set) => set.labels instanceof Uint8Array)
    ? new Uint8Array(length)
    : new Int32Array(length);
  let at = 0;
  for (const [i, set] of sets.entries()) {
    const sameSize = set.channels === first.channels && set.height === first.height && set.width === first.width;
    const sameClasses =
      set.classes.length === first.classes.length && set.classes.every((name, j) => name === first.classes[j]);
    if (!sameSize || !sameClasses) {
      throw new ShapeError(`concat: expected sets of one kind, but set 0 has ${kind(first)} and set ${i} ${kind(set)}`);
    }
    images.set(set.images, at * bytes);
    labels.set(set.labels, at);
    at += set.length;
  }
  return { ...first, images, labels, length };
}
