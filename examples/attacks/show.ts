/** What the runner prints of an attack. */

import type { AttackRecord, Measurement } from "@pan/core/attacks";
import { matchThreshold } from "@pan/core/ownership";
import type { ForgedClaim } from "../../report/src/index";
import { range } from "../run";
import type { Findings } from "./list";

/** A share as text. */
export const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** Triggers that were found; of a claim's own also how many of how many, and how many it needs. */
function triggersText({ triggers, mark }: Measurement): string[] {
  if (triggers === undefined) return [];
  const asked = mark?.triggers;
  const counts = asked ? `, ${asked.hits} of ${asked.count} (${asked.needed} needed)` : "";
  return [`triggers ${percent(triggers)}${counts}`];
}

/**
 * Bits that were found, and how many the owner's claim needs of those that can be read, by the rule
 * of its verdict. Texts are no part of the claim: where there are some, its bits are named apart.
 */
function bitsText({ matched, bits, mark }: Measurement): string {
  const found = `${matched} of ${bits} bits`;
  const own = mark?.bits;
  if (!own) return found;
  const apart = own.count === bits ? "" : `${own.hits} of ${own.count} of the claim, `;
  return `${found} (${apart}${own.needed} needed)`;
}

/** A measurement in a line. */
export function measurementText(m: Measurement): string {
  const accuracy = Object.entries(m.accuracy).map(([branch, share]) => `${branch} ${percent(share)}`);
  const alone = m.deployed === undefined ? [] : [`without passports ${percent(m.deployed)}`];
  return [...accuracy, ...alone, ...triggersText(m), bitsText(m)].join("  ");
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
  console.log(`  ${"before".padEnd(16)} ${measurementText(before)}`);
  if (attack === "random passports")
    console.log(`  ${`${steps.length} draws`.padEnd(16)} ${spread(steps.map((step) => step.after))}`);
  else
    for (const { setting, after, text, own } of steps) {
      const ours = own === undefined ? "" : `  ${own} own bits`;
      const read = text === undefined ? "" : `  reads ${JSON.stringify(text)}`;
      console.log(`  ${entries(setting).join(", ").padEnd(16)} ${measurementText(after)}${ours}${read}`);
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
      `null of ${matched.length} ${kind}: ${mean.toFixed(1)} ± ${deviation.toFixed(1)} of ${bits} bits, ${range(matched, String)} (coins ${bits / 2} ± ${(Math.sqrt(bits) / 2).toFixed(1)}; ${matchThreshold(bits)} needed at 1e-6)`,
    );
}
