import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import {
  centerCrop,
  type ImageTransform,
  normalize,
  randomHorizontalFlip,
  randomResizedCrop,
  type TrainingSet,
  trainTestSplit,
} from "@pan/core/data";
import { loadImageFolder } from "@pan/core/node";
import { progressBar } from "../progress";
import { say } from "../show";
import type { Settings } from "./settings";

/** Mean and standard deviation of ImageNet's pixels, by channel: torchvision's figures. */
export const PIXELS = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

/** Random windows and their mirror images for training, the middle for tests. */
export const transformOf =
  ({ size }: Pick<Settings, "size">) =>
  (use: "train" | "test"): readonly ImageTransform[] => [
    ...(use === "train" ? [randomResizedCrop({ size, scale: [0.25, 1] }), randomHorizontalFlip()] : [centerCrop(size)]),
    normalize(PIXELS.mean, PIXELS.std),
  ];

/** What data sets call the folder that is not trained on. */
const TESTING = ["val", "valid", "validation", "test"];

/** Parts hold folders; a class of such a name ("train") holds pictures. */
const hasFolders = (path: string): boolean =>
  existsSync(path) && readdirSync(path, { withFileTypes: true }).some((entry) => entry.isDirectory());

/**
 * The photographs, to train with and to test with: the folder's own parts, or a share of each class
 * of the only one that is there.
 * @throws FormatError when they are not there.
 */
export async function loadPhotos(s: Settings): Promise<{ train: TrainingSet; test: TrainingSet }> {
  const part = (names: readonly string[]) => names.map((name) => join(s.folder, name)).find(hasFolders);
  const [training, testing] = [part(["train"]), part(TESTING)];
  if (training && testing) {
    const train = await load(s, training, "train");
    return { train, test: await load(s, testing, "test", train.classes) };
  }
  // One part alone is all there is, and no class.
  const all = await load(s, training ?? testing ?? s.folder, "all");
  return trainTestSplit(all, { test: s.tests, seed: s.seed });
}

async function load(s: Settings, folder: string, name: string, classes?: readonly string[]): Promise<TrainingSet> {
  const bar = progressBar(`reading  {bar} {percentage} %  {value} of {total} photographs`);
  let shown = false;
  const options = {
    size: s.loaded,
    unreadable: "skip",
    ...(classes && { classes }),
    onProgress({ done, total }: { done: number; total: number }) {
      if (!shown) bar.start(total, done);
      shown = true;
      bar.update(done);
    },
  } as const;
  try {
    const { set, skipped } = await (s.cache
      ? loadImageFolder(folder, { ...options, cache: `${s.cache}.${name}`, stream: true })
      : loadImageFolder(folder, options));
    if (shown) bar.stop();
    shown = false;
    for (const { file, why } of skipped.slice(0, 5)) say(`left out   ${file}: ${why}`);
    if (skipped.length > 5) say(`left out   ${skipped.length - 5} more`);
    return set;
  } finally {
    if (shown) bar.stop();
  }
}
