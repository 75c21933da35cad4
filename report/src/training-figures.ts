/**
 * The figures of a training run, drawn from its record. Those whose data a scheme does not have are
 * left out.
 */

import { type Branch, type BranchAccuracy, branchesOf } from "@pan/core/passport";
import type { Reference } from "./charts";
import { formatPercent, plural } from "./format";
import type { Html } from "./html";
import * as run from "./run-figures";
import { nounOf } from "./samples";
import { palette } from "./theme";
import type { TrainingReport } from "./training-record";

/** How a branch is drawn and called. */
function look(branch: Branch, { network }: TrainingReport) {
  return run.BRANCHES[network.scheme === "plain" ? "plain" : branch];
}

/**
 * Lines over epochs of what `read` finds for each branch; branches for which nothing was recorded
 * are left out.
 */
function byEpoch(
  report: TrainingReport,
  read: (epoch: TrainingReport["epochs"][number]) => BranchAccuracy,
): run.Line[] {
  return branchesOf(report.network.scheme)
    .map((branch) => ({
      ...look(branch, report),
      points: report.epochs.flatMap((e) => {
        const y = read(e)[branch];
        return y === undefined ? [] : [{ x: e.epoch, y }];
      }),
    }))
    .filter((line) => line.points.length > 0);
}

/** Test accuracies over epochs. */
export function accuracyFigure(report: TrainingReport): Html {
  const lines = byEpoch(report, (e) => e);
  const reading =
    branchesOf(report.network.scheme).length > 1
      ? "The two branches should stay close: the gap is the price of carrying a passport."
      : `The share of ${nounOf(report.data).many} never trained on that are classified correctly.`;
  return run.accuracyFigure(lines, report.chance, reading);
}

const LOSS = { public: "publicLoss", private: "privateLoss", passport: "passportLoss" } as const;

/** Losses over steps: the total and, where that is not the same, each branch's. */
export function lossFigure(report: TrainingReport): Html {
  const { steps, network } = report;
  const points = (key: "loss" | (typeof LOSS)[Branch]) => steps.map((p) => ({ x: p.step, y: p[key] }));
  if (network.scheme === "plain") {
    return run.lossFigure(
      [{ ...run.BRANCHES.plain, points: points("loss") }],
      `How far the network’s answers are from the right ones, on the ${nounOf(report.data).many} it is trained with.`,
    );
  }
  const branches = branchesOf(network.scheme);
  const caption =
    branches.length > 1
      ? "One set of weights learns two tasks at once. Both branches should fall together: the passport must not get in the way of the " +
        "network’s real job. Total = public + private + sign loss."
      : "Total = the network’s own loss + sign loss. Once the signature is in place the two should hardly differ.";
  return run.lossFigure(
    [
      { name: "total", label: "total", colour: palette.muted, mark: "line", points: points("loss") },
      ...branches.map((branch) => ({ ...look(branch, report), points: points(LOSS[branch]) })),
    ],
    caption,
  );
}

/**
 * The sign loss over steps and the bits in place over epochs; none for a network without a
 * signature.
 */
export function signatureFigures({ steps, epochs, signature }: TrainingReport): Html[] {
  if (signature === null) return [];
  const { bits } = signature;
  return [
    run.bitsFigure(
      epochs.map((e) => ({ x: e.epoch, y: e.bitsMatched / bits })),
      signature,
    ),
    run.signLossFigure(
      steps.map((p) => ({ x: p.step, y: p.signLoss })),
      "a margin",
    ),
  ];
}

/** Trigger hits over epochs; none where they were not counted. */
export function triggerFigure(report: TrainingReport): Html | undefined {
  const lines = byEpoch(report, (e) => e.triggers ?? {});
  if (lines.length === 0) return undefined;
  const { triggers: t, chance } = report;
  const noun = nounOf(report.data);
  const references: Reference[] = [{ at: 100 * chance, label: `chance, ${formatPercent(chance, 0)}` }];
  const reachable = t !== null && t.threshold <= t.count;
  if (reachable) references.push({ at: (100 * t.threshold) / t.count, label: `threshold, ${t.threshold} hits` });
  const reading =
    `A network that was never taught these ${noun.many} answers about one in ${Math.round(1 / chance)} as the owner did.` +
    (reachable ? ` ${plural(t.threshold, "hit")} of ${t.count} are enough for a claim.` : "");
  return run.triggerFigure(lines, references, { reading, noun });
}

/** The last value that was recorded for a branch. */
export function latest({ epochs }: TrainingReport, branch: Branch): number | undefined {
  return epochs.findLast((e) => e[branch] !== undefined)?.[branch];
}

/** Real against forged passports, in bits and in accuracy; none where no passport was forged. */
export function forgedFigures(report: TrainingReport): Html[] {
  const { signature, forged, chance, network } = report;
  if (signature === null || forged.length === 0) return [];
  return [
    run.forgedBitsFigure(
      signature,
      forged.map((f) => f.matched),
    ),
    run.forgedAccuracyFigure({
      public: latest(report, "public"),
      real: latest(report, network.scheme === "v1" ? "passport" : "private"),
      forged: forged.map((f) => f.accuracy),
      chance,
    }),
  ];
}
