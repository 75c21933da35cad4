/**
 * Figures that several parts of a report on attacks use: sweeps over a share, histograms of
 * samples.
 */

import { BINS, histogramChart, lineChart, type Reference } from "../charts";
import { figure, type LegendEntry } from "../figure";
import { formatPercent } from "../format";
import type { Html } from "../html";
import { bins, most, span } from "../series";

/** A line over shares from 0 to 1; y is a fraction. */
export interface SweepLine extends LegendEntry {
  points: readonly { x: number; y: number }[];
}

/** What {@link sweepFigure} needs; the references are fractions too. */
export interface Sweep {
  title: string;
  caption: string;
  /** The x axis, such as `weights set to 0 (%)`. */
  over: string;
  unit: string;
  lines: readonly SweepLine[];
  references: readonly Reference[];
  wide: boolean;
}

/** Where a line starts and ends, in words. */
function course({ label, points }: SweepLine): string {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return `${label}: nothing`;
  const at = ({ x, y }: { x: number; y: number }) => `${formatPercent(y)} at ${formatPercent(x, 0)}`;
  return first === last ? `${label} ${at(first)}` : `${label} from ${at(first)} to ${at(last)}`;
}

/** Fractions over shares, both drawn as percent. */
export function sweepFigure({ title, caption, over, unit, lines, references, wide }: Sweep): Html {
  const drawn = lines.map(({ points, colour, mark }) => ({
    colour,
    dashed: mark === "dashed",
    under: mark === "broad",
    points: [...points].sort((a, b) => a.x - b.x).map(({ x, y }) => ({ x: 100 * x, y: 100 * y })),
  }));
  const xs = drawn.flatMap(({ points }) => points.map((p) => p.x));
  const x = { label: over, domain: [0, Math.max(10, most(xs))] as const };
  const marked = references.map(({ label }) => label).join("; ");
  return figure({
    title,
    caption,
    alt: `Line chart, ${unit} over ${over}: ${lines.map(course).join("; ")}.${marked && ` Marked: ${marked}.`}`,
    legend: lines,
    wide,
    draw: (size) =>
      lineChart(size, {
        x,
        y: { label: unit, domain: [0, 104] },
        series: drawn,
        references: references.map((r) => ({ ...r, at: 100 * r.at })),
      }),
  });
}

/** A sample of a {@link sampleFigure}. */
export interface Sample {
  label: string;
  values: readonly number[];
  colour: string;
}

/**
 * At most this share of a sample is left out at either end of the scale, so that one stray value
 * does not flatten the figure.
 */
const TAILS = 0.001;

/** From the smallest to the largest value, without {@link TAILS}. */
function bulk(values: readonly number[]): [number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const cut = Math.floor(TAILS * sorted.length);
  return span(sorted.slice(cut, sorted.length - cut), 0.02);
}

/**
 * How much of two samples' histograms lies over one another: 1 for equal ones, 0 for ones apart.
 */
export function overlap(a: readonly number[], b: readonly number[]): number {
  const domain = bulk([...a, ...b]);
  const [left, right] = [bins(a, domain, BINS.m), bins(b, domain, BINS.m)];
  return left.reduce((sum, bin, i) => sum + Math.min(bin.n / a.length, right[i]!.n / b.length), 0);
}

/** Samples of values over one another, each in percent of its size. */
export function sampleFigure(chart: {
  title: string;
  caption: string;
  x: string;
  samples: readonly Sample[];
  wide?: boolean;
}): Html {
  const { title, caption, x, samples, wide = false } = chart;
  const domain = bulk(samples.flatMap(({ values }) => [...values]));
  const inside = samples.map((s) => ({ ...s, values: s.values.filter((v) => v >= domain[0] && v <= domain[1]) }));
  const said = samples.map(({ label, values }) => {
    const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
    return `${label}: ${values.length} values, mean ${Number(mean.toPrecision(3))}`;
  });
  return figure({
    title,
    caption,
    alt: `Histogram of ${x}. ${said.join("; ")}.`,
    legend: samples.map(({ label, colour }) => ({ label, colour, mark: "bar" })),
    wide,
    draw: (size) =>
      histogramChart(size, { x: { label: x, domain }, countLabel: "values (%)", sets: inside, shares: true }),
  });
}

/**
 * Cards two in a row; the last of an odd number takes the whole row. Each is drawn as told, or is
 * not there.
 */
export function paired(cards: readonly ((wide: boolean) => Html | undefined)[]): Html[] {
  const there = cards.flatMap((draw) => {
    const drawn = draw(false);
    return drawn ? [{ draw, drawn }] : [];
  });
  const last = there.length - 1;
  return there.map(({ draw, drawn }, i) => (i === last && i % 2 === 0 ? draw(true)! : drawn));
}
