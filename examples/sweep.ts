/**
 * Many runs of the other examples (schemes, seeds, layers, attacks), each a task of its own, on one
 * machine or on a scheduler's many; docs/scale.md has the job files.
 *
 *     npm run sweep -- plan.json --list                                  (--help says what a plan is)
 *     npm run sweep -- plan.json --task 3
 *     npm run sweep -- plan.json --merge
 */
import { ArgumentError } from "@pan/core";
import { runTask as runExample } from "./options";
import { claimFolder } from "./sweep/folder";
import { merge } from "./sweep/merge";
import { readPlan } from "./sweep/plan";
import { type Outcome, runTask } from "./sweep/run-task";
import { HELP, type Part, readSettings, type Settings } from "./sweep/settings";
import { stateOf } from "./sweep/state";
import { checkTasks, commandOf, needsOf, type Task, tasksOf } from "./sweep/tasks";

/** "Try again later", as sysexits.h has it: what a scheduler shall requeue. */
const TRY_AGAIN = 75;
const codeOf = (outcomes: readonly Outcome[]): number =>
  outcomes.includes("failed") ? 1 : outcomes.every((o) => o === "done" || o === "done before") ? 0 : TRY_AGAIN;

const say = (line: string) => console.log(line);

async function list(tasks: readonly Task[], out: string, asJson: boolean): Promise<void> {
  const rows = await Promise.all(tasks.map(async (task) => ({ task, ...(await stateOf(task, out)) })));
  if (asJson) {
    const said = rows.map(({ task, state, note }) => {
      const { index, program, folder, chosen, follows } = task;
      return { index, state, note, program, folder, follows: follows?.index ?? null, chosen, command: commandOf(task) };
    });
    say(JSON.stringify(said, null, 1));
    return;
  }
  for (const { task, state, note } of rows)
    say(`${String(task.index).padStart(4)}  ${(note ? `${state} (${note})` : state).padEnd(28)}  ${commandOf(task)}`);
  const count = (state: string) => rows.filter((r) => r.state === state).length;
  say(`${count("done")} done, ${count("begun")} begun, ${count("not begun")} not begun; folders are under ${out}`);
  const following = tasks.find((t) => t.follows);
  if (following) say(`tasks 0-${following.index - 1} are first, ${following.index}-${tasks.length - 1} follow on them`);
}

/** Runs tasks in turn, to the end or to an interruption. */
async function run(chosen: readonly Task[], out: string, signal: AbortSignal): Promise<void> {
  const outcomes: Outcome[] = [];
  for (const task of chosen) {
    const outcome = await runTask(task, { out, signal, say });
    outcomes.push(outcome);
    say(`task ${task.index}: ${outcome}${outcome === "interrupted" ? "; the same command goes on from there" : ""}`);
    if (outcome === "interrupted") break;
  }
  process.exitCode = codeOf(outcomes);
}

/** Those first that others need. */
function inOrder(tasks: readonly Task[]): Task[] {
  const depth = (task: Task): number => 1 + Math.max(0, ...needsOf(task).map(depth));
  return [...tasks].sort((a, b) => depth(a) - depth(b));
}

function isAsked(task: Task, asked: number | Part): boolean {
  if (asked === "trainings") return !task.follows;
  if (asked === "attacks") return task.follows !== null;
  return asked === "all" || task.index === asked;
}

async function main({ plan, out, order }: Settings): Promise<void> {
  const tasks = tasksOf(await readPlan(plan));
  // A plan that a program refuses claims no folder.
  await checkTasks(tasks);
  await claimFolder(out, tasks, { writes: order.do !== "list" });
  if (order.do === "list") return list(tasks, out, order.json);
  if (order.do === "merge") {
    const { finished, missing } = await merge(tasks, out);
    say(`${finished.length} of ${tasks.length} tasks are done; results.* and runs.* are in ${out}`);
    if (missing.length) say(`missing: ${missing.map((t) => t.index).join(", ")}`);
    return;
  }
  const stop = new AbortController();
  // The program, a child, gets Ctrl-C from the terminal as well, and a second SIGTERM is the first
  // once more.
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => stop.abort());
  const chosen = inOrder(tasks.filter((t) => isAsked(t, order.task)));
  if (chosen.length === 0)
    throw new ArgumentError(
      order.task === "attacks"
        ? "--task attacks: a plan with attacks expected, and this one has none"
        : `--task: a number from 0 to ${tasks.length - 1} expected, found ${String(order.task)}`,
    );
  await run(chosen, out, stop.signal);
}

await runExample("sweep", { help: HELP, read: (args: string[]) => readSettings(args) }, main);
