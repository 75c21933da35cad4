/** What protection costs: convergence, distributions of values, time and what has to be at hand. */

import { lineChart, type Series } from "../charts";
import { type Cell, type DataTable, type Part, tablePanel } from "../data-table";
import { figure, type LegendEntry } from "../figure";
import { formatNumber, formatPercent, plural } from "../format";
import type { Html } from "../html";
import { grid, section } from "../page";
import * as run from "../run-figures";
import { commonNoun } from "../samples";
import { least, most, span, thin } from "../series";
import { palette } from "../theme";
import { FAMILIES, recordsOf, SCHEME_NAMES } from "./families";
import { overlap, paired, sampleFigure } from "./figures";
import type { AttackedNetwork, Convergence } from "./record";

/** Points of one channel's line: there are many lines, and each is drawn twice. */
const CHANNEL_POINTS = 60;

/** Lines of channels over epochs, coloured by the sign they end with. */
function channelsFigure(
  n: AttackedNetwork,
  { layer, epochs }: Convergence,
  key: "gamma" | "beta",
  wide: boolean,
): Html | undefined {
  const channels = epochs[0]?.[key].length ?? 0;
  if (channels === 0) return undefined;
  const series: Series[] = Array.from({ length: channels }, (_, c) => ({
    points: thin(
      epochs.map((e) => ({ x: e.epoch, y: e[key][c]! })),
      CHANNEL_POINTS,
    ),
    colour: epochs.at(-1)![key][c]! > 0 ? palette.owner : palette.forged,
    fine: true,
  }));
  const name = key === "gamma" ? "γ" : "β";
  const positive = series.filter(({ colour }) => colour === palette.owner).length;
  const turns = epochs
    .slice(1)
    .reduce((sum, e, i) => sum + e[key].filter((v, c) => v * epochs[i]![key][c]! < 0).length, 0);
  const legend: LegendEntry[] = [
    { label: "ends above 0", colour: palette.owner, mark: "line" },
    { label: "ends at 0 or below", colour: palette.forged, mark: "line" },
  ];
  const values = series.flatMap(({ points }) => points.map((p) => p.y));
  const xs = epochs.map((e) => e.epoch);
  return figure({
    title: `${name} of the first ${channels} channels: ${n.title}`,
    caption: `Layer ${layer}; a sign turns ${plural(turns, "time")} from one epoch to the next. DeepIPR’s Fig. 18${key === "gamma" ? "c" : "d"}.`,
    alt: `Line chart of ${name} of ${channels} channels of layer ${layer} over ${plural(epochs.length, "epoch")}: ${positive} end above 0, between ${formatNumber(least(values))} and ${formatNumber(most(values))}.`,
    legend,
    wide,
    draw: (size) =>
      lineChart(size, {
        x: { label: "epoch", whole: true, domain: span(xs) },
        y: { label: name, domain: span([0, ...values], 0.04) },
        series,
      }),
  });
}

function updatesFigure(n: AttackedNetwork, { layer, epochs }: Convergence, wide: boolean): Html | undefined {
  const points = epochs.flatMap(({ epoch: x, update: y }) => (y === undefined ? [] : [{ x, y }]));
  if (points.length === 0) return undefined;
  const [first, last] = [points[0]!, points.at(-1)!];
  return figure({
    title: `Weight updates: ${n.title}`,
    caption: `How far the weights of layer ${layer} move in each epoch. DeepIPR’s Fig. 18b.`,
    alt: `Line chart of weight updates of layer ${layer} over epochs, from ${formatNumber(first.y)} to ${formatNumber(last.y)}.`,
    wide,
    draw: (size) =>
      lineChart(size, {
        x: { label: "epoch", whole: true, domain: span(points.map((p) => p.x)) },
        y: { label: "length of the update" },
        series: [{ points, colour: palette.owner }],
      }),
  });
}

/** Draws a figure over half or all of a row, where there is something to draw. */
type Draw = (wide: boolean) => Html | undefined;

/** Fig. 18 of DeepIPR. */
function convergenceFigures(n: AttackedNetwork): Draw[] {
  const { convergence } = n;
  if (!convergence || convergence.epochs.length === 0) return [];
  const lines = (["public", "private", "passport"] as const).flatMap((branch) => {
    const points = convergence.epochs.flatMap((e) => {
      const y = e.accuracy[branch];
      return y === undefined ? [] : [{ x: e.epoch, y }];
    });
    return points.length > 0 ? [{ ...run.BRANCHES[branch], points }] : [];
  });
  const reading = `${n.title}. DeepIPR’s Fig. 18a.`;
  return [
    () => (lines.length > 0 ? run.accuracyFigure(lines, n.chance, reading) : undefined),
    (wide) => updatesFigure(n, convergence, wide),
    ...(["gamma", "beta"] as const).map((key) => (wide: boolean) => channelsFigure(n, convergence, key, wide)),
  ];
}

const VALUES = [
  { key: "weights", name: "weights", part: "a" },
  { key: "gamma", name: "γ", part: "b" },
  { key: "beta", name: "β", part: "c" },
] as const;

/** Fig. 19 of DeepIPR. */
function distributionFigures(n: AttackedNetwork): Draw[] {
  const { distributions: d } = n;
  if (!d) return [];
  return VALUES.map(({ key, name, part }) => (wide) => {
    const [own, plain] = [d.own[key], d.plain?.[key] ?? []];
    if (own.length === 0) return undefined;
    const both = plain.length > 0;
    const shared = both ? ` ${formatPercent(overlap(own, plain), 0)} of the two histograms lie over one another.` : "";
    return sampleFigure({
      title: `Distribution of ${name}: ${n.title}`,
      caption: `Layer ${d.layer}.${shared} DeepIPR’s Fig. 19${part}.`,
      x: name,
      samples: [
        ...(both ? [{ label: "plain network", values: plain, colour: palette.open }] : []),
        { label: "protected network", values: own, colour: palette.owner },
      ],
      wide,
    });
  });
}

function distributionTable(networks: readonly AttackedNetwork[]): DataTable {
  const rows = networks.flatMap((n) =>
    VALUES.flatMap(({ key, name }) =>
      (["plain", "own"] as const).flatMap((side): Cell[][] => {
        const values = n.distributions?.[side]?.[key] ?? [];
        if (values.length === 0) return [];
        const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
        const square = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
        const positive = values.filter((v) => v > 0).length / values.length;
        const which = side === "own" ? "protected" : "plain";
        return [[n.title, n.distributions!.layer, name, which, values.length, mean, Math.sqrt(square), positive]];
      }),
    ),
  );
  return {
    name: "distributions",
    title: "Distributions in numbers",
    columns: [
      ["Network", "network"],
      ["Layer", "text"],
      ["Values", "text"],
      ["Of the", "text"],
      ["Number", "count"],
      ["Mean", "number"],
      ["Deviation", "number"],
      ["Above 0", "share"],
    ],
    rows,
  };
}

const ratio = (a: number | undefined, b: number | undefined): number | null =>
  a === undefined || b === undefined || b === 0 ? null : a / b;

/** Table 11 of DeepIPR. */
function timesTable(networks: readonly AttackedNetwork[]): DataTable {
  return {
    name: "times",
    title: "Seconds of training and inference",
    columns: [
      ["Network", "network"],
      ["Scheme", "text"],
      ["Training, an epoch", "seconds"],
      ["Plain", "seconds"],
      ["Ratio", "ratio"],
      [`Inference, test ${commonNoun(networks).many}`, "seconds"],
      ["Plain, inference", "seconds"],
      ["Ratio, inference", "ratio"],
    ],
    rows: networks.flatMap(({ title, network, seconds, plain }) => {
      if (!seconds) return [];
      const own = plain?.seconds;
      return [
        [
          title,
          SCHEME_NAMES[network.scheme],
          seconds.epoch,
          own?.epoch ?? null,
          ratio(seconds.epoch, own?.epoch),
          seconds.inference,
          own?.inference ?? null,
          ratio(seconds.inference, own?.inference),
        ],
      ];
    }),
  };
}

/** Table 12 of DeepIPR: a column per network. */
function complexityTable(networks: readonly AttackedNetwork[]): DataTable {
  const yes = (is: boolean) => (is ? "yes" : "no");
  const times = (key: "epoch" | "inference") => (n: AttackedNetwork) => {
    const value = ratio(n.seconds?.[key], n.plain?.seconds?.[key]);
    return value === null ? "not measured" : `${value.toFixed(2)}\u202f×`;
  };
  const facts: readonly [string, (n: AttackedNetwork) => string][] = [
    ["Training: passport needed", () => "yes"],
    [`Training: trigger ${commonNoun(networks).many} needed`, (n) => yes(n.network.scheme === "v3")],
    ["Training: time against plain", times("epoch")],
    ["Inference: passport needed", (n) => (n.network.scheme === "v1" ? "yes, or the γ and β it comes to" : "no")],
    ["Inference: time against plain", times("inference")],
    [
      "Verification from outside (triggers)",
      ({ claim: { triggers } }) => (triggers === null ? "no" : triggers.holds ? "yes" : "tried, too few hits"),
    ],
    [
      "Verification from the weights (passports)",
      ({ network }) => (network.scheme === "v1" ? "yes, at every use" : "yes, with the passport branch put back"),
    ],
    ["Passport layers", ({ network }) => network.passportLayers.join(", ")],
  ];
  return {
    name: "complexity",
    title: "What each scheme needs",
    columns: [["Question", "text"], ...networks.map(({ title }) => [title, "text"] as const)],
    rows: facts.map(([name, read]) => [name, ...networks.map(read)]),
  };
}

/** The section on training. */
export function trainingPart(networks: readonly AttackedNetwork[]): Part {
  const single = networks.length === 1;
  const tables: DataTable[] = [];
  const figures = networks.flatMap((n) => paired([...convergenceFigures(n), ...distributionFigures(n)]));
  const cards: Html[] = [];
  const add = (table: DataTable, note: string) => {
    if (table.rows.length === 0) return;
    tables.push(table);
    cards.push(tablePanel(table, single, note));
  };
  add(distributionTable(networks), "The numbers of DeepIPR’s Fig. 19.");
  const adapters = [...new Set(networks.map(({ adapter }) => `${adapter.name} (${adapter.kind})`))].join(", ");
  add(
    timesTable(networks),
    `DeepIPR’s Table 11, there on an NVIDIA Titan V; here on ${adapters}. Inference is that of the branch given away, over all test ${commonNoun(networks).many}.`,
  );
  add(complexityTable(networks), "DeepIPR’s Table 12, with the ratios that were measured here.");
  const compared = networks.some((n) => recordsOf(n, FAMILIES.fineTuning).length > 0 && n.plainAttacks);
  const lead = `What it costs the owner to mark a network: does it still learn, are its values those of an ordinary network, how long does it take?${compared ? " The difference in accuracy is in the table on fine-tuning." : ""}`;
  return { body: section("training", "Training", lead, grid(...figures, ...cards)), tables };
}
