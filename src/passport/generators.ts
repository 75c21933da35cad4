import { instance, refuse, whole } from "../demand";
import { ArgumentError, ShapeError } from "../errors";
import type { NonSharedFloat32Array } from "../io/typed-arrays";
import { Generator } from "../tensor/random";
import { type Shape, showShape, sizeOf } from "../tensor/shape";

/**
 * Where passports come from. All work on host data in our order: a passport of a layer is one of
 * its inputs, channels last.
 * Source: Fan et al., "DeepIPR", TPAMI 2021; passport-aware normalisation takes random ones.
 */

/** A passport of `size` numbers, uniform in [−1, 1). */
export function randomPassport(size: number, random: Generator): NonSharedFloat32Array {
  whole("randomPassport", "size", size, 0);
  instance("randomPassport", "random", random, Generator);
  return random.fill(new Float32Array(size), "uniform", -1, 1);
}

/**
 * Passports from images: the input feature maps of one layer, when images go through a trained
 * plain network of the same architecture, are a passport each. Take two of them for `skey` and
 * `key`, or all as the candidates of {@link shufflePassport}.
 *
 * @param features the layer's input for N images, of shape `shape` = [N, …, C]
 * @returns N passports [1, …, C], copies
 * @throws ShapeError when the numbers are not as many as the shape says, or there is no image.
 */
export function imagePassports(features: Float32Array, shape: Shape): NonSharedFloat32Array[] {
  instance("imagePassports", "features", features, Float32Array);
  if (!Array.isArray(shape)) refuse("imagePassports", "shape", "a list of whole numbers", shape);
  const n = shape[0] ?? 0;
  if (shape.length < 2 || n < 1 || sizeOf(shape) !== features.length)
    throw new ShapeError(
      `feature maps [N, …, C] of at least one image expected, found shape ${showShape(shape)} with ${features.length} numbers`,
    );
  const each = features.length / n;
  return Array.from({ length: n }, (_, i) => new Float32Array(features.subarray(i * each, (i + 1) * each)));
}

/** Inputs of this many channels are images: they stay whole. */
const IMAGE_CHANNELS = 3;

/**
 * A passport mixed from the feature maps of several images: channel j comes from candidate j mod N
 * and is a random channel of that candidate that was not taken before. A layer with 3 input
 * channels takes one whole candidate, at random.
 *
 * @param candidates N feature maps [H, W, C] (or [L, C], [C]) of one layer, from different images;
 * the papers take N = 20
 * @param channels C
 * @throws ArgumentError without candidates; ShapeError when they are not of one size, or that is no
 * multiple of `channels`.
 */
export function shufflePassport(
  candidates: readonly Float32Array[],
  channels: number,
  random: Generator,
): NonSharedFloat32Array {
  instance("shufflePassport", "random", random, Generator);
  const isMap = (c: unknown) => c instanceof Float32Array;
  if (!Array.isArray(candidates) || !candidates.every(isMap))
    refuse("shufflePassport", "candidates", "a list of Float32Arrays", candidates);
  const first = candidates[0];
  if (!first) throw new ArgumentError("shufflePassport: at least one candidate feature map expected, found none");
  const size = first.length;
  const whole = Number.isInteger(channels) && channels >= 1 && size % channels === 0;
  if (!whole || candidates.some((c) => c.length !== size))
    throw new ShapeError(
      `shufflePassport: candidates of one size, a multiple of ${channels} channels, expected; found ${[...new Set(candidates.map((c) => c.length))].join(", ")} numbers`,
    );
  if (channels === IMAGE_CHANNELS) return new Float32Array(candidates[random.integer(candidates.length)]!);
  const orders = candidates.map(() => random.permutation(channels));
  const out = new Float32Array(size);
  for (let j = 0; j < channels; j++) {
    const source = j % candidates.length;
    const channel = orders[source]![Math.floor(j / candidates.length)]!;
    for (let at = 0; at < size; at += channels) out[at + j] = candidates[source]![at + channel]!;
  }
  return out;
}
