/** The folder of a sweep: it belongs to one plan, and says to which. */
import { existsSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { ArgumentError } from "@pan/core";
import { readJson, writeJson } from "./json-file";
import { DIGITS, type Task } from "./tasks";

interface Owner {
  /** Digests of the plan's tasks, in order. */
  tasks: string[];
}

const same = (a: readonly string[], b: readonly string[]) => a.length === b.length && a.every((d, i) => d === b[i]);

/** What of a folder's name stays whatever the plan calls the task. */
const keyOf = (program: string, folder: string): string => `${program} ${folder.slice(-DIGITS)}`;

/**
 * Tasks go on in the folders that they have: a plan that was written otherwise, or has grown, may
 * call them by other labels, and what a task is stands in its digest alone.
 */
async function findFolders(out: string, tasks: readonly Task[]): Promise<void> {
  const found = new Map<string, string>();
  for (const program of new Set(tasks.map((t) => t.program)))
    for (const name of await readdir(join(out, program)).catch(() => []))
      if (!found.has(keyOf(program, name)) || existsSync(join(out, program, name, "done.json")))
        found.set(keyOf(program, name), `${program}/${name}`);
  for (const task of tasks) task.folder = found.get(keyOf(task.program, task.folder)) ?? task.folder;
}

/**
 * Makes the folder, or finds it, and the tasks' own in it. A plan that has grown (all of the
 * earlier tasks and more) is the same plan: what is done stays done.
 * @throws ArgumentError for a folder of another plan, or of something else.
 */
export async function claimFolder(out: string, tasks: readonly Task[], { writes }: { writes: boolean }): Promise<void> {
  const path = join(out, "sweep.json");
  const digests = tasks.map((t) => t.digest);
  const refuse = (found: string): never => {
    throw new ArgumentError(`--out ${out}: a folder of this plan or a new one expected, found ${found}: name another`);
  };
  const check = (owner: Owner | null) => {
    const missing = owner?.tasks?.filter((d) => !digests.includes(d)).length ?? 0;
    if (missing > 0) refuse(`one of another plan, with ${missing} tasks that this one has not`);
  };
  const owner = await readJson<Owner>(path);
  check(owner);
  await findFolders(out, tasks);
  if (owner && same(owner.tasks, digests)) return;
  // Files of writers that are at it begin with a dot.
  if (!owner && (await readdir(out).catch(() => [])).some((name) => !name.startsWith(".")) && !(await readJson(path)))
    refuse("other files and no sweep.json");
  if (!writes) return;
  await mkdir(out, { recursive: true });
  await writeJson(path, { tasks: digests } satisfies Owner);
  check(await readJson<Owner>(path));
}
