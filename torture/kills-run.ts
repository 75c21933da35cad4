/**
 * The training that `kills` kills, the same in the killed processes and in the one that compares.
 */

import type { SafetensorsFile } from "@pan/core";
import { SGD } from "@pan/core/optim";
import { type CheckpointStore, Trainer } from "@pan/core/train";
import { buildNetwork } from "../src/models";
import { images, SMALLEST } from "./tiny";

/** Names of the two files of a run. */
export const CHECKPOINT = "run.checkpoint";
export const DEPLOYED = "deployed.safetensors";

/**
 * A run that keeps its checkpoint in `store` and goes on from there: what is given away, after each
 * epoch.
 */
export async function* trainingRun(
  store: CheckpointStore,
  epochs: number,
): AsyncGenerator<{ epoch: number; deployed: SafetensorsFile }, void, void> {
  const model = buildNetwork(SMALLEST, { seed: 3 });
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5, readEvery: 1, checkpoints: store });
  for await (const { epoch } of trainer.fit(images(48, 1), { epochs, resume: true }))
    yield { epoch, deployed: await model.deployed() };
}
