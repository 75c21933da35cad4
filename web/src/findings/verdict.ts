/** A verdict as it is read: what it says, what it goes by, what stays open. */
import type { VerdictName, Verification } from "@pan/core/verify";
import { type Child, download, el, facts, list } from "../dom";
import { chance } from "../format";
import { gammaFigure } from "./gamma";
import { markSentence, relationTable } from "./marks";
import { type Event, stamped, timeline } from "./timeline";

const TONES: Readonly<Record<VerdictName, "good" | "warn" | "bad">> = {
  "holds as released": "good",
  holds: "good",
  "copy of the committed network": "good",
  "mark present": "warn",
  refused: "bad",
};

/** What it takes beside the verdict to show it. */
export interface Asked {
  /** ISO 8601; null where nobody says. */
  readonly published: string | null;
  readonly committed: boolean;
  /** Whether the suspect is in several files. */
  readonly inParts: boolean;
}

/** How `verify` says in its reasons that the claimant has the key. */
const HAS_KEY = "the key that the claim names signed";

/** What is printed first, and said aloud. */
export const headline = (tone: string, verdict: string, sentence: string): HTMLElement =>
  el(
    "div",
    { class: `verdict ${tone}` },
    el("p", { class: "badge" }, verdict),
    el("p", { class: "sentence" }, sentence),
  );

/** Reasons, one a line. */
export const reasonsOf = (reasons: readonly string[]): Child =>
  reasons.length > 0 && el("section", {}, el("h3", {}, "Reasons"), list(reasons, { class: "reasons" }));

/** Prints, and saves everything as JSON. */
export function keeping(name: string, value: unknown, note: string): HTMLElement {
  const print = el("button", { type: "button" }, "Print");
  print.addEventListener("click", () => window.print());
  const save = el("button", { type: "button" }, "Save as JSON");
  save.addEventListener("click", () => download(name, [JSON.stringify(value, null, 2), "\n"]));
  return el("div", { class: "actions keeping" }, print, save, el("p", { class: "hint" }, note));
}

/** What a verification found. */
export function verificationFindings(found: Verification, { published, committed, inParts }: Asked): Child[] {
  const { verdict, sentence, bound, open, mark, released, relation, examination } = found;
  const events: Event[] = [
    ...(committed ? [stamped("The file was committed to", found.dated)] : []),
    {
      time: published,
      what: "The suspect was published",
      about: published === null ? "nobody says when" : "at the latest, as you say",
    },
  ];
  return [
    headline(TONES[verdict], verdict, sentence),
    bound === null
      ? null
      : el(
          "p",
          {},
          `A network that was there before the claim, and has nothing to do with it, gets this verdict with a chance of at most ${chance(bound)}.`,
        ),
    open.length > 0 && el("section", {}, el("h3", {}, "What it does not show"), list(open)),
    timeline(events),
    facts([
      ["Statement", found.statement || null],
      ["Mark in the suspect", markSentence(mark)],
      ["Mark in the committed file", markSentence(released)],
      ["Version of the claim", String(found.version)],
      [
        "Key of the claim",
        found.reasons.some((reason) => reason.startsWith(HAS_KEY)) &&
          "It answered your nonce, about this very suspect.",
      ],
      [
        inParts ? "SHA-256 of the suspect, as the one file that pan convert makes of it" : "SHA-256 of the suspect",
        el("code", {}, found.suspectSha256),
      ],
    ]),
    examination && gammaFigure(examination),
    relation && relationTable(relation),
    reasonsOf(found.reasons),
    keeping("verification.json", found, "Both tell γ and bits of the claim: keep them as private as the credential."),
  ];
}
