/**
 * The quickstart's page: whose network it is, how sure that is, and why, for a reader who has never heard of passports.
 */

import { matchThreshold } from "../ownership/statistics";
import {
  formatBytes,
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
import { fold, glossary, grid, page, panel, section, table, tiles } from "./page";
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
import { checkQuickstartReport, type QuickstartReport } from "./record";

export { checkQuickstartReport, type QuickstartReport } from "./record";

/** Smallest and largest of the forged passports' matches, or nothing where none was tried. */
function forgedBits({ signature: s }: QuickstartReport): string | undefined {
  if (s.forgedMatched.length === 0) return undefined;
  return formatSpan(Math.min(...s.forgedMatched), Math.max(...s.forgedMatched));
}

function summary(r: QuickstartReport): Html {
  const { accuracy: a, signature: s, verdict } = r;
  const tone = !verdict.claimHolds && " bad";
  const coins = Math.floor(-Math.log2(Math.max(s.pValue, Number.MIN_VALUE)));
  const range = formatPercentRange(a.forged);
  const quoted = (text: string) => html`<bdi class="quoted">${text}</bdi>`;
  const message =
    s.text === ""
      ? html`The owner’s signature is a string of ${formatCount(s.bits)} random bits.`
      : html`Read with the owner’s passport, the network says ${quoted(s.decodedText)}${
          s.decodedText === s.text
            ? ", exactly the text that was to be embedded."
            : html`; the text that was to be embedded is ${quoted(s.text)}.`
        }`;
  return html`
    <p class="kicker">@pan/core · quickstart report · ${r.startedAt.slice(0, 16).replace("T", " ")}</p>
    <span class="badge${tone}">${verdict.claimHolds ? "Ownership claim holds" : "Ownership claim does not hold"}</span>
    <h1>${verdict.claimHolds ? "This network carries its owner’s signature" : "This network does not prove its owner’s claim"}</h1>
    <div class="summary"><div>
      <p class="lead">${message} <strong>${formatCount(s.matched)} of ${formatCount(s.bits)}</strong> signature bits match. Someone who guessed would do as well with
      probability <strong>${formatPValue(s.pValue)}</strong>${coins >= 4 && ` – about as likely as ${s.pValue < 1e-307 ? "more than " : ""}${coins} tosses of a coin all landing heads`}.</p>
      <p>Handed out without any passport, it classifies <strong>${formatPercent(a.public)}</strong> of the test pictures correctly. With the
      real passport it reaches <strong>${formatPercent(a.private)}</strong>${
        range
          ? html`; with ${plural(a.forged.length, "forged passport")}, <strong>${range}</strong>`
          : ". No forged passport was tried"
      }. Guessing gives ${formatPercent(a.chance, 0)}.</p>
    </div>
    <div class="reasons${tone}"><strong>${verdict.claimHolds ? "Why the claim holds" : "Why the claim does not hold"}</strong>
      <ul>${verdict.reasons.map((reason) => html`<li>${reason}</li>`)}</ul></div></div>`;
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
    [{ head: "Quantity" }, { head: "Measured", numeric: true }, { head: "Compare with" }],
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
  const layers = table(
    "Signature by layer",
    [
      { head: "Layer" },
      { head: "Bits", numeric: true },
      { head: "Matched", numeric: true },
      { head: "Share", numeric: true },
    ],
    s.layers.map((l) => [
      l.name,
      formatCount(l.bits),
      formatCount(l.matched),
      l.bits > 0 ? formatPercent(l.matched / l.bits) : "–",
    ]),
  );
  const settings = table(
    "Settings of this run",
    [{ head: "Setting" }, { head: "Value", numeric: true }],
    Object.entries(r.settings).map(([key, value]) => [
      key,
      typeof value === "number" ? formatNumber(value) : String(value),
    ]),
  );
  const epochs = table(
    "By epoch",
    [{ head: "Epoch" }, ...["Public", "Private", "Bits"].map((head) => ({ head, numeric: true }))],
    train.accuracyCurve.map((p) => [
      formatNumber(p.epoch),
      formatPercent(p.public),
      formatPercent(p.private),
      formatCount(p.bits),
    ]),
  );
  const forged = table(
    "By forged passport",
    [{ head: "No." }, { head: "Accuracy", numeric: true }, { head: "Bits matched", numeric: true }],
    a.forged.map((v, i) => [String(i + 1), formatPercent(v), formatCount(s.forgedMatched[i]!)]),
  );
  return grid(
    panel(all, true),
    panel(html`${layers}${fold("Every epoch", epochs)}${a.forged.length > 0 && fold("Every forged passport", forged)}`),
    panel(settings),
  );
}

function files({ files: { deployed, credential } }: QuickstartReport): Html {
  const file = (path: string, about: Html) => html`<code>${path}</code><span class="about">${about}</span>`;
  return panel(
    table(
      "Written by this run",
      [{ head: "File" }, { head: "Size", numeric: true }],
      [
        [
          file(
            deployed.path,
            html`To hand out: the public branch alone, no passport, no signature.${deployed.sha256 && html`<br>SHA-256 <code>${deployed.sha256}</code>`}`,
          ),
          formatBytes(deployed.bytes),
        ],
        [
          file(credential.path, html`<strong>Keep secret:</strong> the owner’s passports and signature.`),
          formatBytes(credential.bytes),
        ],
      ],
    ),
  );
}

const TERMS = [
  [
    "Passport",
    "A secret tensor for a layer. Together with the layer’s weights it yields that layer’s γ and β; without it the private branch does not work.",
  ],
  [
    "γ (gamma)",
    "The factor a channel is multiplied with: the mean of the layer’s weights convolved with the passport. Its sign carries one bit.",
  ],
  [
    "Signature",
    "The owner’s text as bits, eight a character. Channels beyond the end of the text carry random bits that the owner keeps.",
  ],
  [
    "Public and private branch",
    "One set of weights, two ways through it. The public branch is what is handed out; the private one needs the passport.",
  ],
  [
    "Forged passport",
    "A passport made up without the owner’s secret, here at random. It gives wrong factors, hence wrong answers and wrong bits.",
  ],
  [
    "p-value",
    "The probability that guessing each bit with a fair coin matches at least as many bits: P(X ≥ matched), X ~ Bin(bits, ½).",
  ],
  [
    "Margin",
    "The product γ·b of a factor and its bit (±1). Positive: the bit is right. Training asks for 0.1, so small changes do not flip it.",
  ],
  [
    "Sign loss",
    "α · Σ max(0.1 − γ·b, 0) + 10⁻⁵ · Σ γ², the part of the loss that writes the signature into the weights.",
  ],
] as const;

/**
 * The quickstart's report as one self-contained HTML document: inline style and SVG, no script, nothing loaded.
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
    title: `${report.verdict.claimHolds ? "Claim holds" : "Claim does not hold"} · quickstart report · @pan/core`,
    header: html`${summary(report)}${keyFigures(report)}`,
    main: [
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
      section("files", "Files", "What to publish and what to keep.", files(report)),
      section(
        "reproduce",
        "Do it again",
        "The same settings on the same adapter give the same bits.",
        panel(html`<pre><code>npm run quickstart</code></pre>
          <p class="note">The record behind this page lies beside it as <code>report.json</code>. Computed on ${report.adapter.name} (${report.adapter.kind}).</p>`),
      ),
      section("glossary", "Words used", "In the order they come up.", glossary(TERMS)),
    ],
    footer: html`<p>Drawn from one run of the @pan/core quickstart, started ${report.startedAt}. This page loads nothing from the network.</p>`,
  });
}

/** What a sceptic should know: random forgeries are the weakest kind. */
function limits(): Html {
  return panel(
    html`<h3>What this does not show</h3>
    <div class="columns"><p class="note">The forged passports here are random. Someone who holds the weights can do better: γ is linear in the passport, so a passport
    that yields any wanted signs can be computed. In a dispute a passport therefore counts only if it was fixed before the network was
    released, by publishing or time-stamping a commitment (a hash) to it.</p>
    <p class="note">The p-value compares with fair coins. Trained factors are not quite that; the forged passports’ matches, measured on
    this very network, show how far the comparison can be trusted.</p></div>`,
    true,
  );
}
