import type { Verification } from "@pan/core/ownership";
import type { EpochRecord } from "@pan/core/train";
import { formatPercent, formatPValue } from "../report/src/index";
import { range } from "./run";

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

/** What verification found, and how random passports did beside. */
export function printVerdict(v: Verification | null, forged: readonly { accuracy: number; matched: number }[]): void {
  if (!v) return;
  say(`  signature        "${v.decodedText}", ${v.matched} of ${v.bits} bits match, p = ${formatPValue(v.pValue)}`);
  say(
    `  accuracy         ${BRANCHES.flatMap((b) => (v.accuracy[b] === undefined ? [] : [`${b} ${percent(v.accuracy[b])}`])).join(", ")}`,
  );
  if (v.triggers)
    say(
      `  triggers         ${v.triggers.hits} of ${v.triggers.count} as assigned, p = ${formatPValue(v.triggers.pValue)}`,
    );
  if (forged.length) {
    const accuracy = range(
      forged.map((f) => f.accuracy),
      percent,
    );
    const bits = range(
      forged.map((f) => f.matched),
      String,
    );
    say(`  ${String(forged.length).padEnd(2)} forgeries     accuracy ${accuracy}, ${bits} of ${v.bits} bits`);
  }
  if (v.bound)
    say(
      `  binding          "${v.bound.statement}": ${v.bound.matched} of ${v.bound.bits} bits follow from secret and statement`,
    );
  const verdict = v.holds ? "the claim holds" : "the claim does not hold";
  say(
    `  verdict          ${verdict}${v.bound ? "" : ", as the papers check it (--statement binds it, so that nobody can forge it)"}`,
  );
}
