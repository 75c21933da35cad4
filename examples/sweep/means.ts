/** Means and standard deviations over the seeds of otherwise equal tasks. */
import type { Done } from "./done";
import type { Options } from "./plan";
import type { ProgramName } from "./programs";
import type { Task } from "./tasks";

/** A task that is done. */
export interface Finished {
  task: Task;
  done: Done;
}

export interface Mean {
  count: number;
  mean: number;
  /** Of a sample, by count − 1; null of one value. */
  deviation: number | null;
}

/** Tasks that differ in their seeds alone. */
export interface Group {
  program: ProgramName;
  /** What the grid chose, seeds left out. */
  chosen: Options;
  tasks: number[];
  means: Record<string, Mean>;
  /** Of texts, how often each came. */
  counts: Record<string, Record<string, number>>;
}

const isSeed = (name: string): boolean => /^(on\.)?seed$/.test(name);

/** In the order of the values, so that sums have the same bits wherever they are made. */
export function meanOf(values: readonly number[]): Mean {
  const count = values.length;
  const mean = values.reduce((sum, v) => sum + v, 0) / count;
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return { count, mean, deviation: count > 1 ? Math.sqrt(squares / (count - 1)) : null };
}

function countsOf(texts: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const text of [...texts].sort()) counts[text] = (counts[text] ?? 0) + 1;
  return counts;
}

/** @param finished in the plan's order */
export function groupsOf(finished: readonly Finished[]): Group[] {
  const groups = new Map<string, { chosen: Options; members: Finished[] }>();
  for (const one of finished) {
    const chosen = Object.fromEntries(Object.entries(one.task.chosen).filter(([name]) => !isSeed(name)));
    const key = JSON.stringify([one.task.program, chosen]);
    const group = groups.get(key) ?? { chosen, members: [] };
    group.members.push(one);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ chosen, members }) => {
    const means: Group["means"] = {};
    const counts: Group["counts"] = {};
    for (const name of new Set(members.flatMap(({ done }) => Object.keys(done.results)))) {
      const values = members.flatMap(({ done }) => done.results[name] ?? []);
      const numbers = values.filter((v) => typeof v === "number");
      const texts = values.filter((v) => typeof v === "string");
      if (numbers.length) means[name] = meanOf(numbers);
      if (texts.length) counts[name] = countsOf(texts);
    }
    return { program: members[0]!.task.program, chosen, tasks: members.map((m) => m.task.index), means, counts };
  });
}
