/** Credentials that somebody else made afterwards, and what verification says of them. */

import { twoSidedPValue } from "@pan/core/ownership";
import { type Cell, type DataTable, type Part, showTable } from "../data-table";
import { type Html, html } from "../html";
import { fold, grid, panel, section } from "../page";
import { nounOf } from "../samples";
import { budgetText, secretAccuracy } from "./families";
import type { AttackedNetwork, Claim, ForgedClaim } from "./record";

const word = ({ holds }: Claim): string => (holds ? "holds" : "does not hold");

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
      ["Binding asked for", "text"],
    ],
    rows: networks.flatMap((n) =>
      n.forgeries.map(({ method, knowledge, budget, asInPapers, bound }): Cell[] => [
        n.title,
        method,
        knowledge.join(", "),
        budgetText(budget, nounOf(n)),
        asInPapers.matched,
        asInPapers.bits,
        asInPapers.pValue,
        twoSidedPValue(asInPapers.matched, asInPapers.bits),
        secretAccuracy(n, asInPapers) ?? null,
        asInPapers.decodedText || null,
        word(asInPapers),
        word(bound),
      ]),
    ),
  };
}

function reasonsOf(title: string, { method, asInPapers, bound }: ForgedClaim): Html {
  const list = (claim: Claim) => html`<ul>${claim.reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`;
  return html`<h3>${title}, ${method}</h3><div class="columns note"><div>As in the papers:${list(asInPapers)}</div><div>With a binding asked for:${list(bound)}</div></div>`;
}

/** What the verdicts come to, in a sentence or two. */
export function forgeriesText(networks: readonly AttackedNetwork[]): string {
  const all = networks.flatMap((n) => n.forgeries);
  const passed = (key: "asInPapers" | "bound") => all.filter((f) => f[key].holds).length;
  const [papers, bound] = [passed("asInPapers"), passed("bound")];
  const planted =
    bound > 0
      ? " Which of two such networks came first, only a dated, signed commitment of the released one shows."
      : "";
  if (all.length === 1) {
    const [only] = all;
    return `One credential was forged for these weights. Checked as in the papers it ${only!.asInPapers.holds ? "passes" : "fails"}; with a binding asked for it ${only!.bound.holds ? "passes" : "fails"}.${planted}`;
  }
  const count = (n: number) => (n === 0 ? "none" : n === all.length ? "all" : String(n));
  return (
    `${all.length} credentials were forged for these weights. Checked as in the papers, ${count(papers)} of them ${papers === 1 ? "passes" : "pass"}; ` +
    `with a binding asked for, ${count(bound)} ${bound === 1 ? "does" : "do"}.${planted}`
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
              A binding makes passports and bits follow from one secret, which leaves no passport to compute. What can still be chosen is a copy of the network in which they match: only a dated, signed commitment of the released network tells it from the original.</p>`,
          true,
        ),
      ),
    ),
    tables: [table],
  };
}
