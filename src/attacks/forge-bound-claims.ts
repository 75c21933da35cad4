import type { ChannelSource } from "../models/channels";
import { type CredentialInfo, readCredential } from "../models/credential";
import type { SecretPlan } from "../passport/built-in";
import { fcHidden } from "../passport/place";
import { branchesOf } from "../passport/schemes";
import { attackOptions, checkTarget } from "./checked";
import { type BoundForgery, type BoundForgeryOptions, forgeBoundClaim } from "./forge-bound-claim";
import type { AttackOptions, AttackRecord, AttackStep, Target } from "./record";
import { ownersView, withOwnersBits } from "./training";

/**
 * What {@link forgeBoundClaims} tries one after the other: the means, and whether there is an FC.
 */
export type ForgerySetting = Required<Pick<BoundForgeryOptions, "means" | "fc">>;

/** Every means with the FC solved for, and the strongest without. */
const TRIED: readonly ForgerySetting[] = [
  { means: "negation", fc: true },
  { means: "permutation", fc: true },
  { means: "inputScaling", fc: true },
  { means: "all", fc: true },
  { means: "all", fc: false },
];

/** Options of {@link forgeBoundClaims}. */
export interface BoundForgeriesOptions extends AttackOptions {
  /** Which channels hang together, where neither file says it. */
  channels?: ChannelSource;
  /** Which claims are forged (default 2). */
  version?: 1 | 2;
  /** Is given what the forger has in the end, at each setting; awaited. */
  onForged?: (forgery: BoundForgery, setting: ForgerySetting) => void | Promise<void>;
}

/**
 * {@link forgeBoundClaim} by every means, with passports in the owner's layers: what the forger's
 * branch reaches in the forger's copy, and how many of the owner's bits its γ match. How many of
 * the forger's own the copy matches is each step's `own`.
 * @throws as {@link forgeBoundClaim}.
 */
export async function forgeBoundClaims(target: Target, options?: BoundForgeriesOptions): Promise<AttackRecord> {
  checkTarget("forgeBoundClaims", target);
  const given = attackOptions("forgeBoundClaims", options, ["channels", "version", "onForged"]);
  const { seed = 0, version = 2, onStep, onForged, channels } = given;
  const owners = readCredential(target.credential);
  const plan = forgersPlan(owners);
  const known = channels ?? (owners.channels && { channels: owners.channels });
  const before = await ownersView(target.deployed, target);
  const { public: open } = before.accuracy;
  const claimed = open !== undefined && branchesOf(plan.scheme).length > 1 ? { public: open, private: open } : {};
  const settings = TRIED.filter(({ fc }) => fc || plan.fc);
  const steps: AttackStep[] = [];
  for (const { means, fc } of settings) {
    const forgery = await forgeBoundClaim(target.deployed, plan, {
      means,
      fc,
      seed,
      version,
      ...(fc && plan.fc && { claimed }),
      ...(known && { channels: known }),
    });
    const after = await ownersView(forgery.network, withOwnersBits(target, forgery.credential));
    const step = {
      setting: {
        means: means === "inputScaling" ? "input scaling" : means,
        ...(plan.fc && { fc: fc ? "FC solved" : "FC as drawn" }),
      },
      after,
      own: forgery.matched,
    };
    steps.push(step);
    await onStep?.(step, steps.length, settings.length);
    await onForged?.(forgery, { means, fc });
  }
  const bits = plan.places.reduce((sum, { channels: n }) => sum + n, 0);
  const budget = { data: "none", "own bits": bits };
  return { attack: "forged bound claims", knowledge: ["the deployed network"], budget, seed, before, steps };
}

/** The owner's layers without texts, as far as an FC can be solved for. */
function forgersPlan({ scheme, fc, statistics, separate, places }: CredentialInfo): SecretPlan {
  const own = places.filter(({ channels }) => !fc || fcHidden(channels) > 1);
  return { scheme, fc, statistics, separate, places: own.map((p) => ({ ...p, text: 0 })), texts: [] };
}
