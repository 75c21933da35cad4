import type { Claim, ForgedClaim } from "../../report/src/index";
import {
  hasFc,
  isSolvable,
  networkLayers,
  passportPlan,
  readCredential,
  type SafetensorsFile,
  solvePassports,
  type Target,
  type Verification,
  verify,
} from "../../src/index";

const claimOf = ({ bits, matched, pValue, accuracy, decodedText, holds, reasons }: Verification): Claim => ({
  bits,
  matched,
  pValue,
  accuracy,
  decodedText,
  holds,
  reasons,
});

/**
 * What verification makes of a forged credential, as the papers check and with a binding asked for.
 */
export async function tryForged(
  { deployed, test, transform }: Target,
  forged: SafetensorsFile,
  how: Pick<ForgedClaim, "method" | "knowledge" | "budget">,
): Promise<ForgedClaim> {
  const options = { test, ...(transform && { transform }) };
  const asInPapers = claimOf(await verify(deployed, forged, { ...options, requireBinding: false }));
  return { ...how, asInPapers, bound: claimOf(await verify(deployed, forged, options)) };
}

/**
 * Passport layers of a credential, those of them that are too wide for any γ to be solved for, and
 * whether an FC stands behind.
 */
export function solvable(credential: SafetensorsFile) {
  const { config } = readCredential(credential);
  const layers = networkLayers(config);
  const plan = passportPlan(config, layers);
  const marked = layers.filter((l) => plan.has(l.name));
  return { config, marked, wide: marked.filter((l) => !isSolvable(l)), fc: hasFc(config) };
}

/** Why no credential can be solved for a network: without an FC, every γ must be met. */
export function unsolvable(credential: SafetensorsFile): string | false {
  const { wide, fc } = solvable(credential);
  return !fc && wide.length > 0 && `${wide.map((l) => l.name).join(", ")} has more filters than numbers to choose`;
}

/**
 * A credential made for the deployed network by solving equations, with passports in the same
 * layers.
 */
export async function solve(target: Target): Promise<ForgedClaim> {
  const { config, marked, wide, fc } = solvable(target.credential);
  const { signature: _, ...own } = config;
  // An FC lets the forger write any text; without one the signs of γ are what they are.
  const last = fc ? marked.findLast((l) => !wide.includes(l)) : undefined;
  const passports = Object.fromEntries(marked.map((l) => [l.key!, l === last ? "MINE" : true]));
  const started = performance.now();
  const forged = solvePassports(target.deployed, { ...own, passports } as typeof config, { seed: 1 });
  const milliseconds = Math.round(performance.now() - started);
  return tryForged(target, forged, {
    method: "solved passports",
    knowledge: ["the deployed network"],
    budget: { data: "none", milliseconds },
  });
}
