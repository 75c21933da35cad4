/** A claim's mark in a network as it stands: nothing is put back, and nothing is discounted. */
import type { SampleSet } from "../data/sample-set";
import type { SampleTransform } from "../data/samples";
import { StateDictError } from "../errors";
import type { SafetensorsFile } from "../io/safetensors";
import type { CredentialInfo } from "../models/credential";
import type { Module } from "../nn/module";
import { matchedBits } from "../passport/matches";
import type { Network } from "../passport/trace";
import { predict } from "../train/predict";
import { assigned } from "./assignment";
import type { DerivedClaim } from "./claim/derive";
import { claimThreshold } from "./claim/threshold";
import { triggerSet, triggerTransform } from "./claim/triggers";
import type { OpenFile } from "./network-file";
import { readSigns } from "./reading";
import { type SuspectWeights, suspectWeights } from "./rejoin";
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
  /** How the committed network answers clean samples. */
  readonly clean?: CleanAnswers | undefined;
}

/** Clean samples, and the class that the committed network gives each. */
export interface CleanAnswers {
  readonly set: SampleSet;
  readonly answers: Int32Array;
  readonly transform: readonly SampleTransform[];
}

/**
 * Hits of one test, held to 2⁻⁸⁰ of the rate; null for no trials.
 * @param tests of which any suffices
 */
function hitsOf(
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
 * @throws StateDictError for a network of another structure, where none was given that takes its
 * weights
 */
export async function readMark(
  file: SafetensorsFile,
  { info, derived }: MarkedClaim,
  options: MarkOptions = {},
): Promise<Mark> {
  const { triggers } = derived.spec;
  const tests = triggers ? 2 : 1;
  const notes: string[] = [];
  const read = weightsOf(file, info, triggers !== null && options.model !== undefined, notes);
  const bits = read && bitsOf(read, { info, derived }, options, tests);
  const right = triggers && (await rightAnswers(file, read, { info, derived }, options, notes));
  const count = triggers ? triggers.count * triggers.groups : 0;
  const asked = right === null ? null : hitsOf(count, right, 1 / triggers!.classes.length, options, tests);
  return markOf(bits, asked, notes);
}

/** What tests of a network come to together. */
function markOf(bits: Hits | null, triggers: Hits | null, notes: readonly string[]): Mark {
  const reached = (of: Hits | null) => of !== null && of.hits >= of.needed;
  const turned = bits !== null && bits.count - bits.hits >= bits.needed;
  return { bits, triggers, found: reached(bits) || reached(triggers), turned, notes };
}

/** The mark of a claim that is bits alone. @throws StateDictError as {@link readMark}. */
export const readBits = (file: SafetensorsFile, claim: BitsOfClaim, options: MarkOptions): Mark =>
  markOf(bitsOf(suspectWeights(file, claim.info), claim, options, 1), null, []);

/** Bits that follow from a claim, and the credential that holds it. */
interface BitsOfClaim {
  readonly info: CredentialInfo;
  readonly derived: Pick<DerivedClaim, "bits">;
}

/** A claim, and the credential that holds it. */
interface MarkedClaim extends BitsOfClaim {
  readonly derived: DerivedClaim;
}

/** The weights that passports speak of; null where they are not there and triggers can do. */
function weightsOf(
  file: SafetensorsFile,
  info: CredentialInfo,
  canRun: boolean,
  notes: string[],
): SuspectWeights | null {
  try {
    return suspectWeights(file, info);
  } catch (cause) {
    if (!(cause instanceof StateDictError && canRun)) throw cause;
    notes.push(`no bits could be read: ${cause.message}`);
    return null;
  }
}

/** Bits that fit, as they stand. */
function bitsOf(
  read: SuspectWeights,
  { info, derived }: BitsOfClaim,
  options: MarkOptions,
  tests: number,
): Hits | null {
  let [count, hits] = [0, 0];
  for (const { name, gamma } of readSigns(read.places, read.tensors, info.tensors)) {
    const own = derived.bits.get(name)!;
    count += own.filter((bit) => bit !== 0).length;
    hits += matchedBits(gamma, own);
  }
  return hitsOf(count, hits, 0.5, options, tests);
}

/** Triggers that are answered as the claim has it; null where nothing can be asked. */
async function rightAnswers(
  file: SafetensorsFile,
  read: SuspectWeights | null,
  { info, derived }: MarkedClaim,
  { model, clean }: MarkOptions,
  notes: string[],
): Promise<number | null> {
  const triggers = derived.spec.triggers!;
  const runs = await asRun(file, read, info, model);
  notes.push(...runs.reasons);
  if (!runs.network) return null;
  try {
    const { network } = runs;
    const transform = triggerTransform(triggers);
    const classes = clean && (await classesOf(network, clean, triggers.classes.length));
    let right = 0;
    for (const { inputs, labels } of derived.groups) {
      const answers = await predict(network, triggerSet(triggers, inputs, labels), { transform });
      right += answers.filter((answer, i) => (classes ? classes[answer] : answer) === labels[i]).length;
    }
    return right;
  } finally {
    runs.end();
  }
}

/** What answers: a network with the file's weights, as it was given away. */
async function asRun(
  file: SafetensorsFile,
  read: SuspectWeights | null,
  info: CredentialInfo,
  model: MarkOptions["model"],
): Promise<{ network: Module | null; reasons: string[]; end: () => void }> {
  if (!read) {
    const network = typeof model === "function" ? model() : model!;
    const kept = network === model ? await network.stateDict() : null;
    const end = () => (kept ? void network.loadStateDict(kept) : network.dispose());
    try {
      network.loadStateDict(file.tensors);
    } catch (cause) {
      end();
      if (!(cause instanceof StateDictError)) throw cause;
      return { network: null, reasons: [`the triggers were not asked: ${cause.message}`], end: () => {} };
    }
    return { network, reasons: [], end };
  }
  const { joined, reasons, end } = await running("verify", read, file, info, model);
  if (!joined) return { network: null, reasons, end };
  const { idle, otherClasses, isFolded } = joined;
  if (idle !== undefined || otherClasses === null) {
    end();
    const why = idle ?? "the network has no classifier";
    return { network: null, reasons: [...reasons, `the triggers were not asked: ${why}`], end: () => {} };
  }
  return { network: isFolded ? joined.model.network : joined.model, reasons, end };
}

/**
 * Which class of the claim each output of a network is, from how it answers clean samples, never
 * from triggers: outputs in another order keep nothing from being found.
 */
async function classesOf(
  network: Module,
  { set, answers, transform }: CleanAnswers,
  classes: number,
): Promise<Int32Array> {
  const theirs = await predict(network, set, { transform });
  const outputs = Math.max(classes, ...theirs) + 1;
  const together = new Float64Array(outputs * outputs);
  theirs.forEach((answer, i) => {
    together[answer * outputs + answers[i]!]! += 1;
  });
  // Where nothing tells them apart, each output stays what it is.
  for (let c = 0; c < outputs; c++) together[c * outputs + c]! += 0.5;
  return assigned(together, outputs, outputs);
}

/** {@link readMark} in a file that may be of another structure: null then. */
export async function markIn({ file }: OpenFile, claim: MarkedClaim, options?: MarkOptions): Promise<Mark | null> {
  try {
    return await readMark(file, claim, options);
  } catch (cause) {
    if (!(cause instanceof StateDictError)) throw cause;
    return null;
  }
}

/**
 * How the committed network answers clean samples; undefined where it cannot be run.
 */
export async function cleanAnswers(
  { file }: OpenFile,
  { info }: MarkedClaim,
  model: MarkOptions["model"],
  set: SampleSet,
  transform: readonly SampleTransform[],
): Promise<CleanAnswers | undefined> {
  const runs = await asRun(file, suspectWeights(file, info), info, model);
  if (!runs.network) return undefined;
  try {
    return { set, answers: await predict(runs.network, set, { transform }), transform };
  } finally {
    runs.end();
  }
}
