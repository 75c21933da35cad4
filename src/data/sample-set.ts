/** Data sets in memory: images as bytes or floats, and what they share with point clouds. */

import { objectOf, texts, whole } from "../demand";
import { ArgumentError, FormatError, ShapeError } from "../errors";
import { listed, shown } from "../io/shown";
import { floats } from "./check";
import { type AnyDataset, dataset, isDataset, selectFrom } from "./dataset";
import { DIMENSIONS } from "./dimensions";
import { type ImageStream, imageStream, isImageStream, streamOf } from "./image-stream";
import { checkedLabels, type LabelledSet, type LabelSource } from "./labelled";
import { type PointSet, pointParts, pointSet } from "./point-cloud";

/** Pixels as an {@link ImageSet} holds them: bytes 0 … 255, or floats 0 … 1. */
export type Pixels = Uint8Array | Float32Array;

/**
 * n labelled images of one size. Make one with {@link imageSet}, which checks that the parts agree.
 */
export interface ImageSet<P extends Pixels = Uint8Array> extends LabelledSet {
  /**
   * n × channels × height × width pixels: an image is its planes one after the other, a plane its
   * rows from the top. A byte b stands for b / 255; a float is in [0, 1] and used as it is.
   */
  readonly images: P;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** What {@link imageSet} is given: an image set's parts, in any array whose meaning is plain. */
export interface ImageParts<P> extends Pick<ImageSet, "channels" | "height" | "width" | "classes"> {
  readonly images: P;
  readonly labels: LabelSource;
}

/** Labelled samples in memory. */
export type SampleSet = ImageSet<Pixels> | PointSet;

/** What a network that classifies can be trained on and tested with. */
export type TrainingSet = SampleSet | ImageStream;

/** Tells clouds from images. */
export function isPointSet(set: unknown): set is PointSet {
  return typeof set === "object" && set !== null && "points" in set;
}

/**
 * Shape of one sample as a network is given it: `[height, width, channels]` of an image,
 * `[points, 3]` of a cloud.
 *
 * @throws ArgumentError, ShapeError, FormatError if the parts of `set` do not agree
 */
export function sampleShape(set: TrainingSet): readonly number[] {
  return shapeOf(checkedParts("sampleShape", set));
}

const shapeOf = (set: TrainingSet): readonly number[] =>
  isPointSet(set) ? [set.pointsPerCloud, DIMENSIONS] : [set.height, set.width, set.channels];

const sizeOf = (set: SampleSet): number => shapeOf(set).reduce((a, b) => a * b);

/**
 * Puts checked parts together to an {@link ImageSet}. `Uint8Array` (and `Uint8ClampedArray`, as a
 * canvas gives it) are bytes 0 … 255; `Float32Array` and `Float64Array` are floats 0 … 1, which
 * stay floats through all transforms.
 *
 * The set is a view: nothing is copied except where another type is needed (`Float64Array` is
 * rounded to float32; labels other than `Uint8Array` and `Int32Array` become `Int32Array`). What is
 * written to the arrays later shows in later batches, where labels and floats are checked once
 * more.
 *
 * @throws ArgumentError if channels, height or width is not a whole number from 1, the pixels are
 *   an array of another type, `labels` no array or `classes` no array of names
 * @throws ShapeError if the number of pixels is not labels × channels × height × width
 * @throws FormatError if a label is not a whole number below the number of classes, or a float not
 *   in [0, 1]
 */
export function imageSet(parts: ImageParts<Uint8Array | Uint8ClampedArray>): ImageSet;
export function imageSet(parts: ImageParts<Float32Array | Float64Array>): ImageSet<Float32Array>;
export function imageSet(parts: ImageParts<Pixels>): ImageSet<Pixels>;
export function imageSet(parts: ImageParts<Pixels | Uint8ClampedArray | Float64Array>): ImageSet<Pixels> {
  const set = imageParts("imageSet", parts);
  const { images } = set;
  if (images instanceof Float32Array) {
    for (let i = 0; i < images.length; i++) {
      if (!(images[i]! >= 0 && images[i]! <= 1)) throw notAPixel("imageSet", images[i]!, i, sizeOf(set));
    }
  }
  return set;
}

/** The error about a float that is no pixel: number `at` of all, in images of `size` pixels. */
export function notAPixel(maker: string, value: number, at: number, size: number): FormatError {
  return new FormatError(
    `${maker}: expected pixels from 0 to 1 in an array of floats, but images[${at}], in image ` +
      `${Math.floor(at / size)}, is ${value}; divide by 255, or give bytes as a Uint8Array`,
  );
}

/** The parts of an image set, their types and sizes checked but not the values of floats. */
function imageParts(maker: string, parts: ImageParts<Pixels | Uint8ClampedArray | Float64Array>): ImageSet<Pixels> {
  objectOf(maker, "a set of images or of point clouds", parts);
  const { channels, height, width, classes } = parts;
  whole(maker, "channels", channels);
  whole(maker, "height", height);
  whole(maker, "width", width);
  const images = pixelsOf(maker, parts.images);
  const labels = checkedLabels(parts, maker, "image");
  const expected = labels.length * channels * height * width;
  if (images.length !== expected) {
    throw new ShapeError(
      `${maker}: expected ${expected} pixels for ${labels.length} images of ${channels}x${height}x${width}, ` +
        `got ${images.length}`,
    );
  }
  return { images, labels, channels, height, width, classes, length: labels.length };
}

function pixelsOf(maker: string, images: unknown): Pixels {
  if (images instanceof Uint8Array || images instanceof Float32Array) return images;
  if (images instanceof Uint8ClampedArray) {
    return new Uint8Array(images.buffer, images.byteOffset, images.length);
  }
  if (images instanceof Float64Array) return Float32Array.from(images);
  throw new ArgumentError(
    `${maker}: expected images to be a Uint8Array of bytes 0 to 255 or a Float32Array of floats 0 to 1, ` +
      `got ${shown(images)}; convert it to the one that is meant`,
  );
}

/**
 * Checks a set of either kind as its maker does, since a set may also have been put together by
 * hand.
 *
 * @throws ArgumentError, ShapeError, FormatError as {@link imageSet} and {@link pointSet}
 */
export function checkedSet<S extends TrainingSet>(set: S): S;
export function checkedSet(set: TrainingSet): TrainingSet {
  if (isImageStream(set)) return imageStream(set);
  return isPointSet(set) ? pointSet(set) : imageSet(set);
}

/** The same without a look at every pixel or coordinate: for functions that only move them. */
export function checkedParts(maker: string, set: SampleSet): SampleSet;
export function checkedParts(maker: string, set: TrainingSet): TrainingSet;
export function checkedParts(maker: string, set: TrainingSet): TrainingSet {
  if (isImageStream(set)) return imageStream(set);
  return isPointSet(set) ? pointParts(maker, set) : imageParts(maker, set);
}

/**
 * For what works on the 256 values of bytes and would misread floats.
 *
 * @throws ArgumentError if `set` is not a set of images in bytes
 */
export function checkBytes(maker: string, set: SampleSet): asserts set is ImageSet {
  const parts = checkedParts(maker, set);
  if (!isPointSet(parts) && parts.images instanceof Uint8Array) return;
  const found = isPointSet(parts) ? "point clouds" : "images of floats";
  throw new ArgumentError(
    `${maker}: expected images of bytes, got ${found}; make them with imageSet from a Uint8Array`,
  );
}

/**
 * Samples start … end − 1, as views into the same memory or of the same stream.
 *
 * @throws ArgumentError if not 0 ≤ start ≤ end ≤ length
 * @throws ArgumentError, ShapeError, FormatError if the parts of `set` do not agree
 */
export function subset<S extends TrainingSet | AnyDataset>(set: S, start: number, end: number): S;
export function subset(set: TrainingSet | AnyDataset, start: number, end: number): object {
  if (isDataset(set)) {
    const { length } = dataset(set);
    checkRange(start, end, length);
    return selectFrom(set, range(start, end));
  }
  const all = checkedParts("subset", set);
  checkRange(start, end, all.length);
  if (isImageStream(all)) return { ...set, ...streamOf(all, range(start, end)) };
  const size = sizeOf(all);
  const [first, last] = [start * size, end * size];
  const samples = isPointSet(all)
    ? { points: all.points.subarray(first, last) }
    : { images: all.images.subarray(first, last) };
  return {
    ...set,
    ...samples,
    ...truthsOf(set, (truths) => truths.slice(start, end)),
    labels: all.labels.subarray(start, end),
    length: end - start,
  };
}

const range = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i);

function checkRange(start: number, end: number, length: number): void {
  if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end >= start && end <= length) return;
  throw new ArgumentError(
    `subset: expected whole numbers 0 <= start <= end <= ${length}, got start ${shown(start)}, end ${shown(end)}`,
  );
}

/**
 * The samples of these indices, in this order, copied together; of streams and general data sets a
 * view.
 *
 * @throws ArgumentError if an index is not a whole number from 0 and below length
 * @throws ArgumentError, ShapeError, FormatError if the parts of `set` do not agree
 */
export function selectSamples<S extends TrainingSet | AnyDataset>(set: S, indices: ArrayLike<number>): S;
export function selectSamples(set: TrainingSet | AnyDataset, indices: ArrayLike<number>): object {
  if (isDataset(set)) {
    checkIndices(indices, dataset(set).length);
    return selectFrom(set, indices);
  }
  const all = checkedParts("selectSamples", set);
  checkIndices(indices, all.length);
  if (isImageStream(all)) return { ...set, ...streamOf(all, indices) };
  const size = sizeOf(all);
  const count = indices.length;
  const from = isPointSet(all) ? all.points : all.images;
  const to = from instanceof Uint8Array ? new Uint8Array(count * size) : floats("selectSamples", count * size);
  const labels = all.labels instanceof Uint8Array ? new Uint8Array(count) : new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const at = indices[i]!;
    labels[i] = all.labels[at]!;
    to.set(from.subarray(at * size, (at + 1) * size), i * size);
  }
  const samples = isPointSet(all) ? { points: to } : { images: to };
  const truths = truthsOf(set, (all) => Array.from(indices, (at) => all[at]!));
  return { ...set, ...samples, ...truths, labels, length: count };
}

function checkIndices(indices: ArrayLike<number>, length: number): void {
  if (typeof indices !== "object" || indices === null || !Number.isSafeInteger(indices.length) || indices.length < 0) {
    throw new ArgumentError(`selectSamples: expected an array of indices, got ${shown(indices)}`);
  }
  for (let i = 0; i < indices.length; i++) {
    const at = indices[i]!;
    if (!Number.isInteger(at) || at < 0 || at >= length) {
      throw new ArgumentError(`selectSamples: expected whole numbers from 0 below ${length}, got ${shown(at)}`);
    }
  }
}

/**
 * Triggers also say what each of their samples really is; samples that are taken out of them take
 * that along.
 */
function truthsOf(set: object, taken: (truths: readonly string[]) => string[]): { truths?: string[] } {
  return "truths" in set && Array.isArray(set.truths) ? { truths: taken(set.truths) } : {};
}

/**
 * One set after the other, copied together.
 *
 * @throws ArgumentError if there is no set
 * @throws ShapeError if the sets differ in image size, in classes or in the type of their pixels
 * @throws ArgumentError, ShapeError, FormatError if the parts of a set do not agree
 */
export function concatImages(sets: readonly ImageSet[]): ImageSet;
export function concatImages<P extends Pixels>(sets: readonly ImageSet<P>[]): ImageSet<P>;
export function concatImages(sets: readonly ImageSet<Pixels>[]): ImageSet<Pixels> {
  if (!Array.isArray(sets) || sets.length === 0) {
    throw new ArgumentError(`concatImages: expected at least one set in an array, got ${shown(sets)}`);
  }
  for (const [i, set] of Array.from(sets).entries()) {
    objectOf("concatImages", "sets of images", set);
    texts("concatImages", "classes", set.classes);
    if (ofOneKind(set, sets[0]!)) continue;
    throw new ShapeError(
      `concatImages: expected sets of one kind, but set 0 has ${kindOf(sets[0]!)} and set ${i} ${kindOf(set)}`,
    );
  }
  const all = sets.map((set) => imageParts("concatImages", set));
  const first = all[0]!;
  const length = all.reduce((sum, set) => sum + set.length, 0);
  const size = sizeOf(first);
  const images =
    first.images instanceof Uint8Array ? new Uint8Array(length * size) : floats("concatImages", length * size);
  const labels = all.every((set) => set.labels instanceof Uint8Array) ? new Uint8Array(length) : new Int32Array(length);
  let at = 0;
  for (const set of all) {
    images.set(set.images, at * size);
    labels.set(set.labels, at);
    at += set.length;
  }
  return { ...first, images, labels, length };
}

const ofOneKind = (a: ImageSet<Pixels>, b: ImageSet<Pixels>): boolean =>
  a.images instanceof Uint8Array === b.images instanceof Uint8Array &&
  a.channels === b.channels &&
  a.height === b.height &&
  a.width === b.width &&
  a.classes.length === b.classes.length &&
  a.classes.every((name, i) => name === b.classes[i]);

const kindOf = ({ images, channels, height, width, classes }: ImageSet<Pixels>): string =>
  `${[channels, height, width].map((v) => shown(v)).join("x")} images of ${images instanceof Uint8Array ? "bytes" : "floats"} ` +
  `in ${classes.length} classes (${listed(classes, 5)})`;
