/** CIFAR-10 from the files of its official distribution. */
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseCifar10 } from "../data/cifar";
import { concatImages, type ImageSet } from "../data/dataset";
import { FormatError } from "../errors";

const DOWNLOAD = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
/** The folder inside the official archive. */
const FOLDER = "cifar-10-batches-bin";
const TRAIN = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`);
const TEST = "test_batch.bin";

/**
 * Reads CIFAR-10's binary version: `data_batch_1.bin` … `data_batch_5.bin` (50,000 training images) and `test_batch.bin` (10,000),
 * in `directory` or in `directory/cifar-10-batches-bin`, where unpacking the archive puts them.
 *
 * @throws FormatError if files are missing (the message names them and where to get them), unreadable or damaged
 */
export async function loadCifar10(directory: string): Promise<{ train: ImageSet; test: ImageSet }> {
  const folder = await findFolder(directory);
  const train: ImageSet[] = [];
  for (const name of TRAIN) train.push(await read(join(folder, name)));
  return { train: concatImages(train), test: await read(join(folder, TEST)) };
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
  const present = await Promise.all(
    [...TRAIN, TEST].map((name) =>
      access(join(folder, name)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return { folder, missing: [...TRAIN, TEST].filter((_, i) => !present[i]) };
}

async function read(path: string): Promise<ImageSet> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new FormatError(`CIFAR-10: cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  return parseCifar10(bytes, { source: path });
}
