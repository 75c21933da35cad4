import {
  readCredential,
  type SafetensorsFile,
  solvePassports,
  type Target,
  type Verification,
  verify,
} from "../../src/index";
import type { Claim, ForgedClaim } from "../../src/report/attack-record";

const claimOf = ({ bits, matched, pValue, accuracy, decodedText, holds, reasons }: Verification): Claim => ({
  bits,
  matched,
  pValue,
  accuracy,
  decodedText,
  holds,
  reasons,
});

/** What verification makes of a forged credential, as the papers check and with a binding asked for. */
export async function tryForged(
  { deployed, test, transform }: Target,
  forged: SafetensorsFile,
  how: Pick<ForgedClaim, "method" | "knowledge" | "budget">,
): Promise<ForgedClaim> {
  const options = { test, ...(transform && { transform }) };
  const asInPapers = claimOf(await verify(deployed, forged, { ...options, requireBinding: false }));
  return { ...how, asInPapers, bound: claimOf(await verify(deployed, forged, options)) };
}

type Bare = ReturnType<typeof readCredential>["config"]["passports"];

/** The same layers without the owner's texts. */
const bare = (passports: Bare): Bare =>
  JSON.parse(JSON.stringify(passports ?? {}), (_, value) => (typeof value === "string" ? true : value));

/** A credential made for the deployed network by solving equations. */
export async function solve(target: Target): Promise<ForgedClaim> {
  const { config } = readCredential(target.credential);
  const { signature: _, ...own } = config;
  // An FC lets the forger write any text; without one the signs of γ are what they are.
  const text = config.scheme === "pan" && config.fc !== false ? { signature: "MINE" } : {};
  const claimed = { ...own, ...text, passports: bare(own.passports) } as typeof config;
  const started = performance.now();
  const forged = solvePassports(target.deployed, claimed, { seed: 1 });
  const milliseconds = Math.round(performance.now() - started);
  return tryForged(target, forged, {
    method: "solved passports",
    knowledge: ["the deployed network"],
    budget: { data: "none", milliseconds },
  });
}
