/** What a claim is worth, in words and with its bound. */
import { type Dated, isBefore } from "../dates";
import type { Mark } from "./mark";

/**
 * Verdicts, from the strongest down:
 *
 * | verdict                         | needs                                                        |
 * |---------------------------------|--------------------------------------------------------------|
 * | `holds as released`             | anchored, dated before the suspect, which is the file itself  |
 * | `holds`                         | anchored, dated before, the mark read directly in the suspect |
 * | `copy of the committed network` | anchored, dated before, related to the committed file         |
 * | `mark present`                  | the mark read directly; undated, unanchored or unrelated      |
 * | `refused`                       | everything else                                               |
 */
export type VerdictName = (typeof VERDICTS)[number];

/** From the strongest down. */
export const VERDICTS = [
  "holds as released",
  "holds",
  "copy of the committed network",
  "mark present",
  "refused",
] as const;

/** Whether a network was made from another, as far as a test on their weights says. JSON-able. */
export interface Related {
  readonly related: boolean;
  readonly pValue: number;
}

/** What a verdict goes by. */
export interface VerdictFacts {
  /** Why the credential, or its commitment, does not hold together; null where it does. */
  readonly broken: string | null;
  /** Version of the claim: of the first one no more than its mark is shown. */
  readonly version: 1 | 2;
  /** Why the committed file does not anchor the claim; null where it does. */
  readonly unanchored: string | null;
  readonly dated: Dated | null;
  /** ISO 8601: when the suspect was there at the latest; null where nobody says. */
  readonly published: string | null;
  /** The suspect is the committed file, byte for byte. */
  readonly same: boolean;
  readonly mark: Mark;
  /** The claim has triggers, and the suspect was not asked for them. */
  readonly unasked: boolean;
  readonly related: Related | null;
  /** Whether a network that was public before was given, and both are not made from it. */
  readonly base: boolean;
  readonly falsePositiveRate: number;
}

/** A verdict. JSON-able. */
export interface Judgement {
  readonly verdict: VerdictName;
  /** What it says, in one sentence. */
  readonly sentence: string;
  /**
   * Chance that a network which has nothing to do with the claim's gets this verdict, at most; null
   * where nothing is shown.
   */
  readonly bound: number | null;
  /** What it does not show. */
  readonly open: readonly string[];
}

const day = (time: string): string => `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;

const NO_AUTHOR =
  "Who made the network first: a date shows that the file was there, and the key who signed it, not who trained it.";
const NO_LOSS = "A missing mark shows nothing: distillation and heavy retraining remove every known mark.";

/** The verdict of facts. */
export function judged(facts: VerdictFacts): Judgement {
  const {
    broken,
    version,
    unanchored,
    dated,
    published,
    same,
    mark,
    related,
    unasked,
    base,
    falsePositiveRate: rate,
  } = facts;
  const refused = (sentence: string): Judgement => ({ verdict: "refused", sentence, bound: null, open: [NO_LOSS] });
  if (broken !== null) return refused(`The claim does not hold together: ${broken}.`);
  const early = dated !== null && published !== null && isBefore(dated, published);
  if (version === 2 && unanchored === null && early) {
    const since = `committed to on ${day(dated.time)}, before the suspect was published on ${day(published)}`;
    if (same)
      return {
        verdict: "holds as released",
        sentence: `The suspect is, byte for byte, the file that was ${since}, and it bears the claim's mark.`,
        bound: rate,
        open: [NO_AUTHOR],
      };
    if (mark.found)
      return {
        verdict: "holds",
        sentence: `The suspect bears the mark of the claim that was ${since}.`,
        bound: rate,
        open: [
          NO_AUTHOR,
          "Whether the mark was planted into another's network after the date: a rival claim decides it (`judge`).",
        ],
      };
    if (related?.related)
      return {
        verdict: "copy of the committed network",
        sentence: `The suspect and the file that was ${since} are made from one another.`,
        bound: rate,
        open: [
          NO_AUTHOR,
          "The claim's mark is not in the suspect; the test of relation is symmetric, and the date alone gives its direction.",
          base
            ? "Both may be made from another network that was public before than the base that was given."
            : "Both may be made from a third network that was public before: give such a one as `base`.",
        ],
      };
  }
  if (mark.found) {
    const why =
      version === 1
        ? "claims of the first version can be forged in a copy within a second"
        : (unanchored ??
          (dated === null
            ? "nothing dates the claim"
            : published === null
              ? "nobody says when the suspect was published"
              : "the claim is not older than the suspect"));
    return {
      verdict: "mark present",
      sentence: `The suspect bears the claim's mark, but that shows no ownership: ${why}.`,
      bound: rate,
      open: ["Whoever retrains a copy, or rearranges it, can put a mark of their own into it.", NO_AUTHOR],
    };
  }
  if (mark.bits === null && mark.triggers === null)
    return refused(
      "Nothing of the claim could be read in the suspect: it is of another structure, its tensors have other names, or its filters are all zeros.",
    );
  const rest = unasked ? " as far as its bits go; its triggers were not asked" : "";
  return refused(
    mark.turned
      ? "The claim's bits are all turned in the suspect: its filters were negated, which leaves no mark that counts."
      : same
        ? `The suspect is the committed file, but the claim's mark is not in it${rest}.`
        : `The claim's mark is not in the suspect${rest}.`,
  );
}
