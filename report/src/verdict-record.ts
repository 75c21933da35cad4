/** What a claim was found to be worth, as records of every kind hold it. */

import type { RelationEvidence, VerdictName, Verification } from "@pan/core/ownership";
import type { RecordChecks } from "./checks";

/**
 * A verdict with what it goes by: numbers and sentences, nothing that helps to claim. Survives
 * `JSON.stringify` unchanged.
 */
export interface ClaimVerdict
  extends Pick<
    Verification,
    "verdict" | "sentence" | "bound" | "open" | "statement" | "mark" | "released" | "dated" | "reasons"
  > {
  relation: Pick<RelationEvidence, "agreements" | "channels" | "needed" | "pValue" | "related"> | null;
  /** ISO 8601: when the suspect was there at the latest; null where nobody says. */
  published: string | null;
}

/**
 * What a record keeps of a verification.
 * @param published when the suspect was there at the latest, as `verify` was told
 */
export function verdictOf(v: Verification, published?: string): ClaimVerdict {
  const { verdict, sentence, bound, open, statement, mark, released, dated, relation: r, reasons } = v;
  const relation = r && {
    agreements: r.agreements,
    channels: r.channels,
    needed: r.needed,
    pValue: r.pValue,
    related: r.related,
  };
  const found = { verdict, sentence, bound, open, statement, mark, released, dated, relation, reasons };
  return { ...found, published: published === undefined ? null : new Date(published).toISOString() };
}

/** How a verdict is taken: `good` shows whose the network is, `warn` that there is a mark. */
export const VERDICT_TONES = {
  "holds as released": "good",
  holds: "good",
  "copy of the committed network": "good",
  "mark present": "warn",
  refused: "bad",
} as const satisfies Record<VerdictName, "good" | "warn" | "bad">;

/** Whether a verdict shows that the claim is older than the suspect, and of it. */
export const isShown = ({ verdict }: Pick<ClaimVerdict, "verdict">): boolean => VERDICT_TONES[verdict] === "good";

type Hits = NonNullable<NonNullable<ClaimVerdict["mark"]>["bits"]>;

/** Checks how many hits of a test there were. @throws ArgumentError naming the entry. */
export function checkHits({ object, whole, number }: RecordChecks, where: string, h: Hits | null): void {
  if (h === null) return;
  object(where, h);
  whole(`${where}.count`, h.count, 1);
  whole(`${where}.hits`, h.hits, 0, h.count);
  whole(`${where}.needed`, h.needed, 0, h.count + 1);
  number(`${where}.pValue`, h.pValue, 0, 1);
}

/** Checks a verdict of a record. @throws ArgumentError naming the entry. */
export function checkVerdict(checks: RecordChecks, where: string, v: ClaimVerdict): void {
  const { choice, text, list, number, whole, object, date } = checks;
  object(where, v);
  choice(`${where}.verdict`, v.verdict, Object.keys(VERDICT_TONES));
  text(`${where}.sentence`, v.sentence);
  text(`${where}.statement`, v.statement, "may be empty");
  if (v.bound !== null) number(`${where}.bound`, v.bound, 0, 1);
  for (const key of ["open", "reasons"] as const) {
    list(`${where}.${key}`, v[key]);
    for (const [i, line] of v[key].entries()) text(`${where}.${key}[${i}]`, line);
  }
  for (const key of ["mark", "released"] as const) {
    if (v[key] === null) continue;
    object(`${where}.${key}`, v[key]);
    for (const part of ["bits", "triggers"] as const) checkHits(checks, `${where}.${key}.${part}`, v[key][part]);
  }
  if (v.relation !== null) {
    object(`${where}.relation`, v.relation);
    whole(`${where}.relation.channels`, v.relation.channels, 0);
    whole(`${where}.relation.agreements`, v.relation.agreements, 0, v.relation.channels);
    whole(`${where}.relation.needed`, v.relation.needed, 0);
    number(`${where}.relation.pValue`, v.relation.pValue, 0, 1);
  }
  if (v.dated !== null) {
    object(`${where}.dated`, v.dated);
    date(`${where}.dated.time`, v.dated.time);
    number(`${where}.dated.accuracy`, v.dated.accuracy, 0);
    list(`${where}.dated.authorities`, v.dated.authorities);
    for (const [i, name] of v.dated.authorities.entries()) text(`${where}.dated.authorities[${i}]`, name);
  }
  if (v.published !== null) date(`${where}.published`, v.published);
}
