/** The tasks of a plan: one run each, in one order, with names that follow from what they are. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { ArgumentError, FormatError, LimitError } from "@pan/core";
import type { Options, Plan, Stage, Value } from "./plan";
import { PROGRAMS, type ProgramName } from "./programs";

/** One run. */
export interface Task {
  /** Its number for `--task`, from 0. */
  index: number;
  program: ProgramName;
  /** Everything it is run with but its folders. */
  options: Options;
  /** What the grid chose, that of the network it attacks as `on.NAME`. */
  chosen: Options;
  /** The task whose network it attacks. */
  follows: Task | null;
  /** Options whose values are files of other tasks. */
  files: Readonly<Record<string, { of: Task; file: string }>>;
  /** SHA-256 of program, options and what it follows, in whatever order the plan says them. */
  digest: string;
  /** Under the sweep's folder, with slashes; that of an earlier writing of the plan is kept. */
  folder: string;
}

/** Tasks of a plan, at most: more than any scheduler takes. */
const MOST = 100_000;

/**
 * Every combination; the last name varies fastest.
 * @throws LimitError for more than anybody runs.
 */
function combinations(grid: Stage["grid"], times: number): Options[] {
  const count = Object.values(grid).reduce((n, values) => n * values.length, times);
  if (count > MOST) throw new LimitError(`the plan: at most ${MOST} tasks expected, and its grid has ${count}`);
  return Object.entries(grid).reduce<Options[]>(
    (all, [name, values]) => all.flatMap((one) => values.map((value) => ({ ...one, [name]: value }))),
    [{}],
  );
}

const matches = (chosen: Options, entry: Options): boolean =>
  Object.entries(entry).every(([name, value]) => String(chosen[name]) === String(value));

const digestOf = (program: ProgramName, options: Options, files: Task["files"], follows: Task | null): string => {
  // 1 and "1" are the same on a command line; true is a switch, and "true" is not.
  const values = Object.entries(options).map(([name, v]) => [name, typeof v === "number" ? String(v) : v] as const);
  const others = Object.entries(files).map(([name, { of, file }]) => [name, { of: of.digest, file }] as const);
  const sorted = [...values, ...others].sort(([a], [b]) => (a < b ? -1 : 1));
  const whole = JSON.stringify([program, sorted, follows?.digest ?? null]);
  return createHash("sha256").update(whole).digest("hex");
};

/** Digits of a digest that end a folder's name. */
export const DIGITS = 8;

/**
 * A folder that can be read and typed: no commas, since lists of folders have those between, and
 * the digest's first letters, since two values may look the same when they are cut.
 */
function folderOf(program: ProgramName, chosen: Options, digest: string): string {
  const part = ([name, value]: [string, Value]) => `${name}=${String(value)}`.replace(/[^\w.=-]+/g, "-").slice(0, 32);
  const label = Object.entries(chosen).map(part).join("_").slice(0, 120);
  return `${program}/${label ? `${label}_` : ""}${digest.slice(0, DIGITS)}`;
}

const spelt = (chosen: Options): string =>
  Object.entries(chosen)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(" ");

function stageTasks(stage: Stage, after: readonly Task[] | null, from: number): Task[] {
  const { program, options: fixed, grid, exclude } = stage;
  const plans: { own: Options; chosen: Options; follows: Task | null }[] = [];
  const each = combinations(grid, after?.length ?? 1);
  for (const follows of after ?? [null]) {
    const on = Object.entries(follows?.chosen ?? {}).map(([name, value]) => [`on.${name}`, value] as const);
    for (const own of each) {
      const chosen = { ...Object.fromEntries(on), ...own };
      if (!exclude.some((entry) => matches(chosen, entry))) plans.push({ own, chosen, follows });
    }
  }
  const made: Task[] = [];
  const underway = new Set<number>();

  function make(i: number): Task {
    if (made[i]) return made[i];
    const { own, chosen, follows } = plans[i]!;
    if (underway.has(i))
      throw new FormatError(`options: files of tasks that come before expected, and ${spelt(chosen)} needs its own`);
    underway.add(i);
    const files: Record<string, { of: Task; file: string }> = {};
    for (const [name, { of, file }] of Object.entries(stage.files)) {
      // Files are those of trainings: of others in the stage, or of those that the attacks follow.
      const wanted = { ...(follows?.chosen ?? chosen), ...of };
      const among = after ?? plans;
      const other = among.findIndex((p) => matches(p.chosen, wanted));
      if (other < 0)
        throw new FormatError(`options.${name}: a task ${spelt(wanted)} expected in the plan, and there is none`);
      // The training that makes the file does without it.
      if (after) files[name] = { of: after[other]!, file };
      else if (other !== i) files[name] = { of: make(other), file };
    }
    const options = { ...fixed, ...own };
    const digest = digestOf(program, options, files, follows);
    const folder = folderOf(program, chosen, digest);
    made[i] = { index: from + i, program, options, files, chosen, follows, digest, folder };
    return made[i];
  }

  return plans.map((_, i) => make(i));
}

/**
 * All tasks: those of the first stage, then those that follow them.
 * @throws FormatError when nothing is left.
 */
export function tasksOf(plan: Plan): Task[] {
  const first = stageTasks(plan, null, 0);
  if (first.length === 0) throw new FormatError("the plan: at least one task expected, and `exclude` leaves none");
  if (!plan.attacks) return first;
  const attacks = stageTasks(plan.attacks, first, first.length);
  if (attacks.length === 0) throw new FormatError("attacks: at least one task expected, and `exclude` leaves none");
  return [...first, ...attacks];
}

/** Options as a command line has them. */
const flags = (options: Options): string[] =>
  Object.entries(options).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : value === false ? [] : [`--${name}=${value}`],
  );

/** The tasks that have to be done before it, since it reads what they leave. */
export const needsOf = ({ follows, files }: Task): Task[] => [
  ...(follows ? [follows] : []),
  ...Object.values(files).map(({ of }) => of),
];

/** Arguments of the program, with the sweep's folder at `out`. */
export const argumentsOf = ({ options, files, follows, folder }: Task, out: string): string[] => [
  ...flags(options),
  ...Object.entries(files).map(([name, { of, file }]) => `--${name}=${join(out, of.folder, file)}`),
  ...(follows ? [`--checkpoint=${join(out, follows.folder)}`] : []),
  `--out=${join(out, folder)}`,
];

/**
 * The command that a task runs; folders are named from the sweep's, so that it is the same
 * anywhere.
 */
export const commandOf = (task: Task): string =>
  [
    `npm run ${task.program} --`,
    ...argumentsOf(task, "").map((a) => (/^[\w./=,-]+$/.test(a) ? a : JSON.stringify(a))),
  ].join(" ");

/**
 * Lets every program read its options.
 * @throws ArgumentError with the first that one refuses.
 */
export async function checkTasks(tasks: readonly Task[]): Promise<void> {
  for (const task of tasks) {
    const { readSettings } = await PROGRAMS[task.program].reader();
    try {
      readSettings(argumentsOf(task, "out"));
    } catch (cause) {
      if (!(cause instanceof ArgumentError)) throw cause;
      // The program's help, which follows, is not what is wrong here.
      const [reason] = cause.message.split("\n\n");
      throw new ArgumentError(`task ${task.index}, ${commandOf(task)}: ${reason}`, { cause });
    }
  }
}
