/**
 * `soak`: thousands of steps in batches of many sizes, with evaluation, checkpoints, verification
 * and refusals between them. What is held does not grow.
 */

import { device, init, memory, scope, Tensor } from "@pan/core";
import { loadDeployed } from "@pan/core/models";
import { crossEntropy } from "@pan/core/nn";
import { dawn } from "@pan/core/node";
import { Adam, SGD } from "@pan/core/optim";
import { verify } from "@pan/core/ownership";
import { evaluate, Trainer } from "@pan/core/train";
import { buildNetwork } from "../src/models";
import { type Cases, demand, type Part, type Task } from "./part";
import { images, MARKED, memoryStore } from "./tiny";

const STEPS = { commit: 300, full: 3000 };
/** Batch sizes of a round: the trainer's and those of a loop of one's own. */
const TRAINED = [12, 5] as const;
const LOOPED = [1, 3, 7] as const;
const IMAGES = 36;
/** Rounds after which all sizes have been seen and everything that is kept is there. */
const WARM = 2;
/**
 * Bytes that the process may grow by: the collector's own unsteadiness, and for each further step.
 */
const SLACK = 24 * 2 ** 20;

interface Held {
  tensors: number;
  storages: number;
  bytes: number;
  pooledBytes: number;
  buffersCreated: number;
  rss: number;
}

const held = async (): Promise<Held> => {
  await device().sync();
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return { ...memory(), rss: process.memoryUsage().rss };
};

async function run(task: Task, cases: Cases) {
  await init({ gpu: await dawn() });
  const config = { ...MARKED, passports: { 2: true } } as const;
  const model = buildNetwork(config, { seed: 1 });
  const optimizers = [
    new SGD(model.parameters(), { lr: 1e-3, momentum: 0.9 }),
    new Adam(model.parameters(), { lr: 1e-4 }),
  ];
  const [train, test] = [images(IMAGES, 1), images(25, 2)];
  const [deployed, credential] = [await model.deployed(), await model.credential()];
  const store = memoryStore();
  let steps = 0;

  /** A loop of one's own over batches of odd sizes, its handles freed by scopes. */
  async function loop(): Promise<void> {
    const optimizer = optimizers[1]!;
    model.train();
    for (const samples of LOOPED) {
      const data = new Float32Array(samples * 8 * 8 * 3).fill(0.1 * samples);
      const loss = scope(() => {
        optimizer.zeroGrad();
        const x = Tensor.from(data, [samples, 8, 8, 3]);
        const l = crossEntropy(model.forward(x), Tensor.from(new Int32Array(samples), [samples]));
        l.backward();
        optimizer.step();
        return l;
      });
      await loss.data();
      loss.dispose();
      steps++;
    }
    for (const o of optimizers) o.zeroGrad();
  }

  async function round(): Promise<void> {
    for (const batchSize of TRAINED) {
      const trainer = new Trainer(model, optimizers[0]!, { batchSize, seed: steps, checkpoints: store, best: store });
      for await (const _ of trainer.fit(train, { epochs: 1, test })) steps += Math.floor(IMAGES / batchSize);
      await trainer.restoreBest();
    }
    await loop();
    await evaluate(model, test, { batchSize: 4 + (steps % 3) });
    await verify(deployed, credential, { test });
    loadDeployed(deployed).dispose();
    // What is refused must leave nothing behind either.
    await verify(credential, deployed).catch(() => {});
    await evaluate(model, images(3, 3), { batchSize: 0 }).catch(() => {});
    try {
      model.loadStateDict(deployed.tensors);
    } catch {
      // Refused, as it should be: these are not all of its tensors.
    }
  }

  for (let i = 0; i < WARM + 1; i++) await round();
  const first = await held();
  const begun = steps;
  const sizes: Held[] = [];
  while (steps - begun < STEPS[task.size]) {
    await cases.one(sizes.length, async () => {
      await round();
      const now = await held();
      sizes.push(now);
      for (const what of ["tensors", "storages", "bytes"] as const)
        demand(
          now[what] === first[what],
          `${what}: ${first[what]} at first, ${now[what]} after ${steps - begun} steps`,
        );
      const pooled = now.pooledBytes - first.pooledBytes;
      demand(pooled <= first.pooledBytes / 4, `the pool grew from ${first.pooledBytes} to ${now.pooledBytes} bytes`);
    });
    if (cases.broken.length > 3) break;
  }
  const last = sizes.at(-1) ?? first;
  const half = sizes.slice(Math.floor(sizes.length / 2));
  const growth = Math.min(...half.map((s) => s.rss)) - first.rss;
  await cases.one(sizes.length, () => {
    demand(growth <= SLACK, `the process grew by ${(growth / 2 ** 20).toFixed(1)} MiB in ${steps - begun} steps`);
  });
  return {
    figure: `${steps - begun} steps: tensors ${last.tensors - first.tensors >= 0 ? "+" : ""}${last.tensors - first.tensors}, storages ${last.storages - first.storages >= 0 ? "+" : ""}${last.storages - first.storages}, pool ${((last.pooledBytes - first.pooledBytes) / 2 ** 20).toFixed(2)} MiB more, process ${(growth / 2 ** 20).toFixed(1)} MiB more`,
    facts: { first, last, growth, buffersCreated: last.buffersCreated - first.buffersCreated },
  };
}

export default {
  promise: "steps of many sizes, evaluation, checkpoints and refusals hold no more after thousands than after a few",
  patience: 180,
  run,
} satisfies Part;
