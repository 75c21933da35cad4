/**
 * Fine-tuning, and what triggers are left after it and the other attacks on the weights: Tables 7
 * and 6 of DeepIPR.
 */

import type { AttackRecord, Measurement } from "@pan/core/attacks";
import { binomialPValue, matchThreshold } from "@pan/core/ownership";
import type { Cell, DataTable } from "../data-table";
import { commonNoun } from "../samples";
import {
  countedBits,
  FAMILIES,
  guessing,
  guessingEither,
  openAccuracy,
  recordsOf,
  SCHEME_NAMES,
  secretAccuracy,
  shareRight,
  whereText,
} from "./families";
import type { AttackedNetwork } from "./record";

/** Attacks that change the weights. */
export const REMOVAL = [
  FAMILIES.fineTuning,
  FAMILIES.pruning,
  FAMILIES.quantisation,
  FAMILIES.overwriting,
  FAMILIES.distillation,
  FAMILIES.unlearning,
  FAMILIES.disguise,
] as const;

const difference = (a: number | undefined, b: number | undefined): number | null =>
  a === undefined || b === undefined ? null : a - b;

/** What the same fine-tuning makes of the plain network. */
function plainAfter({ plainAttacks }: AttackedNetwork, record: AttackRecord): number | undefined {
  const same = plainAttacks?.find(
    (p) => p.attack === record.attack && ["task", "lr"].every((key) => p.budget[key] === record.budget[key]),
  );
  return same?.steps.at(-1)?.after.accuracy.public;
}

/** Table 7 of DeepIPR. */
export function fineTuningTable(networks: readonly AttackedNetwork[]): DataTable | undefined {
  const rows: Cell[][] = [];
  for (const n of networks) {
    const records = recordsOf(n, FAMILIES.fineTuning).filter(({ steps }) => steps.length > 0);
    if (records.length === 0) continue;
    const { claim, plain } = n;
    const row = (
      task: string,
      mode: string | null,
      record: AttackRecord | undefined,
      reference: number | undefined,
    ) => {
      const last = record ? record.steps.at(-1)!.after : claim;
      const open = openAccuracy(n, last);
      // The claim itself holds what the papers check; what a verdict counts is in the records.
      const steps = record ? record.steps.map(({ after }) => after) : [records[0]!.before];
      const bits = steps.map((m) => countedBits(n, m));
      const found = bits.at(-1)!;
      rows.push([
        n.title,
        SCHEME_NAMES[n.network.scheme],
        task,
        mode,
        record?.budget["images"] ?? null,
        record?.budget["epochs"] ?? null,
        record?.budget["lr"] ?? null,
        open ?? null,
        reference ?? null,
        difference(open, reference),
        secretAccuracy(n, last) ?? null,
        found.matched,
        found.bits,
        found.needed,
        shareRight(found),
        Math.min(...bits.map(({ matched }) => matched)),
        guessing(found),
        guessingEither(found),
      ]);
    };
    row("its own", null, undefined, plain?.accuracy);
    for (const record of records) {
      const task = String(record.budget["task"] ?? "not named");
      row(task, record.attack.replace(/^fine-tuning,?\s*/, "") || null, record, plainAfter(n, record));
    }
  }
  if (rows.length === 0) return undefined;
  return {
    name: "fine-tuning",
    title: "Accuracy and signature after fine-tuning",
    columns: [
      ["Network", "network"],
      ["Scheme", "text"],
      ["Task", "text"],
      ["Mode", "text"],
      [commonNoun(networks).Many, "count"],
      ["Epochs", "count"],
      ["Rate", "number"],
      ["Accuracy", "share"],
      ["Plain network", "share"],
      ["κ, points", "points"],
      ["Passport branch", "share"],
      ["Bits right", "count"],
      ["Of", "count"],
      ["Needed", "count"],
      ["Detected", "share"],
      ["Fewest on the way", "count"],
      ["p, one-sided", "pValue"],
      ["p, two-sided", "pValue"],
    ],
    rows,
  };
}

/**
 * Table 6 of DeepIPR: triggers before the attacks, after each that trains, and at each setting of
 * the others.
 */
export function triggerTable(networks: readonly AttackedNetwork[]): DataTable | undefined {
  const rows: Cell[][] = [];
  for (const n of networks) {
    const { triggers } = n.claim;
    const row = (attack: string, setting: string | null, share: number, mark: Measurement["mark"], hits?: number) => {
      const own = mark?.triggers;
      const count = own?.count ?? triggers?.count;
      const found = count === undefined ? null : (own?.hits ?? hits ?? Math.round(share * count));
      const p = count === undefined || found === null ? null : binomialPValue(found, count, n.chance);
      const enough = count === undefined ? null : matchThreshold(count, 1e-6, n.chance);
      const needed = own?.needed ?? triggers?.threshold ?? enough;
      rows.push([n.title, attack, setting, share, found, count ?? null, needed, p]);
    };
    const after = REMOVAL.flatMap((kind) =>
      recordsOf(n, kind).flatMap((record) =>
        (kind.trains ? record.steps.slice(-1) : record.steps).map((step) => ({ network: n, record, step })),
      ),
    ).filter(({ step }) => step.after.triggers !== undefined);
    if (after.length === 0) continue;
    const before = after.find(({ record }) => record.before.triggers !== undefined)?.record.before;
    if (triggers) row("none: as trained", null, triggers.hits / triggers.count, before?.mark, triggers.hits);
    else if (before) row("none: as trained", null, before.triggers!, before.mark);
    for (const found of after) {
      const { triggers: share, mark } = found.step.after;
      row(found.record.attack, whereText(found), share!, mark);
    }
  }
  if (rows.length === 0) return undefined;
  return {
    name: "triggers",
    title: `Trigger ${commonNoun(networks).many} still answered as taught`,
    columns: [
      ["Network", "network"],
      ["Attack", "text"],
      ["Setting", "text"],
      ["Detected", "share"],
      ["Hits", "count"],
      ["Of", "count"],
      ["Needed", "count"],
      ["p", "pValue"],
    ],
    rows,
  };
}
