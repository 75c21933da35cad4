/**
 * The record that `scale.ts` writes, and its figure: time and peak memory of a training step
 * against the batch, on logarithmic axes.
 */
import * as Plot from "@observablehq/plot";
import type { Scheme } from "@pan/core/passport";
import { drawSvg, standalone, WIDTHS } from "./figure";
import { formatNumber } from "./format";
import { type Html, html } from "./html";
import { hues, palette } from "./theme";

/**
 * How activations wait for the backward pass; recomputed ones are those of blocks without
 * passports.
 */
export type Activations = "f32" | "f16" | "recomputed";

/** What is varied. */
export interface StepSize {
  scheme: Scheme;
  /** Default f32. */
  activations?: Activations;
  /** Channels, as a share of the paper's. */
  width: number;
  batch: number;
}

/** What a step of one size takes; memory in bytes. */
export interface MeasuredStep extends StepSize {
  /** Median of the rounds. */
  milliseconds: number;
  dispatches: number;
  /** Most bytes that tensors had taken from the pool at once. */
  peakUsed: number;
  /** Most bytes that existed, buffers that wait to be used again included. */
  peakHeld: number;
  live: { parameters: number; gradients: number; state: number; saved: number };
  /** Sum of {@link live}. */
  mustLive: number;
  /** peakUsed / mustLive. */
  ratio: number;
}

/** A size that was not measured, and why. */
export interface MissingStep extends StepSize {
  problem: string;
}

export type ScaleRow = MeasuredStep | MissingStep;

/** scale-ADAPTER.json */
export interface ScaleRecord {
  adapter: string;
  kind: string;
  arch: string;
  rounds: number;
  mostSeconds: number;
  rows: readonly ScaleRow[];
}

export const isMeasured = (row: ScaleRow): row is MeasuredStep => !("problem" in row);

/** What tells schemes apart; widths are told apart by colour. */
const SYMBOLS = ["circle", "square", "triangle", "diamond"] as const;
const SIGNS = ["●", "■", "▲", "◆"] as const;
const PANEL = { width: WIDTHS.m, height: 400, top: 96, gap: 24, margin: 20 };
/** MissingStep sizes that are named below the panels. */
const NAMED = 4;

/** 0.0625 → `1/16`. */
const share = (width: number): string =>
  width < 1 && Number.isInteger(1 / width) ? `1/${1 / width}` : formatNumber(width);

/** 1, 10, 100 …; where that gives fewer than four, 2 and 5 between. */
function decades(low: number, high: number): number[] {
  const steps = Math.log10(high / low) > 3 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10)
    for (const step of steps) if (step * power >= low && step * power <= high) ticks.push(step * power);
  return ticks;
}

/** What a curve is called beside its width. */
const seriesOf = ({ scheme, activations = "f32" }: StepSize): string =>
  activations === "f32" ? scheme : `${scheme}, ${activations}`;

/** One curve a scheme and width. @param dashed a second one beside it */
function panel(
  rows: readonly MeasuredStep[],
  label: string,
  y: (r: MeasuredStep) => number,
  dashed?: typeof y,
): Plot.PlotOptions {
  const distinct = <T>(of: (r: MeasuredStep) => T) => [...new Set(rows.map(of))];
  const [schemes, batches] = [distinct(seriesOf), distinct((r) => r.batch).sort((a, b) => a - b)];
  const widths = distinct((r) => r.width).sort((a, b) => a - b);
  const values = rows.flatMap((r) => (dashed ? [y(r), dashed(r)] : [y(r)]));
  const domain = [Math.min(...values) / 1.4, Math.max(...values) * 1.4] as const;
  const marks: Plot.Markish[] = [
    Plot.gridY(decades(...domain), { stroke: palette.rule, strokeOpacity: 1 }),
    Plot.axisY(decades(...domain), {
      tickFormat: (t: number) => formatNumber(Number(t.toPrecision(3))),
      label,
      labelArrow: "none",
      tickSize: 0,
      color: palette.muted,
    }),
    Plot.axisX(batches, {
      tickFormat: String,
      label: "batch size",
      labelAnchor: "center",
      labelArrow: "none",
      tickSize: 4,
      color: palette.muted,
    }),
  ];
  for (const [i, width] of widths.entries()) {
    const stroke = hues[i % hues.length]!;
    const own = rows.filter((r) => r.width === width);
    for (const [k, scheme] of schemes.entries()) {
      const line = own.filter((r) => seriesOf(r) === scheme).sort((a, b) => a.batch - b.batch);
      if (dashed)
        marks.push(Plot.line(line, { x: "batch", y: dashed, stroke, strokeDasharray: "5 3", strokeWidth: 1.3 }));
      marks.push(
        Plot.line(line, { x: "batch", y, stroke, strokeWidth: 1.8 }),
        Plot.dot(line, { x: "batch", y, fill: stroke, symbol: SYMBOLS[k % SYMBOLS.length]!, r: 3.2 }),
      );
    }
    const last = own.reduce((a, b) => (b.batch > a.batch || (b.batch === a.batch && y(b) > y(a)) ? b : a));
    const name = { text: () => share(width), textAnchor: "start", dx: 8, fill: stroke, fontWeight: 600 } as const;
    marks.push(Plot.text([last], { x: "batch", y, ...name, stroke: palette.surface, strokeWidth: 3 }));
  }
  return {
    height: PANEL.height,
    marginLeft: 58,
    marginRight: 44,
    x: { type: "log", base: 2, domain: [batches[0]! / 1.15, batches.at(-1)! * 1.15] },
    y: { type: "log", domain: [...domain] },
    marks,
  };
}

/** The whole figure as an SVG file. Rows that were not measured are named below. */
export function drawScale({ adapter, arch, rounds, rows }: ScaleRecord): string {
  const measured = rows.filter(isMeasured);
  const missing = rows.filter((r): r is MissingStep => !isMeasured(r));
  const alt = (what: string) =>
    `${what} of a training step of ${arch} against the batch size, one line a scheme and width`;
  const panels = [
    drawSvg(
      panel(measured, "ms a step", (r) => r.milliseconds),
      "m",
      alt("Time"),
    ),
    drawSvg(
      panel(
        measured,
        "peak memory, MB",
        (r) => r.peakUsed / 1e6,
        (r) => r.mustLive / 1e6,
      ),
      "m",
      alt("Peak memory, and the sum of what must live,"),
    ),
  ];
  const width = 2 * PANEL.margin + 2 * PANEL.width + PANEL.gap;
  const shown = missing
    .slice(0, NAMED)
    .map((m) => `${seriesOf(m)}, width ${share(m.width)}, batch ${m.batch}: ${m.problem}`);
  if (missing.length > NAMED) shown.push(`and ${missing.length - NAMED} more, in the JSON file`);
  const bottom = PANEL.top + PANEL.height + 22;
  const height = bottom + 17 * shown.length;
  const schemes = [...new Set(measured.map(seriesOf))].map((name, k) => `${SIGNS[k % SIGNS.length]} ${name}`);
  const legend = `${schemes.join("    ")}    colours: channels, as a share of the paper’s    solid: most bytes in use    dashed: sum of what must live`;
  const text = (y: number, size: number, content: string, fill: string): Html =>
    html`<text x="${PANEL.margin}" y="${y}" font-size="${size}" fill="${fill}" xml:space="preserve">${content}</text>`;
  const place = (svg: Html, i: number): string =>
    svg.text.replace("<svg ", `<svg x="${PANEL.margin + i * (PANEL.width + PANEL.gap)}" y="${PANEL.top}" `);
  const head = html`${text(34, 19, `One training step of ${arch}: time and peak memory`, palette.ink)}${text(56, 13, `${adapter}, medians of ${rounds}`, palette.muted)}${text(80, 13, legend, palette.ink)}`;
  const foot = html`${shown.map((line, i) => text(bottom + 17 * i, 12, line, palette.muted))}`;
  return standalone(width, height, `${head.text}${panels.map(place).join("")}${foot.text}`);
}
