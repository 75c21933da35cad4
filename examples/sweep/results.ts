/**
 * What a finished run says of itself in its report.json, as numbers with names: the same names in
 * every run of a program, so that means can be taken over seeds.
 */
import { join } from "node:path";
import { FormatError } from "@pan/core";
import type { AttackRecord, AttackStep } from "@pan/core/attacks";
import type { AttackRuns, TrainingReport } from "../../report/src/index";
import { readJson } from "./json-file";
import type { ProgramName } from "./programs";

/** By name; texts are verdicts. */
export type Results = Record<string, number | string>;

export interface Found {
  adapter: { kind: string; name: string };
  results: Results;
}

const BRANCHES = ["public", "private", "passport"] as const;
type Shares = Partial<Record<(typeof BRANCHES)[number], number>>;

/** Accuracies by branch, the name of each behind a prefix. */
const accuracies = (prefix: string, shares: Shares | undefined): Results =>
  Object.fromEntries(BRANCHES.flatMap((b) => (shares?.[b] === undefined ? [] : [[prefix + b, shares[b]]])));

function ofTraining(report: TrainingReport): Found {
  const { epochs, best, signature, triggers, forged, verdict, adapter } = report;
  const last = epochs.at(-1)!;
  const results: Results = {
    loss: last.loss,
    ...accuracies("", last),
    ...accuracies("best.", best?.accuracy),
    ...(signature && { matched: signature.matched, bits: signature.bits }),
    ...(triggers && { triggers: triggers.hits / triggers.count }),
    ...(forged.length && {
      "forged.accuracy": Math.max(...forged.map((f) => f.accuracy)),
      "forged.matched": Math.max(...forged.map((f) => f.matched)),
    }),
    ...(verdict && { verdict: verdict.verdict }),
  };
  return { adapter, results };
}

/** What of a budget tells attacks of one name apart. */
const APART = ["task", "lr", "layers"];

/**
 * "pruning, share=0.3: ". What an attack came to is no part of a name: it is another with every
 * seed, and measures of one name are what means are taken of.
 */
const nameOf = (attack: string, budget: AttackRecord["budget"], setting: AttackStep["setting"]): string =>
  `${[
    attack,
    ...APART.flatMap((name) => (budget[name] === undefined ? [] : [`${name}=${budget[name]}`])),
    ...Object.entries(setting).map(([name, value]) => `${name}=${value}`),
  ].join(", ")}: `;

/** Measures of every attack and step, in the report's order; two of one name are numbered. */
function ofAttacks({ networks }: AttackRuns): Found {
  const { adapter, claim, verdict, attacks, forgeries } = networks[0]!;
  const results: Results = { matched: claim.matched, bits: claim.bits, verdict: verdict.verdict };
  const add = (prefix: string, found: Results) => {
    let name = prefix;
    for (let i = 2; Object.keys(found).some((n) => Object.hasOwn(results, name + n)); i++)
      name = prefix.replace(/: $/, ` (${i}): `);
    for (const [n, value] of Object.entries(found)) results[name + n] = value;
  };
  for (const { attack, budget, steps } of attacks) {
    for (const { setting, after, own } of steps) {
      const { accuracy, deployed, matched, triggers } = after;
      add(nameOf(attack, budget, setting), {
        ...accuracies("", accuracy),
        ...(deployed !== undefined && { deployed }),
        matched,
        ...(own !== undefined && { own }),
        ...(triggers !== undefined && { triggers }),
      });
    }
  }
  for (const { method, asInPapers, verdict: found } of forgeries)
    add(nameOf(method, {}, {}), {
      passes: Number(asInPapers.passes),
      matched: asInPapers.matched,
      verdict: found.verdict,
    });
  return { adapter, results };
}

/** @throws FormatError when the folder has no report that a finished run leaves. */
export async function resultsOf(program: ProgramName, folder: string): Promise<Found> {
  const path = join(folder, "report.json");
  const report = await readJson<unknown>(path);
  if (report === null) throw new FormatError(`${path}: the record of a finished run expected, and nothing is there`);
  try {
    return program === "attacks" ? ofAttacks(report as AttackRuns) : ofTraining(report as TrainingReport);
  } catch (cause) {
    throw new FormatError(`${path}: the record that npm run ${program} writes expected, found another`, { cause });
  }
}
