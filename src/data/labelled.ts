/** What all data sets have in common: one label per sample, and names for the labels. */

import { texts } from "../demand";
import { ArgumentError, FormatError } from "../errors";
import { shown } from "../io/shown";

/** n labelled samples, whatever a sample is. */
export interface LabelledSet {
  /** n class indices, each from 0 and below `classes.length`. */
  readonly labels: Uint8Array | Int32Array;
  /** Names of the classes, in the order of their indices. */
  readonly classes: readonly string[];
  /** n, the number of samples. */
  readonly length: number;
}

/** Class indices as the makers of data sets take them: whole numbers in an array of any kind. */
export type LabelSource = ArrayLike<number> | ArrayLike<bigint>;

/**
 * The labels in the form that a set keeps them: bytes and int32 as they are, without a copy; every
 * other array of whole numbers copied to int32.
 *
 * @param maker the function that checks, `sample` what it calls a sample: for the message
 * @throws ArgumentError if `labels` or `classes` is no array, a class no text, a label no number
 * @throws FormatError if a label is not a whole number from 0 and below the number of classes
 */
export function checkedLabels(
  { labels, classes }: { labels: LabelSource; classes: readonly string[] },
  maker: string,
  sample: string,
): Uint8Array | Int32Array {
  texts(maker, "classes", classes);
  if (!(Array.isArray(labels) || (ArrayBuffer.isView(labels) && "length" in labels))) {
    throw new ArgumentError(`${maker}: expected labels to be an array of class indices, got ${shown(labels)}`);
  }
  const asGiven = labels instanceof Uint8Array || labels instanceof Int32Array;
  const kept = asGiven ? labels : new Int32Array(labels.length);
  for (let i = 0; i < labels.length; i++) {
    const found: unknown = labels[i];
    const label = typeof found === "bigint" ? Number(found) : found;
    if (typeof label !== "number") {
      throw new ArgumentError(`${maker}: expected labels to be numbers, but ${sample} ${i} has ${shown(found)}`);
    }
    if (!Number.isInteger(label) || label < 0 || label >= classes.length) {
      throw new FormatError(
        `${maker}: ${sample} ${i} has label ${label}, but there are ${classes.length} classes; ` +
          "labels are whole numbers and count from 0",
      );
    }
    if (!asGiven) kept[i] = label;
  }
  return kept;
}
