import type { SafetensorsFile } from "@pan/core";
import { type AttackOptions, forgeBoundClaims, isSolvable, solvePassports, type Target } from "@pan/core/attacks";
import { examine, readCredential, verify } from "@pan/core/ownership";
import { type ForgedClaim, verdictOf } from "../../report/src/index";

/** What a forger writes into a credential of its own. */
const TEXT = "MINE";

/**
 * What comes of a forged credential: what the papers check, and what it is worth as a claim.
 * @param reference the network that the forger calls the original; it is for the papers' check
 * alone
 */
export async function tryForged(
  { deployed, test, transform }: Target,
  forged: SafetensorsFile,
  how: Pick<ForgedClaim, "method" | "knowledge" | "budget">,
  reference?: SafetensorsFile,
): Promise<ForgedClaim> {
  const options = { test, ...(transform && { transform }), ...(reference && { reference }) };
  const { bits, matched, pValue, accuracy, decodedText, passes, reasons } = await examine(deployed, forged, options);
  const asInPapers = { bits, matched, pValue, accuracy, decodedText, passes, reasons };
  return { ...how, asInPapers, verdict: verdictOf(await verify(deployed, forged)) };
}

/**
 * Passport layers of a credential, those of them that are too wide for any γ to be solved for, and
 * whether an FC stands behind.
 */
export function solvable(credential: SafetensorsFile) {
  const plan = readCredential(credential);
  return { plan, wide: plan.places.filter((p) => !isSolvable(p)) };
}

/** Why no credential can be solved for a network: without an FC, every γ must be met. */
export function unsolvable(credential: SafetensorsFile): string | false {
  const { wide, plan } = solvable(credential);
  return !plan.fc && wide.length > 0 && `${wide.map((p) => p.norm).join(", ")} has more filters than numbers to choose`;
}

/**
 * A credential made for the deployed network by solving equations, with passports in the same
 * layers.
 */
export async function solve(target: Target): Promise<ForgedClaim> {
  const { plan, wide } = solvable(target.credential);
  const { scheme, fc, statistics, separate } = plan;
  // An FC lets the forger write any text; without one the signs of γ are what they are.
  const last = fc ? plan.places.findLast((p) => !wide.includes(p)) : undefined;
  const places = plan.places.map((p) => ({ ...p, text: p === last ? TEXT.length : 0 }));
  const texts = last ? [{ text: TEXT, layers: [last.norm] }] : [];
  const started = performance.now();
  const forged = solvePassports(target.deployed, { scheme, fc, statistics, separate, places, texts }, { seed: 1 });
  const milliseconds = Math.round(performance.now() - started);
  return tryForged(target, forged, {
    method: "solved passports",
    knowledge: ["the deployed network"],
    budget: { data: "none", milliseconds },
  });
}

/**
 * Bound claims forged by every means; with all means the claim is tried on the forger's copy, and
 * on the released network with that copy as its original.
 */
export async function plant(target: Target, options: AttackOptions) {
  const forgeries: ForgedClaim[] = [];
  const record = await forgeBoundClaims(target, {
    ...options,
    onForged: async ({ network, credential, milliseconds }, { means, fc }) => {
      if (means !== "all" || !fc) return;
      const claim = (on: string) => ({
        method: `bound claim, on ${on}`,
        knowledge: ["the deployed network"],
        budget: { data: "none", milliseconds: Math.round(milliseconds) },
      });
      forgeries.push(
        await tryForged({ ...target, deployed: network }, credential, claim("the forger’s copy")),
        await tryForged(target, credential, claim("the released network"), network),
      );
    },
  });
  return { records: [record], forgeries };
}
