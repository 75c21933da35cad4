/** `devices`: two devices in one process. Work on both, in turns and at the same time, has the bits of work on one alone; a tensor of the one is refused on the other; calls of init at the same time share a device. */
import { ConvNet, type Device, evaluate, type Generator, init, SGD, type StateDict, Trainer } from "../src/index";
import { dawn } from "../src/node/index";
import { MIXTURES, mixed } from "./mixtures";
import { type Cases, demand, type Part, type Task } from "./part";
import { images, MARKED, stateOf } from "./tiny";

/** Pairs of runs, in turns and at the same time. */
const RUNS = { commit: 4, full: 60 };
const EPOCHS = 3;
const CONFIG = { ...MARKED, passports: { 2: true } } as const;

/** A run of a network from its first state on, on the device that the network was made on. */
function training(model: ConvNet, first: StateDict) {
  model.loadStateDict(first);
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 3 });
  return {
    epochs: trainer.fit(images(36, 1), { epochs: EPOCHS, test: images(15, 2) }),
    /** State, records without the clock's times, accuracies: equal texts are equal runs. */
    async result(): Promise<string> {
      const { steps, epochs } = trainer.history;
      const records = epochs.map(({ seconds: _, ...rest }) => rest);
      return JSON.stringify([await stateOf(model), steps, records, await evaluate(model, images(15, 2))]);
    },
    dispose: () => optimizer.dispose(),
  };
}

type Run = ReturnType<typeof training>;

async function finish({ epochs }: Run): Promise<void> {
  for await (const _ of epochs);
}

/** One run on each of two devices, by turns of an epoch in an order that the random numbers decide, or both at once. */
async function together(pair: readonly [Run, Run], random: Generator): Promise<string[]> {
  if (random.integer(2)) await Promise.all(pair.map(finish));
  else {
    for (let turn = 0; turn < 2 * EPOCHS; turn++) await pair[random.integer(2) as 0 | 1].epochs.next();
    for (const run of pair) await finish(run);
  }
  const results = [await pair[0].result(), await pair[1].result()];
  for (const run of pair) run.dispose();
  return results;
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
  const onA = new ConvNet(CONFIG, { seed: 1 });
  const first = await onA.stateDict();
  const alone = training(onA, first);
  await finish(alone);
  const expected = await alone.result();
  alone.dispose();
  // From here on the second device is the current one.
  const b = await init({ gpu });
  const onB = new ConvNet(CONFIG, { seed: 1 });
  let [equal, refused, runs] = [0, 0, 0];
  await cases.each(RUNS[task.size], async (random) => {
    const results = await together([training(onA, first), training(onB, first)], random);
    runs += 2;
    for (const [i, result] of results.entries()) {
      demand(result === expected, `the run on device ${i + 1} of 2 has other bits than a run on one alone`);
      equal++;
    }
  });
  const names = Object.keys(MIXTURES);
  for (const [i, name] of names.entries())
    await cases.one(RUNS[task.size] + i, async () => {
      for (const devices of [
        [a, b],
        [b, a],
      ] as const) {
        const fault = await mixed(name, devices);
        demand(fault === null, `${name} of tensors of two devices ${fault}`);
      }
      refused++;
    });
  await cases.one(RUNS[task.size] + names.length, () => shared(gpu, b));
  return {
    figure: `${equal} of ${runs} runs on two devices at once equal to a run alone, ${refused} of ${names.length} mixtures refused; ${cases.broken.length} broken promises`,
    facts: { runs, equal, refused, mixtures: names.length },
  };
}

export default {
  promise: "work on two devices at once has the bits of work on one, and mixing them is refused by name",
  patience: 180,
  run,
} satisfies Part;
