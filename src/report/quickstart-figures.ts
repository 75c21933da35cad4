/** The quickstart's figures: how training went, where γ stands, and what forged passports achieve. */

import { matchThreshold } from "../ownership/statistics";
import { histogramChart, lineChart, type Reference, type Strip, stripChart } from "./charts";
import { figure, type LegendEntry } from "./figure";
import { formatCount, formatPercent, formatPercentRange, formatSpan, plural } from "./format";
import type { Html } from "./html";
import type { QuickstartReport } from "./record";
import { MAX_DOTS, span } from "./series";
import { palette } from "./theme";

/** Below this value of γ·b the sign loss pushes , whose terms are max(0.1 − γ·b, 0). */
const MARGIN = 0.1;

const PUBLIC: LegendEntry = { label: "public branch (no passport)", colour: palette.open, mark: "broad" };
const PRIVATE: LegendEntry = { label: "private branch (real passport)", colour: palette.owner, mark: "dashed" };

/** Cross-entropies over steps. */
export function lossFigure({ train }: QuickstartReport): Html {
  const series = (key: "loss" | "publicLoss" | "privateLoss") => train.lossCurve.map((p) => ({ x: p.step, y: p[key] }));
  const [first, last] = [train.lossCurve[0], train.lossCurve.at(-1)];
  return figure({
    title: "Loss while training",
    caption:
      "One set of weights learns two tasks at once. Both branches should fall together: the passport must not get in the way of the " +
      "network's real job. Total = public + private + sign loss. Long runs are averaged over neighbouring steps.",
    alt:
      first && last
        ? `Line chart of losses over training steps. Total loss goes from ${first.loss.toFixed(2)} to ${last.loss.toFixed(2)}, public from ` +
          `${first.publicLoss.toFixed(2)} to ${last.publicLoss.toFixed(2)}, private from ${first.privateLoss.toFixed(2)} to ${last.privateLoss.toFixed(2)}.`
        : "Line chart of losses over training steps; no step was recorded.",
    legend: [{ label: "total", colour: palette.muted, mark: "line" }, PUBLIC, PRIVATE],
    draw: (size) =>
      lineChart(size, {
        x: { label: "training step", whole: true },
        y: { label: "loss (nats)" },
        series: [
          { points: series("loss"), colour: palette.muted },
          { points: series("publicLoss"), colour: palette.open, under: true },
          { points: series("privateLoss"), colour: palette.owner, dashed: true },
        ],
      }),
  });
}

/** The sign loss over steps. */
export function signLossFigure({ train }: QuickstartReport): Html {
  const [first, last] = [train.lossCurve[0], train.lossCurve.at(-1)];
  return figure({
    title: "Writing the signature",
    caption:
      "The sign loss counts how far γ is from carrying the signature with a margin of 0.1. It should fall to almost nothing; the small " +
      "remainder comes from its second term, which keeps γ small.",
    alt:
      first && last
        ? `Line chart of the sign loss over training steps, from ${first.signLoss.toPrecision(2)} to ${last.signLoss.toPrecision(2)}.`
        : "Line chart of the sign loss over training steps; no step was recorded.",
    legend: [{ label: "sign loss, all passport layers", colour: palette.owner, mark: "line" }],
    draw: (size) =>
      lineChart(size, {
        x: { label: "training step", whole: true },
        y: { label: "sign loss (no unit)" },
        series: [{ points: train.lossCurve.map((p) => ({ x: p.step, y: p.signLoss })), colour: palette.owner }],
      }),
  });
}

/** Epochs as an axis; a single one gets half an epoch of room on both sides. */
function epochAxis({ train }: QuickstartReport) {
  const [low, high] = span(train.accuracyCurve.map((p) => p.epoch));
  const single = train.accuracyCurve.length === 1;
  const at = train.accuracyCurve[0]?.epoch ?? 0;
  return { label: "epoch", whole: true, domain: single ? ([at - 0.5, at + 0.5] as const) : ([low, high] as const) };
}

/** Test accuracies over epochs, with the chance line. */
export function accuracyFigure(report: QuickstartReport): Html {
  const { train, accuracy } = report;
  const series = (key: "public" | "private") => train.accuracyCurve.map((p) => ({ x: p.epoch, y: 100 * p[key] }));
  return figure({
    title: "Test accuracy after each epoch",
    caption:
      `The two branches should stay close: the gap is the price of carrying a passport. The dashed line is guessing among ` +
      `${Math.round(1 / accuracy.chance)} classes.`,
    alt:
      `Line chart of test accuracy over ${plural(train.accuracyCurve.length, "epoch")}. Public branch ends at ${formatPercent(accuracy.public)}, ` +
      `private branch at ${formatPercent(accuracy.private)}; chance is ${formatPercent(accuracy.chance, 0)}.`,
    legend: [PUBLIC, PRIVATE],
    draw: (size) =>
      lineChart(size, {
        x: epochAxis(report),
        y: { label: "accuracy (%)", domain: [0, 100] },
        series: [
          { points: series("public"), colour: palette.open, under: true },
          { points: series("private"), colour: palette.owner, dashed: true },
        ],
        references: [{ at: 100 * accuracy.chance, label: `chance, ${formatPercent(accuracy.chance, 0)}` }],
      }),
  });
}

/** Share of signature bits in γ over epochs. */
export function bitsFigure(report: QuickstartReport): Html {
  const { bits, matched } = report.signature;
  const threshold = matchThreshold(bits);
  const references: Reference[] = [{ at: 50, label: "coin flips, 50\u202f%", side: "end" }];
  if (threshold <= bits)
    references.push({ at: (100 * threshold) / bits, label: `one in a million, ${threshold} bits` });
  return figure({
    title: "Signature bits in place after each epoch",
    caption:
      `An untrained network agrees with any signature in about half of its ${formatCount(bits)} bits. Above the upper dashed line, ` +
      "chance would get there less than once in a million times.",
    alt: `Line chart of the share of matching signature bits over epochs; it ends at ${matched} of ${bits}. Coin flips reach 50 %.`,
    legend: [{ label: "bits matched under the real passport", colour: palette.owner, mark: "line" }],
    draw: (size) =>
      lineChart(size, {
        x: epochAxis(report),
        y: { label: "bits matched (%)", domain: [0, 104] },
        series: [
          {
            points: report.train.accuracyCurve.map((p) => ({ x: p.epoch, y: (100 * p.bits) / bits })),
            colour: palette.owner,
          },
        ],
        references,
      }),
  });
}

const share = (n: number, of: number) => `${formatCount(n)} of ${formatCount(of)} right`;

/** Signed margins γ·b, a row a layer and passport: the signature read directly off the weights. */
export function marginFigure({ gamma, signature }: QuickstartReport): Html {
  const rows = gamma.flatMap(({ layer, owner, forged, bits }): Strip[] => {
    const strip = (values: number[], name: string, colour: string): Strip[] => {
      if (values.length === 0) return [];
      const margins = values.map((g, i) => g * bits[i]!);
      return [
        {
          label: `${layer} · ${name}`,
          note: share(margins.filter((m) => m > 0).length, bits.length),
          values: margins,
          colour,
        },
      ];
    };
    return [...strip(owner, "real", palette.owner), ...strip(forged, "forged", palette.forged)];
  });
  const domain = span([0, MARGIN, ...rows.flatMap((r) => [...r.values])], 0.03);
  const thinned = rows.some((r) => r.values.length > MAX_DOTS);
  return figure({
    wide: true,
    title: "The signature, channel by channel",
    caption:
      "Each dot is one channel. Right of the solid line its γ has the sign the signature asks for, left of it (shaded) the wrong one. With the " +
      "real passport the dots should lie right of zero, most of them beyond the margin of 0.1 that training asks for; with a forged " +
      `passport they fall on both sides like coin flips. Height within a row has no meaning.${thinned ? ` Of longer rows ${MAX_DOTS} dots are shown, evenly by rank.` : ""}`,
    alt: `Dot plot of signed margins. ${rows.map((r) => `${r.label}: ${r.note} of zero`).join("; ")}. All ${signature.bits} bits: ${signature.matched} match.`,
    legend: [
      { label: "real passport", colour: palette.owner, mark: "dot" },
      ...(gamma.some((g) => g.forged.length > 0)
        ? [{ label: "one forged passport", colour: palette.forged, mark: "dot" } as const]
        : []),
    ],
    draw: (size, width) =>
      stripChart(size, width, {
        x: { label: "signed margin γ·b (no unit)", domain },
        rows,
        shade: [domain[0], 0],
        references: [
          { at: 0, label: "wrong sign", side: "end" },
          { at: MARGIN, label: `margin ${MARGIN}`, dashed: true },
        ],
      }),
  });
}

/** Histogram of γ itself under both passports, all layers together. */
export function gammaFigure({ gamma }: QuickstartReport): Html {
  const owner = gamma.flatMap((g) => g.owner);
  const forged = gamma.flatMap((g) => g.forged);
  const outside = (values: number[]) => values.filter((v) => Math.abs(v) >= MARGIN).length;
  const said = (name: string, values: number[]) =>
    values.length > 0 &&
    `Under the ${name} passport ${outside(values)} of ${values.length} values lie beyond ±${MARGIN}.`;
  return figure({
    wide: true,
    title: "How γ is distributed",
    caption:
      "The same weights, two passports. The real one should give two humps, one for bits −1 and one for bits +1, with a gap at zero: " +
      "each sign is decided. A forged one should give a single heap around zero: nothing is written there.",
    alt: ["Histogram of γ, all passport layers.", said("real", owner), said("forged", forged)]
      .filter(Boolean)
      .join(" "),
    legend: [
      { label: "real passport", colour: palette.owner, mark: "bar" },
      ...(forged.length > 0 ? [{ label: "one forged passport", colour: palette.forged, mark: "bar" } as const] : []),
    ],
    draw: (size) =>
      histogramChart(size, {
        x: {
          label: "γ as read from the weights (no unit)",
          domain: span([-MARGIN, MARGIN, ...owner, ...forged], 0.03),
        },
        countLabel: "channels",
        sets: [
          { values: owner, colour: palette.owner },
          { values: forged, colour: palette.forged },
        ],
        references: [
          { at: -MARGIN, label: "−0.1", side: "end", dashed: true },
          { at: MARGIN, label: "+0.1", dashed: true },
        ],
      }),
  });
}

/** Rows for the real passport and, where there are any, the forged ones. */
function passportRows(real: number, forged: readonly number[], realNote: string, forgedNote: string): Strip[] {
  const rows: Strip[] = [{ label: "real passport", note: realNote, values: [real], colour: palette.owner }];
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

/** Accuracy of the private branch under the real and the forged passports. */
export function forgedAccuracyFigure({ accuracy }: QuickstartReport): Html {
  const range = formatPercentRange(accuracy.forged) ?? "none tried";
  const rows = [
    {
      label: "no passport (public)",
      note: formatPercent(accuracy.public),
      values: [100 * accuracy.public],
      colour: palette.open,
    },
    ...passportRows(
      100 * accuracy.private,
      accuracy.forged.map((a) => 100 * a),
      formatPercent(accuracy.private),
      range,
    ),
  ];
  return figure({
    title: "Does the passport open the network?",
    caption:
      "Only the real passport should make the private branch work. Forged ones should sit at the chance line, however many are tried.",
    alt: `Dot plot of test accuracy. No passport ${formatPercent(accuracy.public)}, real passport ${formatPercent(accuracy.private)}, forged passports ${range}, chance ${formatPercent(accuracy.chance, 0)}.`,
    draw: (size, width) =>
      stripChart(size, width, {
        x: { label: "test accuracy (%)", domain: [0, 100] },
        rows,
        references: [
          { at: 100 * accuracy.chance, label: `chance, ${formatPercent(accuracy.chance, 0)}`, dashed: true },
        ],
      }),
  });
}

/** Matching bits under the real and the forged passports, against what chance reaches. */
export function forgedBitsFigure({ signature }: QuickstartReport): Html {
  const { bits, matched, forgedMatched } = signature;
  const threshold = matchThreshold(bits);
  const reachable = threshold <= bits;
  const range =
    forgedMatched.length === 0 ? "none tried" : formatSpan(Math.min(...forgedMatched), Math.max(...forgedMatched));
  const rows = passportRows(matched, forgedMatched, `${matched} of ${bits}`, range);
  const references: Reference[] = [{ at: bits / 2, label: "50\u202f%", side: "end" }];
  if (reachable) references.push({ at: threshold, label: `threshold ${threshold}`, dashed: true });
  return figure({
    title: "Does the signature come out?",
    caption:
      "Forged passports should scatter around half of the bits, inside the shaded span that coin flips stay in. A claim needs to be right of " +
      (reachable
        ? `the threshold: ${threshold} or more of ${bits} bits happen by chance less than once in a million times.`
        : `a threshold that a signature of ${bits} bits is too short for: even all of them happen by chance more than once in a million times.`),
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
