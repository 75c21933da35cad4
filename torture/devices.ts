/**
 * `devices`: two devices in one process. Steps on both, in turns, have the bits of steps on one
 * alone; a tensor of the one is refused on the other; calls of init at the same time share a
 * device.
 */

import { add, type Device, Generator, init, type StateDict, scope, Tensor } from "@pan/core";
import { crossEntropy } from "@pan/core/nn";
import { dawn } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import { Trainer } from "@pan/core/train";
import { buildNetwork } from "../src/models";
import type { Network } from "../test/support/networks";
import { MIXTURES, mixed } from "./mixtures";
import { type Cases, demand, type Part, refusable, type Task } from "./part";
import { images, ONE_PASSPORT, stateOf } from "./tiny";

/** Pairs of runs. */
const RUNS = { commit: 6, full: 100 };
const STEPS = 8;
const BATCH = 6;

/** A run of a network from its first state on, with tensors of the device that it is on. */
function training(model: Network, first: StateDict, device: Device) {
  model.loadStateDict(first);
  model.train();
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const random = new Generator(5);
  const losses: Promise<Float32Array>[] = [];
  return {
    /** Gives one step to the device, and does not wait for it. */
    step(): void {
      const pixels = random.fill(new Float32Array(BATCH * 8 * 8 * 3), "normal");
      const labels = Int32Array.from({ length: BATCH }, () => random.integer(3));
      const loss = scope(() => {
        const [x, y] = [Tensor.from(pixels, [BATCH, 8, 8, 3], device), Tensor.from(labels, [BATCH], device)];
        optimizer.zeroGrad();
        const { outputs, signLoss } = model.trainingPass(x);
        const terms = [crossEntropy(outputs.public!, y), crossEntropy(outputs.private!, y), signLoss!];
        const total = terms.reduce((a, b) => add(a, b));
        total.backward();
        optimizer.step();
        return total;
      });
      losses.push(loss.data());
      // Whoever waits for it below finds what went wrong.
      losses.at(-1)!.catch(() => {});
      loss.dispose();
    },
    /** State and losses: equal texts are equal runs. */
    async result(): Promise<string> {
      const values = await Promise.all(losses);
      await device.sync();
      const found = JSON.stringify([await stateOf(model), values.map((v) => v[0])]);
      optimizer.zeroGrad();
      optimizer.dispose();
      return found;
    },
  };
}

type Run = ReturnType<typeof training>;

/** The steps of both in an order that the random numbers decide, with a wait here and there. */
async function together(pair: readonly [Run, Run], random: Generator): Promise<string[]> {
  const left = [STEPS, STEPS];
  while (left[0]! + left[1]! > 0) {
    const which = left[0] === 0 ? 1 : left[1] === 0 ? 0 : (random.integer(2) as 0 | 1);
    left[which]!--;
    pair[which].step();
    if (random.integer(3) === 0) await new Promise(setImmediate);
  }
  return [await pair[0].result(), await pair[1].result()];
}

/** What a trainer makes of a network on `device`: its state, or the refusal. */
async function trained(model: Network, first: StateDict): Promise<string | null> {
  model.loadStateDict(first);
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 3 });
  const outcome = await refusable(async () => {
    for await (const _ of trainer.fit(images(24, 1), { epochs: 2, test: images(9, 2) }));
    return stateOf(model);
  });
  optimizer.dispose();
  return "result" in outcome ? outcome.result : null;
}

/** What a browser has, and Node has not: where calls of init without options look. */
const offer = (gpu: GPU): void =>
  void Object.defineProperty(globalThis, "navigator", { value: { gpu }, configurable: true });

/** Calls of init at the same time, without a living device: one device for all. */
async function shared(gpu: GPU, lost: Device): Promise<void> {
  offer(gpu);
  lost.destroy();
  const found = await Promise.all(Array.from({ length: 5 }, () => init()));
  demand(new Set(found).size === 1, `5 calls of init at the same time made ${new Set(found).size} devices`);
  demand((await init()) === found[0], "init without options made another device while one lives");
}

async function run(task: Task, cases: Cases) {
  const gpu = await dawn();
  const a = await init({ gpu });
  const onA = buildNetwork(ONE_PASSPORT, { seed: 1 });
  const first = await onA.stateDict();
  const alone = training(onA, first, a);
  for (let i = 0; i < STEPS; i++) alone.step();
  const expected = await alone.result();
  const expectedOfTrainer = await trained(onA, first);
  // From here on the second device is the current one.
  const b = await init({ gpu });
  const onB = buildNetwork(ONE_PASSPORT, { seed: 1 });
  let [equal, refused, runs] = [0, 0, 0];
  await cases.each(RUNS[task.size], async (random) => {
    const results = await together([training(onA, first, a), training(onB, first, b)], random);
    runs += 2;
    for (const [i, result] of results.entries()) {
      demand(result === expected, `the run on device ${i + 1} of 2 has other bits than a run on one alone`);
      equal++;
    }
  });
  let number = RUNS[task.size];
  for (const [name, model] of [["current", onB] as const, ["other", onA] as const])
    await cases.one(number++, async () => {
      const state = await trained(model, first);
      // Not on the current device a trainer may say no.
      const right = state === expectedOfTrainer || (state === null && name === "other");
      demand(right, `a trainer on the ${name} device ${state ? "has other bits than one on one alone" : "is refused"}`);
    });
  const names = Object.keys(MIXTURES);
  for (const name of names)
    await cases.one(number++, async () => {
      for (const devices of [
        [a, b],
        [b, a],
      ] as const) {
        const fault = await mixed(name, devices);
        demand(fault === null, `${name} of tensors of two devices ${fault}`);
      }
      refused++;
    });
  await cases.one(number, () => shared(gpu, b));
  return {
    figure: `${equal} of ${runs} runs on two devices in turns equal to a run alone, ${refused} of ${names.length} mixtures refused; ${cases.broken.length} broken promises`,
    facts: { runs, equal, refused, mixtures: names.length },
  };
}

export default {
  promise: "work on two devices has the bits of work on one, and mixing them is refused by name",
  patience: 180,
  run,
} satisfies Part;
