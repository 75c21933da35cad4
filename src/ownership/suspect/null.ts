import { callable, checkOptions, numbers, oneOf, refuse, whole } from "../../demand";
import { ArgumentError, StateDictError } from "../../errors";
import type { StateDict } from "../../io/host-tensor";
import type { SafetensorsFile } from "../../io/safetensors";
import { isObject, shown } from "../../io/shown";
import { readCredential } from "../../models/credential";
import { checkFile } from "../../passport/files";
import { randomPassport } from "../../passport/generators";
import { matchedBits, readableBits } from "../../passport/matches";
import { type PassportPlace, passportShape } from "../../passport/place";
import { Generator } from "../../tensor/random";
import { sizeOf } from "../../tensor/shape";
import { isSeed } from "../check";
import { gammaUnder, readSigns } from "./reading";
import { suspectWeights } from "./suspect-weights";

/**
 * Matching bits where there is nothing to match: what chance really looks like on trained networks.
 * JSON-able.
 */
export interface NullSample {
  /**
   * `credentials`: strangers' passports and strangers' bits on this network; `passports`:
   * strangers' passports and the owner's bits; `networks`: the owner's passports and bits on
   * networks that were trained by others.
   */
  kind: "credentials" | "passports" | "networks";
  bits: number;
  /** Matches of each draw. */
  matched: number[];
  mean: number;
  /** Standard deviation of the sample (n − 1); fair coins have √bits / 2. */
  deviation: number;
}

const MOST_DRAWS = 1e6;

/** Options of {@link nullOfCredentials}. */
export interface NullOptions {
  /** Draws (default 1000). */
  draws?: number;
  /**
   * Whose bits: fresh random ones in each draw, as a stranger's credential has (default), or the
   * owner's.
   */
  bits?: "fresh" | "owner";
  /** Decides the draws, a whole number from 0 (default 0). */
  seed?: number;
  /** Called after each draw with how many are done, and of how many; awaited. */
  onStep?: (done: number, of: number) => unknown;
}

/**
 * How many bits credentials match that have nothing to do with a network: passports uniform in [−1,
 * 1), bits fresh or the owner's. With fresh bits the matches are Bin(n, ½) whatever the network is,
 * because each bit is a fair coin given all signs of γ: so it is for bound credentials, whose bits
 * are a hash, and their p-values are exact. With the owner's bits the matches scatter more, because
 * signs of γ under one passport hang together.
 * @throws ArgumentError unless draws is a whole number from 2; else as `rejoinSuspect`.
 */
export async function nullOfCredentials(
  deployed: SafetensorsFile,
  credential: SafetensorsFile,
  options: NullOptions = {},
): Promise<NullSample> {
  checkOptions("nullOfCredentials", options, {
    draws: (what, name, v) =>
      whole(what, name, v, 2) <= MOST_DRAWS || refuse(what, name, `a whole number from 2 to ${MOST_DRAWS}`, v),
    bits: (what, name, v) => oneOf(what, name, v, ["fresh", "owner"]),
    seed: isSeed,
    onStep: callable,
  });
  checkFile(deployed, "nullOfCredentials: the deployed network");
  const { draws = 1000, bits = "fresh", seed = 0, onStep } = options;
  const claim = readCredential(credential);
  const { places, tensors } = suspectWeights(deployed, claim);
  const owners = ownersBits(places, tensors, claim.tensors);
  const matched: number[] = [];
  for (let draw = 1; draw <= draws; draw++) {
    const random = new Generator(seed).fork(`stranger ${draw}`);
    const gammas = places.flatMap((place) => {
      const passport = randomPassport(sizeOf(passportShape(place).torch), random.fork(`passport of ${place.norm}`));
      return [...gammaUnder(place, tensors, passport)];
    });
    const coins = random.fork("bits");
    const wanted = bits === "owner" ? owners : owners.map((b) => (coins.uniform() < 0.5 ? -1 : b * b));
    matched.push(matchedBits(gammas, wanted));
    await onStep?.(draw, draws);
    // Whoever waits for other things gets a turn.
    if (draw % 64 === 0) await Promise.resolve();
  }
  return sample(bits === "owner" ? "passports" : "credentials", readable(owners), matched);
}

/**
 * How many bits of a credential other people's networks match, trained without it: their weights
 * under its passports.
 * @param deployed the owner's network: gives what a stranger's lacks
 * @param networks of the same sizes at the passport layers, of any scheme and norm
 * @throws ArgumentError for fewer than two networks; StateDictError for one of other sizes.
 */
export async function nullOfNetworks(
  deployed: SafetensorsFile,
  credential: SafetensorsFile,
  networks: readonly SafetensorsFile[],
): Promise<NullSample> {
  if (!Array.isArray(networks) || networks.length < 2)
    throw new ArgumentError(`networks: two or more expected, found ${shown(networks)}`);
  checkFile(deployed, "nullOfNetworks: the deployed network");
  networks.forEach((file, i) => void checkFile(file, `nullOfNetworks: network ${i}`));
  const claim = readCredential(credential);
  const own = suspectWeights(deployed, claim);
  const bits = ownersBits(own.places, own.tensors, claim.tensors);
  const matched = networks.map((file) => {
    const { tensors } = suspectWeights(file, claim);
    for (const { weight } of own.places)
      if (!tensors.has(weight)) throw new StateDictError(`${weight} is missing: a network of another structure`);
    return matchedBits(gammas(own.places, tensors, claim.tensors), bits);
  });
  return sample("networks", readable(bits), matched);
}

/**
 * Share of a null sample that does as well as a claim, the claim itself counted among them:
 * (1 + #{matchedᵢ ≥ matched}) / (1 + n). It cannot be smaller than 1 / (1 + n), however good the
 * claim.
 * @throws ArgumentError for an empty sample, or what is none.
 */
export function empiricalPValue(matched: number, of: Pick<NullSample, "matched">): number {
  if (!isObject(of)) throw new ArgumentError(`empiricalPValue: a sample expected, found ${shown(of)}`);
  const { matched: sample } = of;
  if (typeof matched !== "number" || Number.isNaN(matched))
    throw new ArgumentError(`empiricalPValue: a number of matches expected, found ${shown(matched)}`);
  numbers("empiricalPValue", "matched", sample);
  if (!sample.length) throw new ArgumentError("empiricalPValue: a sample of one or more expected, found none");
  return (1 + sample.filter((m) => m >= matched).length) / (1 + sample.length);
}

/** γ_raw of all places, one after another. */
const gammas = (places: readonly PassportPlace[], weights: StateDict, secrets: StateDict): number[] =>
  readSigns(places, weights, secrets).flatMap(({ gamma }) => [...gamma]);

/** Signature bits of all places, in the same order; 0 where nothing can be read. */
const ownersBits = (places: readonly PassportPlace[], weights: StateDict, secrets: StateDict): number[] =>
  readSigns(places, weights, secrets).flatMap(({ bits, unread }) => [...readableBits(bits, unread)]);

const readable = (bits: readonly number[]): number => bits.filter((bit) => bit !== 0).length;

function sample(kind: NullSample["kind"], bits: number, matched: number[]): NullSample {
  const mean = matched.reduce((a, b) => a + b, 0) / matched.length;
  const square = matched.reduce((sum, m) => sum + (m - mean) ** 2, 0);
  return { kind, bits, matched, mean, deviation: Math.sqrt(square / (matched.length - 1)) };
}
