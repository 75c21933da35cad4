/** What the papers check of a suspect: signs of γ from tensors alone, and branches that ran. */
import { toFloat32 } from "../../io/host-tensor";
import type { CredentialInfo } from "../../models/credential";
import type { BranchAccuracy } from "../../passport/branches";
import { countSigns, type LayerSigns, readableBits } from "../../passport/matches";
import { secretName } from "../../passport/place";
import { branchesOf, secretBranch } from "../../passport/schemes";
import { binomialPValue, matchThreshold } from "../statistics";
import { readSigns, wipedText } from "../suspect/reading";
import { decodeTexts } from "../suspect/signature";
import type { SuspectWeights } from "../suspect/suspect-weights";
import { type BranchHits, compare, type FidelityOptions, openedHits, structureFindings } from "./fidelity";
import type { TriggerHits } from "./triggers";

/** How one passport layer matches the signature. */
export interface LayerMatch {
  name: string;
  bits: number;
  matched: number;
  /**
   * γ_raw under the credential's passports, and the signature's ±1, 0 where the channel's filter is
   * all zeros and nothing can be read.
   */
  gamma: number[];
  signs: number[];
}

/** What `examine` found. JSON-able. */
export interface Examination {
  /** Texts that the signs of γ spell, one after another. */
  decodedText: string;
  /** Texts the credential claims. */
  claimedText: string;
  layers: LayerMatch[];
  /** Bits that can be read: those of filters that are all zeros count neither way. */
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

/** A credential's signature in a suspect. */
export interface SignatureRead {
  readonly read: SuspectWeights;
  readonly claim: CredentialInfo;
  readonly signs: readonly LayerSigns[];
  /** The texts that the signs spell. */
  readonly decoded: readonly string[];
}

/**
 * Reads a credential's signature from a suspect's weights.
 * @throws FormatError where the credential's bits do not spell its texts.
 */
export function signatureOf(read: SuspectWeights, claim: CredentialInfo): SignatureRead {
  const signs = readSigns(read.places, read.tensors, claim.tensors);
  const byteCounts = new Map(claim.places.map((p) => [p.norm, p.text]));
  return { read, claim, signs, decoded: decodeTexts(signs, claim.texts, byteCounts, unreadBits(read, claim)) };
}

/** What of a suspect ran, and what kept the rest from it. */
export interface Ran {
  readonly accuracy: BranchAccuracy;
  readonly triggers: { readonly hits: TriggerHits | null; readonly reasons: readonly string[] };
  readonly reasons: readonly string[];
}

const NOTHING: Ran = { accuracy: {}, triggers: { hits: null, reasons: [] }, reasons: [] };

/** The findings of an examination; nothing ran where nothing is said of it. */
export function examinationOf(
  { read, claim, signs, decoded }: SignatureRead,
  {
    ran: { accuracy, triggers, reasons: running } = NOTHING,
    notes = [],
    options,
  }: { ran?: Ran; notes?: readonly string[]; options: FidelityOptions & { tolerance?: number } },
): Examination {
  const { claimed, texts, scheme } = claim;
  const { tolerance = 0.03, falsePositiveRate = 1e-6 } = options;
  const { bits, matched } = countSigns(signs);
  // Where every filter is all zeros there is nothing to match, and no number is enough.
  const threshold = bits ? matchThreshold(bits, falsePositiveRate) : 1;
  const unread = signs.reduce((n, s) => n + s.unread.length, 0);
  const fidelity = compare({ accuracy, claimed, tolerance, branches: branchesOf(scheme), joined: read, options });
  const opened = openedHits(accuracy, secretBranch(scheme), read, options);
  return {
    decodedText: decoded.join(" "),
    claimedText: texts.map((t) => t.text).join(" "),
    layers: signs.map((s) => ({
      name: s.name,
      bits: s.bits.length - s.unread.length,
      matched: s.matched,
      gamma: [...s.gamma],
      signs: [...readableBits(s.bits, s.unread)],
    })),
    bits,
    matched,
    pValue: bits ? binomialPValue(matched, bits) : 1,
    threshold,
    accuracy,
    claimed,
    opened: opened.hits,
    triggers: triggers.hits,
    passes: matched >= threshold && fidelity.faithful && opened.hits?.holds !== false,
    reasons: [
      `${matched} of ${bits} signature bits match; ${threshold} are needed at a false-positive rate of ${falsePositiveRate.toExponential()}`,
      ...(unread ? [wipedText(unread, bits)] : []),
      ...notes,
      ...read.notes,
      ...structureFindings(read, claim, options.test),
      ...running,
      ...fidelity.reasons,
      ...opened.reasons,
      ...triggers.reasons,
    ],
  };
}

/** Signature bits of the layer that could not be read. */
function unreadBits({ unread }: SuspectWeights, { tensors }: CredentialInfo): Map<string, Float32Array> {
  if (unread === undefined) return new Map();
  return new Map([[unread, toFloat32(tensors.get(`${secretName({ name: unread })}.b`)!)]]);
}
