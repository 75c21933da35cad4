/** What all data sets have in common: a label a sample, and names for the labels. */
import { ArgumentError, FormatError } from "../errors";

/** n labelled samples, whatever a sample is. */
export interface LabelledSet {
  /** n class indices, each from 0 and below `classes.length`. */
  readonly labels: Uint8Array | Int32Array;
  /** Names of the classes, in the order of their indices. */
  readonly classes: readonly string[];
  /** n, the number of samples. */
  readonly length: number;
}

/**
 * @param maker the function that checks, `sample` what it calls a sample: for the message
 * @throws FormatError if a label is not below the number of classes
 */
export function checkLabels(
  { labels, classes }: Pick<LabelledSet, "labels" | "classes">,
  maker: string,
  sample: string,
): void {
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    if (label < 0 || label >= classes.length) {
      throw new FormatError(
        `${maker}: ${sample} ${i} has label ${label}, but there are ${classes.length} classes; labels count from 0`,
      );
    }
  }
}

/** @throws ArgumentError naming the value that is not a whole number from `least` */
export function checkWhole(maker: string, values: Record<string, number>, least: number): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isSafeInteger(value) || value < least) {
      throw new ArgumentError(`${maker}: expected ${name} to be a whole number from ${least}, got ${value}`);
    }
  }
}
