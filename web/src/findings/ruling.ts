/** A ruling between two claims as it is read. */
import type { Judgment, Mark } from "@pan/core/verify";
import { type Child, el, facts, table } from "../dom";
import { markSentence } from "./marks";
import { stamped, timeline } from "./timeline";
import { headline, keeping, reasonsOf } from "./verdict";

const NAMES: Readonly<Record<Judgment["ruling"], string>> = {
  A: "A prevails",
  B: "B prevails",
  "same owner": "same owner",
  independent: "independent",
  disputed: "disputed",
  neither: "neither",
};

const SUSPECTS: Readonly<Record<NonNullable<Judgment["suspect"]>, string>> = {
  A: "It is made from A's file.",
  B: "It is made from B's file.",
  both: "It is related to both files.",
  neither: "It is related to neither file.",
};

const tone = (ruling: Judgment["ruling"]) => (ruling === "disputed" ? "warn" : ruling === "neither" ? "bad" : "good");

const cell = (mark: Mark | null): string => markSentence(mark) ?? "It could not be read.";

export function rulingFindings(found: Judgment): Child[] {
  const { ruling, sentence, facts: known, marks, statements, suspect } = found;
  const [a, b] = known.dated;
  return [
    headline(tone(ruling), NAMES[ruling], sentence),
    timeline([stamped("A's file was committed to", a), stamped("B's file was committed to", b)]),
    el(
      "section",
      {},
      el("h3", {}, "Whose mark is where"),
      table(
        "Marks in both committed files",
        ["whose", "in A's file", "in B's file"],
        [
          ["A's mark", cell(marks.aInA), cell(marks.aInB)],
          ["B's mark", cell(marks.bInA), cell(marks.bInB)],
        ],
      ),
    ),
    facts([
      ["A says", statements[0] || null],
      ["B says", statements[1] || null],
      ["Files", known.related ? "They are made from one another." : "They have nothing to do with each other."],
      ["Suspect", suspect && SUSPECTS[suspect]],
    ]),
    reasonsOf(found.reasons),
    keeping("ruling.json", found, "The file tells how many bits fit, and nothing of the secrets."),
  ];
}
