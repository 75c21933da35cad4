/**
 * The charts reports are made of, each a function from plain numbers to Plot options: lines over
 * time, an overlay of histograms, rows of dots on one scale. They know nothing of passports.
 */

import * as Plot from "@observablehq/plot";
import type { Size } from "./figure";
import { bins, corput, most, ranks, requireFinite, span, thin, wholeTicks } from "./series";
import { palette } from "./theme";

/** A line of a {@link lineChart}: points in order of x. */
export interface Series {
  points: readonly { x: number; y: number }[];
  colour: string;
  dashed?: boolean;
  /** Drawn broad and pale, so that a line on top of it hides nothing. */
  under?: boolean;
  /** Drawn fine and without points, one of many. */
  fine?: boolean;
}

/** A line that marks a value on an axis, with its name beside it. */
export interface Reference {
  at: number;
  label: string;
  /**
   * On which side of the line the name stands; for horizontal lines it stands above ("start") or
   * below ("end").
   */
  side?: "start" | "end";
  dashed?: boolean;
  /** How many names above it a vertical line's name makes room for (default 0). */
  below?: number;
}

/** An axis: its name with unit and, where the data should not decide, its span. */
export interface Axis {
  label: string;
  domain?: readonly [number, number];
  /** Only whole numbers are marked. */
  whole?: boolean;
  /** Where to mark, if round numbers will not do. */
  ticks?: readonly number[];
}

const halo = { stroke: palette.surface, strokeWidth: 4, fill: palette.muted } as const;

function xAxis(size: Size, axis: Axis, domain: readonly [number, number]): Plot.Markish {
  const count = size === "l" ? 12 : size === "m" ? 8 : 5;
  return Plot.axisX({
    ticks: axis.ticks ? [...axis.ticks] : axis.whole ? wholeTicks(domain, count) : count,
    ...(axis.whole || axis.ticks ? { tickFormat: (t: number) => t.toLocaleString("en-US") } : {}),
    label: axis.label,
    labelAnchor: "center",
    labelArrow: "none",
    tickSize: 4,
    color: palette.muted,
  });
}

/** Lines over a common x, such as losses over steps; points are marked where there are few. */
export function lineChart(
  size: Size,
  chart: { x: Axis; y: Axis; series: readonly Series[]; references?: readonly Reference[] },
): Plot.PlotOptions {
  requireFinite(
    chart.series.flatMap((s) => s.points.flatMap((p) => [p.x, p.y])),
    chart.y.label,
  );
  const lines = chart.series.map((s) => ({ ...s, points: thin(s.points) }));
  const all = lines.flatMap((s) => s.points);
  const x = chart.x.domain ?? span(all.map((p) => p.x));
  const y = chart.y.domain ?? [0, 1.05 * Math.max(1e-9, most(all.map((p) => p.y)))];
  const marks: Plot.Markish[] = [
    Plot.gridY({ stroke: palette.rule, strokeOpacity: 1, ticks: 5 }),
    Plot.axisY({ ticks: 5, label: chart.y.label, labelArrow: "none", tickSize: 0, color: palette.muted }),
    xAxis(size, chart.x, x),
    Plot.ruleY([y[0]], { stroke: palette.muted }),
  ];
  for (const r of chart.references ?? []) {
    marks.push(Plot.ruleY([r.at], { stroke: palette.muted, strokeDasharray: "4 3" }));
  }
  for (const { points, colour, dashed, under, fine } of lines) {
    const stroke = {
      stroke: colour,
      strokeWidth: under ? 5 : fine ? 1.2 : 2,
      strokeOpacity: under ? 0.5 : fine ? 0.8 : 1,
    };
    marks.push(Plot.lineY(points, { x: "x", y: "y", ...stroke, ...(dashed ? { strokeDasharray: "6 3" } : {}) }));
    if (points.length <= 24 && !fine)
      marks.push(Plot.dot(points, { x: "x", y: "y", fill: colour, fillOpacity: under ? 0.5 : 1, r: under ? 5 : 2.5 }));
  }
  for (const r of chart.references ?? []) {
    const above = r.side !== "end";
    marks.push(
      Plot.text([r.label], {
        x: x[1],
        y: r.at,
        text: (d: string) => d,
        textAnchor: "end",
        lineAnchor: above ? "bottom" : "top",
        dy: above ? -4 : 5,
        ...halo,
      }),
    );
  }
  return {
    height: size === "s" ? 230 : 270,
    x: { domain: [...x] },
    y: { domain: [...y] },
    marks,
  };
}

/** Bins of a {@link histogramChart} over its width. */
export const BINS = { s: 30, m: 44, l: 88 } as const;

/** Histograms over one another on the same bins. */
export function histogramChart(
  size: Size,
  chart: {
    x: Axis;
    countLabel: string;
    sets: readonly { values: readonly number[]; colour: string }[];
    references?: readonly Reference[];
    /** How many bins there are, if {@link BINS} will not do. */
    bins?: number;
    /** Percent of each set instead of counts, for sets of different sizes. */
    shares?: boolean;
    /** A line over the bars: what was to be expected. */
    expected?: readonly { x: number; y: number }[];
  },
): Plot.PlotOptions {
  requireFinite(
    chart.sets.flatMap((s) => [...s.values]),
    chart.x.label,
  );
  const domain =
    chart.x.domain ??
    span(
      chart.sets.flatMap((s) => [...s.values]),
      0.02,
    );
  const expected = chart.expected ?? [];
  const binned = chart.sets.map((s) => ({
    colour: s.colour,
    bins: bins(s.values, domain, chart.bins ?? BINS[size]).map((b) =>
      chart.shares ? { ...b, n: (100 * b.n) / Math.max(1, s.values.length) } : b,
    ),
  }));
  const heights = [...binned.flatMap((s) => s.bins.map((b) => b.n)), ...expected.map((p) => p.y)];
  const top = Math.max(chart.shares ? 0.1 : 1, most(heights));
  const marks: Plot.Markish[] = [
    Plot.gridY({ stroke: palette.rule, strokeOpacity: 1, ticks: 5 }),
    Plot.axisY({ ticks: 5, label: chart.countLabel, labelArrow: "none", tickSize: 0, color: palette.muted }),
    xAxis(size, chart.x, domain),
    ...binned.map((s) =>
      Plot.rectY(
        s.bins.filter((b) => b.n > 0),
        { x1: "x1", x2: "x2", y: "n", fill: s.colour, fillOpacity: 0.35, stroke: s.colour, strokeWidth: 1, inset: 0.5 },
      ),
    ),
    Plot.lineY(expected, { x: "x", y: "y", stroke: palette.ink, strokeWidth: 1.5 }),
    Plot.ruleY([0], { stroke: palette.muted }),
  ];
  for (const r of chart.references ?? []) {
    marks.push(
      Plot.ruleX([r.at], { stroke: palette.ink, strokeOpacity: 0.7, ...(r.dashed ? { strokeDasharray: "4 3" } : {}) }),
      referenceName(r, (1.12 - 0.09 * (r.below ?? 0)) * top),
    );
  }
  return { height: size === "s" ? 240 : 300, x: { domain: [...domain] }, y: { domain: [0, 1.14 * top] }, marks };
}

/** The name of a vertical reference line, beside its upper end. */
function referenceName(r: Reference, y: number): Plot.Markish {
  const after = r.side !== "end";
  return Plot.text([r.label], {
    x: r.at,
    y,
    text: (d: string) => d,
    textAnchor: after ? "start" : "end",
    dx: after ? 5 : -5,
    ...halo,
  });
}

/** A row of a {@link stripChart}: its name, what is to be said of it, and the values. */
export interface Strip {
  label: string;
  note: string;
  values: readonly number[];
  colour: string;
}

/** Where in a row of height 1 the dots are, between 0 (above) and 1. */
const TRACK = { from: 0.42, to: 0.96 };

/** Rows of dots on one scale, each under its own heading; a span of the scale can be shaded. */
export function stripChart(
  size: Size,
  width: number,
  chart: {
    x: Axis & { domain: readonly [number, number] };
    rows: readonly Strip[];
    shade?: readonly [number, number];
    references: readonly Reference[];
  },
): Plot.PlotOptions {
  requireFinite(
    chart.rows.flatMap((row) => [...row.values]),
    chart.x.label,
  );
  const [left, right] = chart.x.domain;
  const last = chart.rows.length;
  // Row i spans i … i+1 downwards: its heading above, its dots in a track below. −0.4 … 0 holds the
  // references' names.
  const dots = chart.rows.map((row, i) => {
    const values = ranks(row.values);
    const few = values.length <= 3;
    const points = values.map((x, k) => ({ x, y: i + 0.69 + (few ? 0 : 0.4 * (corput(k) - 0.5)) }));
    const r = few ? 6 : values.length <= 60 ? 4 : size === "l" ? 2.4 : 1.8;
    return Plot.dot(points, { x: "x", y: "y", r, fill: row.colour, fillOpacity: 0.75 });
  });
  const heading = (key: "label" | "note") =>
    Plot.text(chart.rows, {
      x: key === "label" ? left : right,
      y: (_: Strip, i: number) => i + 0.2,
      text: key,
      textAnchor: key === "label" ? "start" : "end",
      fill: key === "label" ? palette.ink : palette.muted,
      fontWeight: key === "label" ? 600 : 400,
    });
  const tracks = chart.rows.map((_, i) => ({ from: i + TRACK.from, to: i + TRACK.to }));
  const marks: Plot.Markish[] = [
    Plot.rect(tracks, { x1: left, x2: right, y1: "from", y2: "to", stroke: palette.rule, rx: 3 }),
  ];
  if (chart.shade) {
    const [x1, x2] = chart.shade;
    marks.push(Plot.rect(tracks, { x1, x2, y1: "from", y2: "to", fill: palette.shade }));
  }
  marks.push(
    ...chart.references.flatMap((r) => [
      Plot.ruleX(tracks, {
        x: r.at,
        y1: "from",
        y2: "to",
        stroke: palette.ink,
        strokeOpacity: 0.7,
        ...(r.dashed ? { strokeDasharray: "4 3" } : {}),
      }),
      referenceName(r, -0.15),
    ]),
    ...dots,
    heading("label"),
    heading("note"),
    xAxis(size, chart.x, chart.x.domain),
  );
  return {
    height: Math.round((last + 0.4) * (width < 400 ? 66 : 62) + 44),
    marginLeft: 12,
    marginTop: 4,
    x: { domain: [left, right] },
    y: { domain: [last, -0.4], axis: null },
    marks,
  };
}
