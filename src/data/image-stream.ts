/** Labelled images that are read when a batch needs them, as they need not fit into memory. */

import { callable, objectOf, texts, whole } from "../demand";
import { checkedLabels, type LabelledSet } from "./labelled";

/** n labelled images of one size whose bytes lie elsewhere, such as in a file. */
export interface ImageStream extends LabelledSet {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /**
   * Writes the channels × height × width bytes of image `index`, planes as in an `ImageSet`, to
   * `out`, now or by the time that a promise resolves. Several may be asked for at once.
   */
  read(index: number, out: Uint8Array): void | Promise<void>;
}

/** Tells a stream from sets in memory. */
export function isImageStream(set: unknown): set is ImageStream {
  return typeof set === "object" && set !== null && "read" in set;
}

/**
 * Puts checked parts together to an {@link ImageStream}. Labels other than `Uint8Array` and
 * `Int32Array` become `Int32Array`.
 *
 * @throws ArgumentError if channels, height or width is not a whole number from 1, `labels` no
 *   array, `classes` no array of names, or `read` no function
 * @throws FormatError if a label is not a whole number below the number of classes
 */
export function imageStream(parts: Omit<ImageStream, "length">): ImageStream {
  objectOf("imageStream", "a stream of images", parts);
  const { channels, height, width, classes, read } = parts;
  whole("imageStream", "channels", channels);
  whole("imageStream", "height", height);
  whole("imageStream", "width", width);
  callable("imageStream", "read", read);
  texts("imageStream", "classes", classes);
  const labels = checkedLabels(parts, "imageStream", "image");
  return { channels, height, width, classes, labels, length: labels.length, read: (i, out) => parts.read(i, out) };
}

/** What becomes of a stream when some of its images are taken, in this order. */
export function streamOf(
  { labels, read }: ImageStream,
  indices: ArrayLike<number>,
): Pick<ImageStream, "labels" | "length" | "read"> {
  const chosen = Float64Array.from(indices);
  return {
    labels: Int32Array.from(chosen, (at) => labels[at]!),
    length: chosen.length,
    read: (index, out) => read(chosen[index]!, out),
  };
}
