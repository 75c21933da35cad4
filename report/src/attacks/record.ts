/**
 * What a report on attacks is drawn from: networks, what was tried on each, and the older methods
 * beside them. Every part is JSON; accuracies and shares are fractions from 0 to 1.
 */

import type { AttackRecord, WatermarkRecord } from "@pan/core/attacks";
import type { Examination, NullSample } from "@pan/core/ownership";
import type { BranchAccuracy, Scheme } from "@pan/core/passport";
import type { Samples } from "../samples";
import type { ClaimVerdict } from "../verdict-record";

/** A credential that somebody else made for the network, and what verification says of it. */
export interface ForgedClaim {
  /** How it was made, such as `solved passports`. */
  method: string;
  knowledge: readonly string[];
  /** What it took, such as `{ milliseconds: 20 }`. */
  budget: Readonly<Record<string, number | string>>;
  /** What the papers check. */
  asInPapers: Claim;
  /** What it is worth as a claim of ownership. */
  verdict: ClaimVerdict;
}

/** What the papers check of a credential. `matched` of `bits` are the claim's own bits. */
export type Claim = Pick<
  Examination,
  "bits" | "matched" | "pValue" | "accuracy" | "decodedText" | "passes" | "reasons"
>;

/** γ and β of some channels of a layer, and how far its weights moved, after each epoch. */
export interface Convergence {
  layer: string;
  /** `update` is not there of an epoch in which a run was gone on with. */
  epochs: { epoch: number; gamma: number[]; beta: number[]; update?: number; accuracy: BranchAccuracy }[];
}

/** Values of one layer in the plain network and in the protected one. */
export interface Distributions {
  layer: string;
  own: { weights: number[]; gamma: number[]; beta: number[] };
  plain?: { weights: number[]; gamma: number[]; beta: number[] };
}

/** One protected network and everything that was tried on it. */
export interface AttackedNetwork {
  /** "AlexNet, PAN, CIFAR-10". */
  title: string;
  /** The command line that attacked it. */
  command: string;
  adapter: { kind: string; name: string };
  network: { arch: string; scheme: Exclude<Scheme, "plain">; parameters: number; passportLayers: string[] };
  /** 1 / classes. */
  chance: number;
  /** Test samples. */
  testImages: number;
  /** What the network is trained with and asked about (default `pictures`). */
  samples?: Samples;
  /** The owner's own claim, as the papers check it. */
  claim: Claim & Pick<Examination, "claimedText" | "threshold" | "layers" | "triggers">;
  /** What the owner's claim is worth. */
  verdict: ClaimVerdict;
  /** Seconds of a training epoch, and of the given-away branch over the test samples. */
  seconds?: { epoch: number; inference: number };
  /** A plain network of the same architecture and training. */
  plain?: { accuracy: number; seconds?: { epoch: number; inference: number } };
  attacks: AttackRecord[];
  /** Fine-tuning of the plain network, to compare with. */
  plainAttacks?: AttackRecord[];
  forgeries: ForgedClaim[];
  /**
   * Three kinds: strangers' credentials on this network, the owner's bits under random passports,
   * this credential on others' networks.
   */
  nulls: NullSample[];
  convergence?: Convergence;
  distributions?: Distributions;
}

/** Everything that a report shows. */
export interface AttackRuns {
  /** Several networks are shown beside each other. */
  networks: AttackedNetwork[];
  /** The feature watermark and the trigger set, trained and forged. */
  watermarks?: WatermarkRecord[];
}
