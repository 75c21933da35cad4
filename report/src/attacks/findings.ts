/**
 * What was tried and what it came to, one sentence a kind of attack, for readers who know nothing
 * of networks.
 */

import { formatCount, formatPercent, plural } from "../format";
import { type Html, html } from "../html";
import { commonNoun } from "../samples";
import { countedBits, effortText, type Found, fidelity, otherRecords, secretAccuracy, whereText } from "./families";
import type { AttackedNetwork } from "./record";
import { bestWithout, gap, margin, USEFUL_LOSS, type Verdict, verdicts } from "./verdicts";

/** `AlexNet, V1 at 60 %`, or the setting alone where there is one network. */
function place(found: Found, single: boolean): string {
  const at = whereText(found);
  return single ? at : `${found.network.title}, ${at}`;
}

function bitsOf({ network, step }: Found): string {
  const { matched, bits } = countedBits(network, step.after);
  return `${formatCount(matched)} of ${formatCount(bits)} bits`;
}

const neededOf = ({ network, step }: Found): number => countedBits(network, step.after).needed;

/** The first case, and how many there are beside it: more would not fit the page. */
function first(found: readonly Found[], write: (f: Found) => string): string {
  const more = found.length - 1;
  return write(found[0]!) + (more > 0 ? `; and ${formatCount(more)} more` : "");
}

const mark = (tone: "held" | "lost" | "open", word: string): Html => html`<span class="${tone}">${word}</span> `;

/** The training that the attackers did, in brackets. */
function effort({ family, tried }: Verdict): string {
  if (!family.trains) return "";
  const noun = commonNoun(tried.map(({ network }) => network));
  const text = effortText([...new Set(tried.map(({ record }) => record))], noun);
  return text && `, ${text}`;
}

function weakest(found: readonly Found[]): Found {
  return [...found].sort((a, b) => margin(a) - margin(b))[0]!;
}

/** A step after which the claim's own triggers were asked, all of them. */
const asked = (found: Found) => {
  const triggers = found.step.after.mark?.triggers;
  return triggers ? [{ found, ...triggers }] : [];
};

/** The steps that leave fewer of a claim's triggers than it needs. */
const silencedBy = (found: readonly Found[]): Found[] =>
  found.flatMap(asked).flatMap(({ hits, needed, found: f }) => (hits < needed ? [f] : []));

/** What became of the claim's triggers, where they were asked; empty where they were not. */
function triggersLeft(counted: readonly Found[], single: boolean): string {
  const [least, ...others] = counted.flatMap(asked).sort((a, b) => a.hits - a.needed - (b.hits - b.needed));
  if (!least) return "";
  const { hits, count, needed, found } = least;
  const answered = `${formatCount(hits)} of ${formatCount(count)}, ${formatCount(needed)} needed`;
  const lost = silencedBy(counted).length;
  if (lost === 0) return ` Triggers stayed, at least ${answered}.`;
  const of = others.length > 0 ? ` in ${formatCount(lost)} of ${formatCount(others.length + 1)}` : "";
  return ` Triggers were removed${of}, at worst ${place(found, single)}: ${answered}.`;
}

/** What became of attempts to remove the signature. */
export function removalFinding(verdict: Verdict, single: boolean): Html {
  const { family, tried, counted, lost } = verdict;
  const head = html`<strong>${family.name}</strong> (${plural(tried.length, "setting")}${effort(verdict)}): `;
  if (counted.length === 0) return html`${head}${mark("open", "shows nothing:")}no setting left the network of use.`;
  const of = `of the ${formatCount(counted.length)} that ${counted.length === 1 ? "leaves" : "leave"} the network of use`;
  const triggers = triggersLeft(counted, single);
  if (lost.length > 0) {
    const worst = [...lost].sort((a, b) => margin(a) - margin(b));
    const cases = first(worst, (f) => `${place(f, single)}: ${bitsOf(f)}, ${neededOf(f)} needed`);
    return html`${head}${mark("lost", "removed")}in ${formatCount(lost.length)} ${of}. ${cases}.${triggers}`;
  }
  const least = weakest(counted);
  return html`${head}${mark("held", "held")}in all ${formatCount(counted.length)} that ${counted.length === 1 ? "leaves" : "leave"} the network of use; at least ${bitsOf(least)} stayed,
    ${neededOf(least)} are needed.${triggers}`;
}

/** What became of attempts to make a branch that works without the owner's signature. */
export function ambiguityFinding(verdict: Verdict, single: boolean): Html {
  const { family, tried, counted, lost } = verdict;
  const head = html`<strong>${family.name}</strong> (${plural(tried.length, "setting")}${effort(verdict)}): `;
  const accuracy = (f: Found) => {
    const [own, reached] = [secretAccuracy(f.network, f.record.before), secretAccuracy(f.network, f.step.after)];
    return `${formatPercent(reached ?? 0)} against the owner’s ${formatPercent(own ?? 0)}`;
  };
  const best = [...lost].sort((a, b) => gap(b) - gap(a));
  if (lost.length > 0)
    return html`${head}${mark("lost", "a rival branch")}in ${plural(lost.length, "setting")}: ${first(best, (f) => `${place(f, single)}: ${accuracy(f)}, with ${bitsOf(f)}`)}.`;
  const closest = bestWithout(tried);
  const without = closest ? html` The best without the signature reaches ${accuracy(closest)}.` : "";
  if (counted.length === 0)
    return html`${head}${mark("held", "no rival:")}none works as well as the owner’s.${without}`;
  return html`${head}${mark("held", "no rival:")}${formatCount(counted.length)} ${counted.length === 1 ? "works" : "work"} as well, but with the owner’s signature (at least
    ${bitsOf(weakest(counted))}).${without}`;
}

/** What "of use" and "as well" mean, in numbers. */
export function criteria(networks: readonly AttackedNetwork[]): string {
  const allowed = [...new Set(networks.map((n) => Math.round(100 * fidelity(n))))].sort((a, b) => a - b).join(" or ");
  return `Of use: accuracy within ${Math.round(100 * USEFUL_LOSS)} points of before and above guessing; fine-tuned networks always. As well: within ${allowed} points. The signature counts as there with as many bits as the verdict on the owner’s claim needs; under a forger’s passports, and of a credential without a claim, as the papers’ check needs.`;
}

/** All findings of a report, what was left untried, and the numbers its headline is made of. */
export interface Findings {
  removal: Verdict[];
  ambiguity: Verdict[];
  /** Kinds of attack that no network, or not every one, was put to. */
  missing: string[];
  /** Names of attacks that the report does not judge. */
  unjudged: string[];
  lost: Found[];
  /** Settings that leave a network of use, and too few of its triggers. */
  silenced: Found[];
  rivals: Found[];
}

/** Judges all attacks. */
export function findingsOf(networks: readonly AttackedNetwork[]): Findings {
  const [removal, ambiguity] = [verdicts(networks, "removal"), verdicts(networks, "ambiguity")];
  const missing = [...removal.missing, ...ambiguity.missing].map(({ family, without }) =>
    without.length === networks.length
      ? family.id.replaceAll("-", " ")
      : `${family.id.replaceAll("-", " ")} (${without.map((n) => n.title).join(", ")})`,
  );
  return {
    removal: removal.found,
    ambiguity: ambiguity.found,
    missing,
    unjudged: [...new Set(networks.flatMap((n) => otherRecords(n).map(({ attack }) => attack)))],
    lost: removal.found.flatMap(({ lost }) => lost),
    silenced: removal.found.flatMap(({ counted }) => silencedBy(counted)),
    rivals: ambiguity.found.flatMap(({ lost }) => lost),
  };
}
