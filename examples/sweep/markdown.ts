/** The pages of a merged sweep, for people. */

import type { Gathered } from "./gather";
import type { Finished, Group, Mean } from "./means";
import { commandOf, type Task } from "./tasks";

/** More measures than these are rows of a table, and not columns. */
const WIDE = 14;

const number = (value: number): string => String(Number(value.toPrecision(4)));
const shown = ({ mean, deviation }: Mean): string =>
  deviation === null ? number(mean) : `${number(mean)} ± ${number(Number(deviation.toPrecision(2)))}`;

/** Values come out of a plan, where a bar would end a cell. */
const cell = (text: string): string => text.replace(/\|/g, "\\|").replace(/\s+/g, " ");
const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [line(head), `|${head.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");

const union = (lists: readonly (readonly string[])[]): string[] => [...new Set(lists.flat())];
const countsText = (counts: Readonly<Record<string, number>> | undefined): string =>
  Object.entries(counts ?? {})
    .map(([text, count]) => `${text} × ${count}`)
    .join(", ");

function groupsTable(groups: readonly Group[]): string {
  const names = union(groups.map((g) => Object.keys(g.chosen)));
  const measures = union(groups.map((g) => [...Object.keys(g.means), ...Object.keys(g.counts)]));
  const chosen = (g: Group) => names.map((name) => String(g.chosen[name] ?? ""));
  const value = (g: Group, m: string) => (g.means[m] ? shown(g.means[m]) : countsText(g.counts[m]));
  const runs = (g: Group, m: string) =>
    g.means[m]?.count ?? Object.values(g.counts[m] ?? {}).reduce((sum, count) => sum + count, 0);
  const inColumn = (g: Group, m: string) =>
    runs(g, m) > 0 && runs(g, m) < g.tasks.length ? `${value(g, m)} (of ${runs(g, m)})` : value(g, m);
  if (measures.length <= WIDE)
    return table(
      [...names, "runs", ...measures],
      groups.map((g) => [...chosen(g), String(g.tasks.length), ...measures.map((m) => inColumn(g, m))]),
    );
  return table(
    [...names, "measure", "runs", "mean"],
    groups.flatMap((g) =>
      measures.filter((m) => value(g, m)).map((m) => [...chosen(g), m, String(runs(g, m)), value(g, m)]),
    ),
  );
}

const commands = (tasks: readonly Task[]): string =>
  ["```", ...tasks.map((task) => `${String(task.index).padStart(4)}  ${commandOf(task)}`), "```"].join("\n");

export function resultsPage({ finished, missing, groups }: Gathered): string {
  const programs = union(groups.map((g) => [g.program]));
  const parts = [
    "# Results",
    `${finished.length} of ${finished.length + missing.length} tasks are done. Means over seeds ± the standard deviation of a sample; of one run its value. Folders in commands are those under the sweep's own.`,
    ...programs.flatMap((p) => [`## ${p}`, groupsTable(groups.filter((g) => g.program === p))]),
    ...(missing.length ? ["## Missing", commands(missing)] : []),
    ...(finished.length ? ["## Commands", commands(finished.map((f) => f.task))] : []),
  ];
  return `${parts.join("\n\n")}\n`;
}

export function runsPage(finished: readonly Finished[]): string {
  const hours = finished.reduce((sum, { done }) => sum + done.seconds, 0) / 3600;
  const rows = finished.map(({ task, done: d }) => [
    ...[String(task.index), task.folder, String(d.seconds), String(d.attempts)],
    ...[`${d.adapter.name} (${d.adapter.kind})`, d.host, d.finished],
  ]);
  const head = ["task", "folder", "seconds", "attempts", "adapter", "host", "finished"];
  return `# Runs\n\n${number(hours)} hours in ${finished.length} tasks, all attempts counted.\n\n${table(head, rows)}\n`;
}
