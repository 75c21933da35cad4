/**
 * How one sample of a data set gets into a batch: the only place where images and clouds part ways.
 */
import { ArgumentError } from "../errors";
import type { Generator } from "../tensor/random";
import { type Dataset, type ImageSet, isPointSet, type Pixels } from "./dataset";
import { ImageWriter } from "./image-writer";
import { type PointTransform, PointWriter } from "./point-transforms";
import { checkTransforms } from "./transform-kinds";
import type { ImageTransform } from "./transforms";

/** Something done to every sample: to images or to clouds. */
export type SampleTransform = ImageTransform | PointTransform;

/** Writes the samples of one set, transformed, into the floats of a batch. */
export interface SampleWriter {
  /** Shape of a sample written, without the batch's n. */
  readonly shape: readonly number[];
  /** Writes sample `index` to `out` from `offset` on; `random` decides the augmentation. */
  write(index: number, out: Float32Array, offset: number, random: Generator): void;
}

/**
 * The writer of a set that goes through these transforms.
 *
 * @param random draws for a trial, where only a trial tells the size of a sample
 * @throws ArgumentError if a transform is for another kind of samples, or they are in an order that
 *   does not work
 * @throws ShapeError if a transform is for images of another number of channels
 */
export function sampleWriter(set: Dataset, transforms: readonly SampleTransform[], random: Generator): SampleWriter {
  checkTransforms(transforms);
  // The writer of clouds refuses transforms for images itself, and needs no trial.
  return isPointSet(set) ? new PointWriter(set, transforms as PointTransform[]) : imageWriter(set, transforms, random);
}

function imageWriter(
  images: ImageSet<Pixels>,
  transforms: readonly SampleTransform[],
  random: Generator,
): SampleWriter {
  if (!transforms.every(isForImages)) {
    throw new ArgumentError(
      `transforms: the data are images, but number ${transforms.findIndex((t) => !isForImages(t))} is for point clouds; ` +
        "use cifarTransform(), randomCrop() and their like",
    );
  }
  const writer = new ImageWriter(images, transforms, random);
  return {
    shape: writer.shape,
    write: (index, out, offset, draws) => writer.write(images, index, out, offset, draws),
  };
}

const isForImages = (transform: SampleTransform): transform is ImageTransform => transform.kind !== "points";
