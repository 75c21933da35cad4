/** What the tasks of a plan have left, and what is missing. */
import { doneOf } from "./done";
import { type Finished, type Group, groupsOf } from "./means";
import type { Task } from "./tasks";

/** Everything that is known of a plan's tasks. */
export interface Gathered {
  finished: Finished[];
  missing: Task[];
  groups: Group[];
}

export async function gather(tasks: readonly Task[], out: string): Promise<Gathered> {
  const finished: Finished[] = [];
  const missing: Task[] = [];
  for (const task of tasks) {
    const done = await doneOf(task, out);
    if (done) finished.push({ task, done });
    else missing.push(task);
  }
  return { finished, missing, groups: groupsOf(finished) };
}
