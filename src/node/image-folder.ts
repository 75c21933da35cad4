/** Photographs in folders, one per class, as people have them. */

import { type ImageStream, imageStream } from "../data/image-stream";
import {
  bytesOfPicture,
  type FullPictureOptions,
  fullPictureOptions,
  type ImageFolder,
  labelsOf,
  memoryForPictures,
  PICTURE_OPTIONS,
  type PictureSetOptions,
  readPictures,
  type SkippedPicture,
  setOfPictures,
} from "../data/picture-set";
import type { ImageSet } from "../data/sample-set";
import { flag, objectOf, optionsOf, text } from "../demand";
import { ArgumentError, PanError } from "../errors";
import { clip } from "../io/shown";
import { pictureDecoder } from "./decode-picture";
import { checkDirectory } from "./paths";
import { cacheFacts, cacheReader, keyOf, readCache, writeCache } from "./picture-cache";
import { type PictureOnDisk, type PictureTree, pictureTree } from "./picture-tree";

/** Options of {@link loadImageFolder}. */
export interface ImageFolderOptions extends PictureSetOptions {
  /**
   * A file that keeps the decoded pictures, for the next time: it is used as long as the names,
   * sizes and times of the files, the options and the version of sharp are those it was made with,
   * and replaced otherwise. Its folder must exist.
   */
  cache?: string;
  /**
   * Leave the pictures in the cache and read them when a batch needs them, as many as there are and
   * however little memory. Default false.
   */
  stream?: boolean;
}

/**
 * Reads a folder of pictures, one folder in it per class, as torchvision's `ImageFolder` does:
 * `photos/cat/1.jpg`, `photos/dog/a/7.png`. Labels count the classes in the order of their names.
 *
 *     const { set, skipped } = await loadImageFolder("photos", { size: 64, unreadable: "skip" });
 *     const { train, test } = trainTestSplit(set, { test: 0.2 });
 *
 * JPEG, PNG, WebP (also GIF, AVIF and TIFF, their first picture) of any size, grey, CMYK or of 16
 * bits, are turned as their EXIF says, converted to sRGB and resized to `size` by a triangle
 * filter: so that they cover it, the middle cut out, or stretched (`fit`). What is hidden or no
 * picture by its name is passed over and named in `skipped`. Pictures are decoded by the package
 * sharp, which must be installed beside this one: `npm install sharp`.
 *
 * With `stream` the set is an `ImageStream`, which loaders, trainers and evaluation take as they
 * take sets in memory.
 *
 * @throws UnavailableError if sharp is not there
 * @throws FormatError if the folder cannot be read or has no class, a class has no picture that can
 *   be read, or, with `unreadable: "refuse"`, naming the first picture that cannot
 * @throws ArgumentError if an option is not what it should be, `stream` comes without `cache`, or a
 *   folder is none of the `classes` asked for
 * @throws LimitError if there is no memory for so many pictures
 * @throws PanError if the cache cannot be written
 */
export function loadImageFolder(
  directory: string,
  options: ImageFolderOptions & { stream: true },
): Promise<ImageFolder<ImageStream>>;
export function loadImageFolder(
  directory: string,
  options: ImageFolderOptions & { stream?: false },
): Promise<ImageFolder>;
export async function loadImageFolder(
  directory: string,
  options: ImageFolderOptions,
): Promise<ImageFolder<ImageSet | ImageStream>> {
  checkDirectory("loadImageFolder", directory);
  const given = optionsOf("loadImageFolder", objectOf("loadImageFolder", "options", options), [
    ...PICTURE_OPTIONS,
    "cache",
    "stream",
  ]);
  const { cache, stream = false } = given;
  const full = fullPictureOptions("loadImageFolder", given);
  if (cache !== undefined) text("loadImageFolder", "cache", cache);
  flag("loadImageFolder", "stream", stream);
  if (stream && !cache) {
    throw new ArgumentError("loadImageFolder: a stream reads from a cache; give the file that is to hold it as cache");
  }
  const tree = await pictureTree(directory);
  // Before hours of decoding, and not after them.
  labelsOf("loadImageFolder", tree.files, tree.classes, full.classes);
  if (!cache) return inMemory(tree, full);
  return stream ? fromCache(tree, full, cache) : throughCache(tree, full, cache);
}

async function inMemory(tree: PictureTree, options: FullPictureOptions): Promise<ImageFolder> {
  const { decode } = await pictureDecoder("loadImageFolder");
  const size = bytesOfPicture(options);
  const images = roomFor(tree.files.length, size);
  let count = 0;
  const skipped = await readPictures(
    "loadImageFolder",
    tree.files,
    options,
    ({ path }) => decode(path, options),
    (planes) => images.set(planes, size * count++),
  );
  return folderOf(tree, skipped, (kept) =>
    setOfPictures("loadImageFolder", kept, tree.classes, images.subarray(0, count * size), options),
  );
}

const roomFor = (count: number, size: number) =>
  memoryForPictures("loadImageFolder", count, size, "leave them on disk with stream: true and a cache");

/** What the cache says of the pictures, after they were decoded into it if it was another's. */
async function provide(
  { files }: PictureTree,
  options: FullPictureOptions,
  path: string,
  anew = false,
): ReturnType<typeof writeCache> {
  const { decode, version } = await pictureDecoder("loadImageFolder");
  const { size, fit, resize, channels, background, unreadable } = options;
  const listing = files.map(({ name, bytes, changed }) => [name, bytes, changed]);
  const key = keyOf({ version, size, fit, resize, channels, background, listing });
  const facts = anew ? undefined : await cacheFacts(path, key, bytesOfPicture(options));
  if (facts && (unreadable === "skip" || facts.skipped.length === 0)) return facts;
  return writeCache(path, key, (append) =>
    readPictures("loadImageFolder", files, options, (file) => decode(file.path, options), append),
  );
}

async function throughCache(tree: PictureTree, options: FullPictureOptions, path: string): Promise<ImageFolder> {
  const size = bytesOfPicture(options);
  const read = async (anew: boolean) => {
    const facts = await provide(tree, options, path, anew);
    return { facts, images: await readCache(path, facts, roomFor(facts.count, size)) };
  };
  let { facts, images } = await read(false);
  // Damaged since it was written: it is only a cache.
  if (!images) ({ facts, images } = await read(true));
  if (!images) throw new PanError(`loadImageFolder: ${clip(path, 300)} does not give back what was written to it`);
  const planes = images;
  return folderOf(tree, facts.skipped, (kept) => setOfPictures("loadImageFolder", kept, tree.classes, planes, options));
}

async function fromCache(
  tree: PictureTree,
  options: FullPictureOptions,
  path: string,
): Promise<ImageFolder<ImageStream>> {
  const { skipped } = await provide(tree, options, path);
  const read = await cacheReader(path, bytesOfPicture(options));
  const [height, width] = options.size;
  return folderOf(tree, skipped, (kept) => {
    const { labels, classes } = labelsOf("loadImageFolder", kept, tree.classes, options.classes);
    return imageStream({ channels: options.channels, height, width, labels, classes, read });
  });
}

function folderOf<S extends ImageSet | ImageStream>(
  tree: PictureTree,
  unreadable: readonly SkippedPicture[],
  make: (kept: readonly PictureOnDisk[]) => S,
): ImageFolder<S> {
  const left = new Set(unreadable.map(({ file }) => file));
  const kept = tree.files.filter(({ name }) => !left.has(name));
  return { set: make(kept), files: kept.map(({ name }) => name), skipped: [...tree.skipped, ...unreadable] };
}
