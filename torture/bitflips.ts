/**
 * `bitflips`: every flipped bit in a checkpoint that a trainer saved is found when it is loaded,
 * wherever it lies.
 */

import { type Generator, init } from "@pan/core";
import { dawn } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import { decodeCheckpoint, Trainer } from "@pan/core/train";
import { buildNetwork } from "../src/models";
import { type Cases, demand, type Part, refusable, type Task } from "./part";
import { images, memoryStore, SMALLEST } from "./tiny";

const FLIPS = 2000;
/** One in so many goes through a trainer's resume too. */
const RESUMES = 100;

async function run(task: Task, cases: Cases) {
  await init({ gpu: await dawn() });
  const model = buildNetwork(SMALLEST, { seed: 1 });
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const set = images(12, 1);
  const train = async (store: ReturnType<typeof memoryStore>) => {
    const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 1, checkpoints: store });
    for await (const _ of trainer.fit(set, { epochs: 1, resume: true }));
  };
  const store = memoryStore();
  await train(store);
  const whole = store.bytes!;
  await decodeCheckpoint(whole);
  const bits = 8 * whole.length;
  // In full every bit, in order; else some, at random.
  const bitOf = (random: Generator, number: number) => (task.size === "full" ? number : random.integer(bits));
  await cases.each(task.size === "full" ? bits : FLIPS, async (random, number) => {
    const bit = bitOf(random, number);
    const flipped = whole.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    const read = await refusable(() => decodeCheckpoint(flipped));
    demand("refusal" in read, `bit ${bit & 7} of byte ${bit >> 3} of ${whole.length} was flipped, and it loaded`);
    if (number % RESUMES) return;
    const resumed = await refusable(() => train(memoryStore(flipped)));
    demand("refusal" in resumed, `bit ${bit & 7} of byte ${bit >> 3} was flipped, and a run went on from it`);
  });
  return {
    figure: `${cases.kept} of ${cases.count} flipped bits found in a checkpoint of ${whole.length} bytes${task.size === "full" ? " (every bit)" : ""}`,
    facts: { bytes: whole.length, found: cases.kept },
  };
}

export default {
  promise: "every flipped bit in a checkpoint is found when it is loaded",
  patience: 30,
  run,
} satisfies Part;
