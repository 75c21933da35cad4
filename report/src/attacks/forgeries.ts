/** Credentials that somebody else made afterwards, and what verification says of them. */

import { type Cell, type DataTable, type Part, showTable } from "../data-table";
import { prose } from "../format";
import { type Html, html } from "../html";
import { fold, grid, panel, section } from "../page";
import { nounOf } from "../samples";
import { isShown } from "../verdict-record";
import { budgetText, guessingEither, secretAccuracy } from "./families";
import type { AttackedNetwork, ForgedClaim } from "./record";

function forgeriesTable(networks: readonly AttackedNetwork[]): DataTable {
  return {
    name: "forged-claims",
    title: "Forged claims and their verdicts",
    columns: [
      ["Network", "network"],
      ["Made by", "text"],
      ["Knows", "text"],
      ["Spends", "text"],
      ["Own bits", "count"],
      ["Of", "count"],
      ["p, one-sided", "pValue"],
      ["p, two-sided", "pValue"],
      ["Accuracy", "share"],
      ["Reads as", "quote"],
      ["As in the papers", "text"],
      ["Verdict", "text"],
    ],
    rows: networks.flatMap((n) =>
      n.forgeries.map(({ method, knowledge, budget, asInPapers, verdict }): Cell[] => [
        n.title,
        method,
        knowledge.join(", "),
        budgetText(budget, nounOf(n)),
        asInPapers.matched,
        asInPapers.bits,
        asInPapers.pValue,
        guessingEither(asInPapers),
        secretAccuracy(n, asInPapers) ?? null,
        asInPapers.decodedText || null,
        asInPapers.passes ? "passes" : "fails",
        verdict.verdict,
      ]),
    ),
  };
}

function reasonsOf(title: string, { method, asInPapers, verdict }: ForgedClaim): Html {
  const list = (lines: readonly string[]) => html`<ul>${lines.map((line) => html`<li>${prose(line)}</li>`)}</ul>`;
  return html`<h3>${title}, ${method}</h3><div class="columns note"><div>As in the papers:${list(asInPapers.reasons)}</div>
    <div>Verdict: ${verdict.verdict}.${list([verdict.sentence, ...verdict.open])}</div></div>`;
}

/** What the verdicts come to, in a sentence or two. */
export function forgeriesText(networks: readonly AttackedNetwork[]): string {
  const all = networks.flatMap((n) => n.forgeries);
  const papers = all.filter(({ asInPapers }) => asInPapers.passes).length;
  const held = all.filter(({ verdict }) => isShown(verdict)).length;
  const marks = all.filter(({ verdict }) => verdict.verdict === "mark present").length;
  const planted =
    marks > 0
      ? ` Of ${marks} the mark is present, in copies that the forger rearranged: that shows no ownership, and which of two such networks came first a dated commitment says.`
      : "";
  const count = (n: number) => (n === 0 ? "none" : n === all.length ? "all" : String(n));
  return (
    `${all.length === 1 ? "One credential was" : `${all.length} credentials were`} forged for these weights. Checked as in the papers, ` +
    `${count(papers)} ${papers === 1 || all.length === 1 ? "passes" : "pass"}; as a claim of ownership ${count(held)} ${held === 1 || all.length === 1 ? "holds" : "hold"}.${planted}`
  );
}

/** The section on forged claims; none where none was made. */
export function forgeriesPart(networks: readonly AttackedNetwork[]): Part {
  if (networks.every((n) => n.forgeries.length === 0)) return { tables: [] };
  const table = forgeriesTable(networks);
  const details = networks.flatMap((n) => n.forgeries.map((forged) => reasonsOf(n.title, forged)));
  return {
    body: section(
      "forged",
      "Forged claims",
      forgeriesText(networks),
      grid(
        panel(
          html`${showTable(table, networks.length === 1)}${fold("Reasons given for each verdict", html`${details}`)}
            <p class="note">Not in DeepIPR. γ is linear in the passport: whoever has the weights can compute passports that give any signs, so p is about matching the forger’s own bits and says nothing of who was first.
              A claim makes passports and bits follow from one secret, which leaves no passport to compute. What can still be chosen is a copy of the network in which they match: there the verdict is “mark present”, which shows no
              owner, and on the released file it is “refused”.</p>`,
          true,
        ),
      ),
    ),
    tables: [table],
  };
}
