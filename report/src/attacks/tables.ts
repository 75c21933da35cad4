/** Tables of what was measured in attacks, one row per setting. */

import type { AttackStep } from "@pan/core/attacks";
import type { Cell, DataColumn, DataTable } from "../data-table";
import { type Html, html } from "../html";
import { nounOf } from "../samples";
import {
  bareAccuracy,
  budgetText,
  countedBits,
  type Found,
  guessing,
  guessingEither,
  otherRecords,
  recordsOf,
  secretAccuracy,
  whereText,
} from "./families";
import type { AttackedNetwork } from "./record";

/** Columns of {@link measured}. */
export const MEASURED: readonly DataColumn[] = [
  ["No passport", "share"],
  ["Passport branch", "share"],
  ["Bits right", "count"],
  ["Of", "count"],
  ["Needed", "count"],
  ["p, one-sided", "pValue"],
  ["p, two-sided", "pValue"],
];

/**
 * Accuracies, bits and how likely guessing finds as many: of a step, or of the network before the
 * attack.
 */
export function measured(network: AttackedNetwork, m: AttackStep["after"]): Cell[] {
  const bits = countedBits(network, m);
  return [
    bareAccuracy(network, m) ?? null,
    secretAccuracy(network, m) ?? null,
    bits.matched,
    bits.bits,
    bits.needed,
    guessing(bits),
    guessingEither(bits),
  ];
}

/**
 * A row per step, the network before the attack first. `extra` columns stand before the measured
 * ones.
 */
export function stepTable(
  about: { name: string; title: string; setting: string; extra?: readonly DataColumn[] },
  found: readonly Found[],
  extra: (found: Found) => Cell[] = () => [],
): DataTable {
  const rows: Cell[][] = [];
  let previous: Found | undefined;
  for (const f of found) {
    const { network, record, step } = f;
    if (record !== previous?.record) {
      const before = extra({ network, record, step: { setting: {}, after: record.before } });
      rows.push([network.title, record.attack, "before", ...before, ...measured(network, record.before)]);
    }
    rows.push([network.title, record.attack, whereText(f), ...extra(f), ...measured(network, step.after)]);
    previous = f;
  }
  const columns: DataColumn[] = [
    ["Network", "network"],
    ["Attack", "text"],
    [about.setting, "text"],
    ...(about.extra ?? []),
    ...MEASURED,
  ];
  return { name: about.name, title: about.title, columns, rows };
}

/** A table without the columns named: for pages, where some only repeat what the title says. */
export function without({ columns, rows, ...table }: DataTable, heads: readonly string[]): DataTable {
  const kept = columns.flatMap(([head], i) => (heads.includes(head) ? [] : [i]));
  return { ...table, columns: kept.map((i) => columns[i]!), rows: rows.map((row) => kept.map((i) => row[i] ?? null)) };
}

/**
 * Who attacked with what: a sentence for each attack that differs from the others in what it knew
 * or spent.
 */
export function spentNote(
  networks: readonly AttackedNetwork[],
  families: readonly Parameters<typeof recordsOf>[1][],
): Html {
  const lines = new Map<string, { knowledge: string; budget: string }>();
  for (const network of networks)
    for (const record of families.flatMap((family) => recordsOf(network, family))) {
      const spent = { knowledge: record.knowledge.join(", "), budget: budgetText(record.budget, nounOf(network)) };
      lines.set(`${record.attack}\n${spent.knowledge}\n${spent.budget}`, spent);
    }
  const items = [...lines].map(
    ([key, { knowledge, budget }]) =>
      html`<li><strong>${key.split("\n")[0]!}</strong>: knows ${knowledge || "nothing"}; spends ${budget}.</li>`,
  );
  return html`<ul class="note">${items}</ul>`;
}

/**
 * Every step of every attack, known or not, random draws left out: they have a table of their own.
 */
export function allSteps(networks: readonly AttackedNetwork[]): Found[] {
  return networks.flatMap((network) =>
    network.attacks
      .filter(({ attack }) => !attack.startsWith("random passports"))
      .flatMap((record) => record.steps.map((step) => ({ network, record, step }))),
  );
}

/** Steps of attacks that no part of the report knows. */
export const otherSteps = (networks: readonly AttackedNetwork[]): Found[] =>
  networks.flatMap((network) =>
    otherRecords(network).flatMap((record) => record.steps.map((step) => ({ network, record, step }))),
  );
