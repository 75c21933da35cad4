/**
 * `history`: the checkpoint of a run with a million records of losses is saved and resumed in
 * seconds, in few bytes per record, and holds the same records.
 */

import { Generator, init } from "@pan/core";
import { dawn } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  type History,
  type StepRecord,
  Trainer,
} from "@pan/core/train";
import { buildNetwork } from "../src/models";
import { type Cases, demand, type Part, type Task } from "./part";
import { images, memoryStore, SMALLEST } from "./tiny";

const RECORDS = 1_000_000;
/** One record per step, and so many steps per epoch. */
const STEPS = 100;
const EPOCHS = RECORDS / STEPS;
/** Seconds for a save and for a resume, and bytes per record. */
const SECONDS = 2;
const BYTES = 50;

/** Losses as the trainer logs them: doubles, and their sum. */
function longHistory(records: number, regularized: boolean): History {
  const random = new Generator(1);
  const steps = Array.from({ length: records }, (_, i): StepRecord => {
    const parts = {
      publicLoss: random.uniform() / 3,
      privateLoss: random.uniform() / 7,
      passportLoss: 0,
      signLoss: random.uniform() * 1e-9,
    };
    const regularizerLoss = random.uniform() / 11;
    const loss = Object.values(parts).reduce((sum, part) => sum + part) + (regularized ? regularizerLoss : 0);
    return { step: i + 1, loss, ...parts, ...(regularized && { regularizerLoss }) };
  });
  const epochs = Array.from({ length: records / STEPS }, (_, i) => ({
    epoch: i + 1,
    loss: random.uniform() / 3,
    public: random.uniform(),
    bitsMatched: i % 9,
    bits: 8,
    seconds: random.uniform(0, 100),
  }));
  return { steps, epochs };
}

/** The first difference of two lists of flat records; null without one. */
function difference(name: string, found: readonly object[], expected: readonly object[]): string | null {
  if (found.length !== expected.length) return `${found.length} ${name} came back of ${expected.length}`;
  for (const [i, record] of expected.entries()) {
    const keys = Object.keys(record) as never[];
    const other = found[i]!;
    if (Object.keys(other).length !== keys.length || keys.some((k) => !Object.is(record[k], other[k])))
      return `record ${i} of the ${name} is ${JSON.stringify(other)}, it was ${JSON.stringify(record)}`;
  }
  return null;
}

const differs = (found: History, expected: History): string | null =>
  difference("steps", found.steps, expected.steps) ?? difference("epochs", found.epochs, expected.epochs);

/** Seconds of the processor, or of the clock where they are fewer. */
async function timed<T>(body: () => T | Promise<T>): Promise<[seconds: number, result: T]> {
  const [cpu, clock] = [process.cpuUsage(), performance.now()];
  const result = await body();
  const { user, system } = process.cpuUsage(cpu);
  return [Math.min((user + system) / 1e6, (performance.now() - clock) / 1000), result];
}

async function run(_task: Task, cases: Cases) {
  await init({ gpu: await dawn() });
  const model = buildNetwork(SMALLEST, { seed: 1 });
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const set = images(STEPS, 1);
  const fresh = memoryStore();
  const trainer = (store: ReturnType<typeof memoryStore>) =>
    new Trainer(model, optimizer, { batchSize: 1, seed: 1, readEvery: 1, checkpoints: store });
  const beginning = trainer(fresh);
  for await (const _ of beginning.fit(set, { epochs: 1 }));
  const short = await decodeCheckpoint(fresh.bytes!);
  const empty = (await encodeCheckpoint({ ...short, history: { steps: [], epochs: [] } })).length;
  const times = { save: Number.NaN, load: Number.NaN, resume: Number.NaN, again: Number.NaN };
  let bytesPerRecord = Number.NaN;
  const long: Checkpoint = { ...short, epoch: EPOCHS, batch: 0, history: longHistory(RECORDS, false) };
  let saved: Uint8Array = new Uint8Array();

  await cases.one(0, async () => {
    [times.save, saved] = await timed(() => encodeCheckpoint(long));
    bytesPerRecord = (saved.length - empty) / RECORDS;
    demand(times.save <= SECONDS, `a save takes ${times.save.toFixed(1)} s`);
    demand(bytesPerRecord <= BYTES, `a record takes ${bytesPerRecord.toFixed(0)} bytes`);
  });
  await cases.one(1, async () => {
    const [seconds, back] = await timed(() => decodeCheckpoint(saved));
    times.load = seconds;
    const wrong = differs(back.history, long.history);
    demand(wrong === null, wrong ?? "");
    demand(times.load <= SECONDS, `a load takes ${times.load.toFixed(1)} s`);
  });
  await cases.one(2, async () => {
    const store = memoryStore(saved);
    const resumed = trainer(store);
    const go = async (epochs: number) => {
      for await (const _ of resumed.fit(set, { epochs, resume: true }));
    };
    // Everything is done already: what takes time is the checkpoint.
    [times.resume] = await timed(() => go(EPOCHS));
    const wrong = differs(resumed.history, long.history);
    demand(wrong === null, `resumed: ${wrong}`);
    demand(times.resume <= SECONDS, `a resume takes ${times.resume.toFixed(1)} s`);
    [times.again] = await timed(() => go(EPOCHS + 1));
    const { history } = await decodeCheckpoint(store.bytes!);
    const more = difference("steps", history.steps.slice(0, RECORDS), long.history.steps);
    demand(
      more === null && history.steps.length > RECORDS,
      `after one more epoch: ${more ?? "its records are missing"}`,
    );
  });
  await cases.one(3, async () => {
    const history = longHistory(RECORDS / 10, true);
    const back = await decodeCheckpoint(await encodeCheckpoint({ ...long, epoch: history.epochs.length, history }));
    const wrong = differs(back.history, history);
    demand(wrong === null, `with a regularizer's losses: ${wrong}`);
  });
  const shown = (seconds: number) => (Number.isNaN(seconds) ? "not done" : `${seconds.toFixed(2)} s`);
  return {
    figure: `${RECORDS.toLocaleString("en")} records: saved ${shown(times.save)}, loaded ${shown(times.load)}, resumed ${shown(times.resume)}, ${Number.isNaN(bytesPerRecord) ? "?" : bytesPerRecord.toFixed(1)} bytes a record; ${cases.kept} of ${cases.count} checks kept`,
    facts: { records: RECORDS, ...times, bytesPerRecord },
  };
}

export default {
  promise: `a checkpoint with ${RECORDS.toLocaleString("en")} records saves and resumes within ${SECONDS} s each, at most ${BYTES} bytes a record, to equal records`,
  patience: 120,
  run,
} satisfies Part;
