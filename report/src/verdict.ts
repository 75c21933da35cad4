/**
 * A verdict on a page: its words, what it shows and what it does not, what it goes by, and when
 * things were there.
 */

import { formatCount, formatDuration, formatPValue, plural, prose } from "./format";
import { type Html, html } from "./html";
import { grid, panel, section, table } from "./page";
import { type Event, timeline } from "./timeline";
import { type ClaimVerdict, VERDICT_TONES } from "./verdict-record";

const TITLES: Readonly<Record<ClaimVerdict["verdict"], string>> = {
  "holds as released": "This is the very file that its owner committed to",
  holds: "This network bears a mark that was committed to before it was there",
  "copy of the committed network": "This network is made from the one that was committed to",
  "mark present": "This network bears the claim’s mark, which alone shows no owner",
  refused: "This claim shows nothing",
};

/** The verdict's own words, in its colour. */
export const badge = ({ verdict }: Pick<ClaimVerdict, "verdict">): Html =>
  html`<span class="badge ${VERDICT_TONES[verdict]}">Verdict: ${verdict}</span>`;

/** A page's heading. */
export const verdictTitle = ({ verdict }: Pick<ClaimVerdict, "verdict">): string => TITLES[verdict];

/** What was found, sentence by sentence, beside the summary. */
export const reasons = (v: ClaimVerdict): Html =>
  html`<div class="reasons ${VERDICT_TONES[v.verdict]}"><strong>What was found</strong>
      <ul>${v.reasons.map((reason) => html`<li>${prose(reason)}</li>`)}</ul></div>`;

/** What a verdict is good for, in a paragraph or two. */
function shown({ verdict, sentence, bound, statement }: ClaimVerdict): Html {
  const tries = verdict !== "copy of the committed network" && ", even if 2⁸⁰ claims were tried on it";
  const words = statement !== "" && html`<p>The claim says: <bdi class="quoted">${statement}</bdi></p>`;
  return panel(html`<h3>What this shows</h3><p>${prose(sentence)}</p>${words}
    <p class="note">${
      bound === null
        ? "Nothing is shown, so there is no chance of error to give."
        : html`A network that was there before the claim, and has nothing to do with it, gets this verdict with a probability of
    <strong>${formatPValue(bound)}</strong> at most${tries}.`
    }</p>`);
}

const left = ({ open }: ClaimVerdict): Html =>
  panel(
    html`<h3>What it does not show</h3><ul class="open-points">${open.map((line) => html`<li>${prose(line)}</li>`)}</ul>`,
  );

/** A row of evidence for each test that was made. */
function evidence({ mark, released, relation }: ClaimVerdict): Html | undefined {
  const rows: string[][] = [];
  const row = (what: string, found: number, of: number, needed: number, p: number) =>
    rows.push([
      what,
      `${formatCount(found)} of ${formatCount(of)}`,
      needed <= of ? formatCount(needed) : "more than there are",
      formatPValue(p),
    ]);
  for (const [where, m] of [["this network", mark] as const, ["the committed file", released] as const])
    for (const [what, h] of [["Bits", m?.bits] as const, ["Triggers", m?.triggers] as const])
      if (h) row(`${what} of the claim in ${where}`, h.hits, h.count, h.needed, h.pValue);
  if (relation)
    row("Channels like the committed file’s", relation.agreements, relation.channels, relation.needed, relation.pValue);
  if (rows.length === 0) return undefined;
  const columns = ["Found", "Needed", "By chance"].map((head) => ({ head, kind: "number" as const }));
  return panel(
    html`<h3>What the verdict goes by</h3><div class="data">${table("Tests of the verdict", [{ head: "Test" }, ...columns], rows)}</div>
    <p class="note">Bits and triggers are read as the file stands. “Needed” leaves room for a forger who tries 2⁸⁰ claims; “by chance” is the
    probability that one claim of somebody else finds as many.</p>`,
    true,
  );
}

/** Who says when a commitment was there. */
export const stampedBy = (dated: ClaimVerdict["dated"]): string =>
  dated
    ? `as ${dated.authorities.join(" and ")} stamped, to ${plural(dated.accuracy, "second")}`
    : "no time stamp that counts: only its owner says when";

/** The time between the stamp and the suspect, in words. */
function between({ dated, published }: ClaimVerdict): string | undefined {
  if (dated === null || published === null) return undefined;
  const seconds = (Date.parse(published) - Date.parse(dated.time)) / 1000;
  const long = Math.abs(seconds);
  const span = long >= 172_800 ? plural(Math.floor(long / 86_400), "day") : formatDuration(long);
  if (long <= dated.accuracy) return "The two dates are too close to tell which was first.";
  return seconds > 0
    ? `The commitment is older than the network that is accused, by ${span}.`
    : `The network that is accused is older than the commitment, by ${span}: the claim came after it.`;
}

/** When the commitment and the suspect were there, one above the other. */
function dates(v: ClaimVerdict): Html {
  const { dated, published } = v;
  const events: Event[] = [
    {
      time: dated?.time ?? null,
      what: "The signed commitment was there",
      who: stampedBy(dated),
    },
    {
      time: published,
      what: "The network that is accused was there",
      who: published ? "as the verifier was told" : "the verifier was not told when",
    },
  ];
  const said =
    between(v) ?? "A claim counts where its commitment was dated, and the accused network was not there before.";
  return panel(html`<h3>What was there when</h3>${timeline(events)}<p class="note">${said}</p>`, true);
}

/** The section on a verdict. */
export function verdictSection(v: ClaimVerdict): Html {
  const cards = [shown(v), left(v), dates(v), evidence(v) ?? []].flat();
  const lead = "A mark in the weights is a part of the evidence; dates and the committed file are the rest.";
  return section("verdict", "What this shows, and what it does not", lead, grid(...cards));
}
