/** What the runner prints of an attack. */

import type { AttackRecord, Measurement } from "@pan/core/attacks";
import { matchThreshold } from "@pan/core/ownership";
import type { ForgedClaim } from "../../report/src/index";
import { range } from "../run";
import type { Findings } from "./list";

/** A share as text. */
export const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function show(m: Measurement): string {
  const accuracy = Object.entries(m.accuracy).map(([branch, share]) => `${branch} ${percent(share)}`);
  const alone = m.deployed === undefined ? [] : [`without passports ${percent(m.deployed)}`];
  const hits = m.triggers === undefined ? [] : [`triggers ${percent(m.triggers)}`];
  return [...accuracy, ...alone, ...hits, `${m.matched} of ${m.bits} bits`].join("  ");
}

const entries = (values: Readonly<Record<string, number | string>>) =>
  Object.entries(values).map(([name, value]) => `${name} ${value}`);

/** Smallest to largest over many draws. */
function spread(after: readonly Measurement[]): string {
  const secret = after.map((m) => m.accuracy.private ?? m.accuracy.passport ?? 0);
  const bits = after.map((m) => m.matched);
  return `${range(secret, percent)}, ${range(bits, String)} of ${after[0]!.bits} bits`;
}

function printRecord({ attack, knowledge, budget, before, steps }: AttackRecord): void {
  console.log(`${attack}  (knows ${knowledge.join(", ")}; ${entries(budget).join(", ")})`);
  console.log(`  ${"before".padEnd(16)} ${show(before)}`);
  if (attack === "random passports")
    console.log(`  ${`${steps.length} draws`.padEnd(16)} ${spread(steps.map((step) => step.after))}`);
  else
    for (const { setting, after, text, own } of steps) {
      const ours = own === undefined ? "" : `  ${own} own bits`;
      const read = text === undefined ? "" : `  reads ${JSON.stringify(text)}`;
      console.log(`  ${entries(setting).join(", ").padEnd(16)} ${show(after)}${ours}${read}`);
    }
}

function printClaim({ method, budget, asInPapers: found, verdict }: ForgedClaim): void {
  const accuracy = Object.entries(found.accuracy).map(([branch, share]) => `${branch} ${percent(share)}`);
  const reads = found.decodedText ? `, reads ${JSON.stringify(found.decodedText)}` : "";
  console.log(`forged claim: ${method}  (${entries(budget).join(", ")})`);
  console.log(`  ${accuracy.join("  ")}  ${found.matched} of ${found.bits} bits${reads}`);
  console.log(
    `  as in the papers it ${found.passes ? "passes" : "fails"}; verdict: ${verdict.verdict}. ${verdict.sentence}`,
  );
}

/** Prints what an attack found. */
export function printFindings(
  name: string,
  { records = [], forgeries = [], nulls = [] }: Findings,
  seconds: number,
): void {
  console.log(`\n${name}  ${seconds} s`);
  for (const record of records) printRecord(record);
  for (const claim of forgeries) printClaim(claim);
  for (const { kind, bits, matched, mean, deviation } of nulls)
    console.log(
      `null of ${matched.length} ${kind}: ${mean.toFixed(1)} ± ${deviation.toFixed(1)} of ${bits} bits, ${range(matched, String)} (coins ${bits / 2} ± ${(Math.sqrt(bits) / 2).toFixed(1)}; ${matchThreshold(bits)} needed)`,
    );
}
