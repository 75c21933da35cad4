/**
 * CIFAR-10 and CIFAR-100 in their binary version: records of label bytes followed by 3072 pixel
 * bytes, the red, green and blue plane of 32 × 32. Pure readers; `loadCifar10` of `@pan/core/node`
 * reads the files.
 *
 * Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009;
 * https://www.cs.toronto.edu/~kriz/cifar.html
 */

import { oneOf, optionsOf, texts } from "../demand";
import { ArgumentError, FormatError } from "../errors";
import { clip, shown } from "../io/shown";
import { type ImageSet, imageSet } from "./sample-set";
import { type ImageTransform, normalize, randomCrop, randomHorizontalFlip } from "./transforms";

const SIDE = 32;
const CHANNELS = 3;
const PIXEL_BYTES = CHANNELS * SIDE * SIDE;

/** Mean of CIFAR-10's training pixels, a channel, on the scale 0 … 1. */
export const CIFAR_MEAN: readonly number[] = [0.4914, 0.4822, 0.4465];
/** Deviation by which CIFAR pixels are customarily divided, a channel, on the scale 0 … 1. */
export const CIFAR_STD: readonly number[] = [0.2023, 0.1994, 0.201];

const names = (list: string): readonly string[] => list.trim().split(/\s+/);

/** The classes of CIFAR-10, in the order of their labels. */
export const CIFAR10_CLASSES: readonly string[] = /* @__PURE__ */ names(
  "airplane automobile bird cat deer dog frog horse ship truck",
);

/** The 100 fine classes of CIFAR-100, in the order of their labels. */
export const CIFAR100_CLASSES: readonly string[] = /* @__PURE__ */ names(`
  apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle caterpillar
  cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl
  hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
  oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road
  rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
  telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm`);

/** The 20 coarse classes of CIFAR-100, in the order of their labels. */
export const CIFAR100_COARSE_CLASSES: readonly string[] = /* @__PURE__ */ names(`
  aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture insects
  large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
  medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2`);

/** Options of {@link parseCifar10}. */
export interface Cifar10Options {
  /**
   * Class names, when the file holds another data set in the same layout. Default
   * {@link CIFAR10_CLASSES}.
   */
  classes?: readonly string[];
  /** What to call the bytes in error messages, such as the file's name. */
  source?: string;
}

/** Options of {@link parseCifar100}. */
export interface Cifar100Options {
  /** Which of the two label bytes to keep. Default `"fine"`. */
  labels?: "fine" | "coarse";
  /** What to call the bytes in error messages, such as the file's name. */
  source?: string;
}

/**
 * Reads CIFAR-10's binary layout: any number of records of 1 label byte and 3072 pixel bytes.
 *
 * @returns n images of 3 × 32 × 32, copied out of `bytes`
 * @throws FormatError if the length is not a positive multiple of 3073, or a label is not below the
 *   number of classes
 * @throws ArgumentError if `bytes` is no `Uint8Array`, or an option not what it should be
 */
export function parseCifar10(bytes: Uint8Array, options: Cifar10Options = {}): ImageSet {
  const { classes = CIFAR10_CLASSES, source = "CIFAR-10 data" } = optionsOf("parseCifar10", options, [
    "classes",
    "source",
  ]);
  texts("parseCifar10", "classes", classes);
  return readRecords("parseCifar10", bytes, { labelBytes: [classes], keep: 0, source });
}

/**
 * Reads CIFAR-100's binary layout: any number of records of 1 coarse label byte, 1 fine label byte
 * and 3072 pixel bytes.
 *
 * @returns n images of 3 × 32 × 32, copied out of `bytes`
 * @throws FormatError if the length is not a positive multiple of 3074, or a coarse label is not
 *   below 20, a fine one not below 100
 * @throws ArgumentError if `bytes` is no `Uint8Array`, or `options.labels` neither `"fine"` nor
 *   `"coarse"`
 */
export function parseCifar100(bytes: Uint8Array, options: Cifar100Options = {}): ImageSet {
  const { labels = "fine", source = "CIFAR-100 data" } = optionsOf("parseCifar100", options, ["labels", "source"]);
  oneOf("parseCifar100", "labels", labels, ["fine", "coarse"]);
  const labelBytes = [CIFAR100_COARSE_CLASSES, CIFAR100_CLASSES];
  return readRecords("parseCifar100", bytes, { labelBytes, keep: labels === "coarse" ? 0 : 1, source });
}

/**
 * The customary treatment of CIFAR images: normalised by {@link CIFAR_MEAN} and {@link CIFAR_STD},
 * and for training first cropped at random from a black border of 4 and mirrored with probability
 * ½.
 *
 * @throws ArgumentError if `use` is neither
 */
export function cifarTransform(use: "train" | "test"): readonly ImageTransform[] {
  oneOf("cifarTransform", "use", use, ["train", "test"]);
  const values = normalize(CIFAR_MEAN, CIFAR_STD);
  return use === "train" ? [randomCrop({ padding: 4 }), randomHorizontalFlip(), values] : [values];
}

interface Layout {
  /** The classes that each label byte at the head of a record counts. */
  labelBytes: readonly (readonly string[])[];
  /** Which of the label bytes becomes the label. */
  keep: number;
  source: string;
}

function readRecords(parser: string, bytes: Uint8Array, { labelBytes, keep, source: name }: Layout): ImageSet {
  if (!(bytes instanceof Uint8Array)) {
    throw new ArgumentError(`${parser}: expected the bytes of a file as a Uint8Array, got ${shown(bytes)}`);
  }
  if (typeof name !== "string") {
    throw new ArgumentError(`${parser}: expected source to be a text, got ${shown(name)}`);
  }
  const source = clip(name, 300);
  const head = labelBytes.length;
  const record = head + PIXEL_BYTES;
  const n = Math.floor(bytes.length / record);
  if (bytes.length !== n * record) {
    throw new FormatError(
      `${source}: expected records of ${record} bytes, but record ${n} has ${bytes.length - n * record}; ` +
        "the file is truncated or not in the binary version of the data set",
    );
  }
  if (n === 0)
    throw new FormatError(`${source}: expected at least one record of ${record} bytes, but there are no bytes`);
  const labels = new Uint8Array(n);
  const images = new Uint8Array(n * PIXEL_BYTES);
  for (let i = 0; i < n; i++) {
    const at = i * record;
    for (const [j, classes] of labelBytes.entries()) {
      if (bytes[at + j]! >= classes.length) {
        throw new FormatError(
          `${source}: record ${i} has label ${bytes[at + j]}, expected 0 to ${classes.length - 1}; ` +
            "the file is damaged or holds another data set",
        );
      }
    }
    labels[i] = bytes[at + keep]!;
    images.set(bytes.subarray(at + head, at + record), i * PIXEL_BYTES);
  }
  return imageSet({ images, labels, channels: CHANNELS, height: SIDE, width: SIDE, classes: labelBytes[keep]! });
}
