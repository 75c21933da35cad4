/**
 * Figures that every report of a training run shows: how training went, and what forged passports
 * achieve.
 */

import { matchThreshold } from "@pan/core/ownership";
import { lineChart, type Reference, type Series, type Strip, stripChart } from "./charts";
import { figure, type LegendEntry } from "./figure";
import { formatCount, formatPercent, formatPercentRange, formatSpan, plural } from "./format";
import type { Html } from "./html";
import type { Noun } from "./samples";
import { least, most, span } from "./series";
import { palette } from "./theme";

/** A point of a {@link Line}. */
export interface Point {
  x: number;
  y: number;
}

/** A line with its entry in the legend and its name in a sentence. */
export interface Line extends LegendEntry {
  name: string;
  points: readonly Point[];
}

/** How the ways through a network are drawn, everywhere the same. */
export const BRANCHES = {
  public: { name: "public branch", label: "public branch (no passport)", colour: palette.open, mark: "broad" },
  private: { name: "private branch", label: "private branch (real passport)", colour: palette.owner, mark: "dashed" },
  passport: { name: "with passport", label: "with the real passport", colour: palette.owner, mark: "line" },
  plain: { name: "network", label: "the network", colour: palette.open, mark: "line" },
} as const;

function drawn({ points, colour, mark }: Line): Series {
  return { points, colour, dashed: mark === "dashed", under: mark === "broad" };
}

/** Where lines start and end, in words. */
function courses(lines: readonly Line[], write: (y: number) => string): string {
  const said = lines.flatMap(({ name, points }) => {
    const [first, last] = [points[0], points.at(-1)];
    return first && last ? [`${name} from ${write(first.y)} to ${write(last.y)}`] : [];
  });
  return said.length > 0 ? `${said.join(", ")}.` : "nothing was recorded.";
}

/** Losses over steps. */
export function lossFigure(lines: readonly Line[], caption: string): Html {
  return figure({
    title: "Loss while training",
    caption: `${caption} Long runs are averaged over neighbouring steps.`,
    alt: `Line chart of losses over training steps: ${courses(lines, (y) => y.toFixed(2))}`,
    legend: lines,
    draw: (size) =>
      lineChart(size, {
        x: { label: "training step", whole: true },
        y: { label: "loss (nats)" },
        series: lines.map(drawn),
      }),
  });
}

/** The sign loss over steps; `margin` says with what margin it asks for the signs. */
export function signLossFigure(points: readonly Point[], margin: string): Html {
  const line: Line = {
    name: "sign loss",
    label: "sign loss, all passport layers",
    colour: palette.owner,
    mark: "line",
    points,
  };
  return figure({
    title: "Writing the signature",
    caption:
      `The sign loss counts how far γ is from carrying the signature with ${margin}. It should fall to almost nothing; the small ` +
      "remainder comes from its second term, which keeps γ small.",
    alt: `Line chart of the sign loss over training steps: ${courses([line], (y) => String(Number(y.toPrecision(2))))}`,
    legend: [line],
    draw: (size) =>
      lineChart(size, {
        x: { label: "training step", whole: true },
        y: { label: "sign loss (no unit)" },
        series: [drawn(line)],
      }),
  });
}

/** Epochs as an axis; a single one gets half an epoch of room on both sides. */
function epochAxis(lines: readonly { points: readonly Point[] }[]) {
  const epochs = lines.flatMap((line) => line.points.map((p) => p.x));
  const [low, high] = span(epochs);
  const at = epochs[0] ?? 0;
  const single = epochs.every((epoch) => epoch === at);
  return { label: "epoch", whole: true, domain: single ? ([at - 0.5, at + 0.5] as const) : ([low, high] as const) };
}

/** Fractions over epochs, drawn as percent. */
function sharesFigure(
  chart: { title: string; caption: string; what: string; unit: string; top: number },
  lines: readonly Line[],
  references: readonly Reference[],
): Html {
  const percent = lines.map((line) => ({ ...line, points: line.points.map(({ x, y }) => ({ x, y: 100 * y })) }));
  const marks = references.map((r) => r.label).join("; ");
  return figure({
    title: chart.title,
    caption: chart.caption,
    alt: `Line chart of ${chart.what} over epochs: ${courses(lines, (y) => formatPercent(y))} Marked: ${marks}.`,
    legend: lines,
    draw: (size) =>
      lineChart(size, {
        x: epochAxis(percent),
        y: { label: chart.unit, domain: [0, chart.top] },
        series: percent.map(drawn),
        references,
      }),
  });
}

/** Test accuracies (fractions) over epochs, with the chance line. */
export function accuracyFigure(lines: readonly Line[], chance: number, reading: string): Html {
  return sharesFigure(
    {
      title: "Test accuracy after each epoch",
      caption: `${reading} The dashed line is guessing among ${Math.round(1 / chance)} classes.`,
      what: "test accuracy",
      unit: "accuracy (%)",
      top: 100,
    },
    lines,
    [{ at: 100 * chance, label: `chance, ${formatPercent(chance, 0)}` }],
  );
}

/**
 * Share of triggers (fractions) answered as the owner taught it, over epochs; `noun` is what they
 * are.
 */
export function triggerFigure(
  lines: readonly Line[],
  references: readonly Reference[],
  { reading, noun }: { reading: string; noun: Noun },
): Html {
  return sharesFigure(
    {
      title: `Trigger ${noun.many} answered as taught`,
      caption: reading,
      what: `the share of trigger ${noun.many} answered as taught`,
      unit: `trigger ${noun.many} (%)`,
      top: 104,
    },
    lines,
    references,
  );
}

/**
 * The bits a claim needs: `threshold` may lie beyond `bits`, where a signature is too short to
 * prove anything.
 */
export interface Needed {
  bits: number;
  threshold: number;
}

/**
 * Whether it is the threshold that chance passes once in a million times, the one the figures can
 * say in words.
 */
const isMillionth = ({ bits, threshold }: Needed) => threshold === matchThreshold(bits);

/** Signature bits in place over epochs; y is the share of them. */
export function bitsFigure(points: readonly Point[], needed: Needed): Html {
  const { bits, threshold } = needed;
  const references: Reference[] = [{ at: 50, label: "coin flips, 50\u202f%", side: "end" }];
  if (threshold <= bits) {
    const name = isMillionth(needed) ? "one in a million" : "threshold";
    references.push({ at: (100 * threshold) / bits, label: `${name}, ${threshold} bits` });
  }
  const upper =
    threshold > bits
      ? ""
      : isMillionth(needed)
        ? " Above the upper dashed line, chance would get there less than once in a million times."
        : " The upper dashed line is what the claim needs.";
  return sharesFigure(
    {
      title: "Signature bits in place after each epoch",
      caption: `An untrained network agrees with any signature in about half of its ${formatCount(bits)} bits.${upper}`,
      what: "the share of matching signature bits",
      unit: "bits matched (%)",
      top: 104,
    },
    [
      {
        name: "bits matched",
        label: "bits matched under the real passport",
        colour: palette.owner,
        mark: "line",
        points,
      },
    ],
    references,
  );
}

/**
 * Rows for the real passport, where its value is known, and the forged ones, where there are any.
 */
function passportRows(
  real: number | undefined,
  forged: readonly number[],
  realNote: string,
  forgedNote: string,
): Strip[] {
  const rows: Strip[] = [];
  if (real !== undefined) rows.push({ label: "real passport", note: realNote, values: [real], colour: palette.owner });
  if (forged.length > 0) {
    rows.push({
      label: plural(forged.length, "forged passport"),
      note: forgedNote,
      values: forged,
      colour: palette.forged,
    });
  }
  return rows;
}

/**
 * Test accuracy (fractions) without a passport where that is possible, with the real one, and with
 * forged ones.
 */
export function forgedAccuracyFigure(accuracy: {
  public?: number | undefined;
  real: number | undefined;
  forged: readonly number[];
  chance: number;
}): Html {
  const { real, forged, chance } = accuracy;
  const range = formatPercentRange(forged) ?? "none tried";
  const rows = passportRows(
    real === undefined ? undefined : 100 * real,
    forged.map((a) => 100 * a),
    real === undefined ? "" : formatPercent(real),
    range,
  );
  if (accuracy.public !== undefined) {
    rows.unshift({
      label: "no passport (public)",
      note: formatPercent(accuracy.public),
      values: [100 * accuracy.public],
      colour: palette.open,
    });
  }
  const works = accuracy.public === undefined ? "the network" : "the private branch";
  return figure({
    title: "Does the passport open the network?",
    caption: `Only the real passport should make ${works} work. Forged ones should sit at the chance line, however many are tried.`,
    alt: `Dot plot of test accuracy. ${rows.map((r) => `${r.label} ${r.note}`).join(", ")}; chance ${formatPercent(chance, 0)}.`,
    draw: (size, width) =>
      stripChart(size, width, {
        x: { label: "test accuracy (%)", domain: [0, 100] },
        rows,
        references: [{ at: 100 * chance, label: `chance, ${formatPercent(chance, 0)}`, dashed: true }],
      }),
  });
}

/** Matching bits under the real and the forged passports, against what chance reaches. */
export function forgedBitsFigure(signature: Needed & { matched: number }, forged: readonly number[]): Html {
  const { bits, matched, threshold } = signature;
  const reachable = threshold <= bits;
  const range = forged.length === 0 ? "none tried" : formatSpan(least(forged), most(forged));
  const rows = passportRows(matched, forged, `${matched} of ${bits}`, range);
  const references: Reference[] = [{ at: bits / 2, label: "50\u202f%", side: "end" }];
  if (reachable) references.push({ at: threshold, label: `threshold ${threshold}`, dashed: true });
  const enough = isMillionth(signature)
    ? `the threshold: ${threshold} or more of ${bits} bits happen by chance less than once in a million times.`
    : `the threshold of ${threshold} bits.`;
  return figure({
    title: "Does the signature come out?",
    caption:
      "Forged passports should scatter around half of the bits, inside the shaded span that coin flips stay in. A claim needs to be right of " +
      (reachable
        ? enough
        : `a threshold that a signature of ${bits} bits is too short for: even all of them happen by chance too often.`),
    alt: `Dot plot of matching signature bits of ${bits}. Real passport ${matched}, forged passports ${range}, threshold ${reachable ? threshold : "out of reach"}.`,
    draw: (size, width) =>
      stripChart(size, width, {
        x: {
          label: `matching bits (of ${formatCount(bits)})`,
          domain: [0, bits],
          ticks: [0, 1, 2, 3, 4].map((q) => Math.round((q * bits) / 4)),
        },
        rows,
        shade: reachable ? [bits - threshold, threshold] : [0, bits],
        references,
      }),
  });
}
