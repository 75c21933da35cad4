/**
 * `races`: while a network trains, others evaluate it, read its state, verify claims and start a
 * second run, at moments that a seed decides. The training's bits are those of one that nobody
 * disturbed; what the others get is of one whole moment, or refused.
 */

import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { encodeSafetensors, type Generator, init, PanError, type SafetensorsFile } from "@pan/core";
import { dawn } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import { verify } from "@pan/core/ownership";
import { evaluate, Trainer } from "@pan/core/train";
import { buildNetwork } from "../src/models";
import { pick } from "./mutate";
import { type Cases, demand, type Part, refusable, type Task } from "./part";
import { digest, images, memoryStore, ONE_PASSPORT, stateOf } from "./tiny";

const CASES = { commit: 15, full: 500 };
const EPOCHS = 3;
/** Disturbances of a run at most. */
const MOST = 6;
const BATCH = 12;
/** Of an epoch. */
const STEPS = 3;
const [TRAIN, TEST] = [images(BATCH * STEPS, 1), images(30, 2)];

/** A network in training. `beforeStep` is called before each step, in its midst. */
function training(beforeStep: () => void = () => {}) {
  const model = buildNetwork(ONE_PASSPORT, { seed: 1 });
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const schedule = () => {
    beforeStep();
    return 1;
  };
  const options = { batchSize: BATCH, seed: 3, readEvery: 1, schedule, checkpoints: memoryStore() };
  const trainer = new Trainer(model, optimizer, options);
  return {
    model,
    optimizer,
    trainer,
    async finish() {
      for await (const _ of trainer.fit(TRAIN, { epochs: EPOCHS, test: TEST }));
    },
    /** Everything that a run leaves: equal texts are equal runs. */
    async result(): Promise<string> {
      const { steps, epochs } = trainer.history;
      const records = epochs.map(({ seconds: _, ...rest }) => rest);
      return JSON.stringify([await stateOf(model), await momenta(optimizer), steps, records, model.training]);
    },
    dispose() {
      optimizer.dispose();
      model.dispose();
    },
  };
}

type Run = ReturnType<typeof training>;

async function momenta(optimizer: SGD): Promise<string> {
  const state = Object.entries(await optimizer.stateDict());
  return digest(
    encodeSafetensors(
      new Map(
        state.map(([n, data]) => [n, { dtype: "F32" as const, shape: [data.length], data: Float32Array.from(data) }]),
      ),
    ),
  );
}

/**
 * What the others may find: the states between the steps of a run that nobody disturbs, and what
 * follows from them.
 */
interface Moments {
  states: Set<string>;
  momenta: Set<string>;
  verdict: string;
}

const judge = async (claim: [SafetensorsFile, SafetensorsFile]): Promise<string> =>
  JSON.stringify(await verify(...claim, { test: TEST }));

/** What disturbs a run: does its part, and says what was wrong with it; null for nothing. */
type Disturbance = (run: Run, moments: Moments, claim: [SafetensorsFile, SafetensorsFile]) => Promise<string | null>;

const among = (what: string, found: string, expected: Set<string>): string | null =>
  expected.has(found) ? null : `${what} of no moment between two steps: ${found}`;

const DISTURBANCES: Readonly<Record<string, Disturbance>> = {
  // Each batch sees the weights as they are then: an accuracy is of several moments, and still one.
  evaluate: async ({ model }) => {
    const found = Object.values(await evaluate(model, TEST, { batchSize: 10 }));
    return found.length && found.every((a) => a! >= 0 && a! <= 1) ? null : `accuracies ${found.join(", ")}`;
  },
  "state of the network": async ({ model }, { states }) => among("a state", await stateOf(model), states),
  "state of the optimiser": async ({ optimizer }, moments) =>
    among("momenta", await momenta(optimizer), moments.momenta),
  signs: async ({ model }) => ((await model.readSigns()).length === 1 ? null : "signs of another network"),
  deployed: async ({ model }) => ((await model.deployed()).tensors.size ? null : "an empty file"),
  verify: async (_, { verdict }, claim) => ((await judge(claim)) === verdict ? null : "another verdict than in peace"),
  "a second fit": async ({ trainer }) => secondFit(trainer),
  "a second trainer": async ({ model, optimizer }) => secondFit(new Trainer(model, optimizer, { batchSize: BATCH })),
};

/** Starts another run of the same network, which must be refused before it does anything. */
async function secondFit(trainer: Trainer): Promise<string | null> {
  let epochs = 0;
  try {
    for await (const _ of trainer.fit(TRAIN, { epochs: EPOCHS + 1 })) epochs++;
  } catch (error) {
    if (error instanceof PanError && epochs === 0) return null;
    throw error;
  }
  return `a second run of the same network was not refused, and trained ${epochs} epochs`;
}

/** Waits for a moment somewhere within a run. */
async function wait(random: Generator): Promise<void> {
  const way = random.integer(3);
  if (way === 0) for (let i = random.integer(20); i > 0; i--) await null;
  else if (way === 1) for (let i = random.integer(10); i > 0; i--) await turn();
  else await sleep(random.uniform(0, 30));
}

/** A run that is disturbed at moments which the random numbers decide. @returns what was wrong. */
async function disturbed(
  random: Generator,
  moments: Moments,
  claim: [SafetensorsFile, SafetensorsFile],
  expected: string,
) {
  const going: Promise<void>[] = [];
  const wrong: string[] = [];
  const tally = { done: 0, refused: 0 };
  const start = (run: Run) => {
    const name = pick(random, Object.keys(DISTURBANCES));
    const attempt = refusable(() => DISTURBANCES[name]!(run, moments, claim));
    going.push(
      attempt.then(
        (found) => {
          if ("refusal" in found) tally.refused++;
          else if (found.result === null) tally.done++;
          else wrong.push(`${name}: ${found.result}`);
        },
        (error: Error) => void wrong.push(`${name}: ${error.message}`),
      ),
    );
  };
  const inside = new Set(Array.from({ length: random.integer(3) }, () => random.integer(EPOCHS * STEPS)));
  let step = 0;
  const run: Run = training(() => {
    if (inside.has(step++)) start(run);
  });
  let over = false;
  const training_ = run.finish().finally(() => (over = true));
  for (let i = 1 + random.integer(MOST); i > 0 && !over; i--) {
    await wait(random);
    if (!over) start(run);
  }
  const ended = await refusable(() => training_).catch((error: Error) => ({ refusal: error }));
  for (let i = 0; i < going.length; i++) await going[i];
  if ("refusal" in ended) wrong.push(`the training itself ended: ${ended.refusal.message}`);
  else if ((await run.result()) !== expected) wrong.push("the training has other bits than one that nobody disturbed");
  run.dispose();
  return { wrong, tally };
}

/** The run that nobody disturbs. */
async function peace(claim: [SafetensorsFile, SafetensorsFile]): Promise<{ expected: string; moments: Moments }> {
  const undisturbed = training();
  await undisturbed.finish();
  const expected = await undisturbed.result();
  undisturbed.dispose();
  const moments: Moments = {
    states: new Set(),
    momenta: new Set(),
    verdict: await judge(claim),
  };
  // The same once more, stopped after each step to look.
  const watched = training();
  const { model, optimizer, trainer } = watched;
  const look = async () => {
    moments.states.add(await stateOf(model));
    moments.momenta.add(await momenta(optimizer));
  };
  await look();
  for (let step = 1; step <= EPOCHS * STEPS; step++) {
    const run = trainer.fit(TRAIN, { epochs: EPOCHS, test: TEST });
    const next = run.next();
    // The last step of an epoch ends with the epoch.
    if (step % STEPS) trainer.stop();
    await next;
    await run.return();
    await look();
  }
  demand(
    (await stateOf(model)) === JSON.parse(expected)[0],
    "a run stopped after each step has other bits than one that was not",
  );
  watched.dispose();
  return { expected, moments };
}

async function run(task: Task, cases: Cases) {
  await init({ gpu: await dawn() });
  const model = buildNetwork(ONE_PASSPORT, { seed: 7 });
  const claim: [SafetensorsFile, SafetensorsFile] = [await model.deployed(), await model.credential()];
  const { expected, moments } = await peace(claim);
  const total = { done: 0, refused: 0 };
  let equal = 0;
  await cases.each(CASES[task.size], async (random) => {
    const { wrong, tally } = await disturbed(random, moments, claim, expected);
    total.done += tally.done;
    total.refused += tally.refused;
    if (!wrong.some((w) => w.startsWith("the training"))) equal++;
    demand(wrong.length === 0, wrong.join("; "));
  });
  return {
    figure: `${cases.count} disturbed runs: ${equal} with the bits of an undisturbed one; of the disturbances ${total.done} got an answer of one moment, ${total.refused} were refused; ${cases.broken.length} broken promises`,
    facts: { ...total, equal, moments: moments.states.size },
  };
}

export default {
  promise:
    "whatever else is asked of a network in training, its bits stay, and the answers are of one moment or a refusal",
  patience: 120,
  run,
} satisfies Part;
