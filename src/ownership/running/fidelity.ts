/** What the branches of a suspect do, against what is claimed of them and against guessing. */
import type { TrainingSet } from "../../data/sample-set";
import type { SampleTransform } from "../../data/samples";
import type { CredentialInfo } from "../../models/credential";
import type { Branch, BranchAccuracy } from "../../passport/branches";
import { binomialPValue, matchThreshold } from "../statistics";
import type { SuspectWeights } from "../suspect/suspect-weights";

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

/** What a suspect is measured with. */
export interface FidelityOptions {
  /** Test samples of the owner's task; without them no accuracy is measured. */
  test?: TrainingSet;
  /** What is done to each of them (default nothing). */
  transform?: readonly SampleTransform[];
  /** Of the thresholds (default 1e-6). */
  falsePositiveRate?: number;
}

/**
 * Whether the test images' labels are classes of the suspect: a classifier of its own may have
 * fewer.
 */
export const hasLabels = ({ otherClasses }: SuspectWeights, { labels }: TrainingSet): boolean =>
  !otherClasses || labels.every((label) => label < otherClasses);

export function structureFindings(
  read: SuspectWeights,
  claim: CredentialInfo,
  test: TrainingSet | undefined,
): string[] {
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

interface Fidelity {
  accuracy: BranchAccuracy;
  claimed: BranchAccuracy;
  tolerance: number;
  /** Those of the claimed network; the last one, which the passports open, decides. */
  branches: readonly Branch[];
  joined: SuspectWeights;
  options: FidelityOptions;
}

export function compare({ accuracy, claimed, tolerance, branches, joined, options }: Fidelity): {
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
export function openedHits(
  accuracy: BranchAccuracy,
  branch: Branch,
  { otherClasses }: SuspectWeights,
  { test, falsePositiveRate = 1e-6 }: FidelityOptions,
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
