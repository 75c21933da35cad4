/** The older methods: a feature watermark and a trigger set, read and forged. */
import { access } from "node:fs/promises";
import { basename, join } from "node:path";
import { ArgumentError, type SafetensorsFile } from "@pan/core";
import {
  attackFeatureWatermark,
  attackTriggerSet,
  FeatureWatermark,
  type MarkedNetwork,
  type TransferTask,
  type WatermarkRecord,
} from "@pan/core/attacks";
import { cifarTransform, type ImageSet, isPointSet, type SampleSet } from "@pan/core/data";
import { loadSafetensors } from "@pan/core/node";
import type { Budget } from "./budget";
import { percent } from "./show";
import { cut, type TaskData } from "./tasks";

/** What the older methods are tried with. */
export interface WatermarkSetup {
  task: TaskData;
  budget: Budget;
  seed: number;
}

/** Tasks that somebody fine-tunes to. */
const tasksOf = async ({ task, budget }: WatermarkSetup): Promise<TransferTask[]> =>
  (await task.others()).map(({ name, train, test }) => ({
    task: name,
    train: cut(images(train), budget.images),
    test: images(test),
    epochs: budget.epochs,
    batchSize: budget.batchSize,
    transform: cifarTransform("train"),
  }));

/** @throws ArgumentError for clouds: the older methods mark networks for images. */
function images(set: SampleSet | null): ImageSet {
  if (set && !isPointSet(set) && set.images instanceof Uint8Array) return { ...set, images: set.images };
  throw new ArgumentError("--watermarks: networks for images expected, found one for point clouds");
}

/** Where a run leaves the secret of a feature watermark. */
export const secretOf = (folder: string): string => join(folder, "watermark.secret.safetensors");

/**
 * Reads and forges the watermark of a folder: Uchida's where its secret is there, the trigger set
 * else.
 */
export async function attackWatermark(
  folder: string,
  deployed: SafetensorsFile,
  setup: WatermarkSetup,
): Promise<WatermarkRecord> {
  const secret = secretOf(folder);
  const network: MarkedNetwork = {
    deployed,
    task: setup.task.name,
    test: images(setup.task.test),
    transform: cifarTransform("test"),
  };
  const options = { tasks: await tasksOf(setup), seed: setup.seed };
  const isFeature = await access(secret).then(
    () => true,
    () => false,
  );
  if (!isFeature)
    return attackTriggerSet(network, images(setup.task.triggers), {
      ...options,
      forging: { base: cut(images(setup.task.train), 1000) },
    });
  const watermark = FeatureWatermark.from(await loadSafetensors(secret));
  try {
    return await attackFeatureWatermark(network, watermark, options);
  } finally {
    watermark.dispose();
  }
}

/** Prints what became of a watermark. */
export function printWatermark(folder: string, r: WatermarkRecord): void {
  console.log(
    `\n${r.method}, ${basename(folder)}  (${r.count}; forged in ${r.forging.steps} steps, ${r.forging.seconds.toFixed(1)} s)`,
  );
  for (const { task, accuracy, real, forged } of [{ task: `trained on ${r.task}`, ...r.trained }, ...r.fineTuned])
    console.log(`  ${task.padEnd(36)} accuracy ${percent(accuracy)}  real ${percent(real)}  forged ${percent(forged)}`);
}
