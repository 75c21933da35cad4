import { ArgumentError } from "../errors";
import type { SafetensorsFile } from "../io/safetensors";
import { shown } from "../io/shown";
import { checkTarget, forgingOptions } from "./checked";
import { type Forgery, forgedCredential, forgePassports } from "./passport-forgery";
import type { AttackRecord, AttackStep, Target } from "./record";
import { checkShares, TENS } from "./shares";
import { type ForgingBudget, ownersView, withOwnersBits } from "./training";

const VARIANTS = {
  /** DeepIPR's fake 3. */
  near: { start: "near", fc: "known", signs: true, distance: 1 },
  /** The variant of DeepIPR's attack 1. */
  other: { start: "other", fc: "known", signs: true, distance: 2 },
  /** Passport-aware normalisation, attack I (`fake2-`). */
  noise: { start: "noise", fc: "known", signs: false, distance: 0 },
  /** Passport-aware normalisation, attack II (`fake3-`). */
  "near, fresh FC": { start: "near", fc: "fresh", signs: false, distance: 1 },
  /** The same with a signature of the forger's (`fake3s`). */
  "near, fresh FC, signs": { start: "near", fc: "fresh", signs: true, distance: 1 },
} as const satisfies Record<string, Forgery>;

/**
 * Names of the variants of {@link trainPassports}: where passports start, and what is trained or
 * asked for beside.
 */
export type PassportVariant = keyof typeof VARIANTS;

/** What a forger has in the end, at one share. */
export interface ForgedPassports {
  /** Share of the owner's bits that the forger wanted otherwise. */
  share: number;
  /**
   * The forger's passports, FC, private statistics and own bits (without signs those that γ
   * spells), the measured accuracies as the claim. Give it to `verify` with the deployed network:
   * it is no less a credential than the owner's unbound one.
   */
  credential: SafetensorsFile;
}

/** Options of {@link trainPassports}. */
export interface TrainPassportsOptions extends ForgingBudget {
  /** Where the passports start, and what is trained or asked for beside. */
  variant: PassportVariant;
  /**
   * Variants with signs: shares of the owner's bits that the forger wants otherwise (default 0,
   * 0.1, … 1).
   */
  shares?: readonly number[];
  /** Is given the forged credential of each share; awaited. */
  onForged?: (forged: ForgedPassports) => void | Promise<void>;
}

/**
 * Trained passports: everything that was given away frozen, running statistics included, the forger
 * trains passports for a branch that works, to
 *
 *     L = CE + [Σ sign loss] + [w · Σ 1/MSE(P, P_owner)]
 *
 * Measured after the last epoch of each share, under the deployed weights: the owner's bits that
 * the forger's γ match, and what the forged branch reaches. Sources: Fan et al., "DeepIPR", TPAMI
 * 2021, section 4.2 (fake 3); Zhang et al., "Passport-aware Normalization", NeurIPS 2020, attacks I
 * and II; 100 epochs and gradients clipped to a norm of 2 in both.
 * @throws ArgumentError for an unknown variant, a fresh FC where there is none, a share outside 0
 * to 1, or epochs that are none; NanLossError when training left something that is no number.
 */
export async function trainPassports(target: Target, options: TrainPassportsOptions): Promise<AttackRecord> {
  checkTarget("trainPassports", target);
  const given = forgingOptions("trainPassports", options, ["variant", "shares", "onForged"]);
  const { variant, train, epochs, lr = 0.01, batchSize, seed = 0, shares: asked = TENS } = given;
  if (typeof variant !== "string" || !Object.hasOwn(VARIANTS, variant))
    throw new ArgumentError(
      `trainPassports: variant one of ${Object.keys(VARIANTS).join(" | ")} expected, found ${shown(variant)}`,
    );
  const forgery: Forgery = VARIANTS[variant];
  const shares = forgery.signs ? asked : [0];
  checkShares("trainPassports", asked);
  const before = await ownersView(target.deployed, target);
  const steps: AttackStep[] = [];
  for (const share of shares) {
    const credential = await forgePassports(target, forgery, share, given);
    const step = { setting: { share }, after: await ownersView(target.deployed, withOwnersBits(target, credential)) };
    steps.push(step);
    await given.onStep?.(step, steps.length, shares.length);
    await given.onForged?.({ share, credential: forgedCredential(credential, step.after.accuracy) });
  }
  const knowledge = ["the deployed network", "private statistics", "labelled images"];
  if (forgery.fc === "known") knowledge.push("the FC, where there is one");
  if (forgery.start === "near" || forgery.distance) knowledge.push("the owner's passports");
  if (forgery.signs) knowledge.push("the owner's signature");
  const budget = { images: train.length, epochs, lr, batchSize };
  return { attack: `trained passports, ${variant}`, knowledge, budget, seed, before, steps };
}
