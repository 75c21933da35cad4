import { join } from "node:path";
import { parseArgs } from "node:util";
import { ArgumentError } from "../../src/index";
import { BUDGETS, type Budget } from "./budget";
import { ATTACKS, type AttackName } from "./list";

export interface Settings {
  run: string;
  attacks: readonly AttackName[];
  budget: Budget;
  data: string;
  seed: number;
  out: string;
  again: boolean;
}

export const HELP = `npm run attacks -- --run FOLDER [options]      attacks a trained network, and says what is left of the claim

  --run FOLDER      what npm run cifar10 left: deployed.safetensors and owner.credential.safetensors
  --attack LIST     all, or names with commas between (default all):
                    ${Object.keys(ATTACKS).join(", ")}
  --budget NAME     small | papers (default small: minutes without a GPU; papers: 100 epochs on all images)
  --data DIR        CIFAR-10, binary version (default $PAN_DATA, or data)
  --seed N          (default 0)
  --out FOLDER      where the records go, one JSON an attack (default FOLDER/attacks)
  --again           run attacks again whose records are there; else they are skipped`;

/** @throws ArgumentError for an option that is not there or a value out of range. */
export function readSettings(args: string[]): Settings | "help" {
  const options = {
    run: { type: "string" },
    attack: { type: "string", default: "all" },
    budget: { type: "string", default: "small" },
    data: { type: "string", default: process.env["PAN_DATA"] || "data" },
    seed: { type: "string", default: "0" },
    out: { type: "string" },
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
  if (!v.run) throw new ArgumentError(`--run: the folder of a trained network expected, found none\n\n${HELP}`);
  const names = v.attack === "all" ? Object.keys(ATTACKS) : v.attack.split(",").map((n) => n.trim());
  const unknown = names.find((n) => !Object.hasOwn(ATTACKS, n));
  if (unknown !== undefined)
    throw new ArgumentError(`--attack: of ${Object.keys(ATTACKS).join(", ")} expected, found "${unknown}"`);
  if (v.budget !== "small" && v.budget !== "papers")
    throw new ArgumentError(`--budget: small or papers expected, found "${v.budget}"`);
  const seed = Number(v.seed);
  if (!Number.isInteger(seed) || seed < 0)
    throw new ArgumentError(`--seed: a whole number from 0 expected, found "${v.seed}"`);
  return {
    run: v.run,
    attacks: names as AttackName[],
    budget: BUDGETS[v.budget],
    data: v.data,
    seed,
    out: v.out ?? join(v.run, "attacks"),
    again: v.again,
  };
}
