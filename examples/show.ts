import type { Examination, Verification } from "@pan/core/ownership";
import type { EpochRecord } from "@pan/core/train";
import { formatPercent, formatPValue } from "../report/src/index";
import { type Dates, missing } from "./claim";
import { type Forgery, range } from "./run";

export const say = (line = "") => console.log(line);

const percent = (share: number) => formatPercent(share, 1);
const BRANCHES = ["public", "private", "passport"] as const;

/** One line an epoch. */
export function describeEpoch(e: EpochRecord): string {
  const parts = BRANCHES.flatMap((b) => (e[b] === undefined ? [] : [`${b} ${percent(e[b])}`]));
  if (e.bits) parts.push(`${e.bitsMatched} of ${e.bits} bits`);
  const hits = e.triggers?.public ?? e.triggers?.passport;
  if (hits !== undefined) parts.push(`triggers ${percent(hits)}`);
  return `epoch ${String(e.epoch).padStart(3)}  loss ${e.loss.toFixed(3)}  ${parts.join("  ")}  ${e.seconds.toFixed(1)} s`;
}

/** The verdict on a claim with what it goes by, and how random passports did beside. */
export function printVerdict(
  v: Verification,
  { dates, triggers, forged }: { dates: Dates; triggers: Examination["triggers"]; forged: readonly Forgery[] },
): void {
  const { examination: found, mark } = v;
  if (found) {
    say(
      `  signature        "${found.decodedText}", ${found.matched} of ${found.bits} bits match, p = ${formatPValue(found.pValue)}`,
    );
    say(
      `  accuracy         ${BRANCHES.flatMap((b) => (found.accuracy[b] === undefined ? [] : [`${b} ${percent(found.accuracy[b])}`])).join(", ")}`,
    );
  }
  if (triggers)
    say(`  triggers         ${triggers.hits} of ${triggers.count} as assigned, p = ${formatPValue(triggers.pValue)}`);
  if (forged.length) {
    const accuracy = range(
      forged.map((f) => f.accuracy),
      percent,
    );
    const bits = range(
      forged.map((f) => f.matched),
      String,
    );
    say(`  ${String(forged.length).padEnd(2)} forgeries     accuracy ${accuracy}, ${bits} of ${found?.bits ?? 0} bits`);
  }
  if (mark?.bits)
    say(
      `  mark             "${v.statement}": ${mark.bits.hits} of ${mark.bits.count} bound bits, ${mark.bits.needed} needed`,
    );
  if (mark?.triggers)
    say(
      `  bound triggers   ${mark.triggers.hits} of ${mark.triggers.count} as the claim labels them, ${mark.triggers.needed} needed`,
    );
  say(`  verdict          ${v.verdict}. ${v.sentence}`);
  const lacking = missing(v, dates);
  for (const reason of v.reasons) if (/^a time stamp/.test(reason)) say(`                   ${reason}`);
  if (lacking) say(`                   for "holds" it lacks ${lacking}`);
  if (!v.statement && found)
    say(
      `                   as the papers check it, it ${found.passes ? "passes" : "fails"} (--statement makes a claim)`,
    );
}
