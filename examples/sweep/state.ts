/** Where the tasks of a plan stand. */
import { join } from "node:path";
import { attemptsAt, runningAt } from "./attempt";
import { doneOf, missingOf } from "./done";
import type { Task } from "./tasks";

/** Where a task stands. */
export interface State {
  state: "done" | "begun" | "not begun";
  /** What there is to know beside: who runs it, how the last attempt ended, what it waits for. */
  note: string;
}

export async function stateOf(task: Task, out: string): Promise<State> {
  const done = await doneOf(task, out);
  if (done) return { state: "done", note: `${done.seconds} s, attempt ${done.attempts}` };
  const folder = join(out, task.folder);
  const attempts = await attemptsAt(folder);
  if (attempts.length === 0) {
    const missing = await missingOf(task, out);
    return { state: "not begun", note: missing ? `waits for ${missing.index}` : "" };
  }
  const running = await runningAt(folder);
  if (running) return { state: "begun", note: `running${running === "unknown" ? "" : ` on ${running.host}`}` };
  return { state: "begun", note: `attempt ${attempts.length} ${attempts.at(-1)?.ended ?? "died"}` };
}
