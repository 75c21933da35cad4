import type { SampleSet } from "../data/sample-set";
import type { SampleTransform } from "../data/samples";
import { type Check, checkOptions, flag, refuse } from "../demand";
import { FormatError, StateDictError } from "../errors";
import { toFloat32 } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { listed } from "../io/shown";
import { channelsOfConfig } from "../models/channels";
import { type CredentialInfo, readCredential } from "../models/credential";
import { Module } from "../nn/module";
import type { Branch, BranchAccuracy } from "../passport/branches";
import { checkFile } from "../passport/files";
import { asProtected, countSigns } from "../passport/protected";
import { branchesOf, secretBranch } from "../passport/schemes";
import { secretName } from "../passport/site";
import type { Network } from "../passport/trace";
import { evaluate } from "../train/evaluate";
import { type BoundEvidence, boundEvidence } from "./bound";
import { isDataset, isRate, isShare, isTransforms } from "./check";
import { type Commitment, checkCommitment } from "./commitment";
import { readSigns } from "./reading";
import { realignTo } from "./realign";
import { checkNetwork, joined as join, type Rejoined, type SuspectWeights, suspectWeights } from "./rejoin";
import { decodeTexts } from "./signature";
import { binomialPValue, matchThreshold } from "./statistics";
import { type TriggerHits, triggerHits } from "./triggers";

/** {@link VerifyOptions}, each with its check. */
const OPTIONS: Readonly<Record<keyof VerifyOptions, Check>> = {
  model: (what, name, value) =>
    typeof value === "function" ||
    value instanceof Module ||
    refuse(what, name, "a network, or a function that makes one", value),
  test: isDataset,
  triggers: isDataset,
  transform: isTransforms,
  tolerance: isShare,
  falsePositiveRate: isRate,
  commitment: (_what, _name, value) => checkCommitment(value),
  requireBinding: flag,
  reference: (what, name, value) => checkFile(value, `${what}: ${name}`),
};

/** What {@link verify} may use beside the two files, and how strict it is. */
export interface VerifyOptions {
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
  /** False-positive rate of the verdicts (default 1e-6). */
  falsePositiveRate?: number;
  /**
   * What the owner published before the release: the credential must be the one it was made of.
   * Check the date yourself. Bits of a claim that was committed to in time could not be searched
   * for, so `falsePositiveRate` is enough for them.
   */
  commitment?: Commitment;
  /**
   * Let only bound credentials hold, those whose passports and bits follow from a secret and a
   * statement (default true). `false` checks what the papers check, which solved passports pass as
   * well.
   */
  requireBinding?: boolean;
  /**
   * The owner's own deployed network: channels that the suspect has in another order, negated or
   * scaled are put back by it before anything is read. A suspect whose filters are not the owner's
   * is left as it is.
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

/** How a branch does against guessing. */
export interface BranchHits {
  branch: Branch;
  count: number;
  /** Test images classified right. */
  hits: number;
  /** Share of the largest class among the test images: what the best constant answer reaches. */
  chance: number;
  /** P(X ≥ hits), X ~ Bin(count, chance). */
  pValue: number;
  /**
   * Hits that guessing reaches with the false-positive rate at most; count + 1 where no number of
   * hits would do.
   */
  threshold: number;
  holds: boolean;
}

/** What {@link verify} found. JSON-able. */
export interface Verification {
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
   * measured, or classifies into other classes. `holds` needs it where it is there.
   */
  opened: BranchHits | null;
  /**
   * What the branch that is given away makes of the trigger images; null when it was not checked.
   * Evidence of its own: `holds` does not need it.
   */
  triggers: TriggerHits | null;
  /**
   * What the credential's binding adds; null when it has none. Without it, solved passports match
   * as well as the owner's.
   */
  bound: BoundEvidence | null;
  /**
   * The signature matches, and the branch that the passports open does what is claimed, as far as
   * that could be checked.
   */
  holds: boolean;
  /** One sentence a finding, what could not be checked included. */
  reasons: string[];
}

/**
 * Checks a claim of ownership: the suspect's weights, put under the credential's passports, must
 * give the credential's signature in the signs of γ, and (with test images) a branch that does
 * better than guessing, and what is claimed of it. A suspect with another classifier, or with
 * folded norms, is checked as far as that goes.
 *
 * The suspect is read by the ends of its tensors' names and by their shapes: what changes no weight
 * (prefixes, number types, further tensors, missing statistics, metadata) changes no verdict, and
 * `reasons` says what was assumed or left aside.
 *
 * A matching signature alone shows that passports and weights fit, and passports that fit can be
 * computed: `holds` asks for a binding, unless told otherwise. Who made the claim first, the dates
 * of commitments tell (see the limits in the README).
 * @throws FormatError, StateDictError when the files are not a network and a credential of that
 * network, or the credential's bits do not spell its texts; ArgumentError for options that are
 * none, a misspelt one too.
 */
export async function verify(
  suspect: SafetensorsFile,
  owner: SafetensorsFile,
  options: VerifyOptions = {},
): Promise<Verification> {
  checkOptions("verify", options, OPTIONS);
  checkFile(suspect, "the suspect");
  const { tolerance = 0.03, falsePositiveRate = 1e-6 } = options;
  const claim = readCredential(owner);
  const { claimed, texts } = claim;
  const classes = claim.config?.classes ?? null;
  const undisguised = options.reference ? undisguise(suspect, options.reference, claim) : { suspect, reasons: [] };
  const read = suspectWeights(undisguised.suspect, claim);
  const signs = readSigns(read.places, read.tensors, claim.tensors);
  const runs = await running(read, undisguised.suspect, claim, options);
  try {
    const joined = runs.joined;
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
    const bound = await boundEvidence(signs, { owner, claim }, suspect, options.commitment, falsePositiveRate);
    reasons.push(...bound.reasons);
    const trusted = bound.evidence ? bound.evidence.holds : options.requireBinding === false;
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
      bound: bound.evidence,
      holds: enough && fidelity.faithful && opened.hits?.holds !== false && trusted,
      reasons,
    };
  } finally {
    runs.end();
  }
}

/**
 * The suspect in a network that runs, where something is to be run and can be; and what to do in
 * the end.
 */
async function running(
  read: SuspectWeights,
  suspect: SafetensorsFile,
  claim: CredentialInfo,
  { test, triggers, model }: VerifyOptions,
): Promise<{ joined: Rejoined | null; reasons: string[]; end: () => void }> {
  const nothing = { joined: null, end: () => {} };
  if (!test && !triggers) return { ...nothing, reasons: [] };
  if (!claim.config && !model)
    return {
      ...nothing,
      reasons: ["the claimed network is none of this package's and was not given (`model`): no branch can run"],
    };
  const given = typeof model === "function" ? model() : model;
  if (model !== undefined) checkNetwork("verify", "model", given);
  const kept = given && model === given ? await given.stateDict() : null;
  const mode = given?.training;
  const back = () => {
    if (given && kept) given.train(mode).loadStateDict(kept);
    else given?.dispose();
  };
  try {
    const joined = join(read, suspect, claim, given);
    const end = () => {
      if (!given) return joined.model.dispose();
      for (const { secret } of joined.model.sites) secret.dispose();
      back();
    };
    return { joined, reasons: [], end };
  } catch (cause) {
    back();
    if (!(given && cause instanceof StateDictError)) throw cause;
    return { ...nothing, reasons: [`no branch can run as in the suspect: ${cause.message}`] };
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

/**
 * Whether the test images' labels are classes of the suspect: a classifier of its own may have
 * fewer.
 */
const hasLabels = ({ otherClasses }: SuspectWeights, { labels }: SampleSet): boolean =>
  !otherClasses || labels.every((label) => label < otherClasses);

function structureFindings(read: SuspectWeights, claim: CredentialInfo, test: SampleSet | undefined): string[] {
  const { isFolded, otherClasses, unread, idle } = read;
  const findings: string[] = [];
  if (isFolded)
    findings.push(
      "the suspect's norms are folded into its convolutions: the private branch cannot run, and a channel that was scaled by a negative number has its bit turned",
    );
  if (isFolded && claim.places.some((p) => p.bias !== undefined))
    findings.push("what the biases of fully connected layers add to γ is folded in as well, and γ is read without it");
  if (idle !== undefined) findings.push(`no branch can run as in the suspect: ${idle}`);
  if (otherClasses === null) findings.push("the suspect has no classifier of two classes or more: no branch can run");
  else if (otherClasses !== undefined)
    findings.push(
      `the suspect classifies into ${otherClasses} classes, the claim is for ${claim.config?.classes}: ${
        !test || hasLabels(read, test)
          ? "accuracies are measured but not compared"
          : "labels of the test images are not among them, and accuracies are not measured"
      }`,
    );
  if (unread !== undefined)
    findings.push(`the owner's classifier ${unread} was a passport layer: its bits went with it and are not counted`);
  return findings;
}

/** Accuracies of the branches that can run. */
async function measure(joined: Rejoined, { test, transform }: VerifyOptions): Promise<BranchAccuracy> {
  const { model, isFolded, otherClasses, idle } = joined;
  if (!test || idle !== undefined || otherClasses === null || !hasLabels(joined, test)) return {};
  const whole = isFolded ? asProtected("verify", "the suspect", model.network) : model;
  return evaluate(whole, test, { transform });
}

interface Fidelity {
  accuracy: BranchAccuracy;
  claimed: BranchAccuracy;
  tolerance: number;
  /** Those of the claimed network; the last one, which the passports open, decides. */
  branches: readonly Branch[];
  joined: SuspectWeights;
  options: VerifyOptions;
}

function compare({ accuracy, claimed, tolerance, branches, joined, options }: Fidelity): {
  faithful: boolean;
  reasons: string[];
} {
  const branch = branches[branches.length - 1]!;
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const reasons: string[] = [];
  let faithful = true;
  if (!options.test) {
    reasons.push(`no test images were given: the accuracy of the ${branch} branch is not checked`);
    return { faithful, reasons };
  }
  if (accuracy[branch] === undefined) reasons.push(`the ${branch} branch could not run: its accuracy is not checked`);
  for (const [name, value] of Object.entries(accuracy) as [Branch, number][]) {
    const claim = claimed[name];
    if (joined.otherClasses !== undefined) reasons.push(`the ${name} branch reaches ${percent(value)}`);
    else if (claim === undefined)
      reasons.push(`the credential claims no accuracy of the ${name} branch: its ${percent(value)} are not compared`);
    else {
      const within = Math.abs(value - claim) <= tolerance;
      if (name === branch) faithful = within;
      reasons.push(
        `the ${name} branch reaches ${percent(value)}, ${within ? "within" : "not within"} ${100 * tolerance} points of the claimed ${percent(claim)}`,
      );
    }
  }
  return { faithful, reasons };
}

/**
 * Whether the branch that the passports open does better than guessing: one that does not opens
 * nothing, whatever is claimed of it.
 */
function openedHits(
  accuracy: BranchAccuracy,
  branch: Branch,
  { otherClasses }: SuspectWeights,
  { test, falsePositiveRate = 1e-6 }: VerifyOptions,
): { hits: BranchHits | null; reasons: string[] } {
  const share = accuracy[branch];
  if (!test || share === undefined || otherClasses !== undefined) return { hits: null, reasons: [] };
  const count = test.length;
  const hits = Math.round(share * count);
  const sizes = new Map<number, number>();
  for (const label of test.labels) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  const chance = Math.max(...sizes.values()) / count;
  // Images of one class: the constant answer is always right, and no number of hits says more.
  const [threshold, pValue] =
    chance < 1
      ? [matchThreshold(count, falsePositiveRate, chance), binomialPValue(hits, count, chance)]
      : [count + 1, 1];
  const found = { branch, count, hits, chance, pValue, threshold, holds: hits >= threshold };
  const of = `the ${branch} branch has ${hits} of ${count} test images right`;
  const reason =
    threshold > count
      ? `${of}; these images are too few, or too much alike, to tell any branch from guessing: the claim cannot hold with them`
      : `${of}; ${threshold} are needed to tell it from the best constant answer at a false-positive rate of ${falsePositiveRate.toExponential()}${found.holds ? "" : ": the passports open nothing"}`;
  return { hits: found, reasons: [reason] };
}
