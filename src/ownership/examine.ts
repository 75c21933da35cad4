import type { SampleSet } from "../data/sample-set";
import type { SampleTransform } from "../data/samples";
import { type Check, checkOptions, refuse } from "../demand";
import { FormatError } from "../errors";
import { toFloat32 } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { listed } from "../io/shown";
import { channelsOfConfig } from "../models/channels";
import { type CredentialInfo, readCredential } from "../models/credential";
import { Module } from "../nn/module";
import type { BranchAccuracy } from "../passport/branches";
import { checkFile } from "../passport/files";
import { secretName } from "../passport/place";
import { countSigns } from "../passport/protected";
import { branchesOf, secretBranch } from "../passport/schemes";
import type { Network } from "../passport/trace";
import { isDataset, isRate, isShare, isTransforms } from "./check";
import { type BranchHits, compare, measure, openedHits, structureFindings } from "./fidelity";
import { readSigns } from "./reading";
import { realignTo } from "./realign";
import { type SuspectWeights, suspectWeights } from "./rejoin";
import { running } from "./running";
import { decodeTexts } from "./signature";
import { binomialPValue, matchThreshold } from "./statistics";
import { type TriggerHits, triggerHits } from "./triggers";

/** A network, or what makes one. */
export const isModel: Check = (what, name, value) =>
  typeof value === "function" ||
  value instanceof Module ||
  refuse(what, name, "a network, or a function that makes one", value);

/** {@link ExamineOptions}, each with its check. */
const OPTIONS: Readonly<Record<keyof ExamineOptions, Check>> = {
  model: isModel,
  test: isDataset,
  triggers: isDataset,
  transform: isTransforms,
  tolerance: isShare,
  falsePositiveRate: isRate,
  reference: (what, name, value) => checkFile(value, `${what}: ${name}`),
};

/** What {@link examine} may use beside the two files. */
export interface ExamineOptions {
  /**
   * The claimed network without its passports, or a function that makes one, for what has to run
   * it: accuracies and triggers. The networks of this package are built from the credential. A
   * network that is given has its own weights back in the end.
   */
  model?: Network | (() => Network);
  /**
   * Images, or clouds, for the accuracies of the branches; without them only the signature is
   * checked.
   */
  test?: SampleSet;
  /** The trigger set the network was trained with. */
  triggers?: SampleSet;
  /** The normalisation the network was trained with. */
  transform?: readonly SampleTransform[];
  /**
   * Most a claim may differ from the measured accuracy, 0 to 1 (default 0.03, DeepIPR's ε_f for
   * AlexNet).
   */
  tolerance?: number;
  /** False-positive rate of the thresholds (default 1e-6). */
  falsePositiveRate?: number;
  /**
   * The owner's own deployed network: channels that the suspect has in another order, negated or
   * scaled are put back by it before anything is read. A suspect whose filters are not the owner's
   * is left as it is. What is read then is no evidence: whoever chooses the reference chooses bits.
   */
  reference?: SafetensorsFile;
}

/** How one passport layer matches the signature. */
export interface LayerMatch {
  name: string;
  bits: number;
  matched: number;
  /** γ_raw under the credential's passports, and the signature's ±1. */
  gamma: number[];
  signs: number[];
}

/** What {@link examine} found. JSON-able. */
export interface Examination {
  /** Texts that the signs of γ spell, one after another. */
  decodedText: string;
  /** Texts the credential claims. */
  claimedText: string;
  layers: LayerMatch[];
  bits: number;
  matched: number;
  /** P(X ≥ matched), X ~ Bin(bits, ½). */
  pValue: number;
  /** Matches that guessing reaches with the false-positive rate at most. */
  threshold: number;
  accuracy: BranchAccuracy;
  claimed: BranchAccuracy;
  /**
   * What the branch that the passports open makes of the test images; null when it was not
   * measured, or classifies into other classes. `passes` needs it where it is there.
   */
  opened: BranchHits | null;
  /**
   * What the branch that is given away makes of the trigger images; null when it was not checked.
   * Evidence of its own: `passes` does not need it.
   */
  triggers: TriggerHits | null;
  /**
   * What the papers check: the signature matches, and the branch that the passports open does what
   * is claimed, as far as that could be checked. Passports that were solved for pass as well.
   */
  passes: boolean;
  /** One sentence a finding, what could not be checked included. */
  reasons: string[];
}

/**
 * What a suspect and a credential have to do with each other, as the papers check it: the suspect's
 * weights, put under the credential's passports, give signs of γ, which are held against the
 * signature, and (with test images) branches, which are held against guessing and against what is
 * claimed of them. A suspect with another classifier, or with folded norms, is examined as far as
 * that goes.
 *
 * The suspect is read by the ends of its tensors' names and by their shapes: what changes no weight
 * (prefixes, number types, further tensors, missing statistics, metadata) changes nothing, and
 * `reasons` says what was assumed or left aside.
 *
 * It is a measurement and no verdict: passports that fit a network can be computed, and a network
 * can be rearranged until passports fit. `verify` says what a claim is worth.
 * @throws FormatError, StateDictError when the files are not a network and a credential of that
 * network, or the credential's bits do not spell its texts; ArgumentError for options that are
 * none, a misspelt one too.
 */
export async function examine(
  suspect: SafetensorsFile,
  owner: SafetensorsFile,
  options: ExamineOptions = {},
): Promise<Examination> {
  checkOptions("examine", options, OPTIONS);
  checkFile(suspect, "the suspect");
  const { tolerance = 0.03, falsePositiveRate = 1e-6 } = options;
  const claim = readCredential(owner);
  const { claimed, texts } = claim;
  const classes = claim.config?.classes ?? null;
  const undisguised = options.reference ? undisguise(suspect, options.reference, claim) : { suspect, reasons: [] };
  const read = suspectWeights(undisguised.suspect, claim);
  const signs = readSigns(read.places, read.tensors, claim.tensors);
  const needed = options.test !== undefined || options.triggers !== undefined;
  const runs = await running("examine", read, undisguised.suspect, claim, needed ? options.model : null);
  try {
    const { joined } = runs;
    const byteCounts = new Map(claim.places.map((p) => [p.norm, p.text]));
    const decoded = decodeTexts(signs, texts, byteCounts, unreadBits(read, claim));
    const { bits, matched } = countSigns(signs);
    const threshold = matchThreshold(bits, falsePositiveRate);
    const enough = matched >= threshold;
    const reasons = [
      `${matched} of ${bits} signature bits match; ${threshold} are needed at a false-positive rate of ${falsePositiveRate.toExponential()}`,
      ...undisguised.reasons,
      ...read.notes,
      ...structureFindings(read, claim, options.test),
      ...runs.reasons,
    ];
    const accuracy = joined ? await measure(joined, options) : {};
    const branches = branchesOf(claim.scheme);
    const fidelity = compare({ accuracy, claimed, tolerance, branches, joined: read, options });
    const opened = openedHits(accuracy, secretBranch(claim.scheme), read, options);
    reasons.push(...fidelity.reasons, ...opened.reasons);
    const triggers = joined ? await triggerHits(joined, classes, options) : { hits: null, reasons: [] };
    reasons.push(...triggers.reasons);
    return {
      decodedText: decoded.join(" "),
      claimedText: texts.map((t) => t.text).join(" "),
      layers: signs.map((s) => ({
        name: s.name,
        bits: s.bits.length,
        matched: s.matched,
        gamma: [...s.gamma],
        signs: [...s.bits],
      })),
      bits,
      matched,
      pValue: binomialPValue(matched, bits),
      threshold,
      accuracy,
      claimed,
      opened: opened.hits,
      triggers: triggers.hits,
      passes: enough && fidelity.faithful && opened.hits?.holds !== false,
      reasons,
    };
  } finally {
    runs.end();
  }
}

/** The suspect with its channels put back where the owner's copy has them. */
function undisguise(suspect: SafetensorsFile, reference: SafetensorsFile, { config, channels }: CredentialInfo) {
  if (!config && !channels)
    throw new FormatError(
      "reference: the credential does not say which channels of its network hang together, so that none can be put back: leave it out",
    );
  const known = config ? channelsOfConfig(config, reference) : channels!;
  const { aligned, layers } = realignTo(suspect, reference, { channels: known, config });
  const count = (key: "moved" | "negated" | "channels") => layers.reduce((n, l) => n + l[key], 0);
  const strange = layers.filter((l) => !l.copied).map((l) => l.name);
  const reasons = [
    `against the owner's own copy, ${count("moved")} of ${count("channels")} channels stood elsewhere and ${count("negated")} were negated; they were put back`,
  ];
  if (strange.length) reasons.push(`filters of ${listed(strange)} are not like the owner's and were left as they are`);
  return { suspect: aligned, reasons };
}

/**
 * Signature bits of the layer that could not be read.
 */
function unreadBits({ unread }: SuspectWeights, { tensors }: CredentialInfo): Map<string, Float32Array> {
  if (unread === undefined) return new Map();
  return new Map([[unread, toFloat32(tensors.get(`${secretName({ name: unread })}.b`)!)]]);
}
