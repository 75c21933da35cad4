import { optionsOf } from "../demand";
import { ArgumentError } from "../errors";
import type { SafetensorsFile } from "../io/safetensors";
import type { NetworkConfig } from "../models/described/network";
import type { BranchAccuracy } from "../passport/branches";
import type { SecretPlan } from "../passport/built-in";
import { checkFile } from "../passport/files";
import { averageUnder, passportShape } from "../passport/place";
import { signatureBits } from "../passport/signature";
import { Generator } from "../tensor/random";
import { claimedPlan, type ForgedLayer, forgedCredential, type KnownLayer, textBytes } from "./forged-credential";
import { isSolvable, PassportEquations } from "./solve";

/** What a forger of a credential chooses. */
export interface ForgeryOptions {
  /** Accuracies to claim: those of the deployed network are easily measured. */
  claimed?: BranchAccuracy;
  /** Decides the bits that no text takes, a whole number from 0 (default 0). */
  seed?: number;
}

/**
 * Closed-form forgery: a credential for a network of somebody else, from its deployed weights
 * alone, without a step of training. avg(W * P) is linear in P, so the passports are solved for:
 *
 * - scheme `pan`: γ_raw := the forger's bits, whatever they spell; a made-up FC turns γ_raw and
 *   β_raw into the deployed γ and β, and the private statistics are the deployed ones. Any text,
 *   and a private branch that equals the public one.
 * - scheme `v1`, `v2`, `v3` (no FC): γ and β are the deployed ones, the bits the signs of γ: a
 *   working branch, a signature that spells nothing. A text costs it the channels whose sign it
 *   turns, so texts in the configuration are refused.
 *
 * Knowledge: the deployed weights. Budget: two least-squares solutions per layer. What stops it is
 * binding, see `bind`.
 * @param suspect a deployed network
 * @param config the network, scheme and passport layers that the forger claims
 * @returns a credential that satisfies every check of the papers
 * @throws ArgumentError for a configuration that cannot be forged, StateDictError for weights of
 * another network.
 */
export function solvePassports(
  suspect: SafetensorsFile,
  network: NetworkConfig | SecretPlan,
  options?: ForgeryOptions,
): SafetensorsFile {
  checkFile(suspect, "solvePassports: the suspect");
  const { claimed = {}, seed = 0 } = optionsOf("solvePassports", options, ["claimed", "seed"]);
  const plan = claimedPlan(network);
  const { scheme, fc, places } = plan;
  if (!fc && places.some((p) => p.text))
    throw new ArgumentError(
      `without an FC the signs of γ are those of the deployed network and spell no text: forge scheme "${scheme}" without texts`,
    );
  const random = new Generator(seed);
  const texts = textBytes(plan);
  const forge = (known: KnownLayer) => {
    const { norm } = known.place;
    return fc ? underFc(known, texts.get(norm)!, random.fork(norm)) : withoutFc(known);
  };
  return forgedCredential(suspect, plan, forge, { claimed });
}

/** Passports that give the deployed γ and β themselves. */
function withoutFc({ place, weight, bias, gamma, beta }: KnownLayer): ForgedLayer {
  const equations = new PassportEquations(place, weight, bias);
  return {
    bits: gamma.map((g) => (g > 0 ? 1 : -1)),
    rawGamma: gamma,
    rawBeta: beta,
    gammaPassport: equations.solve(gamma),
    betaPassport: equations.solve(beta),
  };
}

/**
 * Passports that give the forger's bits. Where filters are too many for that, any passports do,
 * their signs are the bits, and the FC makes γ and β of them; a text cannot be written there.
 */
function underFc({ place, weight, bias }: KnownLayer, text: Uint8Array, random: Generator): ForgedLayer {
  if (!text.length && !isSolvable(place)) {
    const size = passportShape(place).torch.reduce((a, b) => a * b);
    const draw = (part: string) => random.fork(part).fill(new Float32Array(size), "uniform", -1, 1);
    const [gammaPassport, betaPassport] = [draw("gamma"), draw("beta")];
    const raw = (passport: Float32Array) => averageUnder(place, weight, bias, passport);
    const rawGamma = raw(gammaPassport);
    const bits = rawGamma.map((g) => (g > 0 ? 1 : -1));
    return { bits, rawGamma, rawBeta: raw(betaPassport), gammaPassport, betaPassport };
  }
  const equations = new PassportEquations(place, weight, bias);
  const bits = signatureBits(text, place.channels, random);
  // β_raw is free as well: one that is not a multiple of γ_raw lets the FC tell them apart.
  const rawBeta = apartFrom(bits);
  return {
    bits,
    rawGamma: bits,
    rawBeta,
    gammaPassport: equations.solve(bits),
    betaPassport: equations.solve(rawBeta),
  };
}

/** The same signs with every other one turned. */
const apartFrom = (v: Float32Array): Float32Array => v.map((x, i) => (i % 2 ? -x : x));
