/**
 * The page on attacks: what was claimed of some networks, what was tried against the claims, and
 * what is left of them. It opens with a page for readers who know nothing of networks and then
 * follows the figures and tables of DeepIPR (Fan et al., TPAMI 2021), with the p-values and
 * thresholds that the paper lacks.
 */

import { type Cell, type DataTable, type Part, type PlainTable, plainTable, showTable } from "../data-table";
import { formatPValue, formatSpan, prose } from "../format";
import { type Html, html } from "../html";
import { fold, glossary, grid, page, panel, program, section, type Tile, tiles } from "../page";
import { privateNotice, TERMS } from "../run-parts";
import { commonNoun } from "../samples";
import { least, most } from "../series";
import { isShown } from "../verdict-record";
import { ambiguityPart } from "./ambiguity";
import { checkAttackRuns } from "./checks";
import { bareAccuracy, guessing, SCHEME_NAMES, secretAccuracy } from "./families";
import { type Findings, findingsOf } from "./findings";
import { forgeriesPart } from "./forgeries";
import type { AttackedNetwork, AttackRuns } from "./record";
import { removalPart } from "./removal";
import { statisticsPart } from "./statistics";
import { summary } from "./summary";
import { otherSteps, stepTable, without } from "./tables";
import { trainingPart } from "./training";
import { watermarksPart } from "./watermarks";

/** A report: the page, and every table on it as data. JSON-able. */
export interface AttackReport {
  /** A self-contained document: inline style and SVG, no script, nothing loaded. */
  html: string;
  /**
   * Accuracies and shares are fractions from 0 to 1, times seconds; `null` where nothing was
   * measured.
   */
  tables: PlainTable[];
}

function keyFigures(networks: readonly AttackedNetwork[], { removal, ambiguity, lost, rivals }: Findings): Html {
  const claims = networks.map(({ claim }) => claim);
  const forgeries = networks.flatMap((n) => n.forgeries);
  const holding = networks.filter(({ verdict }) => isShown(verdict)).length;
  const marked = networks.filter(({ verdict }) => verdict.verdict === "mark present").length;
  const shares = claims.map(({ matched, bits }) => Math.floor((1000 * matched) / bits) / 10);
  const worst = Math.max(...claims.map(guessing));
  const count = (found: Findings["removal"]) => found.reduce((sum, { counted }) => sum + counted.length, 0);
  const items: Tile[] = [
    {
      label: "Claims that hold",
      value: `${holding} / ${claims.length}`,
      about: marked > 0 ? `of the owner; ${marked} more: mark present` : "of the owner",
      tone: holding === claims.length ? "good" : holding + marked === claims.length ? "warn" : "bad",
    },
    {
      label: "Signature bits right",
      value: `${formatSpan(least(shares), most(shares))}\u202f%`,
      about: `p\u00a0=\u00a0${formatPValue(worst)}${claims.length > 1 ? " at most" : ""}`,
      tone: "owner",
    },
  ];
  if (removal.length > 0)
    items.push({
      label: "Removal",
      value: `${lost.length} / ${count(removal)}`,
      about: "settings of use without the signature",
      tone: lost.length === 0 ? "good" : "bad",
    });
  if (ambiguity.length > 0) {
    const all = ambiguity.reduce((sum, { tried }) => sum + tried.length, 0);
    items.push({
      label: "Rival branches",
      value: `${rivals.length} / ${all}`,
      about: "work as well with other bits",
      tone: rivals.length === 0 ? "good" : "bad",
    });
  }
  if (forgeries.length > 0) {
    const passed = forgeries.filter(({ asInPapers }) => asInPapers.passes).length;
    const held = forgeries.filter(({ verdict }) => isShown(verdict)).length;
    items.push(
      {
        label: "Forged claims accepted",
        value: `${passed} / ${forgeries.length}`,
        about: "as the papers check",
        tone: "forged",
      },
      {
        label: "Forged claims accepted",
        value: `${held} / ${forgeries.length}`,
        about: "as claims of ownership",
        tone: held === 0 ? "good" : "bad",
      },
    );
  }
  return tiles(items);
}

/** A row per network: what it is and what is claimed of it. */
function overview(networks: readonly AttackedNetwork[]): DataTable {
  return {
    name: "claims",
    title: "The networks and their claims",
    columns: [
      ["Network", "text"],
      ["Scheme", "text"],
      ["Parameters", "count"],
      ["Passport layers", "count"],
      ["Says", "quote"],
      ["Bits right", "count"],
      ["Of", "count"],
      ["Needed", "count"],
      ["Needed by the verdict", "count"],
      ["p", "pValue"],
      ["No passport", "share"],
      ["Passport branch", "share"],
      ["Plain network", "share"],
      ["As in the papers", "text"],
      ["Verdict", "text"],
    ],
    rows: networks.map((n): Cell[] => {
      const { claim, network, plain } = n;
      return [
        n.title,
        SCHEME_NAMES[network.scheme],
        network.parameters,
        network.passportLayers.length,
        claim.decodedText || null,
        claim.matched,
        claim.bits,
        claim.threshold,
        n.verdict.mark?.bits?.needed ?? null,
        claim.pValue,
        bareAccuracy(n, claim) ?? null,
        secretAccuracy(n, claim) ?? null,
        plain?.accuracy ?? null,
        claim.passes ? "passes" : "fails",
        n.verdict.verdict,
      ];
    }),
  };
}

const findingsText = ({ title, verdict: { sentence, reasons, open } }: AttackedNetwork): Html =>
  html`<h3>${title}</h3><ul class="note">${[sentence, ...reasons, ...open].map((line) => html`<li>${prose(line)}</li>`)}</ul>`;

/** Attacks that the report has no part for. */
function otherPart(networks: readonly AttackedNetwork[]): Part {
  const found = otherSteps(networks);
  if (found.length === 0) return { tables: [] };
  const table = stepTable({ name: "other-attacks", title: "Other attacks", setting: "Setting" }, found);
  const body = panel(showTable(table, networks.length === 1), true);
  const lead = "Recorded like the others; what they come to is not judged here.";
  return { body: section("other", "Other attacks", lead, grid(body)), tables: [table] };
}

const WORDS: readonly (readonly [string, string])[] = [
  TERMS.passport,
  TERMS.gamma,
  TERMS.signature,
  TERMS.branches,
  TERMS.pValue,
  [
    "Two-sided p-value",
    "The probability that guessing is as far from half of the bits, to either side: a signature turned as a whole is as unlikely as one that matches.",
  ],
  [
    "Threshold",
    "The bits that are needed. By the papers’ check guessing finds as many once in a million times or less often; the verdict on a claim asks for more, since a forger can try many claims.",
  ],
  ["Removal", "Changing the weights so that the signature is gone."],
  [
    "Ambiguity",
    "Showing a second signature, or a branch that works without the first, so that the claim no longer stands alone.",
  ],
  ["Fidelity", "Whether a branch does what is claimed: its accuracy within a few points (DeepIPR’s ε)."],
  [
    "Binding",
    "Passports and bits follow from one secret and a statement, so that they cannot be computed to fit given weights.",
  ],
  [
    "Commitment",
    "A signed statement of which file will be released and which claim is in it; time-stamped and published before anybody else has the network.",
  ],
  ["Mark present", "The verdict that a mark is in the network, and no more: somebody may have planted it into a copy."],
  ["κ (kappa)", "Accuracy of the marked network less that of a plain one, in points."],
];

/**
 * A report on attacks.
 * @throws ArgumentError naming the entry of an incomplete or contradictory record.
 */
export function renderAttacks(runs: AttackRuns): AttackReport {
  checkAttackRuns(runs);
  const { networks, watermarks } = runs;
  const findings = findingsOf(networks);
  const claims = overview(networks);
  const reasons = [
    panel(fold("What verification found, sentence by sentence", html`${networks.map(findingsText)}`), true),
  ];
  const parts: Part[] = [
    {
      tables: [claims],
      body: section(
        "claims",
        "The networks",
        "What was attacked, and what is claimed of it.",
        grid(panel(showTable(without(claims, ["Scheme", "Parameters", "Passport layers"]), false), true), ...reasons),
      ),
    },
    removalPart(networks),
    ambiguityPart(networks),
    forgeriesPart(networks),
    otherPart(networks),
    statisticsPart(networks),
    watermarksPart(watermarks ?? [], commonNoun(networks)),
    trainingPart(networks),
  ];
  const commands = [...new Set(networks.map(({ command }) => command))].join("\n");
  const document = page({
    title: "Attacks on marked networks · @pan/core",
    header: html`${summary(networks, findings)}${keyFigures(networks, findings)}`,
    main: [
      ...parts.flatMap(({ body }) => body ?? []),
      section(
        "reproduce",
        "Do it again",
        "On the same networks and the same adapter, the same settings give the same bits.",
        panel(program(commands)),
      ),
      section("glossary", "Words used", "In plain terms.", glossary(WORDS)),
    ],
    footer: html`${privateNotice()}<p>Drawn from records of attacks with @pan/core. This page loads nothing from the network.</p>`,
  });
  return { html: document, tables: parts.flatMap(({ tables }) => tables.map(plainTable)) };
}
