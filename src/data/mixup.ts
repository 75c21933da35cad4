/** Batches whose samples are mixed with one another. */

import { instance, objectOf, optionsOf, whole, within } from "../demand";
import { ArgumentError, ShapeError } from "../errors";
import { isPlain, shown } from "../io/shown";
import { Generator } from "../tensor/random";
import { type BatchArray, isBatchArray } from "./batch";
import type { BatchTransform } from "./loader";

/** Options of {@link mixup}. */
export interface MixupOptions {
  /** α of the Beta distribution: small ones mix most batches little. Default 1, uniform. */
  alpha?: number;
  /** Number of classes, where targets are labels. */
  classes?: number;
}

/**
 * Mixup: every sample of a batch is mixed with the one before it (the first with the last),
 * x′ᵢ = λ xᵢ + (1 − λ) xᵢ₋₁, and so are its targets, with one λ ~ Beta(α, α) per batch. Labels [n]
 * become probabilities [n, classes], λ at a sample's own label and 1 − λ at the other's, as
 * `crossEntropy` takes them; targets of floats are mixed as they are. Who stands beside whom is the
 * loader's shuffle: use it with `shuffle: true`.
 *
 *     new DataLoader(images, { batchSize: 128, shuffle: true, batchTransform: mixup({ alpha: 0.2, classes: 10 }) })
 *
 * A batch's `labels` stay those of its samples. Inputs are mixed in place; the probabilities are
 * new memory.
 *
 * Source: Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018; partners as
 * torchvision's `MixUp` has them.
 *
 * @throws ArgumentError if alpha is not above 0, or classes not a whole number from 1; on use, if
 *   there are labels and `classes` is not given, or a label is not below it, and ShapeError for
 *   inputs of whole numbers or labels of another shape than [n]
 */
export function mixup(options: MixupOptions = {}): BatchTransform {
  const { alpha = 1, classes } = optionsOf("mixup", options, ["alpha", "classes"]);
  if (within("mixup", "alpha", alpha, 0) === 0) throw new ArgumentError("mixup: expected alpha above 0, got 0");
  if (classes !== undefined) whole("mixup", "classes", classes);
  return (batch, random) => {
    const { inputs, targets, size } = objectOf("mixup", "a batch of a DataLoader", batch);
    whole("mixup", "size of the batch", size);
    instance("mixup", "random", random, Generator);
    const share = beta(alpha, random);
    const each = (part: unknown, mix: (array: BatchArray) => BatchArray): unknown => {
      if (isBatchArray(part) && part.data.length % size === 0) return mix(part);
      if (Array.isArray(part)) return part.map((one) => each(one, mix));
      if (isPlain(part) && !("data" in part && ArrayBuffer.isView(part["data"])))
        return Object.fromEntries(Object.entries(part).map(([name, one]) => [name, each(one, mix)]));
      throw new ArgumentError(`mixup: expected a batch of a DataLoader of ${size} samples, got ${shown(part)} in it`);
    };
    const mixedInput = (array: BatchArray): BatchArray => {
      if (array.data instanceof Float32Array) return mixRows(array, array.data, size, share);
      throw new ShapeError("mixup: expected inputs of floats, got whole numbers, between which there is nothing");
    };
    const mixedTarget = (array: BatchArray): BatchArray =>
      array.data instanceof Float32Array
        ? mixRows(array, array.data, size, share)
        : mixLabels(array, size, share, classes);
    return { inputs: each(inputs, mixedInput), targets: each(targets, mixedTarget) } as ReturnType<BatchTransform>;
  };
}

/** Mixes each row with the one before it, from the last on, so that only the last is kept aside. */
function mixRows(array: BatchArray, data: Float32Array, size: number, share: number): BatchArray {
  const row = data.length / size;
  const last = data.slice((size - 1) * row);
  for (let i = size - 1; i >= 0; i--) {
    for (let j = 0; j < row; j++) {
      const other = i > 0 ? data[(i - 1) * row + j]! : last[j]!;
      data[i * row + j] = share * data[i * row + j]! + (1 - share) * other;
    }
  }
  return array;
}

function mixLabels({ data, shape }: BatchArray, size: number, share: number, classes: number | undefined): BatchArray {
  if (classes === undefined) {
    throw new ArgumentError("mixup: the targets are labels; say how many classes there are, as mixup({ classes: 10 })");
  }
  if (!Array.isArray(shape) || shape.length !== 1) {
    throw new ShapeError(`mixup: expected one label per sample, got targets of shape ${shown(shape)}`);
  }
  const mixed = new Float32Array(size * classes);
  for (let i = 0; i < size; i++) {
    const [own, other] = [data[i]!, data[(i + size - 1) % size]!];
    if (!(own >= 0 && own < classes)) {
      throw new ArgumentError(`mixup: expected labels from 0 below ${classes}, got ${own}`);
    }
    mixed[i * classes + own]! += share;
    mixed[i * classes + other]! += 1 - share;
  }
  return { data: mixed, shape: [size, classes] };
}

/**
 * A deviate of Beta(α, α): A / (A + B) of two gamma deviates, by their logarithms, since those of a
 * small α are too small for a float.
 */
function beta(alpha: number, random: Generator): number {
  const [a, b] = [logGamma(alpha, random), logGamma(alpha, random)];
  return 1 / (1 + Math.exp(b - a));
}

/**
 * Logarithm of a gamma deviate of shape α.
 *
 * Source: Marsaglia, Tsang, "A simple method for generating gamma variables", ACM TOMS 2000; for α
 * below 1 as they say, by one of shape α + 1 times u^(1/α).
 */
function logGamma(alpha: number, random: Generator): number {
  if (alpha < 1) return logGamma(alpha + 1, random) + Math.log((random.uint32() + 1) / 2 ** 32) / alpha;
  const d = alpha - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    const u = (random.uint32() + 1) / 2 ** 32;
    if (Math.log(u) < x ** 2 / 2 + d - d * v + d * Math.log(v)) return Math.log(d * v);
  }
}
