import type { SafetensorsFile } from "../../io/safetensors";
import type { CredentialInfo } from "../../models/credential";
import { matchedBits } from "../../passport/matches";
import type { LayerSigns } from "../../passport/protected";
import { binomialPValue, matchThreshold } from "../statistics";
import { BOUND_BITS, bindingOf } from "./binding";
import { type Commitment, type CommitmentMatch, matchCommitment } from "./commitment";

/**
 * Signature bits that follow from the hash of passports and statement: they could not be chosen to
 * fit the suspect.
 */
export interface BoundEvidence {
  statement: string;
  /** Bits that no text takes. */
  bits: number;
  matched: number;
  /**
   * P(X ≥ matched), X ~ Bin(bits, ½): of one secret. Whoever tries many secrets is that much
   * likelier to find one.
   */
  pValue: number;
  threshold: number;
  /** Null when no commitment was given. */
  commitment: CommitmentMatch | null;
  holds: boolean;
}

/**
 * Secrets that nobody can try: a bound claim without a commitment is held to a false-positive rate
 * of one in so many, so that searching for a secret that happens to fit is no way to forge one. Of
 * a claim that was committed to before the network was there, nobody could search: the ordinary
 * rate is enough.
 */
const TRIALS = 2 ** BOUND_BITS;

/**
 * What a credential's binding adds to its signature.
 * @param published checked before
 * @throws FormatError when the binding contradicts the credential; ArgumentError for a commitment
 * to a credential without a binding.
 */
export async function boundEvidence(
  signs: readonly LayerSigns[],
  { owner, claim }: { owner: SafetensorsFile; claim: CredentialInfo },
  suspect: SafetensorsFile,
  published: Commitment | undefined,
  falsePositiveRate: number,
): Promise<{ evidence: BoundEvidence | null; reasons: string[] }> {
  const binding = await bindingOf(owner, claim);
  if (!binding && !published)
    return {
      evidence: null,
      reasons: [
        "the credential is not bound to a secret: passports solved for these very weights would match as well, so it proves nothing by itself (`requireBinding: false` checks the rest, as the papers do)",
      ],
    };
  const commitment = published ? await matchCommitment(published, binding, suspect) : null;
  let [bits, matched] = [0, 0];
  for (const { name, gamma } of signs) {
    const own = binding!.bits.get(name)!;
    bits += own.filter((bit) => bit !== 0).length;
    matched += matchedBits(gamma, own);
  }
  const committed = commitment?.claim === true;
  const threshold = matchThreshold(bits, committed ? falsePositiveRate : 1 / TRIALS);
  const fits = matched >= threshold;
  const reasons = [
    `the passports come from the credential's secret, and ${matched} of the ${bits} bits that follow from them and the statement match; ${threshold} are needed ${committed ? `at a false-positive rate of ${falsePositiveRate.toExponential()}` : `against 2^${BOUND_BITS} tried secrets`}`,
  ];
  if (commitment)
    reasons.push(
      commitment.claim
        ? "the commitment is this credential's: that it was published before the suspect, its date must show"
        : "the commitment is not this credential's: it was made for another claim",
    );
  if (commitment?.network === false)
    reasons.push("the suspect is not the very file that was committed to, which a changed copy never is");
  return {
    evidence: {
      statement: binding!.statement,
      bits,
      matched,
      pValue: binomialPValue(matched, bits),
      threshold,
      commitment,
      holds: fits && commitment?.claim !== false,
    },
    reasons,
  };
}
