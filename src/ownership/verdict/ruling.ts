/** What decides between two rival claims. */
import { type Dated, isBefore } from "../dates";

/**
 * What is known of two claims, A and B, and of a suspect. Frozen, committed files are read
 * directly.
 */
export interface RivalFacts {
  /**
   * For each: why its own file does not bear its mark, or does not open; null where all is well.
   */
  readonly broken: readonly [a: string | null, b: string | null];
  /** A's mark is in B's file, and B's in A's. */
  readonly crossed: readonly [aInB: boolean, bInA: boolean];
  /** The files are made from one another. */
  readonly related: boolean;
  /** Whether that could be tested. */
  readonly compared: boolean;
  /** Of each commitment; null for one that is not dated. */
  readonly dated: readonly [a: Dated | null, b: Dated | null];
  /** Whether an earlier claim that one of the two names as its parent is the other. */
  readonly parent: readonly [aOfB: boolean, bOfA: boolean];
}

/** What a judge says of two claims. JSON-able. */
export interface Ruling {
  /**
   * `A` or `B` prevails; `same owner` where one is the other's earlier release; `independent` where
   * the networks have nothing to do with each other; `disputed` where nothing decides; `neither`
   * where both claims fall.
   */
  readonly ruling: "A" | "B" | "same owner" | "independent" | "disputed" | "neither";
  /**
   * The rule that decided: a claim fell, one continues the other, one mark crosses, nothing
   * connects the two (or nothing could be tested), or the dates, which may leave it open.
   */
  readonly rule: "own mark" | "parent" | "one mark crosses" | "unrelated" | "dates";
  /** What it goes by, in a sentence. */
  readonly sentence: string;
}

/**
 * Decides between two claims:
 *
 * 1. A claim whose mark is not in its own file falls.
 * 2. One is the other's parent: the same owner's, whatever marks cross.
 * 3. A's mark is in B's file and B's not in A's: B's derives from A's, whatever the dates.
 * 4. No mark crosses and the files are unrelated: independent owners. Where that could not be
 *    tested nothing is decided.
 * 5. Both cross, or none and the files are related: shared history. The earlier dated file, where
 *    the gap is larger than the stamps' accuracy.
 */
export function ruled({ broken, crossed, related, compared, dated, parent }: RivalFacts): Ruling {
  const [a, b] = broken;
  if (a !== null && b !== null)
    return { ruling: "neither", rule: "own mark", sentence: `Both claims fall: A's since ${a}; B's since ${b}.` };
  if (a !== null) return { ruling: "B", rule: "own mark", sentence: `A's claim falls: ${a}.` };
  if (b !== null) return { ruling: "A", rule: "own mark", sentence: `B's claim falls: ${b}.` };
  const [aInB, bInA] = crossed;
  if (parent[0] || parent[1]) {
    const [later, earlier] = parent[0] ? ["B", "A"] : ["A", "B"];
    return {
      ruling: "same owner",
      rule: "parent",
      sentence: `${later}'s claim was made from ${earlier}'s, which it names and whose key signed both.`,
    };
  }
  if (aInB !== bInA) {
    const [winner, loser] = aInB ? (["A", "B"] as const) : (["B", "A"] as const);
    return {
      ruling: winner,
      rule: "one mark crosses",
      sentence: `${winner}'s mark is in the file that ${loser} committed to, and ${loser}'s is not in ${winner}'s: ${loser}'s network derives from ${winner}'s, whatever the dates.`,
    };
  }
  const both = aInB && bInA;
  if (!both && !compared)
    return {
      ruling: "disputed",
      rule: "unrelated",
      sentence:
        "Neither mark was found in the other's file, and whether the files are made from one another could not be tested: the reasons say why.",
    };
  if (!both && !related)
    return {
      ruling: "independent",
      rule: "unrelated",
      sentence: "Neither mark is in the other's file and the files are unrelated: two networks of two owners.",
    };
  const [first, second] = dated;
  const how = both ? "Both marks are in both files" : "The files are related and neither mark is in the other's";
  if (first && second) {
    if (isBefore(first, soonest(second))) return earlier("A", how, first, second);
    if (isBefore(second, soonest(first))) return earlier("B", how, second, first);
    return {
      ruling: "disputed",
      rule: "dates",
      sentence: `${how}, and the stamps are closer to each other than they are accurate: an earlier release of one of the two may decide.`,
    };
  }
  return {
    ruling: "disputed",
    rule: "dates",
    sentence: `${how}, and not both files are dated: nothing says which was there first.`,
  };
}

/** The earliest that a stamp can mean. */
const soonest = ({ time, accuracy }: Dated): string => new Date(Date.parse(time) - 1000 * accuracy).toISOString();

const earlier = (ruling: "A" | "B", how: string, first: Dated, second: Dated): Ruling => ({
  ruling,
  rule: "dates",
  sentence: `${how}; ${ruling}'s file was there on ${first.time}, before the other's date of ${second.time}.`,
});
