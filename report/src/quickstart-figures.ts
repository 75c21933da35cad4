/** The quickstart's figures: those of every run drawn from its record, and where γ stands. */

import { matchThreshold } from "@pan/core/ownership";
import { histogramChart, type Strip, stripChart } from "./charts";
import { figure } from "./figure";
import { formatCount } from "./format";
import type { Html } from "./html";
import type { QuickstartReport } from "./quickstart-record";
import * as run from "./run-figures";
import { MAX_DOTS, span } from "./series";
import { palette } from "./theme";

/** Below this value of γ·b the sign loss pushes, whose terms are max(0.1 − γ·b, 0). */
const MARGIN = 0.1;

/** Cross-entropies over steps. */
export function lossFigure({ train }: QuickstartReport): Html {
  const points = (key: "loss" | "publicLoss" | "privateLoss") => train.lossCurve.map((p) => ({ x: p.step, y: p[key] }));
  return run.lossFigure(
    [
      { name: "total", label: "total", colour: palette.muted, mark: "line", points: points("loss") },
      { ...run.BRANCHES.public, points: points("publicLoss") },
      { ...run.BRANCHES.private, points: points("privateLoss") },
    ],
    "One set of weights learns two tasks at once. Both branches should fall together: the passport must not get in the way of the " +
      "network's real job. Total = public + private + sign loss.",
  );
}

/** The sign loss over steps. */
export function signLossFigure({ train }: QuickstartReport): Html {
  const points = train.lossCurve.map((p) => ({ x: p.step, y: p.signLoss }));
  return run.signLossFigure(points, `a margin of ${MARGIN}`);
}

/** Test accuracies over epochs, with the chance line. */
export function accuracyFigure({ train, accuracy }: QuickstartReport): Html {
  const points = (key: "public" | "private") => train.accuracyCurve.map((p) => ({ x: p.epoch, y: p[key] }));
  return run.accuracyFigure(
    (["public", "private"] as const).map((key) => ({ ...run.BRANCHES[key], points: points(key) })),
    accuracy.chance,
    "The two branches should stay close: the gap is the price of carrying a passport.",
  );
}

/** Share of signature bits in γ over epochs. */
export function bitsFigure({ train, signature: { bits } }: QuickstartReport): Html {
  const points = train.accuracyCurve.map((p) => ({ x: p.epoch, y: p.bits / bits }));
  return run.bitsFigure(points, { bits, threshold: matchThreshold(bits) });
}

const share = (n: number, of: number) => `${formatCount(n)} of ${formatCount(of)} right`;

/**
 * Signed margins γ·b, a row per layer and passport: the signature read directly off the weights.
 */
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

/** Accuracy of the private branch under the real and the forged passports. */
export function forgedAccuracyFigure({ accuracy }: QuickstartReport): Html {
  return run.forgedAccuracyFigure({ ...accuracy, real: accuracy.private });
}

/** Matching bits under the real and the forged passports, against what chance reaches. */
export function forgedBitsFigure({ signature: s }: QuickstartReport): Html {
  return run.forgedBitsFigure({ ...s, threshold: matchThreshold(s.bits) }, s.forgedMatched);
}
