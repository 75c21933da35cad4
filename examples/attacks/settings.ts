import { ArgumentError } from "@pan/core";
import { listOf, numberIn, oneOf, parseOptions } from "../options";
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
  /** Where results of a single network go; undefined for a folder beside its files. */
  out: string | undefined;
  /** Where the report goes. */
  report: string | undefined;
  again: boolean;
}

const names = Object.keys(ATTACKS) as AttackName[];
const width = Math.max(...names.map((n) => n.length));

export const HELP = `npm run attacks -- --checkpoint PATH [options]      attacks trained networks, and reports what is left of the claim

  --checkpoint LIST folders that npm run cifar10 left, or .checkpoint files in them, with commas between; one
                    report is made of all. Some lie in examples/pretrained: their results go to out/attacks/NAME
  --attack LIST     all, or names with commas between (default all):
${names.map((n) => `                      ${n.padEnd(width)}  ${ATTACKS[n].about}`).join("\n")}
  --budget NAME     small | medium | papers (default small: 2 epochs on 1000 images, minutes without a GPU; medium:
                    10 epochs on 5000, hours there; papers: 100 epochs on all images)
  --plain FOLDER    a trained plain network to compare with (default: ARCH-plain beside the checkpoint's folder,
                    where there is one)
  --strangers DIR   a folder of other trained networks of the same sizes, for the null (default: strangers beside
                    the checkpoint's folder, where there is one)
  --watermarks LIST folders of plain networks that were trained with --feature-watermark or --triggers: both are read
                    and forged for the report, before and after fine-tuning
  --data DIR        CIFAR-10, binary version, and for fine-tuning CIFAR-100 (cifar-100-binary, or cifar100 with a folder
                    of pictures a class in train and test) and Caltech-101 (caltech-101-32, records like CIFAR's, or
                    caltech101 with such folders) where they are (default $PAN_DATA, or data)
  --seed N          (default 0)
  --out DIR         where results of one network go, report and tables too (default: attacks in the checkpoint's folder)
  --report DIR      where report.html and its tables go (default: attacks in the checkpoint's folder; with several,
                    attacks beside the folders)
  --again           run attacks again whose results are there; else they are taken over, if they are of this network,
                    credential, budget and seed, and of the same strangers and other tasks where they need some`;

const OPTIONS = {
  checkpoint: "",
  attack: "all",
  budget: "small",
  data: "",
  plain: "",
  watermarks: "",
  strangers: "",
  seed: "0",
  out: "",
  report: "",
} as const;

/** @throws ArgumentError for an option that is not there or a value out of range. */
export function readSettings(args: string[]): Settings | "help" {
  const v = parseOptions(args, { texts: OPTIONS, switches: ["again", "help"], help: HELP });
  if (v.help) return "help";
  const checkpoints = listOf(v.checkpoint);
  if (!checkpoints.length)
    throw new ArgumentError(`--checkpoint: the folder of a trained network expected, found none\n\n${HELP}`);
  if (v.out && checkpoints.length > 1)
    throw new ArgumentError(`--out: one --checkpoint expected beside it, found ${checkpoints.length}; say --report`);
  const chosen = v.attack === "all" ? names : listOf(v.attack);
  const unknown = chosen.find((n) => !Object.hasOwn(ATTACKS, n));
  if (unknown !== undefined) throw new ArgumentError(`--attack: of ${names.join(", ")} expected, found "${unknown}"`);
  return {
    checkpoints,
    attacks: chosen as AttackName[],
    budget: oneOf("budget", v.budget, Object.keys(BUDGETS) as BudgetName[]),
    data: v.data || process.env["PAN_DATA"] || "data",
    plain: v.plain || undefined,
    watermarks: listOf(v.watermarks),
    strangers: v.strangers || undefined,
    seed: numberIn("seed", v.seed, 0, 2 ** 31),
    out: v.out || undefined,
    report: v.report || undefined,
    again: v.again,
  };
}
