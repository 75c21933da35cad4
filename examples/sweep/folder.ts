/** The folder of a sweep: it belongs to one plan, and says to which. */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { ArgumentError } from "@pan/core";
import { readJson, writeJson } from "./json-file";
import type { Task } from "./tasks";

interface Owner {
  /** Digests of the plan's tasks, in order. */
  tasks: string[];
}

const same = (a: readonly string[], b: readonly string[]) => a.length === b.length && a.every((d, i) => d === b[i]);

/**
 * Makes the folder, or finds it. A plan that has grown (all of the earlier tasks and more) is the
 * same plan: what is done stays done.
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
  if (owner && same(owner.tasks, digests)) return;
  // Files of writers that are at it begin with a dot.
  if (!owner && (await readdir(out).catch(() => [])).some((name) => !name.startsWith(".")) && !(await readJson(path)))
    refuse("other files and no sweep.json");
  if (!writes) return;
  await mkdir(out, { recursive: true });
  await writeJson(path, { tasks: digests } satisfies Owner);
  check(await readJson<Owner>(path));
}
