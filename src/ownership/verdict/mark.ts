/** A claim's mark in a network as it stands: nothing is put back, and nothing is discounted. */
import type { SafetensorsFile } from "../../io/safetensors";
import { type LayerSigns, matchedBits, readableBits } from "../../passport/matches";
import type { DerivedClaim } from "../claim/derive";
import type { BitsOfClaim, MarkedClaim } from "../claim/marked-claim";
import type { TriggerSpec } from "../claim/spec";
import { claimThreshold } from "../claim/threshold";
import type { OpenFile } from "../network-file";
import type { Runner } from "../running/runner";
import { binomialPValue, matchThreshold } from "../statistics";
import { readSigns, wipedText } from "../suspect/reading";
import type { Ways } from "../suspect/recognised";
import { type SuspectWeights, suspectWeights, weightsOf } from "../suspect/suspect-weights";

/** Hits of one test against chance. JSON-able. */
export interface Hits {
  readonly count: number;
  readonly hits: number;
  /** Of one hit by chance: ½ for a bit, 1/classes for a trigger. */
  readonly chance: number;
  /** P(X ≥ hits), X ~ Bin(count, chance): of one claim, exactly. */
  readonly pValue: number;
  /** Hits that a forger who tries 2⁸⁰ claims reaches with the false-positive rate at most. */
  readonly needed: number;
}

/** What a claim's mark in a network comes to. JSON-able. */
export interface Mark {
  /** Bits that follow from the claim; null where no weight of a passport could be read. */
  readonly bits: Hits | null;
  /** Triggers of all groups; null where there are none, or the network could not be run. */
  readonly triggers: Hits | null;
  /** Whether one of the two reaches what it needs. */
  readonly found: boolean;
  /** Bits that are all turned are as unlikely as bits that all match; they are no mark. */
  readonly turned: boolean;
  readonly notes: readonly string[];
}

/** How a mark is looked for. */
export interface MarkOptions {
  /** What runs networks; without it triggers are not asked. */
  readonly runner?: Runner | null;
  /** Of all tests together (default 1e-6). */
  readonly falsePositiveRate?: number;
  /** Networks that were looked at before one was accused (default 1). */
  readonly suspects?: number;
  /** In how many ways the network's tensors could have been found (default one). */
  readonly ways?: Ways;
  /** The committed file, by which a runner may tell the suspect's outputs apart. */
  readonly released?: OpenFile | null;
}

/**
 * Hits of one test, held to 2⁻⁸⁰ of the rate; null for no trials.
 * @param tests of which any suffices, times the ways in which the network could have been read
 */
function hitsOf(
  count: number,
  hits: number,
  chance: number,
  { falsePositiveRate = 1e-6, suspects = 1 }: MarkOptions,
  tests = 1,
): Hits | null {
  if (!count) return null;
  const rate = claimThreshold(falsePositiveRate, tests * suspects);
  // So many ways that no double is left of the rate: nothing is enough.
  const needed = rate > 0 ? matchThreshold(count, rate, chance) : count + 1;
  return { count, hits, chance, pValue: binomialPValue(hits, count, chance), needed };
}

/** What of a claim is looked for in a network. */
export interface Sought {
  /** Bits of each norm, ±1; 0 where none follows from the claim. */
  readonly bits: DerivedClaim["bits"];
  readonly triggers: TriggerSpec | null;
}

/** Bits and triggers are a test each, of which either suffices. */
const testsOf = ({ triggers }: Sought): number => (triggers ? 2 : 1);

/**
 * The claim's bits among signs of γ that were read, whoever read them. Nobody's bit is read where
 * there is no filter: neither a hit nor a miss.
 */
export function bitsAmong(
  signs: readonly Pick<LayerSigns, "name" | "gamma" | "unread">[],
  sought: Sought,
  options: MarkOptions = {},
): Hits | null {
  let [count, hits] = [0, 0];
  for (const { name, gamma, unread } of signs) {
    const own = readableBits(sought.bits.get(name)!, unread);
    count += own.filter((bit) => bit !== 0).length;
    hits += matchedBits(gamma, own);
  }
  return hitsOf(count, hits, 0.5, options, testsOf(sought) * 2 ** (options.ways?.bits ?? 0));
}

/**
 * Triggers of all groups that a network answers as the claim has them.
 * @param ways in how many its outputs could have been put in order, as a power of two
 */
export function triggersAmong(right: number, sought: Sought, options: MarkOptions = {}, ways = 0): Hits | null {
  const { triggers } = sought;
  if (!triggers) return null;
  const tests = testsOf(sought) * 2 ** ((options.ways?.all ?? 0) + ways);
  return hitsOf(triggers.count * triggers.groups, right, 1 / triggers.classes.length, options, tests);
}

/**
 * Reads a claim's bits from a network's weights, and asks it for the claim's triggers where it can
 * be run. Either suffices: each is held to half of the rate. Of a network of another structure no
 * bits are read, and `notes` says why.
 */
export async function readMark(
  file: SafetensorsFile,
  { info, derived }: MarkedClaim,
  options: MarkOptions = {},
): Promise<Mark> {
  const { triggers } = derived.spec;
  const sought = { bits: derived.bits, triggers };
  const notes: string[] = [];
  const { runner = null, released = null } = options;
  const read = weightsOf(file, info, notes);
  const bits = read && bitsOf(read, info, sought, options, notes);
  if (triggers && !runner) notes.push(UNASKED);
  const answered =
    triggers && runner && (read || runner.takesAny)
      ? await runner.answers(file, { read, claim: { info, derived }, released, notes })
      : null;
  const asked = answered && triggersAmong(answered.right, sought, options, answered.ways);
  return markOf(bits, asked, notes);
}

const UNASKED =
  "the triggers were not asked: nothing that runs networks was given; `verify` of @pan/core/ownership runs those of this package, and `ask` any other";

/** What tests of a network come to together. */
function markOf(bits: Hits | null, triggers: Hits | null, notes: readonly string[]): Mark {
  const reached = (of: Hits | null) => of !== null && of.hits >= of.needed;
  const turned = bits !== null && bits.count - bits.hits >= bits.needed;
  return { bits, triggers, found: reached(bits) || reached(triggers), turned, notes };
}

/** The mark of a claim that is bits alone. @throws StateDictError for another structure. */
export function readBits(file: SafetensorsFile, { info, derived: { bits } }: BitsOfClaim, options: MarkOptions): Mark {
  const notes: string[] = [];
  const read = suspectWeights(file, info);
  return markOf(bitsOf(read, info, { bits, triggers: null }, options, notes), null, notes);
}

/** Bits that fit, as they stand. */
function bitsOf(
  read: SuspectWeights,
  { tensors }: BitsOfClaim["info"],
  sought: Sought,
  options: MarkOptions,
  notes: string[],
): Hits | null {
  const signs = readSigns(read.places, read.tensors, tensors);
  const found = bitsAmong(signs, sought, options);
  const wiped = signs.reduce((n, { unread }) => n + unread.length, 0);
  if (wiped) notes.push(wipedText(wiped, found?.count ?? 0));
  return found;
}
