/**
 * Figures on rival claims: what branches under other passports, other signs and other factors are
 * good for.
 */

import type { AttackRecord } from "@pan/core/attacks";
import { type Reference, type Strip, stripChart } from "../charts";
import type { Cell, DataTable } from "../data-table";
import { figure } from "../figure";
import { formatPercent, formatPercentRange, plural } from "../format";
import type { Html } from "../html";
import { nounOf } from "../samples";
import { least, most } from "../series";
import { hues, palette } from "../theme";
import {
  attackedLayers,
  countedBits,
  FAMILIES,
  type Found,
  fidelity,
  recordsOf,
  secretAccuracy,
  shareRight,
  stepsOf,
} from "./families";
import { type SweepLine, sweepFigure } from "./figures";
import type { AttackedNetwork } from "./record";
import { bestWithout, isFaithful } from "./verdicts";

const shareOf = ({ setting }: AttackRecord["steps"][number]): number => Number(setting["share"] ?? 0);

/** What each kind of passport, or of factors in its place, opens. */
function rivals(n: AttackedNetwork): (Strip & { found: Found[] })[] {
  const real = secretAccuracy(n, n.claim);
  const single = (label: string, value: number | undefined, colour: string) =>
    value === undefined ? [] : [{ label, note: formatPercent(value), values: [100 * value], colour, found: [] }];
  const kinds = [
    { label: "random (fake 1)", family: FAMILIES.random },
    { label: "trained factors (fake 2)", family: FAMILIES.scales },
    { label: "trained passports (fake 3)", family: FAMILIES.passports },
    { label: "residual blocks", family: FAMILIES.blocks },
    { label: "planted claims", family: FAMILIES.planted },
  ];
  return [
    ...single("plain network", n.plain?.accuracy, palette.muted),
    ...single("valid passports", real, palette.owner),
    ...kinds.flatMap(({ label, family }) => {
      const found = stepsOf([n], family);
      const shares = found.flatMap(({ step }) => secretAccuracy(n, step.after) ?? []);
      if (shares.length === 0) return [];
      const note = formatPercentRange(shares)!;
      return [{ label, note, values: shares.map((a) => 100 * a), colour: palette.forged, found }];
    }),
  ];
}

/** Accuracies under each kind of passport: Fig. 6b and 13 of DeepIPR. */
export function passportsFigure(n: AttackedNetwork, wide: boolean): Html | undefined {
  const rows = rivals(n);
  if (!rows.some(({ found }) => found.length > 0)) return undefined;
  const references: Reference[] = [
    { at: 100 * n.chance, label: `chance, ${formatPercent(n.chance, 0)}`, dashed: true },
  ];
  return figure({
    title: `What opens the network: ${n.title}`,
    caption:
      `Accuracy of the branch that passports open, a dot a try on ${plural(n.testImages, `test ${nounOf(n).one}`)}. Dots of trained forgeries far to the right matter only where the owner’s bits are gone: see the table. ` +
      "DeepIPR’s Fig. 6b and 13.",
    alt: `Dot plot of accuracy. ${rows.map(({ label, note, values }) => `${label}: ${note} in ${plural(values.length, "attempt")}`).join("; ")}.`,
    wide,
    draw: (size, width) =>
      stripChart(size, width, { x: { label: "accuracy (%)", domain: [0, 100] }, rows, references }),
  });
}

/** The numbers behind {@link passportsFigure}. */
export function passportsTable(networks: readonly AttackedNetwork[]): DataTable {
  const rows = networks.flatMap((n) =>
    rivals(n).map(({ label, values, found }): Cell[] => {
      const matched = found.map(({ step }) => step.after.matched);
      const own = label === "valid passports";
      return [
        n.title,
        label,
        values.length,
        least(values) / 100,
        values.reduce((sum, v) => sum + v, 0) / values.length / 100,
        most(values) / 100,
        own ? n.claim.matched : matched.length > 0 ? least(matched) : null,
        own ? n.claim.matched : matched.length > 0 ? most(matched) : null,
        own ? n.claim.bits : (found[0]?.step.after.bits ?? null),
        own ? n.claim.threshold : found[0] ? countedBits(n, found[0].step.after).needed : null,
      ];
    }),
  );
  return {
    name: "passport-accuracy",
    title: "Accuracy under each kind of passport",
    columns: [
      ["Network", "network"],
      ["Passports", "text"],
      ["Tries", "count"],
      ["Lowest", "share"],
      ["Mean", "share"],
      ["Highest", "share"],
      ["Fewest bits", "count"],
      ["Most bits", "count"],
      ["Of", "count"],
      ["Needed", "count"],
    ],
    rows,
  };
}

/** The least accuracy that keeps the fidelity. */
function faithful(n: AttackedNetwork, record: AttackRecord): Reference[] {
  const before = secretAccuracy(n, record.before);
  if (before === undefined || before <= fidelity(n)) return [];
  const at = before - fidelity(n);
  return [{ at, label: `fidelity, ${formatPercent(at)}` }, ...chance(n)];
}

const chance = (n: AttackedNetwork): Reference[] => [
  { at: n.chance, label: `chance, ${formatPercent(n.chance, 0)}`, side: "end" },
];

/** Accuracies of a record's steps over their shares. */
function accuracyLine(n: AttackedNetwork, record: AttackRecord, look: Omit<SweepLine, "points">): SweepLine {
  const points = record.steps.flatMap((step) => {
    const y = secretAccuracy(n, step.after);
    return y === undefined ? [] : [{ x: shareOf(step), y }];
  });
  return { ...look, points };
}

const bitsLine = ({ steps }: AttackRecord, look: Omit<SweepLine, "points">): SweepLine => ({
  ...look,
  points: steps.map((step) => ({ x: shareOf(step), y: shareRight(step.after) })),
});

/** Accuracy over turned signs, a line for each choice of layers: Fig. 14 and 15 of DeepIPR. */
export function turnedFigure(n: AttackedNetwork, wide: boolean): Html | undefined {
  const records = recordsOf(n, FAMILIES.turned).filter(({ steps }) => steps.length > 0);
  if (records.length === 0) return undefined;
  const lines = records.map((record, i) =>
    accuracyLine(n, record, {
      label: attackedLayers(n, record),
      colour: records.length === 1 ? palette.forged : hues[i % hues.length]!,
      mark: i < hues.length ? "line" : "dashed",
    }),
  );
  const said = records.map((record) => {
    const off = [...record.steps]
      .sort((a, b) => shareOf(a) - shareOf(b))
      .find((step) => !isFaithful({ network: n, record, step }));
    const where = off ? `at ${formatPercent(shareOf(off), 0)}` : "nowhere";
    return `${records.length > 1 ? `${attackedLayers(n, record)}: ` : ""}${where}`;
  });
  return sweepFigure({
    title: `Signs turned: ${n.title}`,
    caption: `More than ${Math.round(100 * fidelity(n))} points of accuracy are lost, ${said.join("; ")}. DeepIPR’s Fig. 14 and 15.`,
    over: "signs turned (%)",
    wide,
    unit: "accuracy (%)",
    lines,
    references: faithful(n, records[0]!),
  });
}

/** Says how good a branch without the owner's signature became. */
function bestText(n: AttackedNetwork, records: readonly AttackRecord[]): string {
  const best = bestWithout(records.flatMap((record) => record.steps.map((step) => ({ network: n, record, step }))));
  if (!best) return "Every setting still carries the owner’s signature.";
  const { matched, bits } = best.step.after;
  const reached = formatPercent(secretAccuracy(n, best.step.after) ?? 0);
  const own = secretAccuracy(n, best.record.before);
  return `Best without the owner’s signature: ${reached} with ${matched} of ${bits} bits${own === undefined ? "" : ` (the owner: ${formatPercent(own)})`}.`;
}

/** Trained factors over the dissimilarity they start from: Fig. 16 of DeepIPR. */
export function scalesFigure(n: AttackedNetwork, wide: boolean): Html | undefined {
  const [record] = recordsOf(n, FAMILIES.scales);
  if (!record?.steps.length) return undefined;
  return sweepFigure({
    title: `Trained factors: ${n.title}`,
    caption: `${bestText(n, [record])} DeepIPR’s Fig. 16, with the bits that were left.`,
    over: "dissimilarity of signs at the start (%)",
    wide,
    unit: "accuracy, bits (%)",
    lines: [
      accuracyLine(n, record, { label: "accuracy", colour: palette.forged, mark: "line" }),
      bitsLine(record, { label: "owner’s bits right", colour: palette.ink, mark: "dashed" }),
    ],
    references: faithful(n, record),
  });
}

/**
 * Trained passports over the dissimilarity that was asked for, a pair of lines for each variant:
 * Fig. 17 of DeepIPR.
 */
export function trainedPassportsFigure(n: AttackedNetwork, wide: boolean): Html | undefined {
  const records = recordsOf(n, FAMILIES.passports).filter(({ steps }) => steps.length > 0);
  if (records.length === 0) return undefined;
  const lines = records.flatMap((record, i) => {
    const colour = records.length === 1 ? palette.forged : hues[i % hues.length]!;
    const variant = records.length === 1 ? "" : `, ${record.attack.replace(/^trained passports,?\s*/, "")}`;
    return [
      accuracyLine(n, record, { label: `accuracy${variant}`, colour, mark: "line" }),
      bitsLine(record, {
        label: `bits${variant}`,
        colour: records.length === 1 ? palette.ink : colour,
        mark: "dashed",
      }),
    ];
  });
  return sweepFigure({
    title: `Trained passports: ${n.title}`,
    caption: `${bestText(n, records)} DeepIPR’s Fig. 17, with the owner’s bits (dashed) that the forged passports still give.`,
    over: "dissimilarity asked for (%)",
    wide,
    unit: "accuracy, bits (%)",
    lines,
    references: faithful(n, records[0]!),
  });
}
