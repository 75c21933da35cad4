/**
 * The page's first page: what was claimed, how sure it is, what was tried, what remains to be said,
 * what is not shown.
 */

import { formatCount, formatPercent, formatPercentRange, formatPValue, formatSpan, plural, prose } from "../format";
import { type Html, html } from "../html";
import { table } from "../page";
import { odds } from "../run-parts";
import { commonNoun, nounOf } from "../samples";
import { least, most } from "../series";
import { badge, verdictTitle } from "../verdict";
import { isShown } from "../verdict-record";
import { bareAccuracy, budgetRange, guessing, openAccuracy, secretAccuracy } from "./families";
import { ambiguityFinding, criteria, type Findings, removalFinding } from "./findings";
import { forgeriesText } from "./forgeries";
import type { AttackedNetwork } from "./record";
import { coins, nullsOf } from "./statistics";

type Networks = readonly AttackedNetwork[];

const block = (title: string, ...body: (Html | false)[]): Html =>
  html`<div class="block"><h2>${title}</h2>${body}</div>`;

const bullets = (items: readonly (Html | string)[]): Html =>
  html`<ul>${items.map((item) => html`<li>${item}</li>`)}</ul>`;

const titles = (networks: Networks): string => networks.map(({ title }) => title).join("; ");

/** `all 3 networks`, `AlexNet, V1`, … */
function those(some: Networks, all: Networks): string {
  if (all.length === 1) return "this network";
  return some.length === all.length ? `all ${all.length} networks` : titles(some);
}

/** The row of a claim. */
function claimRow(n: AttackedNetwork): (string | Html)[] {
  const { claim } = n;
  const accuracy = (value: number | undefined) => (value === undefined ? "–" : formatPercent(value));
  const text = claim.decodedText === "" ? "no text, bits alone" : html`<bdi class="quoted">${claim.decodedText}</bdi>`;
  const other =
    claim.claimedText !== claim.decodedText && html` claimed: <bdi class="quoted">${claim.claimedText}</bdi>`;
  return [
    n.title,
    html`${text}${other}`,
    `${formatCount(claim.matched)} of ${formatCount(claim.bits)}`,
    accuracy(bareAccuracy(n, claim)),
    accuracy(secretAccuracy(n, claim)),
    n.verdict.verdict,
  ];
}

function claimed(networks: Networks): Html {
  const text =
    networks.length === 1
      ? "That the weights of this network were trained by whoever holds the secret passports to it. Put over the weights, the passports make a text, or bits, appear:"
      : "That the weights of these networks were trained by whoever holds the secret passports to each. Put over the weights, the passports make a text, or bits, appear:";
  return html`<div class="block wide"><h2>What was claimed</h2><p>${text}</p>
    <div class="data">${table(
      "Claims",
      [
        { head: "Network" },
        { head: "Says" },
        { head: "Bits right", kind: "number" },
        { head: "Accuracy, no passport", kind: "number" },
        { head: "With passport", kind: "number" },
        { head: "Verdict" },
      ],
      networks.map(claimRow),
    )}</div>${sentences(networks).map((line) => html`<p>${prose(line)}</p>`)}</div>`;
}

/** What the verdicts say, networks of the same sentence together. */
function sentences(networks: Networks): string[] {
  const found = new Map<string, AttackedNetwork[]>();
  for (const n of networks) found.set(n.verdict.sentence, [...(found.get(n.verdict.sentence) ?? []), n]);
  return [...found].map(([said, some]) => (networks.length === 1 ? said : `On ${those(some, networks)}: ${said}`));
}

/** Larger than this against coins, a deviation is called wide. */
const WIDE = 1.25;

/** What chance really came to on these networks, the samples of a kind together. */
function nullText(networks: Networks): string[] {
  const samples = networks.flatMap((n) => nullsOf(n));
  return [...new Set(samples.map(({ kind }) => kind))].map((kind) => {
    const some = samples.filter((s) => s.kind === kind);
    const shares = some.flatMap(({ matched, bits }) => matched.map((m) => m / bits));
    const wide = some.filter(({ deviation, bits }) => deviation > WIDE * coins(bits)).length;
    const where =
      some.length === 1 ? "" : wide === some.length ? " on every network" : ` on ${wide} of ${some.length} networks`;
    return `${kind}, ${formatCount(shares.length)} tried, match ${formatPercentRange(shares, 0)} of the bits${wide > 0 ? `, more scattered than coins${where}` : ""}`;
  });
}

function sure(networks: Networks): Html {
  const p = ({ claim }: AttackedNetwork) => guessing(claim);
  const weakest = [...networks].sort((a, b) => p(b) - p(a))[0]!;
  const { claim, verdict } = weakest;
  const bits = verdict.mark?.bits;
  const alike = networks.every((n) => p(n) === p(weakest));
  const least = networks.length > 1 && (alike ? "For each of them: " : `The least sure is ${weakest.title}. `);
  const enough =
    claim.threshold <= claim.bits
      ? `The papers’ check needs ${formatCount(claim.threshold)} of its ${formatCount(claim.bits)} bits${bits ? `, a claim of ownership ${formatCount(bits.needed)} of ${formatCount(bits.count)} that are bound` : ""}.`
      : `A signature of ${formatCount(claim.bits)} bits is too short to prove anything.`;
  const chance = nullText(networks);
  const triggers = networks.flatMap((n) => {
    const {
      title,
      claim: { triggers: t },
    } = n;
    return t
      ? [
          `${networks.length > 1 ? `${title}: ` : ""}${t.hits} of ${t.count} trigger ${nounOf(n).many} are answered as taught, by guessing with probability ${formatPValue(t.pValue)}.`,
        ]
      : [];
  });
  return html`<div class="block wide"><h2>How sure it is</h2><div class="columns">
    <div><p>${least}${odds(p(weakest))} ${enough}</p>${triggers.length > 0 && html`<p>${triggers.join(" ")}</p>`}</div>
    ${chance.length > 0 && html`<p>What chance finds, tried on the networks themselves: ${chance.join("; ")}.</p>`}</div></div>`;
}

function tried(networks: Networks, findings: Findings): Html {
  const single = networks.length === 1;
  const { removal, ambiguity, unjudged } = findings;
  return html`<div class="block wide"><h2>What was tried</h2><div class="columns">
    ${removal.length > 0 && html`<div><h3>To remove the signature</h3>${bullets(removal.map((v) => removalFinding(v, single)))}</div>`}
    ${ambiguity.length > 0 && html`<div><h3>To put another in its place</h3>${bullets(ambiguity.map((v) => ambiguityFinding(v, single)))}</div>`}</div>
    ${unjudged.length > 0 && html`<p>Recorded below, not judged here: ${unjudged.join(", ")}.</p>`}
    <p class="note">${removal.length + ambiguity.length > 0 ? criteria(networks) : "No attack of a known kind was recorded."}</p></div>`;
}

function opponent(networks: Networks, findings: Findings): Html {
  const points: string[] = [];
  const unbound = networks.filter(({ verdict }) => verdict.statement === "");
  const undated = networks.filter(({ verdict }) => verdict.statement !== "" && verdict.dated === null);
  if (networks.some((n) => n.forgeries.length > 0))
    points.push(`“Such credentials can be made afterwards.” ${forgeriesText(networks)}`);
  if (unbound.length > 0)
    points.push(
      `“The passports were computed to fit.” The credential of ${those(unbound, networks)} is not bound to a secret, so nothing in it excludes that.`,
    );
  if (undated.length > 0)
    points.push(
      `“The claim was made after the fact.” For ${those(undated, networks)} no time stamp counts; only dates from elsewhere can answer.`,
    );
  if (findings.lost.length > 0) points.push("“The signature can be removed.” It was, at the settings named above.");
  if (findings.silenced.length > 0)
    points.push(
      "“It does not answer as you say.” The triggers could be removed, at the settings named above; what a claim has then are its bits, which takes the weights to read.",
    );
  if (findings.rivals.length > 0)
    points.push(
      "“A branch works without these passports.” It does, at the settings named above; that takes away what locks the network, and is no claim of its own.",
    );
  const wide = networks.filter((n) =>
    nullsOf(n).some((s) => s.matched.length >= 10 && s.deviation > WIDE * coins(s.bits)),
  );
  if (wide.length > 0)
    points.push(
      `“Chance does better than you say.” On ${those(wide, networks)} unrelated secrets scatter more than coins; how far they reach is given above.`,
    );
  if (findings.unjudged.length > 0)
    points.push(
      `“Another attack got through.” What came of ${findings.unjudged.join(", ")} is recorded, and not judged.`,
    );
  if (points.length === 0)
    points.push("Nothing that these experiments would support, beyond what the right-hand list leaves open.");
  return block("What an opponent can still say", bullets(points));
}

function notShown(networks: Networks, findings: Findings): Html {
  const sizes = networks.map(({ testImages }) => testImages);
  const half = 1.96 * Math.sqrt(0.25 / least(sizes));
  const points = [
    "Who trained first. Passports and weights that fit do not say which was there before; dated commitments do.",
    `Accuracies to the decimal: they come from ${formatSpan(formatCount(least(sizes)), formatCount(most(sizes)))} test ${commonNoun(networks).many}, up to ±${(100 * half).toFixed(1)} points (95\u202f%).`,
    "Other networks, data or seeds: each network here is one training run, and each attack one try.",
  ];
  const training = [...findings.removal, ...findings.ambiguity]
    .filter(({ family }) => family.trains)
    .flatMap(({ tried: found }) => found.map(({ record }) => record));
  const epochs = budgetRange(training, "epochs");
  if (epochs && epochs[1] < 100)
    points.push(
      `Patient attackers: those who train had ${epochs[0] === epochs[1] ? plural(epochs[1], "epoch") : `${formatSpan(epochs[0], epochs[1])} epochs`}, the papers’ 100. What such attacks failed at, longer ones may still reach.`,
    );
  if (findings.missing.length > 0) points.push(`Attacks that were not tried: ${findings.missing.join(", ")}.`);
  return block("What the evidence does not show", bullets(points));
}

/** `a`; `a, and b`; `a, b, and c`. */
const listed = (parts: readonly string[]): string =>
  parts.map((part, i) => (i > 0 && i === parts.length - 1 ? `and ${part}` : part)).join(", ");

/** Says what the claims and the attacks came to, in a line. */
function headline(networks: Networks, { removal, ambiguity, lost, silenced, rivals, unjudged }: Findings): string {
  const shown = networks.filter(({ verdict }) => isShown(verdict)).length;
  const claims =
    networks.length === 1
      ? verdictTitle(networks[0]!.verdict)
      : shown === networks.length
        ? `All ${networks.length} claims hold`
        : `${shown === 0 ? "None" : shown} of ${networks.length} claims ${shown === 1 ? "holds" : "hold"}`;
  const attacks = [
    ...(lost.length > 0 ? ["the signature could be removed"] : []),
    ...(silenced.length > 0 ? ["the triggers could be removed"] : []),
    ...(rivals.length > 0 ? ["a rival branch could be made"] : []),
  ];
  if (attacks.length > 0) return `${claims}; ${listed(attacks)}, in some settings`;
  if (unjudged.length > 0) return `${claims}; not all attacks that were tried are judged here`;
  if (removal.length + ambiguity.length === 0) return `${claims}; no attack was tried`;
  return `${claims}; no attack that was tried undid a signature or matched it`;
}

/** The summary: one screen, one printed page. */
export function summary(networks: Networks, findings: Findings): Html {
  const verdicts = new Map(networks.map(({ verdict }) => [verdict.verdict, verdict]));
  const open = formatPercentRange(networks.flatMap((n) => openAccuracy(n, n.claim) ?? []));
  const settings = [...findings.removal, ...findings.ambiguity].reduce((sum, v) => sum + v.tried.length, 0);
  const lead = `${plural(networks.length, "network")} marked with a hidden signature${open === undefined ? "" : `, right on ${open} of test ${commonNoun(networks).many} as given away`}; ${plural(settings, "attack setting")} tried.`;
  return html`<div class="onepage"><p class="kicker">@pan/core · attacks on marked networks</p>
    ${[...verdicts.values()].map((v) => html`${badge(v)} `)}
    <h1>${headline(networks, findings)}</h1><p class="lead">${lead}</p>
    <div class="blocks">${claimed(networks)}${sure(networks)}${tried(networks, findings)}${opponent(networks, findings)}${notShown(networks, findings)}</div></div>`;
}
