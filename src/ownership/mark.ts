/** A claim's mark in a network as it stands: nothing is put back, and nothing is discounted. */
import type { SafetensorsFile } from "../io/safetensors";
import type { CredentialInfo } from "../models/credential";
import { matchedBits } from "../passport/matches";
import { asProtected } from "../passport/protected";
import type { Network } from "../passport/trace";
import { predict } from "../train/predict";
import type { DerivedClaim } from "./claim/derive";
import { claimThreshold } from "./claim/threshold";
import { triggerSet, triggerTransform } from "./claim/triggers";
import { readSigns } from "./reading";
import { suspectWeights } from "./rejoin";
import { running } from "./running";
import { binomialPValue, matchThreshold } from "./statistics";

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
  readonly model?: Network | (() => Network) | undefined;
  /** Of all tests together (default 1e-6). */
  readonly falsePositiveRate?: number;
  /** Networks that were looked at before one was accused (default 1). */
  readonly suspects?: number;
}

/**
 * Hits of one test, held to 2⁻⁸⁰ of the rate; null for no trials.
 * @param tests of which any suffices
 */
export function hitsOf(
  count: number,
  hits: number,
  chance: number,
  { falsePositiveRate = 1e-6, suspects = 1 }: MarkOptions,
  tests = 1,
): Hits | null {
  if (!count) return null;
  const needed = matchThreshold(count, claimThreshold(falsePositiveRate, tests * suspects), chance);
  return { count, hits, chance, pValue: binomialPValue(hits, count, chance), needed };
}

/**
 * Reads a claim's bits from a network's weights, and asks it for the claim's triggers where it can
 * be run. Either suffices: each is held to half of the rate.
 * @throws StateDictError for a network of another structure
 */
export async function readMark(
  file: SafetensorsFile,
  { info, derived }: { info: CredentialInfo; derived: DerivedClaim },
  options: MarkOptions = {},
): Promise<Mark> {
  const read = suspectWeights(file, info);
  let [count, hits] = [0, 0];
  for (const { name, gamma } of readSigns(read.places, read.tensors, info.tensors)) {
    const own = derived.bits.get(name)!;
    count += own.filter((bit) => bit !== 0).length;
    hits += matchedBits(gamma, own);
  }
  const { triggers } = derived.spec;
  const tests = triggers ? 2 : 1;
  const bits = hitsOf(count, hits, 0.5, options, tests);
  const turned = bits !== null && count - hits >= bits.needed;
  const notes: string[] = [];
  let asked: Hits | null = null;
  if (triggers) {
    const runs = await running("verify", read, file, info, options.model);
    notes.push(...runs.reasons);
    try {
      const { joined } = runs;
      if (joined?.idle !== undefined || joined?.otherClasses === null)
        notes.push(`the triggers were not asked: ${joined.idle ?? "the network has no classifier"}`);
      else if (joined) {
        const network = joined.isFolded ? asProtected("verify", "the network", joined.model.network) : joined.model;
        const transform = triggerTransform(triggers);
        let right = 0;
        for (const { inputs, labels } of derived.groups) {
          const answers = await predict(network, triggerSet(triggers, inputs, labels), { transform });
          right += answers.filter((answer, i) => answer === labels[i]).length;
        }
        asked = hitsOf(triggers.count * triggers.groups, right, 1 / triggers.classes.length, options, tests);
      }
    } finally {
      runs.end();
    }
  }
  const reached = (of: Hits | null) => of !== null && of.hits >= of.needed;
  return { bits, triggers: asked, found: reached(bits) || reached(asked), turned, notes };
}
