/** The tables of a training run's page, and its numbers as text. */

import { type Branch, branchesOf, type Scheme } from "@pan/core/passport";
import {
  formatCount,
  formatDuration,
  formatNumber,
  formatPercent,
  formatPercentRange,
  formatPValue,
  formatSpan,
  plural,
} from "./format";
import { type Html, html } from "./html";
import { fold, glossary, grid, panel, table } from "./page";
import { forgedTable, layersTable, settingsTable } from "./run-parts";
import { type Noun, nounOf } from "./samples";
import { least, most } from "./series";
import { latest } from "./training-figures";
import type { TrainingReport } from "./training-record";

const markings = ({ many }: Noun): Record<Scheme, string> => ({
  plain: "none: an ordinary network",
  v1: "DeepIPR V1: the passport is needed for every use",
  v2: "DeepIPR V2: a private branch, with passport, beside the public one",
  v3: `DeepIPR V3: as V2, and trigger ${many} with labels of the owner’s choice`,
  pan: "passport-aware normalisation: a private branch, with passport, beside the public one, each with statistics of its own",
});

/** What a branch is to someone who uses the network. */
const BRANCH: Record<Branch, string> = {
  public: "without passport",
  private: "with the real passport",
  passport: "with the real passport",
};

/** As BRANCH, but a plain network has no passport to be without. */
function nameOf(branch: Branch, { network, data }: TrainingReport): string {
  return network.scheme === "plain" ? `on the test ${nounOf(data).many}` : BRANCH[branch];
}

/** A branch's last accuracy, as text. */
export function accuracy(r: TrainingReport, branch: Branch, digits?: number): string {
  const value = latest(r, branch);
  return value === undefined ? "not measured" : formatPercent(value, digits);
}

/** Smallest and largest of the forged passports' matches, or nothing where none was tried. */
export function forgedBits({ forged }: TrainingReport): string | undefined {
  if (forged.length === 0) return undefined;
  const matched = forged.map((f) => f.matched);
  return formatSpan(least(matched), most(matched));
}

/** The span of the forged passports' accuracies, or nothing where none was tried. */
export const forgedAccuracy = (r: TrainingReport, digits?: number) =>
  formatPercentRange(
    r.forged.map((f) => f.accuracy),
    digits,
  );

/** What was run, on what, for how long. */
function facts(r: TrainingReport): Html {
  const { network, data, best, adapter } = r;
  const noun = nounOf(data);
  const entries: [string, string][] = [
    ["Network", `${network.arch}, ${plural(network.parameters, "parameter")}`],
    ["Marking", markings(noun)[network.scheme]],
    ["Passport layers", network.passportLayers.join(", ") || "none"],
    [noun.Many, `${formatCount(data.train)} to train with, ${formatCount(data.test)} to test with`],
    [`Trigger ${noun.many}`, data.triggers > 0 ? formatCount(data.triggers) : "none"],
    ["Time taken", `${formatDuration(r.seconds)}, ${plural(r.epochs.length, "epoch")}`],
  ];
  if (best) {
    const values = branchesOf(network.scheme).flatMap((branch) => {
      const value = best.accuracy[branch];
      return value === undefined ? [] : [`${formatPercent(value, 2)} ${nameOf(branch, r)}`];
    });
    entries.push([
      "Best epoch",
      `${[best.epoch, ...values].join(", ")}. It is found with the test ${noun.many} themselves, which flatters it a little; all other results are those after the last epoch.`,
    ]);
  }
  entries.push(["Adapter", `${adapter.name} (${adapter.kind})`]);
  return html`<h3>This run</h3>${glossary(entries)}`;
}

function results(r: TrainingReport): Html {
  const { signature: s, triggers: t, chance, network } = r;
  const guess = `chance ${formatPercent(chance, 0)}`;
  const rows: [string, string, string][] = branchesOf(network.scheme).map((branch) => [
    network.scheme === "plain" ? "Test accuracy" : `Test accuracy ${BRANCH[branch]}`,
    accuracy(r, branch, 2),
    guess,
  ]);
  if (s !== null) {
    const needs = s.threshold <= s.bits ? `needs ${s.threshold}` : "too short to prove";
    rows.push(
      ["Test accuracy with forged passports", forgedAccuracy(r, 2) ?? "none tried", guess],
      ["Bits matched, real passport", `${s.matched} of ${s.bits}`, needs],
      [
        "Bits matched, forged passports",
        forgedBits(r) ?? "none tried",
        `${formatNumber(s.bits / 2)} expected by chance`,
      ],
      ["p-value of the match", formatPValue(s.pValue), "the smaller, the surer"],
    );
  }
  if (t !== null) {
    const needs = t.threshold <= t.count ? `needs ${t.threshold}` : "too few to prove";
    rows.push(
      [`Trigger ${nounOf(r.data).many} answered as taught, ${t.branch} branch`, `${t.hits} of ${t.count}`, needs],
      ["p-value of these answers", formatPValue(t.pValue), "the smaller, the surer"],
    );
  }
  return table(
    "Results after the last epoch",
    [{ head: "Quantity" }, { head: "Measured", kind: "number" }, { head: "Compare with" }],
    rows,
  );
}

/** Up to this many epochs the table lies open. */
const OPEN_ROWS = 12;

function epochsTable({ epochs, network, signature }: TrainingReport): Html {
  const branches = branchesOf(network.scheme);
  const tried = branches.filter((branch) => epochs.some((e) => e.triggers?.[branch] !== undefined));
  const share = (value: number | undefined) => (value === undefined ? "–" : formatPercent(value, 2));
  const heads = {
    public: network.scheme === "plain" ? "Accuracy" : "Public",
    private: "Private",
    passport: "Passport",
  };
  const all = table(
    "By epoch",
    [
      { head: "Epoch" },
      ...[
        "Loss",
        ...branches.map((branch) => heads[branch]),
        ...tried.map((branch) => (network.scheme === "plain" ? "Triggers" : `Triggers, ${branch}`)),
        ...(signature ? ["Bits"] : []),
        "Time",
      ].map((head) => ({ head, kind: "number" as const })),
    ],
    epochs.map((e) => [
      formatCount(e.epoch),
      formatNumber(e.loss),
      ...branches.map((branch) => share(e[branch])),
      ...tried.map((branch) => share(e.triggers?.[branch])),
      ...(signature ? [`${e.bitsMatched} of ${e.bits}`] : []),
      formatDuration(e.seconds),
    ]),
  );
  return epochs.length > OPEN_ROWS ? fold(`Every epoch, ${epochs.length} rows`, all) : all;
}

/** All of them, side by side. */
export function numbers(r: TrainingReport): Html {
  const { signature: s, forged } = r;
  const forgeries = forged.length > 0 && fold("Every forged passport", forgedTable(forged));
  return grid(
    panel(results(r), true),
    panel(facts(r), true),
    ...(s !== null ? [panel(html`${layersTable(s.layers)}${forgeries}`)] : []),
    panel(settingsTable(r.settings), s === null),
    panel(epochsTable(r), true),
  );
}
