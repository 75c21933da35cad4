/**
 * How far the p-values can be trusted: what chance looks like on these very networks, and whether
 * the signature is a fair one.
 */

import { binomialPValue, empiricalPValue, matchThreshold, twoSidedPValue } from "@pan/core/ownership";
import { BINS, histogramChart, type Reference } from "../charts";
import { type Cell, type DataTable, type Part, tablePanel } from "../data-table";
import { figure } from "../figure";
import { formatCount, formatNumber, formatPValue, formatSpan, plural } from "../format";
import type { Html } from "../html";
import { grid, section } from "../page";
import { least, most } from "../series";
import { hues, palette } from "../theme";
import { FAMILIES, guessingEither, neededByPapers, stepsOf } from "./families";
import type { AttackedNetwork } from "./record";
import { allSteps, stepTable, without } from "./tables";
import { isLost } from "./verdicts";

/** Matches where there is nothing to match. */
export interface NullDraws {
  kind: string;
  bits: number;
  matched: readonly number[];
  mean: number;
  deviation: number;
  colour: string;
}

const KINDS = {
  credentials: { kind: "strangers’ credentials", colour: palette.forged },
  passports: { kind: "random passports, owner’s bits", colour: hues[0] },
  networks: { kind: "strangers’ networks", colour: hues[2] },
} as const;

/**
 * A network's null samples: those of the record and, where it has none with the owner's bits, the
 * attack with random passports.
 */
export function nullsOf(n: AttackedNetwork): NullDraws[] {
  const samples: NullDraws[] = n.nulls.map((sample) => ({ ...sample, ...KINDS[sample.kind] }));
  if (n.nulls.some(({ kind }) => kind === "passports")) return samples;
  const draws = stepsOf([n], FAMILIES.random).map(({ step }) => step.after);
  const bits = draws[0]?.bits;
  if (!bits || draws.length < 2 || draws.some((m) => m.bits !== bits)) return samples;
  const matched = draws.map((m) => m.matched);
  const mean = matched.reduce((sum, m) => sum + m, 0) / matched.length;
  const variance = matched.reduce((sum, m) => sum + (m - mean) ** 2, 0) / (matched.length - 1);
  return [...samples, { ...KINDS.passports, bits, matched, mean, deviation: Math.sqrt(variance) }];
}

/** Standard deviation of fair coins. */
export const coins = (bits: number): number => Math.sqrt(bits) / 2;

function nullTable(networks: readonly AttackedNetwork[]): DataTable {
  const rows = networks.flatMap((n) =>
    nullsOf(n).map(({ kind, bits, matched, mean, deviation }): Cell[] => {
      const threshold = neededByPapers(n, bits);
      const [low, high] = [least(matched), most(matched)];
      const beyond = matched.filter((m) => m >= threshold).length;
      return [
        n.title,
        kind,
        matched.length,
        mean,
        deviation,
        bits / 2,
        coins(bits),
        low,
        high,
        binomialPValue(high, bits),
        threshold,
        matchThreshold(bits, 5e-7),
        beyond,
        bits === n.claim.bits ? empiricalPValue(n.claim.matched, { matched: [...matched] }) : null,
      ];
    }),
  );
  return {
    name: "null-samples",
    title: "Matches where there is nothing to match",
    columns: [
      ["Network", "network"],
      ["Sample", "text"],
      ["Size", "count"],
      ["Mean", "number"],
      ["Deviation", "number"],
      ["Mean of coins", "number"],
      ["Deviation of coins", "number"],
      ["Fewest", "count"],
      ["Most", "count"],
      ["p of the most", "pValue"],
      ["Needed", "count"],
      ["Needed, two-sided", "count"],
      ["Reached it", "count"],
      ["p of the owner’s, from the sample", "pValue"],
    ],
    rows,
  };
}

/** P(low ≤ X < high), X ~ Bin(bits, ½). */
function between(low: number, high: number, bits: number): number {
  const tail = (k: number) => (k <= 0 ? 1 : k > bits ? 0 : binomialPValue(k, bits));
  return tail(low) - tail(high);
}

function nullFigure(n: AttackedNetwork): Html | undefined {
  const samples = nullsOf(n).filter(({ bits }) => bits === n.claim.bits);
  if (samples.length === 0) return undefined;
  const { bits, matched, threshold } = n.claim;
  const low = Math.max(0, Math.min(bits - threshold, least(samples.flatMap((s) => [...s.matched]))) - 2);
  const high = Math.max(threshold, matched, most(samples.flatMap((s) => [...s.matched]))) + 2;
  const references: Reference[] = [
    { at: bits / 2, label: "½", dashed: true, side: "end" },
    { at: matched, label: `owner, ${matched}`, side: "end", below: 1 },
  ];
  if (threshold <= bits) {
    references.push({ at: threshold, label: `threshold ${threshold}`, dashed: true, side: "end", below: 2 });
    references.push({ at: bits - threshold, label: "", dashed: true });
  }
  const size = samples.reduce((sum, s) => sum + s.matched.length, 0);
  const said = samples.map(
    (s) =>
      `${plural(s.matched.length, "draw")} of ${s.kind}: ${formatSpan(least(s.matched), most(s.matched))}, deviation ${formatNumber(s.deviation)}`,
  );
  return figure({
    title: `What chance matches: ${n.title}`,
    caption:
      `Matches of ${bits} bits: ${said.join("; ")}. The curve is what ${bits} fair coins give (deviation ${formatNumber(coins(bits))}), which the p-values assume. ` +
      `The owner’s ${matched} have p\u00a0=\u00a0${formatPValue(binomialPValue(matched, bits))}, two-sided ${formatPValue(twoSidedPValue(matched, bits))}. Dashed: half of the bits, and the threshold to either side. Not in DeepIPR.`,
    alt: `Histogram of matching bits of ${bits}, ${size} draws. ${said.join("; ")}. Threshold ${threshold}; the owner’s ${matched}.`,
    legend: [
      ...samples.map(({ kind, colour }) => ({ label: kind, colour, mark: "bar" as const })),
      { label: "fair coins", colour: palette.ink, mark: "line" },
    ],
    wide: true,
    draw: (width) => {
      // Bins of whole numbers, so that none holds more counts than its neighbour by its place
      // alone.
      const step = Math.max(1, Math.round(coins(bits) / 2), Math.ceil((high - low + 1) / BINS[width]));
      const count = Math.ceil((high - low + 1) / step);
      const domain = [low - 0.5, low - 0.5 + step * count] as const;
      const expected = Array.from({ length: count }, (_, i) => ({
        x: low - 0.5 + step * (i + 0.5),
        y: 100 * between(low + step * i, low + step * (i + 1), bits),
      }));
      return histogramChart(width, {
        x: { label: `matching bits (of ${formatCount(bits)})`, domain, whole: true },
        countLabel: "draws (%)",
        sets: samples.map((s) => ({ values: s.matched, colour: s.colour })),
        bins: count,
        shares: true,
        expected,
        references,
      });
    },
  });
}

/** A row per layer: how many bits are +1, and how likely fair coins are as far from half. */
function balanceTable(networks: readonly AttackedNetwork[]): DataTable {
  const rows = networks.flatMap((n) => {
    const row = (layer: string, all: readonly number[]): Cell[] => {
      const signs = all.filter((s) => s !== 0);
      const plus = signs.filter((s) => s > 0).length;
      return [n.title, layer, signs.length, plus, plus / signs.length, twoSidedPValue(plus, signs.length)];
    };
    const layers = n.claim.layers.filter(({ bits }) => bits > 0);
    if (layers.length === 0) return [];
    const all = row(
      "all layers",
      layers.flatMap(({ signs }) => signs),
    );
    return [...layers.map(({ name, signs }) => row(name, signs)), ...(layers.length > 1 ? [all] : [])];
  });
  return {
    name: "balance",
    title: "Balance of the signature",
    columns: [
      ["Network", "network"],
      ["Layer", "text"],
      ["Bits", "count"],
      ["Of them +1", "count"],
      ["Share", "share"],
      ["p, two-sided", "pValue"],
    ],
    rows,
  };
}

/** Says where a signature is missing one way and there the other way round. */
function turnedText(networks: readonly AttackedNetwork[]): string {
  const turned = allSteps(networks).filter((f) => {
    const { matched, bits } = f.step.after;
    return isLost(f) && matched < bits / 2 && guessingEither({ matched, bits }) <= 1e-6;
  });
  if (turned.length === 0) return "";
  return ` In ${plural(turned.length, "setting")} so few bits match that this is as unlikely as a match: the signs were turned and not lost, which the two-sided p-value shows.`;
}

/** The section on statistics. */
export function statisticsPart(networks: readonly AttackedNetwork[]): Part {
  const single = networks.length === 1;
  const steps = allSteps(networks);
  const tables: DataTable[] = [];
  const blocks = networks.flatMap((n) => nullFigure(n) ?? []);
  const add = (table: DataTable, note: string, hidden: readonly string[] = []) => {
    if (table.rows.length === 0) return;
    tables.push(table);
    blocks.push(tablePanel(without(table, hidden), single, note));
  };
  add(
    nullTable(networks),
    "Not in DeepIPR. Strangers’ credentials have bits of their own, fair coins whatever the network. The owner’s bits under random passports scatter more where signs hang together: then chance matches more bits than the p-values say. p from the sample is (1 + matches as good) / (1 + size): it cannot be smaller than the sample allows.",
    ["Mean of coins", "p of the most", "Needed, two-sided"],
  );
  add(
    balanceTable(networks),
    "Not in DeepIPR. A signature of equal bits could be met by any network whose factors have one sign; a small p says that the bits lean to one side more than coins do. Text does: letters share their leading bits.",
  );
  add(
    stepTable({ name: "measurements", title: "Every setting of every attack", setting: "Setting" }, steps),
    `p-values of every setting, which DeepIPR lacks. One-sided: guessing finds as many of the owner’s bits; two-sided: it is as far from half, to either side.${turnedText(networks)}`,
  );
  if (blocks.length === 0) return { tables };
  const lead =
    "A p-value is the probability that guessing does as well. It compares with fair coins; here is what chance comes to on these networks, and where the bits of each attack stand.";
  return { body: section("statistics", "Statistics", lead, grid(...blocks)), tables };
}
