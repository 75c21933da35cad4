/**
 * The record that `npm run bench -- strangers` writes, and its figure: on how many channels the
 * matchings of unrelated networks agree, beside the law that the bound is made of.
 */
import * as Plot from "@observablehq/plot";
import { drawSvg, standalone, WIDTHS } from "./figure";
import { formatPValue } from "./format";
import { type Html, html } from "./html";
import { palette } from "./theme";

/** strangers.json */
export interface StrangersRecord {
  adapter: string;
  networks: number;
  epochs: number;
  images: number;
  /** Test accuracies, the least and the most. */
  accuracy: readonly [number, number];
  pairs: number;
  layers: readonly {
    name: string;
    channels: number;
    /** Means over all pairs. */
    coincidences: number;
    agreements: number;
  }[];
  /** Pairs by the number of channels on which both matchings agree, and do beyond doubt. */
  coincidences: readonly number[];
  agreements: readonly number[];
  /** Pairs that are expected by the law of fixed points. */
  expected: readonly number[];
  /** Rates, and pairs that reach what is needed at them. */
  rates: readonly { rate: number; needed: number; coincidences: number; agreements: number }[];
}

const BOX = { margin: 20, top: 96, height: 360 };

/** The whole figure as an SVG file. */
export function drawStrangers(record: StrangersRecord): string {
  const { networks, pairs, layers, coincidences, agreements, expected } = record;
  const most = Math.max(coincidences.length, agreements.length, expected.findLastIndex((n) => n >= 0.1) + 1);
  const bars = (counts: readonly number[], from: number) =>
    Array.from({ length: most }, (_, at) => ({ from: at + from, to: at + from + 0.36, pairs: counts[at] ?? 0 }));
  const bar = { x1: "from", x2: "to", y: "pairs" } as const;
  const plot = drawSvg(
    {
      height: BOX.height,
      marginLeft: 58,
      x: { domain: [-0.6, most - 0.4] },
      marks: [
        Plot.gridY({ stroke: palette.rule, strokeOpacity: 1 }),
        Plot.rectY(bars(coincidences, -0.38), { ...bar, fill: palette.open, fillOpacity: 0.55 }),
        Plot.rectY(bars(agreements, 0.02), { ...bar, fill: palette.owner }),
        Plot.line(expected.slice(0, most), { x: (_, i) => i, y: (n) => n, stroke: palette.forged, strokeWidth: 1.8 }),
        Plot.dot(expected.slice(0, most), { x: (_, i) => i, y: (n) => n, fill: palette.forged, r: 3 }),
        Plot.axisX({ label: "channels", labelAnchor: "center", labelArrow: "none", color: palette.muted }),
        Plot.axisY({ label: "pairs of networks", labelArrow: "none", tickSize: 0, color: palette.muted }),
      ],
    },
    "l",
    "Histogram of the channels on which two matchings agree, for all pairs of unrelated networks",
  );
  const width = WIDTHS.l + 2 * BOX.margin;
  const height = BOX.top + BOX.height + 12;
  const text = (y: number, size: number, content: string, fill: string): Html =>
    html`<text x="${BOX.margin}" y="${y}" font-size="${size}" fill="${fill}" xml:space="preserve">${content}</text>`;
  const needed = record.rates.at(-1)!;
  const compared = layers.reduce((sum, l) => sum + l.channels, 0);
  const head = html`${text(34, 19, `${pairs} pairs of ${networks} networks with nothing in common but data and recipe`, palette.ink)}${text(
    56,
    13,
    `${layers.length} layers, ${compared} channels compared; ${needed.needed} are needed at a false-positive rate of ${formatPValue(needed.rate)}, a copy has nearly all`,
    palette.muted,
  )}${text(80, 13, "light: both matchings agree    dark: beyond doubt (what counts)    line: expected of random permutations", palette.ink)}`;
  const placed = plot.text.replace("<svg ", `<svg x="${BOX.margin}" y="${BOX.top}" `);
  return standalone(width, height, `${head.text}${placed}`);
}
