/**
 * The quickstart's page: whose network it is, how sure that is, and why, for a reader who has never
 * heard of passports.
 */

import { matchThreshold } from "@pan/core/ownership";
import { checkIt, filesTable } from "./files";
import {
  formatCount,
  formatDuration,
  formatNumber,
  formatPercent,
  formatPercentRange,
  formatPValue,
  formatSpan,
  plural,
  prose,
} from "./format";
import { type Html, html } from "./html";
import { fold, glossary, grid, page, panel, program, section, table, tiles } from "./page";
import {
  accuracyFigure,
  bitsFigure,
  forgedAccuracyFigure,
  forgedBitsFigure,
  gammaFigure,
  lossFigure,
  marginFigure,
  signLossFigure,
} from "./quickstart-figures";
import { checkQuickstartReport, type QuickstartReport } from "./quickstart-record";
import {
  forgedTable,
  layersTable,
  limits,
  lockedNote,
  message,
  odds,
  privateNotice,
  settingsTable,
  TERMS,
} from "./run-parts";
import { least, most } from "./series";
import { badge, reasons, verdictSection, verdictTitle } from "./verdict";

/** Smallest and largest of the forged passports' matches, or nothing where none was tried. */
function forgedBits({ signature: s }: QuickstartReport): string | undefined {
  if (s.forgedMatched.length === 0) return undefined;
  return formatSpan(least(s.forgedMatched), most(s.forgedMatched));
}

function summary(r: QuickstartReport): Html {
  const { accuracy: a, signature: s, verdict } = r;
  const range = formatPercentRange(a.forged);
  return html`
    <p class="kicker">@pan/core · quickstart report · ${prose(r.startedAt.slice(0, 16).replace("T", " "))}</p>
    ${badge(verdict)}
    <h1>${verdictTitle(verdict)}</h1>
    <div class="summary"><div>
      <p class="lead">${prose(verdict.sentence)}</p>
      <p>${message(s)} <strong>${formatCount(s.matched)} of ${formatCount(s.bits)}</strong> signature bits match. ${odds(s.pValue)}</p>
      <p>Handed out without any passport, it classifies <strong>${formatPercent(a.public)}</strong> of the test pictures correctly. With the
      real passport it reaches <strong>${formatPercent(a.private)}</strong>${
        range
          ? html`; with ${plural(a.forged.length, "forged passport")}, <strong>${range}</strong>`
          : ". No forged passport was tried"
      }. Guessing gives ${formatPercent(a.chance, 0)}.</p>${lockedNote(a.private, a.forged, a.chance)}
    </div>
    ${reasons(verdict)}</div>`;
}

function keyFigures(r: QuickstartReport): Html {
  const { accuracy: a, signature: s, train } = r;
  return tiles([
    {
      label: "Signature bits",
      value: `${s.matched} / ${s.bits}`,
      about: `forged: ${forgedBits(r) ?? "none tried"}`,
      tone: "owner",
    },
    { label: "p-value", value: formatPValue(s.pValue), about: "of a match this good by guessing", tone: "owner" },
    { label: "Real passport", value: formatPercent(a.private), about: "test accuracy, private branch", tone: "owner" },
    { label: "No passport", value: formatPercent(a.public), about: "test accuracy, public branch", tone: "open" },
    {
      label: "Forged passports",
      value: formatPercentRange(a.forged) ?? "–",
      about: `test accuracy; chance ${formatPercent(a.chance, 0)}`,
      tone: "forged",
    },
    {
      label: "Time taken",
      value: formatDuration(r.seconds),
      about: `${formatCount(train.imagesPerSecond)} pictures/s trained`,
    },
  ]);
}

function numbers(r: QuickstartReport): Html {
  const { accuracy: a, signature: s, train } = r;
  const threshold = matchThreshold(s.bits);
  const all = table(
    "Results",
    [{ head: "Quantity" }, { head: "Measured", kind: "number" }, { head: "Compare with" }],
    [
      ["Test accuracy, no passport", formatPercent(a.public, 2), `chance ${formatPercent(a.chance, 0)}`],
      ["Test accuracy, real passport", formatPercent(a.private, 2), "the row above"],
      [
        "Test accuracy, forged",
        formatPercentRange(a.forged, 2) ?? "none tried",
        `chance ${formatPercent(a.chance, 0)}`,
      ],
      [
        "Bits matched, real passport",
        `${s.matched} of ${s.bits}`,
        threshold <= s.bits ? `needs ${threshold}` : "too short to prove",
      ],
      ["Bits matched, forged", forgedBits(r) ?? "none tried", `${formatNumber(s.bits / 2)} expected by chance`],
      ["p-value of the match", formatPValue(s.pValue), "10⁻⁶ or less"],
      ["Training pictures × epochs", `${formatCount(train.images)} × ${train.epochs}`, `batches of ${train.batchSize}`],
      ["Training speed", `${formatCount(train.imagesPerSecond)} pictures/s`, r.adapter.name],
      ["Whole run", formatDuration(r.seconds), r.adapter.kind],
    ],
  );
  const epochs = table(
    "By epoch",
    [{ head: "Epoch" }, ...["Public", "Private", "Bits"].map((head) => ({ head, kind: "number" as const }))],
    train.accuracyCurve.map((p) => [
      formatNumber(p.epoch),
      formatPercent(p.public),
      formatPercent(p.private),
      formatCount(p.bits),
    ]),
  );
  const forged = forgedTable(a.forged.map((accuracy, i) => ({ accuracy, matched: s.forgedMatched[i]! })));
  return grid(
    panel(all, true),
    panel(
      html`${layersTable(s.layers)}${fold("Every epoch", epochs)}${a.forged.length > 0 && fold("Every forged passport", forged)}`,
    ),
    panel(settingsTable(r.settings)),
  );
}

/**
 * The quickstart's report as one self-contained HTML document: inline style and SVG, no script,
 * nothing loaded.
 *
 * Raises {@link ArgumentError} if the record is incomplete or contradicts itself.
 */
export function renderQuickstart(report: QuickstartReport): string {
  checkQuickstartReport(report);
  const figures = [gammaFigure, lossFigure, signLossFigure, accuracyFigure, bitsFigure].map((f) => f(report)) as [
    Html,
    Html,
    Html,
    Html,
    Html,
  ];
  const [gamma, loss, signLoss, accuracy, bits] = figures;
  return page({
    title: `Verdict: ${report.verdict.verdict} · quickstart report · @pan/core`,
    header: html`${summary(report)}${keyFigures(report)}`,
    main: [
      verdictSection(report.verdict),
      section(
        "signature",
        "The signature in the weights",
        "Every channel of a passport layer has a factor γ, computed from the weights and a passport. Its sign is one bit of the signature.",
        grid(marginFigure(report)),
      ),
      section(
        "forged",
        "Real against forged passports",
        "If any passport worked, having one would prove nothing. So the same network is tried with passports made up at random.",
        grid(forgedBitsFigure(report), forgedAccuracyFigure(report), gamma, limits()),
      ),
      section(
        "training",
        "How it was trained",
        "Each step passes the same pictures through both branches and lowers three losses together.",
        grid(accuracy, bits, loss, signLoss),
      ),
      section("numbers", "All numbers", "The same results as text.", numbers(report)),
      section("files", "Files", "What to publish and what to keep.", filesTable(report.files)),
      section(
        "reproduce",
        "Check it, or do it again",
        "To check takes the files and a minute, to do it again a training.",
        grid(
          ...[checkIt(report.files, report.verdict.published) ?? []].flat(),
          panel(
            html`<h3>Do it again</h3>${program("npm run quickstart")}
          <p class="note">The secret behind the passports is a fresh one in every run: another run gives another network, whose accuracies differ by a point or two.
          The record behind this page lies beside it as <code>report.json</code>. Computed on ${report.adapter.name} (${report.adapter.kind}).</p>`,
            true,
          ),
        ),
      ),
      section("glossary", "Words used", "In the order they come up.", glossary(Object.values(TERMS))),
    ],
    footer: html`${privateNotice()}<p>Drawn from one run of the @pan/core quickstart, started ${report.startedAt}. This page loads nothing from the network.</p>`,
  });
}
