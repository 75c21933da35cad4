/**
 * `kills`: a training run is killed over and over, at any moment and between any two file-system
 * calls of a save. What is on disk is whole, the run goes on to the same bits, and nobody else's
 * rubbish stays. A case is one run with some kills; which moment a kill falls on depends on the
 * machine too.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { encodeSafetensors, type Generator, init, type StateDict } from "@pan/core";
import { dawn, fileCheckpoints, loadSafetensors } from "@pan/core/node";
import { type Checkpoint, decodeCheckpoint } from "@pan/core/train";
import { CHECKPOINT, DEPLOYED, trainingRun } from "./kills-run";
import { type Cases, demand, type Part, type Task } from "./part";
import { digest, memoryStore } from "./tiny";

const RUNS = { commit: 4, full: 40 };
const KILLS = 5;
/** Milliseconds after the first saves within which a kill comes: some epochs. */
const WITHIN = 200;
/** File-system calls after the first saves before one of which a kill comes: two epochs' saves. */
const CALLS = 24;
/** Milliseconds after which a run is killed whose saves make no such call. */
const LATEST = 5000;

/** What the run that nobody kills has after each epoch. */
class Unbroken {
  readonly #store = memoryStore();
  readonly #epochs = trainingRun(this.#store, Number.MAX_SAFE_INTEGER);
  readonly #known: { state: string; deployed: string }[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  /** After epoch n, from 1. */
  async after(n: number): Promise<{ state: string; deployed: string }> {
    const more = this.#turn.then(async () => {
      while (this.#known.length < n) {
        const { value } = await this.#epochs.next();
        const deployed = await digest(encodeSafetensors(value!.deployed.tensors));
        this.#known.push({ state: await nameOf(await decodeCheckpoint(this.#store.bytes!)), deployed });
      }
    });
    this.#turn = more;
    await more;
    return this.#known[n - 1]!;
  }
}

/** A name of everything in a checkpoint but the clock's times. */
async function nameOf({ model, optimizer, history, epoch, batch }: Checkpoint): Promise<string> {
  const tensors: StateDict = new Map(model);
  for (const [name, data] of Object.entries(optimizer))
    tensors.set(`optimizer.${name}`, { dtype: "F32", shape: [data.length], data: Float32Array.from(data) });
  const epochs = history.epochs.map(({ seconds: _, ...rest }) => rest);
  return digest(encodeSafetensors(tensors, { rest: JSON.stringify([epoch, batch, history.steps, epochs]) }));
}

/**
 * When a run is to be killed: so long after its first saves, or before a file-system call (in the
 * middle, where it writes).
 */
type Moment = { ms: number } | { call: number };

interface Ended {
  /** Where the kill fell. */
  where: string;
  /** The last epoch that the run said was saved. */
  saved: number;
}

/** Runs the training in a process of its own until its moment; to `epochs` without one. */
async function runUntil(folder: string, moment: Moment | null, epochs: number): Promise<Ended> {
  const script = fileURLToPath(new URL("kills-child.ts", import.meta.url));
  const call = moment && "call" in moment ? moment.call : 0;
  const child: ChildProcess = spawn(
    process.execPath,
    ["--import", "tsx", script, folder, String(epochs), String(call)],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const ended: Ended = { where: "training", saved: 0 };
  let timer: NodeJS.Timeout | undefined;
  const lines = createInterface({ input: child.stdout! });
  lines.on("line", (line) => {
    const [word, ...rest] = line.split(" ");
    if (word === "saved") ended.saved = Number(rest[0]);
    if (word === "saving") ended.where = "saving";
    if (word === "trained") ended.where = "training";
    if (word === "killed") ended.where = rest.join(" ");
    if (word === "ready" && moment)
      timer ??= setTimeout(() => child.kill("SIGKILL"), "ms" in moment ? moment.ms : LATEST);
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.once("close", (...how) => resolve(how));
  });
  clearTimeout(timer);
  demand(moment ? signal === "SIGKILL" : code === 0, `the training ended with ${signal ?? code} by itself`);
  return ended;
}

/** Checks what a killed run left. @returns the checkpoint's epoch. */
async function inspect(folder: string, { saved }: Ended, unbroken: Unbroken): Promise<number> {
  const bytes = await fileCheckpoints(join(folder, CHECKPOINT)).load();
  demand(bytes !== null, "there is no checkpoint any more");
  const checkpoint = await decodeCheckpoint(bytes);
  const { epoch, batch } = checkpoint;
  demand(epoch >= saved && batch === 0, `the checkpoint is of epoch ${epoch}, and ${saved} had been saved`);
  const { state } = await unbroken.after(epoch);
  demand((await nameOf(checkpoint)) === state, `epoch ${epoch} has other bits than in the run that nobody killed`);
  const file = await loadSafetensors(join(folder, DEPLOYED));
  const of = Number(file.metadata["epoch"]);
  const { deployed } = await unbroken.after(of);
  demand(of >= saved, `the deployed file is of epoch ${of}, and ${saved} had been saved`);
  demand(
    (await digest(encodeSafetensors(file.tensors))) === deployed,
    `the deployed file of epoch ${of} has other bits`,
  );
  return epoch;
}

/** Files that are neither the checkpoint nor the deployed network. */
const rubbish = async (folder: string): Promise<number> =>
  (await readdir(folder)).filter((name) => name !== CHECKPOINT && name !== DEPLOYED).length;

const momentOf = (random: Generator): Moment =>
  random.integer(2) ? { ms: random.uniform(0, WITHIN) } : { call: 1 + random.integer(CALLS) };

async function run(task: Task, cases: Cases) {
  await init({ gpu: await dawn() });
  const unbroken = new Unbroken();
  const where: Record<string, number> = {};
  let [kills, left, equal] = [0, 0, 0];
  await cases.each(
    RUNS[task.size],
    async (random) => {
      const folder = await mkdtemp(join(tmpdir(), "pan-kills-"));
      try {
        let epoch = 0;
        for (let i = 0; i < KILLS; i++) {
          const ended = await runUntil(folder, momentOf(random), Number.MAX_SAFE_INTEGER);
          kills++;
          where[ended.where] = (where[ended.where] ?? 0) + 1;
          const before = epoch;
          epoch = await inspect(folder, ended, unbroken);
          demand(epoch > before, `the run did not go on from epoch ${before}`);
          // What the run before left was there for this one's saves to remove; its own is for the
          // next.
          left += Math.max(0, (await rubbish(folder)) - 1);
          if (i > 0) equal++;
        }
        const ended = await runUntil(folder, null, epoch + 2);
        demand((await inspect(folder, ended, unbroken)) === epoch + 2, "the last part of the run did not end");
        equal++;
        const last = await rubbish(folder);
        left += last;
        demand(last === 0, `${last} temporary files of killed runs were left after the next save`);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    { beside: 2 },
  );
  const torn = cases.count - cases.kept;
  return {
    figure: `${kills} kills in ${cases.count} runs: ${torn} runs with a broken promise, ${equal} of ${kills} resumed bit-equal, ${left} temporary files left`,
    facts: { kills, equal, left, where },
  };
}

export default {
  promise:
    "a run killed at any moment leaves whole files, goes on to the same bits, and leaves no rubbish behind the next save",
  patience: 120,
  run,
} satisfies Part;
