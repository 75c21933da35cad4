/**
 * Gathers what is done into one set of files. What was found (`results.*`) is kept apart from when
 * and where (`runs.*`): of the first, every byte follows from plan and results, in whatever order
 * and on whatever machines the tasks ran.
 */
import { join } from "node:path";
import { tablesCsv } from "../../report/src/index";
import { json, saveText } from "../files";
import { type Gathered, gather } from "./gather";
import { resultsPage, runsPage } from "./markdown";
import type { Finished, Group } from "./means";
import { commandOf, type Task } from "./tasks";

const said = ({ index, folder, program, chosen, follows }: Task) => ({
  index,
  folder,
  program,
  chosen,
  follows: follows?.index ?? null,
});

/** A row for each number of each task. */
function resultRows(finished: readonly Finished[]) {
  const names = [...new Set(finished.flatMap(({ task }) => Object.keys(task.chosen)))];
  return {
    columns: ["index", "folder", "program", ...names, "measure", "value"],
    rows: finished.flatMap(({ task, done }) =>
      Object.entries(done.results).map(([measure, value]) => [
        ...[task.index, task.folder, task.program],
        ...names.map((name) => (task.chosen[name] === undefined ? null : String(task.chosen[name]))),
        ...[measure, value],
      ]),
    ),
  };
}

/** A row for each number of each group. */
function meanRows(groups: readonly Group[]) {
  const names = [...new Set(groups.flatMap(({ chosen }) => Object.keys(chosen)))];
  return {
    columns: ["program", ...names, "measure", "count", "mean", "deviation"],
    rows: groups.flatMap(({ program, chosen, means }) =>
      Object.entries(means).map(([measure, { count, mean, deviation }]) => [
        program,
        ...names.map((name) => (chosen[name] === undefined ? null : String(chosen[name]))),
        ...[measure, count, mean, deviation],
      ]),
    ),
  };
}

const runRows = (finished: readonly Finished[]) => ({
  columns: ["index", "folder", "seconds", "attempts", "adapter", "kind", "host", "finished"],
  rows: finished.map(({ task, done: d }) => [
    ...[task.index, task.folder, d.seconds, d.attempts],
    ...[d.adapter.name, d.adapter.kind, d.host, d.finished],
  ]),
});

/** The files by name. */
export function filesOf({ finished, missing, groups }: Gathered): Record<string, string> {
  const results = {
    groups,
    tasks: finished.map(({ task, done }) => ({ ...said(task), command: commandOf(task), results: done.results })),
    missing: missing.map((task) => ({ ...said(task), command: commandOf(task) })),
  };
  const runs = finished.map(({ task, done: { results: _, command: __, ...run } }) => ({ ...said(task), ...run }));
  return {
    "results.json": `${json(results)}\n`,
    "results.csv": tablesCsv(resultRows(finished)),
    "means.csv": tablesCsv(meanRows(groups)),
    "results.md": resultsPage({ finished, missing, groups }),
    "runs.json": `${json(runs)}\n`,
    "runs.csv": tablesCsv(runRows(finished)),
    "runs.md": runsPage(finished),
  };
}

/** Writes the files into the sweep's folder; returns what they were made of. */
export async function merge(tasks: readonly Task[], out: string): Promise<Gathered> {
  const gathered = await gather(tasks, out);
  for (const [name, text] of Object.entries(filesOf(gathered))) await saveText(join(out, name), text);
  return gathered;
}
