/** What a task that is done leaves: one file, written at the very end. */
import { join } from "node:path";
import { ArgumentError } from "@pan/core";
import { readJson } from "./json-file";
import type { Results } from "./results";
import { commandOf, needsOf, type Task } from "./tasks";

/** What `done.json` says, written at the very end: a folder that has it is finished. */
export interface Done {
  digest: string;
  command: string;
  results: Results;
  /** Of all attempts. */
  seconds: number;
  attempts: number;
  adapter: { kind: string; name: string };
  host: string;
  finished: string;
}

/**
 * What a task left; null where it is not done.
 * @throws ArgumentError for a folder that is another task's.
 */
export async function doneOf(task: Task, out: string): Promise<Done | null> {
  const folder = join(out, task.folder);
  for (const name of ["task.json", "done.json"]) {
    const found = await readJson<Partial<Done>>(join(folder, name));
    if (found === null || found.digest === task.digest) continue;
    throw new ArgumentError(
      `${join(folder, name)}: the folder of task ${task.index} (${commandOf(task)}) expected, found that of another: ${found.command}. Give each plan an --out of its own, or move the folder away`,
    );
  }
  return readJson<Done>(join(folder, "done.json"));
}

/** The first task that one waits for; null where all that it needs is there. */
export async function missingOf(task: Task, out: string): Promise<Task | null> {
  for (const needed of needsOf(task)) if (!(await doneOf(needed, out))) return needed;
  return null;
}
