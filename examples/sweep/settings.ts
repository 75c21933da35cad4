import { basename, join } from "node:path";
import { ArgumentError } from "@pan/core";
import { numberIn, parseOptions } from "../options";

/** Tasks that run one after the other: all, or those of one stage. */
export const PARTS = ["all", "trainings", "attacks"] as const;
export type Part = (typeof PARTS)[number];

/** What a sweep is asked to do. */
export type Order = { do: "list"; json: boolean } | { do: "merge" } | { do: "task"; task: number | Part };

export interface Settings {
  plan: string;
  out: string;
  order: Order;
}

export const HELP = `npm run sweep -- PLAN.json --list | --task N | --merge      many runs, a task each, for one machine or a scheduler

  --list         the tasks of the plan: number, state, folder, command; --json as JSON
  --task N       runs one task, from 0, in its own folder: once, or from where it was stopped
                 auto: the number in SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX
                 all, trainings, attacks: these, one after the other
  --first N      is added to the number of auto, where a scheduler's begin with 0
  --merge        writes results.md, .csv, .json and means.csv of what is done, and runs.* with times and machines,
                 and says what is missing
  --out DIR      folder of the sweep, on a disk that all machines share (default out/sweep/PLAN)

Exit code of --task: 0 the task is done, 75 try again (it was interrupted, another process has it, or what it needs is
not done yet), anything else: it failed.

A plan is a program of ours, options that all runs have, and a grid of those that vary:
  { "program": "cifar10", "options": { "preset": "cpu", "passports": "random" },
    "grid": { "scheme": ["plain", "v2", "pan"], "seed": [1, 2, 3] },
    "exclude": [{ "scheme": "v2", "seed": 3 }],
    "attacks": { "grid": { "attack": ["prune", "fine-tune"] }, "exclude": [{ "on.scheme": "plain" }] } }
attacks, if there are some, are tried on each network; options of its own are called on.NAME there. An option may be
a file of another task, "source": { "of": { "scheme": "plain" }, "file": "deployed.safetensors" }: of the one that
differs in scheme alone, which runs before.`;

/** Of the scheduler that started the process. @throws ArgumentError where none has. */
function scheduled(env: NodeJS.ProcessEnv): number {
  for (const name of ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"]) {
    const text = env[name];
    if (text === undefined || text === "") continue;
    const number = Number(text);
    if (/^\d+$/.test(text)) return number;
    throw new ArgumentError(`${name}: the number of a task expected, found "${text}"`);
  }
  throw new ArgumentError(
    "--task auto: a scheduler's SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX expected, found neither: name the task",
  );
}

/** @throws ArgumentError for an option that is not there or a value out of range. */
export function readSettings(args: string[], env: NodeJS.ProcessEnv = process.env): Settings | "help" {
  const isPlan = args[0] !== undefined && !args[0].startsWith("-");
  const v = parseOptions(isPlan ? args.slice(1) : args, {
    texts: { task: "", first: "0", out: "" },
    switches: ["list", "merge", "json", "help"],
    help: HELP,
  });
  if (v.help) return "help";
  if (!isPlan) throw new ArgumentError(`the JSON file of a plan expected first, found none\n\n${HELP}`);
  const plan = args[0]!;
  const asked = [v.list && "--list", v.merge && "--merge", v.task && "--task"].filter(Boolean);
  if (asked.length !== 1)
    throw new ArgumentError(
      `one of --list, --task and --merge expected, found ${asked.join(" and ") || "none"}\n\n${HELP}`,
    );
  if (v.json && !v.list) throw new ArgumentError("--json: --list expected beside it; --merge writes JSON anyway");
  const out = v.out || join("out", "sweep", basename(plan, ".json"));
  if (out.includes(","))
    throw new ArgumentError(`--out: a folder without commas expected, which part lists of folders, found "${out}"`);
  return { plan, out, order: orderOf(v, env) };
}

function orderOf(
  v: { list: boolean; merge: boolean; json: boolean; task: string; first: string },
  env: NodeJS.ProcessEnv,
): Order {
  const first = numberIn("first", v.first, 0, 1_000_000);
  if (first > 0 && v.task !== "auto")
    throw new ArgumentError("--first: --task auto expected beside it; any other task is named by its own number");
  if (v.list) return { do: "list", json: v.json };
  if (v.merge) return { do: "merge" };
  const part = PARTS.find((p) => p === v.task);
  if (part) return { do: "task", task: part };
  return { do: "task", task: v.task === "auto" ? first + scheduled(env) : numberIn("task", v.task, 0, 1_000_000) };
}
