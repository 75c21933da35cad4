/**
 * Runs one task in its folder, once: what is done is left alone, what has begun goes on, and what
 * another process is at is left to it.
 */
import { mkdir, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { begin, type Ending, type Pace, runningAt } from "./attempt";
import { type Launch, launch } from "./child";
import { type Done, doneOf, missingOf } from "./done";
import { writeJson } from "./json-file";
import { PROGRAMS } from "./programs";
import { resultsOf } from "./results";
import { argumentsOf, commandOf, type Task } from "./tasks";

/** `interrupted`, `busy` and `waiting` are worth another try, `failed` is not without a change. */
export type Outcome = Ending | "done before" | "busy" | "waiting";

export interface RunOptions {
  /** Folder of the sweep. */
  out: string;
  launch?: Launch;
  pace?: Pace;
  /** Asks for an orderly end. */
  signal?: AbortSignal;
  say?: (line: string) => void;
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** @throws ArgumentError for a folder of another task; FormatError for files that are none. */
export async function runTask(task: Task, options: RunOptions): Promise<Outcome> {
  const { out, launch: start = launch, pace, signal, say = () => {} } = options;
  const folder = join(out, task.folder);
  if (await doneOf(task, out)) return "done before";
  if (signal?.aborted) return "interrupted";
  const missing = await missingOf(task, out);
  if (missing) {
    say(`task ${task.index} waits for task ${missing.index}, whose network it needs`);
    return "waiting";
  }
  await mkdir(folder, { recursive: true });
  const attempt = await begin(folder, pace);
  if (!attempt) {
    const other = await runningAt(folder, pace);
    say(`task ${task.index} is run by another process${other && other !== "unknown" ? ` on ${other.host}` : ""}`);
    return "busy";
  }
  let ending: Ending = "failed";
  try {
    // Whoever had the task until now may have finished it since it was looked at.
    if (await doneOf(task, out)) {
      ending = "done";
      return "done before";
    }
    await writeJson(join(folder, "task.json"), { digest: task.digest, command: commandOf(task) });
    const { trains } = PROGRAMS[task.program];
    const resumes = trains && (await isThere(join(folder, "last.checkpoint")));
    say(`task ${task.index}, attempt ${attempt.number}${resumes ? ", from its checkpoint" : ""}: ${commandOf(task)}`);
    const running = await start(task.program, [...argumentsOf(task, out), ...(resumes ? ["--resume"] : [])]);
    let isLost = false;
    void attempt.lost.then(() => {
      isLost = true;
      running.stop();
    });
    signal?.addEventListener("abort", running.stop);
    if (signal?.aborted) running.stop();
    // What could not be written now is written with the next sign of life.
    await attempt.watch(running.pid).catch(() => {});
    const { code, signal: killed } = await running.ended;
    signal?.removeEventListener("abort", running.stop);
    // 130 is an orderly end with a checkpoint. A program that had no ear yet, or none any more, is
    // ended by the signal itself, and goes on from its last checkpoint.
    if (isLost || (code !== 0 && (signal?.aborted || code === 130 || killed === "SIGTERM" || killed === "SIGINT"))) {
      ending = "interrupted";
      return ending;
    }
    if (code !== 0) {
      say(`task ${task.index} failed: ${killed ? `ended by ${killed}` : `exit code ${code}`}`);
      return ending;
    }
    const { adapter, results } = await resultsOf(task.program, folder);
    const done: Done = {
      digest: task.digest,
      command: commandOf(task),
      results,
      seconds: await attempt.seconds(),
      attempts: attempt.number,
      adapter,
      host: hostname(),
      finished: new Date().toISOString(),
    };
    await writeJson(join(folder, "done.json"), done);
    ending = "done";
    return ending;
  } finally {
    await attempt.end(ending);
  }
}
