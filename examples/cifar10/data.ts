import { readFile } from "node:fs/promises";
import { FormatError } from "@pan/core";
import { type ImageSet, parseCifar10, subset } from "@pan/core/data";
import { loadCifar10 } from "@pan/core/node";
import { progressBar } from "../progress";
import { downloadCifar10 } from "./download";
import type { Settings } from "./settings";

export interface Data {
  train: ImageSet;
  test: ImageSet;
  triggers: ImageSet | null;
}

/**
 * The images a run asks for.
 * @throws FormatError when they are not there; the message says how to get them.
 */
export async function loadData(s: Settings): Promise<Data> {
  if (s.download) await download(s.data);
  let sets: { train: ImageSet; test: ImageSet };
  try {
    sets = await loadCifar10(s.data);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new FormatError(`${cause.message} Or add --download, or name another folder with --data or $PAN_DATA.`, {
      cause,
    });
  }
  return {
    train: subset(sets.train, 0, Math.min(s.images, sets.train.length)),
    test: subset(sets.test, 0, Math.min(s.testImages, sets.test.length)),
    triggers: s.triggers || s.passportImages === "triggers" ? await loadTriggers(s.triggerFile) : null,
  };
}

async function loadTriggers(file: string | undefined): Promise<ImageSet> {
  const path = file ?? new URL("../data/trigger_set.bin", import.meta.url);
  const source = file ?? "examples/data/trigger_set.bin";
  try {
    return parseCifar10(await readFile(path), { source });
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new FormatError(`the trigger set ${source} could not be read: ${(cause as Error).message}`, { cause });
  }
}

async function download(folder: string): Promise<void> {
  const bar = progressBar("download {bar} {percentage} %  {value} of {total} MB");
  let started = false;
  const megabytes = (bytes: number) => Math.round(bytes / 1e6);
  try {
    await downloadCifar10(folder, {
      onProgress({ received, total }) {
        if (!started) bar.start(megabytes(total ?? 170e6), 0);
        started = true;
        bar.update(megabytes(received));
      },
    });
  } finally {
    if (started) bar.stop();
  }
}
