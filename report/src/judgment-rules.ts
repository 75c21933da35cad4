/** How a judge came to a ruling, question by question, and what that leaves open. */

import { plural } from "./format";
import type { JudgmentRecord } from "./judgment-record";

type Judged = JudgmentRecord["judgment"];

/** A question that the judge asks, in the order of asking. */
export interface Question {
  question: string;
  answer: string;
  /** `decided`: by this one; `unasked`: those before decided. */
  state: "passed" | "decided" | "unasked";
}

const gap = ({ facts: { dated } }: Judged): string => {
  const [a, b] = dated;
  if (!a || !b)
    return `${a ? "B’s" : b ? "A’s" : "Neither"} commitment ${a || b ? "has no" : "has a"} date that counts.`;
  const seconds = Math.round(Math.abs(Date.parse(a.time) - Date.parse(b.time)) / 1000);
  const apart = seconds >= 172_800 ? plural(Math.floor(seconds / 86_400), "day") : plural(seconds, "second");
  const exact = `the stamps are accurate to ${plural(a.accuracy, "second")} and ${plural(b.accuracy, "second")}`;
  return seconds === 0
    ? `Both are of the same second; ${exact}.`
    : `${a.time < b.time ? "A’s" : "B’s"} is the earlier one, by ${apart}; ${exact}.`;
};

function crossing({ facts: { crossed } }: Judged): string {
  const [aInB, bInA] = crossed;
  if (aInB && bInA) return "Both marks are in both files.";
  if (!aInB && !bInA) return "Neither mark is in the other’s file.";
  return aInB ? "A’s mark is in B’s file, and B’s is not in A’s." : "B’s mark is in A’s file, and A’s is not in B’s.";
}

/** The judge’s questions with their answers. */
export function questions(j: Judged): Question[] {
  const { facts } = j;
  const own = (["A", "B"] as const).map((name, i) =>
    facts.broken[i] === null ? `${name}: yes.` : `${name}: no, ${facts.broken[i]}.`,
  );
  const asked: readonly [Judged["rule"], string, string][] = [
    [
      "own mark",
      "Does each claim hold together, and is its mark in the file that it was committed for? One that does not falls.",
      own.join(" "),
    ],
    [
      "parent",
      "Does one claim name the other as that of an earlier release, signed with the same key? Then both have one owner.",
      facts.parent[0] ? "B’s names A’s." : facts.parent[1] ? "A’s names B’s." : "No.",
    ],
    [
      "one mark crosses",
      "Is one party’s mark in the other’s file, and not the other way round? A mark cannot be put into a file that was committed to before, so the file that bears both is made from the other, whatever the dates.",
      crossing(j),
    ],
    [
      "unrelated",
      "Is neither mark in the other’s file, and are the files unrelated? Then they are two networks of two owners.",
      facts.related
        ? "The files are made from one another."
        : facts.compared
          ? "The files are not found to be made from one another."
          : "Whether the files are made from one another could not be tested: nothing is decided.",
    ],
    ["dates", "Which commitment is older, by more than the time stamps may be off?", gap(j)],
  ];
  const decisive = asked.findIndex(([rule]) => rule === j.rule);
  return asked.map(([, question, answer], i) => ({
    question,
    answer: i > decisive ? "Not asked: the ruling was there before." : answer,
    state: i > decisive ? "unasked" : i === decisive ? "decided" : "passed",
  }));
}

const WHO =
  "Who made either network first: a date shows that a file was there, and the key who signed it, not who trained it.";

/** What the ruling does not show, a sentence each. */
export function openPoints({ judgment: j, base, roots, suspect }: JudgmentRecord): string[] {
  const { facts, ruling, rule } = j;
  const points = [WHO];
  if (rule === "own mark")
    points.push(
      "Whether the party whose claim fell has another one that stands: a claim that does not hold together shows nothing, for nobody and against nobody.",
    );
  if (rule === "one mark crosses")
    points.push(
      "Whether both parties had the network from a third: the file with one mark is the older of these two, not the oldest of all.",
    );
  if (facts.related && base === null)
    points.push(
      "Whether both networks are made from one that was public before: none was given to the judge, and such networks are related by that alone.",
    );
  if (ruling === "independent")
    points.push("Whether one was distilled from the other, or trained on its answers: no known test finds that.");
  if (ruling === "disputed")
    points.push(
      "Which was first. An earlier release of one of the two, committed to and dated, or time stamps of another authority may decide.",
    );
  if (rule === "dates" && ruling !== "disputed")
    points.push(
      `All that is not dated: the ruling rests on ${roots.length === 1 ? "one authority’s stamps" : "the stamps"} alone, which are as good as the roots that the judge pinned.`,
    );
  if (suspect !== null && j.suspect === null)
    points.push(
      "Whose the accused network is: it is compared with both files only where the two have nothing to do with each other. Otherwise it belongs with whoever prevails here, as far as their claim holds on it.",
    );
  return points;
}
