/**
 * Photographs of the owner's own as bound triggers. How drawn ones are made is public, so a thief
 * makes some and has a copy unlearn the kind; of a folder of photographs nobody else knows.
 */
import { randomInt } from "node:crypto";
import { ArgumentError, Generator } from "@pan/core";
import { selectSamples } from "@pan/core/data";
import { loadImageFolder } from "@pan/core/node";
import { suppliedTriggers, type TriggerSpec } from "@pan/core/ownership";
import type { ChosenTriggers } from "./claim";

/** The option of the command line that names them, and its help. */
export const PHOTO_OPTIONS = { "trigger-photos": "" } as const;
export const PHOTO_HELP = `\
  --trigger-photos DIR bound triggers are photographs of yours, as many as are needed chosen in secret from the folders
                       of pictures in DIR, and not drawn: whoever knows how those are drawn can have a copy unlearn
                       them. Take some that are not published, and no part of the training`;

/**
 * The folder, where one is named.
 * @param triggers whether the run learns bound triggers
 * @throws ArgumentError for a run that learns none.
 */
export function photosOf(v: Record<keyof typeof PHOTO_OPTIONS, string>, triggers: boolean): string | undefined {
  const folder = v["trigger-photos"] || undefined;
  if (folder !== undefined && !triggers)
    throw new ArgumentError(
      "--trigger-photos: a run that learns bound triggers expected: of a network with a --statement, and not of 0 triggers",
    );
  return folder;
}

/**
 * Triggers chosen from a folder with a folder of pictures for each class, whatever those are, in an
 * order that nobody can guess; those that are drawn, where no folder is named.
 * @param drawn how many, and what the network is given
 * @throws ArgumentError where there are too few, and for networks of other inputs than pictures.
 */
export async function triggersFrom(folder: string | undefined, drawn: TriggerSpec): Promise<ChosenTriggers> {
  if (folder === undefined) return { triggers: drawn };
  const { count, groups, shape, classes, normalize } = drawn;
  const [height, width, channels] = shape;
  if (channels !== 3 || !height || !width)
    throw new ArgumentError(
      `--trigger-photos: a network of coloured pictures expected, found inputs of ${shape.join(" × ")}`,
    );
  const { set } = await loadImageFolder(folder, { size: [height, width], unreadable: "skip" });
  const all = count * groups;
  if (set.length < all)
    throw new ArgumentError(
      `--trigger-photos ${folder}: at least ${all} pictures expected, ${groups} × ${count} triggers, found ${set.length}: add some, or ask for fewer with --bound-triggers`,
    );
  const order = new Generator(randomInt(2 ** 47)).permutation(set.length);
  const chosen = selectSamples(set, order.subarray(0, all));
  return suppliedTriggers(chosen, { groups, classes, ...(normalize && { normalize }) });
}
