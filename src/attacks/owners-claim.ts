/**
 * The owner's claim beside what an attack leaves of it: what a verdict counts, and what it needs.
 */
import type { SampleSet } from "../data/sample-set";
import type { SafetensorsFile } from "../io/safetensors";
import { readCredential } from "../models/credential";
import { claimed } from "../ownership/verdict/claimed";
import { bitsAmong, type Mark, type Sought, triggersAmong } from "../ownership/verdict/mark";
import type { LayerSigns } from "../passport/matches";

/** What an attacked network is searched for. */
export interface OwnersClaim extends Sought {
  /** Whether the target's triggers are the claim's own, all of them: a verdict asks no others. */
  readonly asks: boolean;
}

/** What an attack is tried on, and the claim to it. */
export type Claimable<T> = T & { claim?: OwnersClaim | null };

/** What of a target says whose claim it is, and what is asked for it. */
interface Owned {
  readonly credential?: SafetensorsFile | undefined;
  readonly triggers?: SampleSet | undefined;
}

/** A target with its owner's claim; null where the credential holds none, or there is none. */
export async function withClaim<T extends Owned>(target: T): Promise<Claimable<T>> {
  const { credential, triggers } = target;
  if (!credential) return { ...target, claim: null };
  const { broken, derived, bits } = await claimed(credential, readCredential(credential));
  if (broken !== null) return { ...target, claim: null };
  if (!derived) return { ...target, claim: { bits, triggers: null, asks: false } };
  const labels = derived.groups.flatMap((group) => [...group.labels]);
  const asks = triggers?.length === labels.length && labels.every((label, i) => triggers.labels[i] === label);
  return { ...target, claim: { bits: derived.bits, triggers: derived.spec.triggers, asks } };
}

/** The claim's bits in a network that was read, its triggers not asked yet. */
export const markIn = (signs: readonly LayerSigns[], claim: OwnersClaim): Pick<Mark, "bits" | "triggers"> => ({
  bits: bitsAmong(signs, claim),
  triggers: null,
});

/** The claim's triggers of which a share is answered as it has them; null where others were. */
export const triggersIn = (share: number, { length }: { length: number }, claim: OwnersClaim): Mark["triggers"] =>
  claim.asks ? triggersAmong(Math.round(share * length), claim) : null;
