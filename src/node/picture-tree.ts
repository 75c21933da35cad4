/** Pictures in folders of classes, `class/…/picture.jpg`, and what lies between them. */
import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { isHidden, isPictureName, type PictureFile, type SkippedPicture } from "../data/picture-set";
import { FormatError } from "../errors";
import { clip } from "../io/shown";

/** A picture on disk. */
export interface PictureOnDisk extends PictureFile {
  readonly path: string;
  readonly bytes: number;
  /** When it was last written to. */
  readonly changed: number;
}

/** What was found in a folder. */
export interface PictureTree {
  readonly classes: readonly string[];
  readonly files: readonly PictureOnDisk[];
  readonly skipped: readonly SkippedPicture[];
}

/**
 * Walks a folder: each folder in it is a class, whatever folders are in that belong to it. Links
 * are followed.
 *
 * @throws FormatError if a folder cannot be read
 */
export async function pictureTree(directory: string): Promise<PictureTree> {
  const tree = { classes: [] as string[], files: [] as PictureOnDisk[], skipped: [] as SkippedPicture[] };

  const walk = async (folder: string, name: string, around: readonly string[]): Promise<void> => {
    const real = await realpath(folder).catch((cause: unknown) => Promise.reject(unreadable(folder, cause)));
    if (around.includes(real)) {
      tree.skipped.push({ file: name, why: "a link that leads back to a folder around it" });
      return;
    }
    const names = await readdir(folder).catch((cause: unknown) => Promise.reject(unreadable(folder, cause)));
    const entries = await Promise.all(
      names.sort().map(async (entry) => {
        const path = join(folder, entry);
        return { entry, path, found: isHidden(entry) ? undefined : await stat(path).catch(() => null) };
      }),
    );
    for (const { entry, path, found } of entries) {
      const file = name ? `${name}/${entry}` : entry;
      const skip = (why: string) => tree.skipped.push({ file, why });
      if (found === undefined) skip("hidden");
      else if (found === null) skip("a link to nothing");
      else if (found.isDirectory()) {
        if (!name) tree.classes.push(entry);
        await walk(path, file, [...around, real]);
      } else if (!isPictureName(entry)) skip("no picture by its name");
      else if (!found.isFile()) skip("no file");
      else if (!name) skip("in no folder of a class");
      else
        tree.files.push({
          name: file,
          class: file.slice(0, file.indexOf("/")),
          path,
          bytes: found.size,
          changed: found.mtimeMs,
        });
    }
  };
  await walk(directory, "", []);
  return tree;
}

function unreadable(folder: string, cause: unknown): FormatError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new FormatError(
    `loadImageFolder: cannot read ${clip(folder, 300)}: ${clip(why, 300)}; give a folder with one folder per class in it`,
    { cause },
  );
}
