import type { SampleSet } from "../data/sample-set";
import type { SampleTransform } from "../data/samples";
import type { SafetensorsFile } from "../io/safetensors";
import type { Module } from "../nn/module";
import { binomialPValue } from "../ownership/statistics";
import type { Mark } from "../ownership/verdict/mark";
import type { BranchAccuracy } from "../passport/branches";
import { countSigns, matchedBits } from "../passport/matches";
import { asProtected } from "../passport/protected";
import { type Scheme, secretBranch } from "../passport/schemes";
import type { Network } from "../passport/trace";
import { evaluate } from "../train/evaluate";
import { type Claimable, markIn, triggersIn } from "./owners-claim";

/**
 * What an attack is tried on: the network that was given away, the owner's half to measure with,
 * and data.
 */
export interface Target {
  deployed: SafetensorsFile;
  /** The owner's: what the attacker knows of it is said by each attack. */
  credential: SafetensorsFile;
  test: SampleSet;
  /** What is done to test images. */
  transform?: readonly SampleTransform[];
  /** The trigger set the network was trained with. */
  triggers?: SampleSet;
  /**
   * Makes the network without its passports, freshly initialised; those of this package are built
   * from the files.
   */
  model?: () => Network;
}

/** What can be measured of a network and a credential. */
export interface Measurement {
  /** Test accuracy of each branch. */
  accuracy: BranchAccuracy;
  /** Signature bits, and how many the signs of γ match. */
  bits: number;
  matched: number;
  /** P(X ≥ matched), X ~ Bin(bits, ½). */
  pValue: number;
  /**
   * Test accuracy of the network as it was given away, or as the attacker has it, with no passports
   * over it: where none of the branches is that network, which is so in V1.
   */
  deployed?: number;
  /** Share of triggers that the given-away network classifies as assigned. */
  triggers?: number;
  /**
   * Of attacks on the network's weights, what a verdict goes by: bits and triggers that follow from
   * the owner's claim, how many fit and how many are needed. Bits are null where none can be read,
   * triggers where the claim's own were not all asked. Not there where the credential holds no
   * claim, where somebody else's passports were measured, and in older records.
   */
  mark?: Pick<Mark, "bits" | "triggers">;
}

/** One setting of an attack and what it came to. */
export interface AttackStep {
  /** What was varied, such as `{ share: 0.3 }`. */
  setting: Readonly<Record<string, number | string>>;
  after: Measurement;
  /** What the signature's texts read as afterwards, where the attack is about that. */
  text?: string;
  /** How many bits of a claim of the forger's own fit, where there is one. */
  own?: number;
}

/** What an attack did. JSON-able. */
export interface AttackRecord {
  /** Plain name, such as `random passports`. */
  attack: string;
  /** What the attacker has. */
  knowledge: readonly string[];
  /** What the attacker spends. */
  budget: Readonly<Record<string, number | string>>;
  seed: number;
  before: Measurement;
  steps: AttackStep[];
}

/** What every attack takes beside its own options. */
export interface AttackOptions {
  /** Decides all random choices (default 0). */
  seed?: number;
  /** Called after each step. */
  onStep?: (step: AttackStep, done: number, of: number) => unknown;
}

/**
 * Share of the triggers that the given-away branch classifies as assigned; undefined where there
 * are none.
 */
export async function triggerShare(
  network: Module,
  { transform, triggers }: { [K in "transform" | "triggers"]?: Target[K] | undefined },
): Promise<number | undefined> {
  const model = asProtected("triggers", "the network", network);
  const open = model.branches[0]!;
  return triggers && (await evaluate(model, triggers, { transform, branches: [open] }))[open];
}

/** A measurement with the share of triggers that was found; as it was where none were asked. */
export function withTriggers(
  m: Measurement,
  share: number | undefined,
  { triggers, claim }: Claimable<Pick<Target, "triggers">>,
): Measurement {
  if (share === undefined) return m;
  const { mark } = m;
  return {
    ...m,
    triggers: share,
    ...(mark && claim && triggers && { mark: { ...mark, triggers: triggersIn(share, triggers, claim) } }),
  };
}

/** Measures a rejoined network as it is. */
export async function measure(network: Module, target: Claimable<Omit<Target, "credential">>): Promise<Measurement> {
  const model = asProtected("measure", "the network", network);
  const { test, transform, claim } = target;
  const accuracy = await evaluate(model, test, { transform });
  const signs = await model.readSigns();
  const { bits, matched } = countSigns(signs);
  const found = {
    accuracy,
    bits,
    matched,
    // A plain network has no bits, and nothing is unlikely about that.
    pValue: bits ? binomialPValue(matched, bits) : 1,
    ...(claim && { mark: markIn(signs, claim) }),
  };
  return withTriggers(found, await triggerShare(model, target), target);
}

/** What the forged branch reaches, under the name of the branch it stands for. */
export function forgedMeasurement(
  accuracy: number,
  gammas: readonly Float32Array[],
  bits: readonly Float32Array[],
  scheme: Scheme,
): Measurement {
  const count = bits.reduce((n, b) => n + b.length, 0);
  const matched = bits.reduce((n, b, l) => n + matchedBits(gammas[l]!, b), 0);
  return {
    accuracy: { [secretBranch(scheme)]: accuracy },
    bits: count,
    matched,
    pValue: binomialPValue(matched, count),
  };
}
