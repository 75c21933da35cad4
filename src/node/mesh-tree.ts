/** Meshes in folders, `class/split/shape.off`, and what lies between them that is no mesh. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isHidden } from "../data/picture-set";
import { unreadable } from "./paths";

/** Told of something that is passed over, and why. */
export type OnSkip = (path: string, why: string) => void;

/** What was passed over: told one by one to who asked for that, else counted and told once. */
export class Skipped {
  readonly #onSkip: OnSkip | undefined;
  readonly #paths: string[] = [];

  constructor(onSkip: OnSkip | undefined) {
    this.#onSkip = onSkip;
  }

  add(path: string, why: string): void {
    if (this.#onSkip) this.#onSkip(path, why);
    else this.#paths.push(path);
  }

  tell(folder: string): void {
    const [first, ...more] = this.#paths;
    if (first === undefined) return;
    const others = more.length > 0 ? ` and ${more.length} more` : "";
    console.warn(`${folder}: passed over ${first}${others}: hidden, or no meshes; give onSkip to hear of each`);
  }
}

/** Whether there is a folder in `place` that is not hidden and has `train` in it. */
export async function isMeshTree(place: string): Promise<boolean> {
  const names = await readdir(place).catch(() => []);
  for (const name of names) if (!isHidden(name) && (await isFolder(join(place, name, "train")))) return true;
  return false;
}

/** Names of the folders in `folder`, each of them a class, in alphabetical order. */
export async function classFolders(folder: string, skipped: Skipped): Promise<string[]> {
  const classes: string[] = [];
  for (const name of await namesIn(folder, skipped)) {
    if (await isFolder(join(folder, name))) classes.push(name);
    else skipped.add(join(folder, name), "no folder of a class");
  }
  return classes;
}

/** Meshes in `folder` in alphabetical order: their paths, and their names without `.off`. */
export async function meshFiles(folder: string, skipped: Skipped): Promise<{ file: string; name: string }[]> {
  const meshes: { file: string; name: string }[] = [];
  for (const name of await namesIn(folder, skipped)) {
    const file = join(folder, name);
    if (/\.off$/i.test(name)) meshes.push({ file, name: name.slice(0, -".off".length) });
    else skipped.add(file, "no mesh: its name does not end in .off");
  }
  return meshes;
}

async function namesIn(folder: string, skipped: Skipped): Promise<string[]> {
  const names = await readdir(folder).catch((cause) => Promise.reject(unreadable("ModelNet", folder, cause)));
  const [hidden, others] = [names.filter(isHidden), names.filter((name) => !isHidden(name))];
  for (const name of hidden) skipped.add(join(folder, name), "hidden");
  return others.sort();
}

/** A link to a folder is one too. */
const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
