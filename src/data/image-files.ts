/** Pictures that somebody chose in a browser. */

import { callable, objectOf, optionsOf } from "../demand";
import { ArgumentError, UnavailableError } from "../errors";
import { shown } from "../io/shown";
import {
  bytesOfPicture,
  type FullPictureOptions,
  fullPictureOptions,
  type ImageFolder,
  isHidden,
  isPictureName,
  labelsOf,
  memoryForPictures,
  PICTURE_OPTIONS,
  type PictureFile,
  type PictureSetOptions,
  planesOf,
  readPictures,
  type SkippedPicture,
  setOfPictures,
} from "./picture-set";
import { placement } from "./picture-size";

// Both are the page's own types. A program for servers knows neither, and compiles all the same.
/** A `File`. */
export type ChosenFile = typeof globalThis extends { File: { prototype: infer T } } ? T : SomeFile;
/** A `FileList`. */
export type ChosenFiles = typeof globalThis extends { FileList: { prototype: infer T } } ? T : Iterable<ChosenFile>;

/** What is read of a `File`, where a program knows no such type. */
export interface SomeFile {
  readonly name: string;
  readonly size: number;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** Options of {@link imagesFromFiles}. */
export interface ImageFilesOptions extends PictureSetOptions {
  /**
   * The class of a file; null leaves it out. Default: the folder that it is in, below the one that
   * was chosen.
   */
  labelOf?: (file: ChosenFile) => string | null;
}

/**
 * The pictures of a folder that was chosen in a browser, one folder in it per class:
 *
 *     <input type="file" webkitdirectory>
 *     const { set, skipped } = await imagesFromFiles(input.files, { size: 64, unreadable: "skip" });
 *
 * As `loadImageFolder` of `@pan/core/node`, with the browser's own decoders (`createImageBitmap`)
 * and filter (`OffscreenCanvas`), so that pixels differ a little from Node's and from browser to
 * browser. Files without a folder, such as from a drop, need `labelOf`.
 *
 * @throws UnavailableError where there is no `createImageBitmap` or `OffscreenCanvas`
 * @throws FormatError if there is no class, a class has no picture that can be read, or, with
 *   `unreadable: "refuse"`, naming the first picture that cannot
 * @throws ArgumentError if `files` are none, an option is not what it should be, files are in no
 *   folder and there is no `labelOf`, or a class is none of the `classes` asked for
 * @throws LimitError if there is no memory for so many pictures
 */
export async function imagesFromFiles(
  files: ChosenFiles | Iterable<ChosenFile>,
  options: ImageFilesOptions,
): Promise<ImageFolder> {
  const given = optionsOf("imagesFromFiles", objectOf("imagesFromFiles", "options", options), [
    ...PICTURE_OPTIONS,
    "labelOf",
  ]);
  const full = fullPictureOptions("imagesFromFiles", given);
  const { labelOf } = given;
  if (labelOf !== undefined) callable("imagesFromFiles", "labelOf", labelOf);
  const { pictures, skipped } = sorted(listOf(files), labelOf);
  if (typeof createImageBitmap !== "function" || typeof OffscreenCanvas !== "function") {
    throw new UnavailableError(
      "imagesFromFiles: there is no createImageBitmap or no OffscreenCanvas here: use a browser that has them " +
        "(Chrome 69, Firefox 105, Safari 16.4 or later), or loadImageFolder of @pan/core/node",
    );
  }
  const found = [...new Set(pictures.map((picture) => picture.class))];
  labelsOf("imagesFromFiles", pictures, found, full.classes);
  const size = bytesOfPicture(full);
  const images = memoryForPictures("imagesFromFiles", pictures.length, size, "choose a smaller size or fewer files");
  let count = 0;
  // Names may be there twice.
  const left = new Set<ChosenPicture>();
  const unreadable = await readPictures(
    "imagesFromFiles",
    pictures,
    full,
    async (picture) => {
      try {
        return await decode(picture.file, full);
      } catch (cause) {
        left.add(picture);
        throw cause;
      }
    },
    (planes) => images.set(planes, size * count++),
  );
  const kept = pictures.filter((picture) => !left.has(picture));
  return {
    set: setOfPictures("imagesFromFiles", kept, found, images.subarray(0, count * size), full),
    files: kept.map(({ name }) => name),
    skipped: [...skipped, ...unreadable],
  };
}

interface ChosenPicture extends PictureFile {
  readonly file: File;
}

function listOf(files: unknown): File[] {
  const isIterable = typeof files === "object" && files !== null && Symbol.iterator in files;
  const list = isIterable ? Array.from(files as Iterable<unknown>) : [];
  if (list.length > 0 && typeof File === "function" && list.every((file) => file instanceof File))
    return list as File[];
  throw new ArgumentError(
    `imagesFromFiles: expected the files of an <input type="file" webkitdirectory>, got ${list.length > 0 ? shown(list) : shown(files)}`,
  );
}

/** Pictures in the order of their names, and what is none. */
function sorted(
  files: readonly File[],
  labelOf: ImageFilesOptions["labelOf"],
): { pictures: ChosenPicture[]; skipped: SkippedPicture[] } {
  if (!labelOf && files.every((file) => !file.webkitRelativePath)) {
    throw new ArgumentError(
      "imagesFromFiles: the files are in no folder, which would be their class; choose a folder " +
        '(<input type="file" webkitdirectory>), or tell the class of each by labelOf',
    );
  }
  const pictures: ChosenPicture[] = [];
  const skipped: SkippedPicture[] = [];
  for (const file of files) {
    // The first is the folder that was chosen.
    const path = file.webkitRelativePath ? file.webkitRelativePath.split("/").slice(1) : [file.name];
    const name = path.join("/");
    const skip = (why: string) => skipped.push({ file: name, why });
    if (path.some(isHidden)) skip("hidden");
    else if (!isPictureName(name)) skip("no picture by its name");
    else {
      const label: unknown = labelOf ? labelOf(file) : path.length > 1 ? path[0] : null;
      if (label === null) skip(labelOf ? "of no class" : "in no folder of a class");
      else if (typeof label === "string") pictures.push({ file, name, class: label });
      else throw new ArgumentError(`imagesFromFiles: labelOf gives the name of a class or null, found ${shown(label)}`);
    }
  }
  const order = (a: ChosenPicture, b: ChosenPicture) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  return { pictures: pictures.sort(order), skipped };
}

async function decode(file: File, options: FullPictureOptions): Promise<Uint8Array> {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  try {
    const { size, background, channels } = options;
    const [height, width] = size;
    const { resized, top, left } = placement([bitmap.height, bitmap.width], size, options);
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
    context.fillStyle = `rgb(${background.join(" ")})`;
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, -left, -top, resized[1], resized[0]);
    return planesOf(context.getImageData(0, 0, width, height).data, 4, channels);
  } finally {
    bitmap.close();
  }
}
