/**
 * CIFAR-10 and CIFAR-100 from the files of their official distribution, and other images in the
 * same layout.
 */
import { join } from "node:path";
import { type Cifar100Options, parseCifar10, parseCifar100 } from "../data/cifar";
import { concatImages, type ImageSet } from "../data/sample-set";
import { oneOf, optionsOf } from "../demand";
import { FormatError } from "../errors";
import { LineReader } from "../io/lines";
import { checkDirectory, exists, readBytes, readText } from "./paths";

const DOWNLOAD = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
/** The folder inside the official archive. */
const FOLDER = "cifar-10-batches-bin";
const TRAIN = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`);
const TEST = "test_batch.bin";

/**
 * Reads CIFAR-10's binary version: `data_batch_1.bin` … `data_batch_5.bin` (50,000 training images)
 * and `test_batch.bin` (10,000), in `directory` or in `directory/cifar-10-batches-bin`, where
 * unpacking the archive puts them.
 *
 * @throws FormatError if files are missing (the message names them and where to get them),
 *   unreadable or damaged
 * @throws ArgumentError if `directory` is no text
 */
export async function loadCifar10(directory: string): Promise<{ train: ImageSet; test: ImageSet }> {
  checkDirectory("loadCifar10", directory);
  const folder = await findFolder(directory);
  const train: ImageSet[] = [];
  for (const name of TRAIN) train.push(await read(join(folder, name)));
  return { train: concatImages(train), test: await read(join(folder, TEST)) };
}

/**
 * Reads CIFAR-100's binary version: `train.bin` (50,000 images) and `test.bin` (10,000), in
 * `directory` or in `directory/cifar-100-binary`.
 *
 * @throws FormatError if files are missing, unreadable or damaged
 * @throws ArgumentError if `directory` is no text, or `options.labels` neither `"fine"` nor
 *   `"coarse"`
 */
export async function loadCifar100(
  directory: string,
  options: Pick<Cifar100Options, "labels"> = {},
): Promise<{ train: ImageSet; test: ImageSet }> {
  checkDirectory("loadCifar100", directory);
  const { labels = "fine" } = optionsOf("loadCifar100", options, ["labels"]);
  oneOf("loadCifar100", "labels", labels, ["fine", "coarse"]);
  const inside = join(directory, "cifar-100-binary");
  const folder = (await exists(join(inside, "train.bin"))) ? inside : directory;
  const part = async (name: string) =>
    parseCifar100(await readBytes("CIFAR-100", join(folder, name)), { labels, source: join(folder, name) });
  return { train: await part("train.bin"), test: await part("test.bin") };
}

/**
 * Reads any images of 32 × 32 in the layout of CIFAR-10's records (a label byte, then the red,
 * green and blue plane): `train.bin`, `test.bin`, and the names of the classes, one per line, in
 * `class_names.txt`. So are data sets kept that are scaled down to CIFAR's size, such as
 * Caltech-101.
 *
 * @throws FormatError if files are missing, unreadable or damaged; a class without a name, or two
 *   of one name
 * @throws ArgumentError if `directory` is no text
 */
export async function loadImageRecords(directory: string): Promise<{ train: ImageSet; test: ImageSet }> {
  checkDirectory("loadImageRecords", directory);
  const path = (name: string) => join(directory, name);
  const file = path("class_names.txt");
  const classes = classNames(new LineReader(await readText("image records", file), file));
  const part = async (name: string) =>
    parseCifar10(await readBytes("image records", path(name)), { classes, source: path(name) });
  return { train: await part("train.bin"), test: await part("test.bin") };
}

/** Names, one per line; labels count the lines, so that none may be empty except at the end. */
function classNames(lines: LineReader): string[] {
  const names = new Set<string>();
  let empty = 0;
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    const name = line.trim();
    if (name === "") {
      empty++;
      continue;
    }
    if (empty > 0) throw lines.error("expected a class on each line before this one, but one is empty", line);
    if (names.has(name)) throw lines.error("expected each name once", line);
    names.add(name);
  }
  if (names.size === 0) throw lines.missing("at least one name");
  return [...names];
}

async function findFolder(directory: string): Promise<string> {
  const [outside, inside] = await Promise.all([directory, join(directory, FOLDER)].map(look));
  const best = inside!.missing.length < outside!.missing.length ? inside! : outside!;
  if (best.missing.length === 0) return best.folder;
  throw new FormatError(
    `CIFAR-10: expected ${[...TRAIN, TEST].join(", ")} in ${directory} or ${join(directory, FOLDER)}; ` +
      `missing in ${best.folder}: ${best.missing.join(", ")}. Download ${DOWNLOAD} and unpack it there.`,
  );
}

async function look(folder: string): Promise<{ folder: string; missing: string[] }> {
  const present = await Promise.all([...TRAIN, TEST].map((name) => exists(join(folder, name))));
  return { folder, missing: [...TRAIN, TEST].filter((_, i) => !present[i]) };
}

const read = async (path: string): Promise<ImageSet> =>
  parseCifar10(await readBytes("CIFAR-10", path), { source: path });
