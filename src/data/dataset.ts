/** Data sets in memory: images as bytes, the form every image data set is brought to, and what they share with point clouds. */
import { ArgumentError, ShapeError } from "../errors";
import { checkLabels, checkWhole, type LabelledSet } from "./labelled";
import { DIMENSIONS, type PointSet, pointSet } from "./point-cloud";

/** n labelled images of one size. Make one with {@link imageSet}, which checks that the parts agree. */
export interface ImageSet extends LabelledSet {
  /** n × channels × height × width bytes: an image is its planes one after the other, a plane its rows from the top. */
  readonly images: Uint8Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** What a network can be trained on and tested with. */
export type Dataset = ImageSet | PointSet;

/** Tells clouds from images. */
export function isPointSet(set: Dataset): set is PointSet {
  return "points" in set;
}

/** Shape of one sample as a network is given it: `[height, width, channels]` of an image, `[points, 3]` of a cloud. */
export function sampleShape(set: Dataset): readonly number[] {
  return isPointSet(set) ? [set.pointsPerCloud, DIMENSIONS] : [set.height, set.width, set.channels];
}

const sampleSize = (set: Dataset): number => sampleShape(set).reduce((a, b) => a * b);

/**
 * Puts checked parts together to an {@link ImageSet}. Nothing is copied.
 *
 * @throws ArgumentError if channels, height or width is not a whole number from 1
 * @throws ShapeError if the number of bytes is not labels × channels × height × width
 * @throws FormatError if a label is not below the number of classes
 */
export function imageSet(parts: Omit<ImageSet, "length">): ImageSet {
  const { images, labels, channels, height, width, classes } = parts;
  checkWhole("imageSet", { channels, height, width }, 1);
  const expected = labels.length * channels * height * width;
  if (images.length !== expected) {
    throw new ShapeError(
      `imageSet: expected ${expected} bytes for ${labels.length} images of ${channels}x${height}x${width}, got ${images.length}`,
    );
  }
  checkLabels(parts, "imageSet", "image");
  return { images, labels, channels, height, width, classes, length: labels.length };
}

/**
 * Checks a set of either kind as its maker does, since a set may also have been put together by hand.
 *
 * @throws ArgumentError, ShapeError, FormatError as {@link imageSet} and {@link pointSet}
 */
export function checkedSet(set: Dataset): Dataset {
  return isPointSet(set) ? pointSet(set) : imageSet(set);
}

/**
 * Samples start … end − 1, as views into the same memory.
 *
 * @throws ArgumentError if not 0 ≤ start ≤ end ≤ length
 */
export function subset<S extends Dataset>(set: S, start: number, end: number): S {
  if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end < start || end > set.length) {
    throw new ArgumentError(
      `subset: expected whole numbers 0 <= start <= end <= ${set.length}, got start ${start}, end ${end}`,
    );
  }
  const size = sampleSize(set);
  const [first, last] = [start * size, end * size];
  const all: Dataset = set;
  const samples = isPointSet(all)
    ? { points: all.points.subarray(first, last) }
    : { images: all.images.subarray(first, last) };
  return { ...set, ...samples, labels: set.labels.subarray(start, end), length: end - start };
}

/**
 * The samples of these indices, in this order, copied together.
 *
 * @throws ArgumentError if an index is not a whole number from 0 and below length
 */
export function selectSamples<S extends Dataset>(set: S, indices: ArrayLike<number>): S {
  const size = sampleSize(set);
  const all: Dataset = set;
  const labels = all.labels instanceof Uint8Array ? new Uint8Array(indices.length) : new Int32Array(indices.length);
  const samples = isPointSet(all)
    ? { points: new Float32Array(indices.length * size) }
    : { images: new Uint8Array(indices.length * size) };
  for (let i = 0; i < indices.length; i++) {
    const at = indices[i]!;
    if (!Number.isInteger(at) || at < 0 || at >= set.length) {
      throw new ArgumentError(`selectSamples: expected whole numbers from 0 below ${set.length}, got ${at}`);
    }
    const [first, last] = [at * size, (at + 1) * size];
    labels[i] = all.labels[at]!;
    if (isPointSet(all)) samples.points!.set(all.points.subarray(first, last), i * size);
    else samples.images!.set(all.images.subarray(first, last), i * size);
  }
  return { ...set, ...samples, labels, length: indices.length };
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
