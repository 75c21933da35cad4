import { parseArgs } from "node:util";
import { ArgumentError } from "../../src/index";
import { BUDGETS, type BudgetName } from "./budget";
import { ATTACKS, type AttackName } from "./list";

export interface Settings {
  /** Folders or checkpoints of trained networks. */
  checkpoints: readonly string[];
  attacks: readonly AttackName[];
  budget: BudgetName;
  data: string;
  /** A trained plain network to compare with. */
  plain: string | undefined;
  /** Folders of plain networks with one of the older watermarks. */
  watermarks: readonly string[];
  /** A folder of other people's networks, a folder each. */
  strangers: string | undefined;
  seed: number;
  /** Where the report goes. */
  report: string | undefined;
  again: boolean;
}

const names = Object.keys(ATTACKS) as AttackName[];
const width = Math.max(...names.map((n) => n.length));

export const HELP = `npm run attacks -- --checkpoint PATH [options]      attacks trained networks, and reports what is left of the claim

  --checkpoint LIST folders that npm run cifar10 left, or .checkpoint files in them, with commas between; one
                    report is made of all
  --attack LIST     all, or names with commas between (default all):
${names.map((n) => `                      ${n.padEnd(width)}  ${ATTACKS[n].about}`).join("\n")}
  --budget NAME     small | papers (default small: minutes without a GPU; papers: 100 epochs on all images)
  --plain FOLDER    a trained plain network to compare with (default: ARCH-plain beside the checkpoint's folder,
                    where there is one)
  --strangers DIR   a folder of other trained networks of the same sizes, for the null (default: strangers beside
                    the checkpoint's folder, where there is one)
  --watermarks LIST folders of plain networks that were trained with --feature-watermark or --triggers: both are read
                    and forged for the report, before and after fine-tuning
  --data DIR        CIFAR-10, binary version, and caltech-101-32 where there is one (default $PAN_DATA, or data)
  --seed N          (default 0)
  --report DIR      where report.html and its tables go (default: attacks in the checkpoint's folder; with several,
                    attacks beside the folders)
  --again           run attacks again whose results are there; else they are taken over, if they are of this network,
                    budget and seed`;

/** @throws ArgumentError for an option that is not there or a value out of range. */
export function readSettings(args: string[]): Settings | "help" {
  const options = {
    checkpoint: { type: "string" },
    attack: { type: "string", default: "all" },
    budget: { type: "string", default: "small" },
    data: { type: "string", default: process.env["PAN_DATA"] || "data" },
    plain: { type: "string" },
    watermarks: { type: "string", default: "" },
    strangers: { type: "string" },
    seed: { type: "string", default: "0" },
    report: { type: "string" },
    again: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  } as const;
  let v: ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];
  try {
    ({ values: v } = parseArgs({ args, options }));
  } catch (cause) {
    throw new ArgumentError(`${(cause as Error).message}\n\n${HELP}`, { cause });
  }
  if (v.help) return "help";
  const checkpoints = split(v.checkpoint ?? "");
  if (!checkpoints.length)
    throw new ArgumentError(`--checkpoint: the folder of a trained network expected, found none\n\n${HELP}`);
  const chosen = v.attack === "all" ? names : split(v.attack);
  const unknown = chosen.find((n) => !Object.hasOwn(ATTACKS, n));
  if (unknown !== undefined) throw new ArgumentError(`--attack: of ${names.join(", ")} expected, found "${unknown}"`);
  if (!Object.hasOwn(BUDGETS, v.budget))
    throw new ArgumentError(`--budget: small or papers expected, found "${v.budget}"`);
  const seed = Number(v.seed);
  if (!Number.isInteger(seed) || seed < 0)
    throw new ArgumentError(`--seed: a whole number from 0 expected, found "${v.seed}"`);
  return {
    checkpoints,
    attacks: chosen as AttackName[],
    budget: v.budget as BudgetName,
    data: v.data,
    plain: v.plain,
    watermarks: split(v.watermarks),
    strangers: v.strangers,
    seed,
    report: v.report,
    again: v.again,
  };
}

const split = (list: string): string[] =>
  list
    .split(",")
    .map((n) => n.trim())
    .filter(Boolean);
