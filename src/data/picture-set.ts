/**
 * Picture files of any size and format as an image set: what the loaders of folders, in Node and in
 * browsers, have in common. They differ in where files come from and in what decodes them.
 */

import { callable, oneOf, texts, whole } from "../demand";
import { ArgumentError, FormatError, LimitError } from "../errors";
import { clip, listed, shown } from "../io/shown";
import type { ImageStream } from "./image-stream";
import { type PictureOptions, type PictureSize, pictureSize } from "./picture-size";
import { type ImageSet, imageSet } from "./sample-set";

/** How far reading is, in pictures. */
export interface PictureProgress {
  done: number;
  total: number;
  /** The picture that was read last. */
  file: string;
}

/** What becomes of the pictures of a folder. */
export interface PictureSetOptions extends PictureOptions {
  /** 3 for colour (default; grey pictures get three equal channels), 1 for grey. */
  channels?: 1 | 3;
  /** Red, green and blue, 0 … 255, behind what is transparent. Default black. */
  background?: readonly [red: number, green: number, blue: number];
  /**
   * What is done about pictures that cannot be read: `"refuse"` (default) throws with the name of
   * the first, `"skip"` leaves them out and names them in `skipped`.
   */
  unreadable?: "refuse" | "skip";
  /**
   * Names of the classes, in the order of their labels: for the test half, those of the training
   * half. Default: the names that are found, sorted.
   */
  classes?: readonly string[];
  /** Called after each picture with how far reading is, in pictures; awaited. */
  onProgress?: (progress: PictureProgress) => unknown;
}

/** The names of these options. */
export const PICTURE_OPTIONS = [
  "size",
  "fit",
  "resize",
  "channels",
  "background",
  "unreadable",
  "classes",
  "onProgress",
] as const;

/** A file that is not in the set, and why. */
export interface SkippedPicture {
  readonly file: string;
  readonly why: string;
}

/** Pictures of a folder, and what became of its files. */
export interface ImageFolder<S extends ImageSet | ImageStream = ImageSet> {
  /** The pictures, class after class, in the order of their names. */
  readonly set: S;
  /** Where each picture of the set comes from, from the folder on: `cat/0001.jpg`. */
  readonly files: readonly string[];
  /** Files that are no pictures by their name or, with `unreadable: "skip"`, cannot be read. */
  readonly skipped: readonly SkippedPicture[];
}

/** Options with their defaults. */
export interface FullPictureOptions {
  readonly size: PictureSize;
  readonly fit: "crop" | "stretch";
  readonly resize: number | undefined;
  readonly channels: 1 | 3;
  readonly background: readonly [red: number, green: number, blue: number];
  readonly unreadable: "refuse" | "skip";
  readonly classes: readonly string[] | undefined;
  readonly onProgress: PictureSetOptions["onProgress"];
}

/** @throws ArgumentError for an option that is not what it should be */
export function fullPictureOptions(what: string, options: PictureSetOptions): FullPictureOptions {
  const { fit = "crop", resize, channels = 3, background = [0, 0, 0], unreadable = "refuse" } = options;
  const size = pictureSize(what, "size", options.size);
  oneOf(what, "fit", fit, ["crop", "stretch"]);
  if (resize !== undefined) {
    whole(what, "resize", resize);
    if (fit === "stretch" || resize < Math.max(...size)) {
      throw new ArgumentError(
        `${what}: resize is what the shorter side becomes before ${size.join("x")} are cut out: at least ` +
          `${Math.max(...size)}, and with fit "crop", got ${resize} with "${fit}"`,
      );
    }
  }
  if (channels !== 1 && channels !== 3) {
    throw new ArgumentError(`${what}: expected channels to be 1 or 3, got ${shown(channels)}`);
  }
  const isByte = (v: unknown) => Number.isInteger(v) && (v as number) >= 0 && (v as number) <= 255;
  if (!Array.isArray(background) || background.length !== 3 || !background.every(isByte)) {
    throw new ArgumentError(`${what}: expected background as [red, green, blue] of 0 to 255, got ${shown(background)}`);
  }
  oneOf(what, "unreadable", unreadable, ["refuse", "skip"]);
  const { classes, onProgress } = options;
  if (classes !== undefined && new Set(texts(what, "classes", classes)).size !== classes.length) {
    throw new ArgumentError(`${what}: expected each class to have its own name, got ${listed(classes)}`);
  }
  if (onProgress !== undefined) callable(what, "onProgress", onProgress);
  return { size, fit, resize, channels, background, unreadable, classes, onProgress };
}

/** One file that is a picture by its name. */
export interface PictureFile {
  /** From the folder on. */
  readonly name: string;
  readonly class: string;
}

/** Files that are pictures by their name, of the kinds that are read somewhere. */
export const isPictureName = (name: string): boolean => /\.(jpe?g|png|webp|gif|avif|tiff?)$/i.test(name);

/** Systems leave such beside what was meant: `.DS_Store`, `._0001.jpg`, `__MACOSX`. */
export const isHidden = (name: string): boolean => name.startsWith(".") || name === "__MACOSX";

/** How many pictures are read at a time. */
const AT_ONCE = 16;

/**
 * Reads pictures one after the other in the order of `files`, several at a time.
 *
 * @param decode gives the planes of a picture, in the size that is wanted
 * @param take is given those of each that can be read, in order
 * @returns those that cannot
 * @throws FormatError naming the first of them, where they are refused
 */
export async function readPictures<F extends PictureFile>(
  what: string,
  files: readonly F[],
  { unreadable, onProgress }: FullPictureOptions,
  decode: (file: F) => Promise<Uint8Array>,
  take: (planes: Uint8Array) => void | Promise<void>,
): Promise<SkippedPicture[]> {
  const skipped: SkippedPicture[] = [];
  for (let start = 0; start < files.length; start += AT_ONCE) {
    const group = files.slice(start, start + AT_ONCE);
    const results = await Promise.allSettled(group.map(decode));
    for (const [i, result] of results.entries()) {
      const file = group[i]!.name;
      if (result.status === "fulfilled") await take(result.value);
      else {
        const cause: unknown = result.reason;
        const why = clip(cause instanceof Error ? cause.message : String(cause), 200).trim();
        if (unreadable === "refuse") {
          throw new FormatError(
            `${what}: cannot read ${clip(file, 300)}: ${why}; repair or remove it, or leave out such files with unreadable: "skip"`,
            { cause },
          );
        }
        skipped.push({ file, why });
      }
      await onProgress?.({ done: start + i + 1, total: files.length, file });
    }
  }
  return skipped;
}

/** Memory for the planes of `count` pictures. @throws LimitError if there is not so much */
export function memoryForPictures(what: string, count: number, size: number, advice: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(count * size);
  } catch (cause) {
    throw new LimitError(`${what}: there is no memory for ${count} pictures of ${size} bytes in one array; ${advice}`, {
      cause,
    });
  }
}

/** Bytes of one picture. */
export const bytesOfPicture = ({ size, channels }: FullPictureOptions): number => size[0] * size[1] * channels;

/**
 * Labels of pictures by their classes.
 *
 * @throws FormatError if there is no picture, or none of a class that was found
 * @throws ArgumentError if a class is not among those that were asked for
 */
export function labelsOf(
  what: string,
  kept: readonly PictureFile[],
  found: readonly string[],
  wanted: readonly string[] | undefined,
): { labels: Int32Array; classes: readonly string[] } {
  const classes = wanted ?? [...found].sort();
  const numbers = new Map(classes.map((name, label) => [name, label]));
  const unknown = found.filter((name) => !numbers.has(name));
  if (unknown.length > 0) {
    throw new ArgumentError(
      `${what}: ${listed(unknown)} is not among the ${classes.length} classes asked for: ${listed(classes, 5)}`,
    );
  }
  const used = new Set(kept.map((file) => file.class));
  const empty = found.filter((name) => !used.has(name));
  if (found.length === 0 || empty.length > 0) {
    const whose = found.length === 0 ? "one folder of pictures" : `one picture that can be read of ${listed(empty)}`;
    throw new FormatError(
      `${what}: expected at least ${whose}; a class is a folder with pictures (JPEG, PNG, WebP) in it, such as cat/1.jpg`,
    );
  }
  return { labels: Int32Array.from(kept, (file) => numbers.get(file.class)!), classes };
}

/** What was read, as a set in memory. */
export function setOfPictures(
  what: string,
  kept: readonly PictureFile[],
  found: readonly string[],
  images: Uint8Array,
  options: FullPictureOptions,
): ImageSet {
  const { labels, classes } = labelsOf(what, kept, found, options.classes);
  const [height, width] = options.size;
  return imageSet({ images, labels, classes, channels: options.channels, height, width });
}

/**
 * Pixels as decoders give them, colour after colour of each, as planes; grey is luma as ITU-R 601
 * and Pillow have it, (19595 R + 38470 G + 7471 B + 2¹⁵) / 2¹⁶.
 *
 * @param step numbers per pixel; what is behind the third is left out
 */
export function planesOf(pixels: ArrayLike<number>, step: number, channels: 1 | 3): Uint8Array {
  const count = pixels.length / step;
  const planes = new Uint8Array(count * channels);
  for (let i = 0; i < count; i++) {
    const [r, g, b] = [pixels[i * step]!, pixels[i * step + 1]!, pixels[i * step + 2]!];
    if (channels === 1) planes[i] = (19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16;
    else {
      planes[i] = r;
      planes[count + i] = g;
      planes[2 * count + i] = b;
    }
  }
  return planes;
}
