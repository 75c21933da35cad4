/**
 * The page of a full training run: how well the network learned and, where it carries a signature,
 * how sure that is, for a reader who has never heard of passports.
 */

import { type Branch, branchesOf } from "@pan/core/passport";
import { cloudFigure } from "./cloud-figure";
import { checkIt, filesTable } from "./files";
import { formatCount, formatDuration, formatPercent, formatPValue, plural, prose } from "./format";
import { type Html, html } from "./html";
import { glossary, grid, page, panel, program, section, type Tile, tiles } from "./page";
import { limits, lockedNote, message, odds, privateNotice, TERMS } from "./run-parts";
import { type Noun, nounOf } from "./samples";
import { accuracyFigure, forgedFigures, latest, lossFigure, signatureFigures, triggerFigure } from "./training-figures";
import { checkTrainingReport, type TrainingReport } from "./training-record";
import { accuracy, forgedAccuracy, forgedBits, numbers } from "./training-tables";
import { badge, reasons, verdictSection, verdictTitle } from "./verdict";

/** What the network is worth to its users, in a paragraph. */
function worth(r: TrainingReport): Html {
  const { chance, epochs, forged, network } = r;
  const { many } = nounOf(r.data);
  const reached = (branch: Branch) => html`<strong>${accuracy(r, branch)}</strong>`;
  const trained = `After ${plural(epochs.length, "epoch")}`;
  const guessing = html` Guessing gives ${formatPercent(chance, 0)}.`;
  if (branchesOf(network.scheme).every((branch) => latest(r, branch) === undefined))
    return html`Its accuracy on test ${many} was not measured in this run.${guessing}`;
  const range = forgedAccuracy(r);
  const others = range && html`; with ${plural(forged.length, "forged passport")}, <strong>${range}</strong>`;
  if (network.scheme === "plain")
    return html`${trained} it classifies ${reached("public")} of the test ${many} correctly.${guessing}`;
  if (network.scheme === "v1") {
    return html`The network is made to work with its passport only: whoever may use it is given the passport too, or the factors it comes to.
      ${trained} it classifies ${reached("passport")} of the test ${many} correctly${others}.${guessing}`;
  }
  return html`There are two ways through the network. The public one is handed out and needs nothing: ${trained.toLowerCase()} it classifies
    ${reached("public")} of the test ${many} correctly. The private one needs a secret, the passport, and serves to prove whose network
    it is: with the real passport it reaches ${reached("private")}${others}.${guessing}`;
}

function summary(r: TrainingReport): Html {
  const { signature: s, triggers: t, verdict } = r;
  const kicker = html`<p class="kicker">@pan/core · training run · <strong>${r.title}</strong> · ${prose(r.startedAt.slice(0, 16).replace("T", " "))}</p>`;
  if (s === null || verdict === null) {
    return html`${kicker}<h1>An ordinary network, without a signature</h1>
    <div class="summary"><div><p class="lead">${worth(r)}</p></div>
    ${panel(html`<strong>What it is for</strong><p class="note">Nothing is hidden in this network, so nothing can be proved with it. Networks of the same
    kind that carry a signature are compared with it: the difference in accuracy is what the signature costs.</p>`)}</div>`;
  }
  return html`${kicker}
    ${badge(verdict)}
    <h1>${verdictTitle(verdict)}</h1>
    <div class="summary"><div>
      <p class="lead">${prose(verdict.sentence)}</p>
      <p>${message(s)} <strong>${formatCount(s.matched)} of ${formatCount(s.bits)}</strong> signature bits match. ${odds(s.pValue)}</p>
      <p>${worth(r)}</p>${t !== null && html`<p>${triggerText(t, nounOf(r.data))}</p>`}${locked(r)}
    </div>
    ${reasons(verdict)}</div>`;
}

const locked = (r: TrainingReport): Html | undefined =>
  lockedNote(
    latest(r, r.network.scheme === "v1" ? "passport" : "private"),
    r.forged.map(({ accuracy: share }) => share),
    r.chance,
  );

function triggerText(t: NonNullable<TrainingReport["triggers"]>, noun: Noun): Html {
  return html`Of ${plural(t.count, `trigger ${noun.one}`)}, which were trained with labels of the owner’s choice, it answers <strong>${formatCount(t.hits)}</strong> as
    taught. By chance that many come about with probability <strong>${formatPValue(t.pValue)}</strong>.`;
}

function keyFigures(r: TrainingReport): Html {
  const { signature: s, triggers: t, network, data, best, chance } = r;
  const noun = nounOf(data);
  const items: Tile[] = [];
  if (s !== null) {
    const bits = { label: "Signature bits", value: `${s.matched} / ${s.bits}`, tone: "owner" } as const;
    const p = formatPValue(s.pValue);
    // With triggers the row is full: the p-value moves under the bits.
    if (t !== null) items.push({ ...bits, about: `by guessing: p\u00a0=\u00a0${p}` });
    else {
      items.push({ ...bits, about: `forged: ${forgedBits(r) ?? "none tried"}` });
      items.push({ label: "p-value", value: p, about: "of a match this good by guessing", tone: "owner" });
    }
  }
  if (t !== null) {
    const about = `answered as taught: p\u00a0=\u00a0${formatPValue(t.pValue)}`;
    items.push({ label: `Trigger ${noun.many}`, value: `${t.hits} / ${t.count}`, about, tone: "owner" });
  }
  for (const branch of [...branchesOf(network.scheme)].reverse()) {
    const value = latest(r, branch);
    const most = best?.accuracy[branch];
    items.push({
      label: network.scheme === "plain" ? "Test accuracy" : branch === "public" ? "No passport" : "Real passport",
      value: value === undefined ? "–" : formatPercent(value),
      about: `test accuracy${most !== undefined && best ? `; ${formatPercent(most)} in epoch ${best.epoch}, the best` : ""}`,
      tone: branch === "public" ? "open" : "owner",
    });
  }
  const range = forgedAccuracy(r);
  if (range !== undefined) {
    const about = `test accuracy; chance ${formatPercent(chance, 0)}`;
    items.push({ label: "Forged passports", value: range, about, tone: "forged" });
  }
  const fillers: Tile[] = [
    { label: "Parameters", value: formatCount(network.parameters), about: network.arch },
    {
      label: `Training ${noun.many}`,
      value: formatCount(data.train),
      about: `${formatCount(data.test)} more to test with`,
    },
    { label: "Chance", value: formatPercent(chance, 0), about: "accuracy of guessing" },
    { label: "Epochs", value: formatCount(r.epochs.length), about: `passes over all ${noun.many}` },
  ];
  items.push(...fillers.slice(0, Math.max(0, 5 - items.length)));
  items.push({ label: "Time taken", value: formatDuration(r.seconds), about: r.adapter.name });
  return tiles(items);
}

/** The sections on the claim; a plain network has none but, perhaps, triggers. */
function claim(r: TrainingReport): Html[] {
  const out: Html[] = [];
  if (r.signature !== null) {
    const lead =
      "Every channel of a passport layer has a factor γ, computed from the weights and the passport. Its sign is one bit of the signature, and training turns the wrong ones round.";
    out.push(section("signature", "The signature in the weights", lead, grid(...signatureFigures(r))));
  }
  const triggers = triggerFigure(r);
  const clouds = cloudFigure(r);
  if (triggers || r.triggers || clouds) {
    const noun = nounOf(r.data);
    const said = html`<h3>Why they are of use</h3><p class="note">The signature is read from the weights. Trigger ${noun.many} need only the answers: a service that
      runs the network out of sight can be asked about them.</p>${r.triggers && html`<p class="note">${triggerText(r.triggers, noun)}</p>`}`;
    const lead = `${noun.Many} that were trained with labels of the owner’s choice; no other network should answer them so.`;
    const cards = [triggers ?? [], panel(said, !triggers), clouds ?? []].flat();
    out.push(section("triggers", `Trigger ${noun.many}`, lead, grid(...cards)));
  }
  if (r.forged.length > 0) {
    const lead =
      "If any passport worked, having one would prove nothing. So the same network is tried with passports made up at random.";
    out.push(section("forged", "Real against forged passports", lead, grid(...forgedFigures(r), limits())));
  }
  return out;
}

function words({ network: { scheme }, data, forged, triggers }: TrainingReport) {
  if (scheme === "plain") return [];
  const noun = nounOf(data);
  const without = scheme === "v1" ? "the network" : "the private branch";
  return [
    [
      TERMS.passport[0],
      `A secret tensor for a layer. Together with the layer’s weights it yields that layer’s γ and β, factor and offset of each channel; without it ${without} does not work.`,
    ],
    TERMS.gamma,
    TERMS.signature,
    ...(scheme === "v1" ? [] : [TERMS.branches]),
    TERMS.pValue,
    [
      "Sign loss",
      "The part of the loss that writes the signature into the weights: it grows with every γ that has the wrong sign, or the right one too narrowly.",
    ],
    ...(triggers
      ? [
          [
            `Trigger ${noun.many}`,
            `${noun.Many} with labels that only the owner knows, trained along with the others.`,
          ] as const,
        ]
      : []),
    ...(forged.length > 0 ? [TERMS.forged] : []),
  ] as (readonly [string, string])[];
}

/** What another run with the same settings comes to. */
const again = ({ verdict }: TrainingReport): string =>
  verdict && verdict.statement !== ""
    ? "The secret behind the passports is a fresh one in every run: another run gives another network of the same kind."
    : "The same settings on the same adapter give the same bits.";

/**
 * A training run's report as one self-contained HTML document: inline style and SVG, no script,
 * nothing loaded.
 *
 * Raises {@link ArgumentError} if the record is incomplete or contradicts itself.
 */
export function renderTraining(report: TrainingReport): string {
  checkTrainingReport(report);
  const known = words(report);
  return page({
    title: `${report.title} · training run · @pan/core`,
    header: html`${summary(report)}${keyFigures(report)}`,
    main: [
      ...(report.verdict ? [verdictSection(report.verdict)] : []),
      section(
        "training",
        "How it learned",
        `Accuracy is measured on ${nounOf(report.data).many} the network is never trained with.`,
        grid(accuracyFigure(report), lossFigure(report)),
      ),
      ...claim(report),
      section("numbers", "All numbers", "The same results as text, and what the run was told.", numbers(report)),
      ...(report.files.length > 0
        ? [section("files", "Files", "What it left, and what each is for.", filesTable(report.files))]
        : []),
      section(
        "reproduce",
        report.verdict ? "Check it, or do it again" : "Do it again",
        report.verdict
          ? "To check takes the files and a minute, to do it again a training."
          : "The same settings on the same adapter give the same bits.",
        grid(
          ...[checkIt(report.files, report.verdict?.published ?? null) ?? []].flat(),
          panel(
            html`<h3>Do it again</h3>${program(report.command)}
          <p class="note">${again(report)} Computed on ${report.adapter.name} (${report.adapter.kind}).</p>`,
            true,
          ),
        ),
      ),
      ...(known.length > 0 ? [section("glossary", "Words used", "In the order they come up.", glossary(known))] : []),
    ],
    footer: html`${report.signature !== null && privateNotice()}<p>Drawn from one training run with @pan/core, started ${report.startedAt}. This page loads nothing from the network.</p>`,
  });
}
