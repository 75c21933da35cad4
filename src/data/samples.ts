/**
 * How the samples of a set get into a batch: every set as a general data set, and the only place
 * where images and clouds part ways.
 */
import { ArgumentError, FormatError } from "../errors";
import { isPromise } from "../io/shown";
import { Generator } from "../tensor/random";
import { type AnyDataset, type Dataset, dataset, isDataset } from "./dataset";
import type { Field } from "./fields";
import { type ImageStream, isImageStream } from "./image-stream";
import { ImageWriter } from "./image-writer";
import type { LabelledSet } from "./labelled";
import { type PointTransform, PointWriter } from "./point-transforms";
import { checkedSet, type ImageSet, isPointSet, type Pixels, type TrainingSet } from "./sample-set";
import { checkTransforms } from "./transform-kinds";
import type { ImageTransform } from "./transforms";

/** Something done to every sample: to images or to clouds. */
export type SampleTransform = ImageTransform | PointTransform;

/** What a loader takes. */
export type AnySet = TrainingSet | AnyDataset;

/** Images and clouds as a general data set: one array of floats, and a class. */
export type ClassDataset = Dataset<
  { readonly shape: readonly number[] },
  { readonly shape: readonly []; readonly dtype: "i32" }
>;

/**
 * Images or point clouds that go through these transforms as a general {@link Dataset}: inputs of
 * [height, width, channels] or [points, 3], targets of class indices. What the loader makes of them
 * itself; for data sets of one's own that hold them.
 *
 * @param transforms default none
 * @throws ArgumentError if a transform is for another kind of samples, or they are in an order that
 *   does not work
 * @throws ShapeError if a transform is for images of another number of channels
 * @throws ArgumentError, ShapeError, FormatError if the parts of `set` do not agree
 */
export function asDataset(set: TrainingSet, transforms: readonly SampleTransform[] = []): ClassDataset {
  return filler(set, transforms, new Generator(0)) as unknown as ClassDataset;
}

/** A data set whose `fill` writes every element: its arrays need not be zeros before. */
export interface Filler extends Dataset {
  readonly writesAll: boolean;
}

/**
 * A set of any kind as a checked general one.
 *
 * @param random draws for a trial, where only a trial tells the size of a sample
 * @throws as {@link asDataset}
 */
export function filler(set: AnySet, transforms: readonly SampleTransform[], random: Generator): Filler {
  if (isDataset(set)) {
    const general: Dataset = dataset(set as Dataset);
    const { length, inputs, targets } = general;
    checkTransforms(transforms);
    if (transforms.length > 0) {
      throw new ArgumentError("transforms: a data set of one's own has none; transform its samples in its fill");
    }
    return { length, inputs, targets, fill: (index, sample) => general.fill(index, sample), writesAll: false };
  }
  const checked = checkedSet(set);
  checkTransforms(transforms);
  const { shape, write } = isPointSet(checked)
    ? // The writer of clouds refuses transforms for images itself, and needs no trial.
      pointWriter(new PointWriter(checked, transforms as PointTransform[]))
    : imageWriter(checked, transforms, random);
  return {
    length: checked.length,
    inputs: { shape } satisfies Field,
    targets: { shape: [], dtype: "i32" } satisfies Field,
    fill(index, { inputs, targets, random: draws }) {
      const written = write(index, inputs as Float32Array, draws);
      (targets as Int32Array)[0] = labelOf(checked, index);
      return written;
    },
    writesAll: true,
  };
}

/** The set is a view: what was right when it was checked may have been overwritten. */
function labelOf({ labels, classes }: LabelledSet, index: number): number {
  const label = labels[index]!;
  if (label >= 0 && label < classes.length) return label;
  throw new FormatError(
    `DataLoader: sample ${index} now has label ${label}, but there are ${classes.length} classes; ` +
      "leave the arrays of a set as they are while it is in use",
  );
}

/** Writes the samples of one set, transformed. */
interface Writer {
  /** Shape of a sample written. */
  readonly shape: readonly number[];
  write(index: number, out: Float32Array, random: Generator): void | Promise<void>;
}

const pointWriter = (writer: PointWriter): Writer => ({
  shape: writer.shape,
  write: (index, out, random) => writer.write(index, out, 0, random),
});

function imageWriter(
  images: ImageSet<Pixels> | ImageStream,
  transforms: readonly SampleTransform[],
  random: Generator,
): Writer {
  if (!transforms.every(isForImages)) {
    throw new ArgumentError(
      `transforms: the data are images, but number ${transforms.findIndex((t) => !isForImages(t))} is for point clouds; ` +
        "use cifarTransform(), randomCrop() and their like",
    );
  }
  const writer = new ImageWriter(images, transforms, random);
  const { shape } = writer;
  if (isImageStream(images)) return { shape, write: streamWriter(images, writer) };
  return { shape, write: (index, out, draws) => writer.write(images, index, out, 0, draws) };
}

/** Reads the bytes of an image first, into memory that is used again. */
function streamWriter(stream: ImageStream, writer: ImageWriter): Writer["write"] {
  const { channels, height, width } = stream;
  const idle: Uint8Array[] = [];
  return (index, out, random) => {
    const images = idle.pop() ?? new Uint8Array(channels * height * width);
    const write = () => {
      writer.write({ ...stream, images }, 0, out, 0, random);
      idle.push(images);
    };
    // Whatever else a function gives back (how many bytes, say) is nothing to wait for.
    const reading: unknown = stream.read(index, images);
    return isPromise(reading) ? Promise.resolve(reading).then(write) : write();
  };
}

const isForImages = (transform: SampleTransform): transform is ImageTransform => transform.kind !== "points";
