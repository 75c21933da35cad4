/**
 * Attempts at a task: its lock, and the record of who tried it and how that ended. Each attempt is
 * a file of a rising number, made exclusively and never removed: whoever makes the next number has
 * the task, and of two that want it one fails. So a stale lock is not taken away, which two
 * processes could do at once, but followed. Needs nothing of a file system but exclusive creation.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { json } from "../files";
import { readJson, writeJson } from "./json-file";
import { isGone, markOf, origin, type ProcessMark } from "./process";

/** How an attempt ended; null while it runs, and when its process died. */
export type Ending = "done" | "interrupted" | "failed";

/** One attempt, as its file says it. */
export interface AttemptRecord {
  host: string;
  /** Machine, boot and process namespace: see {@link origin}. */
  origin: string;
  /** Who writes into the task's folder: the sweep, and the program it runs. */
  processes: ProcessMark[];
  began: string;
  /** Up to the last sign of life. */
  seconds: number;
  ended: Ending | null;
}

/** Signs of life. */
export interface Pace {
  /** Milliseconds from one to the next. */
  beat: number;
  /** Without one for so long, a process of another machine counts as dead. */
  stale: number;
}
export const PACE: Pace = { beat: 20_000, stale: 180_000 };

const folderOf = (task: string): string => join(task, "attempts");
const fileOf = (task: string, number: number): string => join(folderOf(task), `${number}.json`);

/** Numbers of the attempts at a task, rising. */
async function numbersOf(task: string): Promise<number[]> {
  const names = await readdir(folderOf(task)).catch(() => []);
  return names
    .flatMap((name) => /^(\d+)\.json$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** All attempts, in order; one whose file is not written yet has begun and nothing more. */
export async function attemptsAt(task: string): Promise<(AttemptRecord | null)[]> {
  const numbers = await numbersOf(task);
  return Promise.all(numbers.map((n) => readJson<AttemptRecord>(fileOf(task, n)).catch(() => null)));
}

/**
 * What time it is by the clock that stamps the folder's files: a file server's own, which may be
 * minutes off from that of this machine.
 */
async function fileTime(folder: string): Promise<number> {
  const probe = join(folder, `.${randomUUID()}.clock`);
  try {
    await writeFile(probe, "");
    return (await stat(probe)).mtimeMs;
  } catch {
    return Date.now(); // A folder that may only be read, of somebody who asks for the list.
  } finally {
    await rm(probe, { force: true }).catch(() => {});
  }
}

/** Whether the last attempt at a task may still be running, and what its file says. */
export async function runningAt(task: string, { stale }: Pace = PACE): Promise<AttemptRecord | "unknown" | null> {
  const number = (await numbersOf(task)).at(-1);
  if (number === undefined) return null;
  const path = fileOf(task, number);
  const record = await readJson<AttemptRecord>(path).catch(() => null);
  if (record?.ended) return null;
  if (record?.origin === (await origin())) {
    const gone = await Promise.all(record.processes.map(isGone));
    return gone.every(Boolean) ? null : record;
  }
  const age = (await fileTime(folderOf(task))) - (await stat(path)).mtimeMs;
  return age > stale ? null : (record ?? "unknown");
}

/** A task that this process has to itself. */
export interface Attempt {
  /** From 1. */
  readonly number: number;
  /** Settles when another took the task over, since this one gave no sign of life for too long. */
  readonly lost: Promise<void>;
  /** Another process that works in the folder: the task is not free before it is gone too. */
  watch(pid: number): Promise<void>;
  /** Seconds of all attempts, this one included. */
  seconds(): Promise<number>;
  end(how: Ending): Promise<void>;
}

/** Takes a task; null when somebody else has it. */
export async function begin(task: string, pace: Pace = PACE): Promise<Attempt | null> {
  await mkdir(folderOf(task), { recursive: true });
  const number = ((await numbersOf(task)).at(-1) ?? 0) + 1;
  if (await runningAt(task, pace)) return null;
  const path = fileOf(task, number);
  const since = performance.now();
  const record: AttemptRecord = {
    host: hostname(),
    origin: await origin(),
    processes: [await markOf(process.pid)],
    began: new Date().toISOString(),
    seconds: 0,
    ended: null,
  };
  try {
    await writeFile(path, `${json(record)}\n`, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return null;
    throw error;
  }
  let lose = () => {};
  const lost = new Promise<void>((resolve) => (lose = resolve));
  // One write after the other: the last one says how it ended.
  let writing = Promise.resolve();
  const save = () => {
    record.seconds = Math.round((performance.now() - since) / 100) / 10;
    writing = writing.catch(() => {}).then(() => writeJson(path, record));
    return writing;
  };
  const timer = setInterval(async () => {
    // A sign of life that could not be written is made up for by the next.
    await save().catch(() => {});
    if (((await numbersOf(task)).at(-1) ?? number) > number) lose();
  }, pace.beat);
  return {
    number,
    lost,
    async watch(pid) {
      record.processes.push(await markOf(pid));
      await save();
    },
    async seconds() {
      const before = (await attemptsAt(task)).slice(0, -1);
      const own = (performance.now() - since) / 1000;
      return Math.round(10 * before.reduce((sum, a) => sum + (a?.seconds ?? 0), own)) / 10;
    },
    async end(how) {
      clearInterval(timer);
      record.ended = how;
      await save();
    },
  };
}
