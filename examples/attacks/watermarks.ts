/** The older methods: a feature watermark and a trigger set, read and forged. */
import { access } from "node:fs/promises";
import { basename, join } from "node:path";
import {
  attackFeatureWatermark,
  attackTriggerSet,
  cifarTransform,
  FeatureWatermark,
  type ImageSet,
  type MarkedNetwork,
  type TransferTask,
  type WatermarkRecord,
} from "../../src/index";
import { loadSafetensors } from "../../src/node/index";
import type { Budget } from "./budget";
import { animals, type Caltech, cut } from "./images";

/** What the older methods are tried with. */
export interface WatermarkSetup {
  train: ImageSet;
  test: ImageSet;
  triggers: ImageSet;
  caltech: Caltech | null;
  budget: Budget;
  seed: number;
}

/** Tasks that somebody fine-tunes to. */
function tasksOf({ train, test, caltech, budget }: WatermarkSetup): TransferTask[] {
  const { epochs, batchSize, images, testImages } = budget;
  const common = { epochs, batchSize, transform: cifarTransform("train") };
  const own = { task: "CIFAR-10, animals against vehicles", train: animals(cut(train, images)), test: animals(test) };
  if (!caltech) return [{ ...common, ...own }];
  const other = { task: "Caltech-101", train: cut(caltech.train, images), test: cut(caltech.test, testImages) };
  return [
    { ...common, ...own },
    { ...common, ...other },
  ];
}

/** Reads and forges the watermark of a folder: Uchida's where its secret is there, the trigger set else. */
export async function attackWatermark(folder: string, setup: WatermarkSetup): Promise<WatermarkRecord> {
  const secret = join(folder, "watermark.secret.safetensors");
  const network: MarkedNetwork = {
    deployed: await loadSafetensors(join(folder, "deployed.safetensors")),
    task: "CIFAR-10",
    test: setup.test,
    transform: cifarTransform("test"),
  };
  const options = { tasks: tasksOf(setup), seed: setup.seed };
  const isFeature = await access(secret).then(
    () => true,
    () => false,
  );
  if (!isFeature)
    return attackTriggerSet(network, setup.triggers, { ...options, forging: { base: cut(setup.train, 1000) } });
  const watermark = FeatureWatermark.from(await loadSafetensors(secret));
  try {
    return await attackFeatureWatermark(network, watermark, options);
  } finally {
    watermark.dispose();
  }
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** Prints what became of a watermark. */
export function printWatermark(folder: string, r: WatermarkRecord): void {
  console.log(
    `\n${r.method}, ${basename(folder)}  (${r.count}; forged in ${r.forging.steps} steps, ${r.forging.seconds.toFixed(1)} s)`,
  );
  for (const { task, accuracy, real, forged } of [{ task: `trained on ${r.task}`, ...r.trained }, ...r.fineTuned])
    console.log(`  ${task.padEnd(36)} accuracy ${percent(accuracy)}  real ${percent(real)}  forged ${percent(forged)}`);
}
