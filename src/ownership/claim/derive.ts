/**
 * What follows from a claim, version 2. Whoever holds a network can rearrange it and solve for
 * passports at will; so nothing of a claim is left to choose once its secret and its description
 * are:
 *
 *     P      = for each norm and part, uniform(AES-CTR(HKDF(secret, "passports/" + norm.part)))
 *     X_g    = SHA-512 of all trigger inputs of group g, drawn from HKDF(secret, "triggers/" + g), or supplied
 *     h      = SHA-512("pan-claim-2", SHA-512(P), SHA-512(every X_g), SHA-512(canonical JSON of spec))
 *     bits   = AES-CTR(SHA-512(h, "bits", norm)),   labels_g = AES-CTR(SHA-512(h, "labels", g)) mod k
 *
 * For a network that was there before h, every bit is a fair coin and every label uniform, whatever
 * the network is and prefers: matches ~ Bin(n, ½), hits ~ Bin(count, 1/k), exactly. Whoever tries q
 * secrets, or descriptions, or digests X of other groups, is q times likelier at most.
 */

import { ArgumentError } from "../../errors";
import { fromHex } from "../../io/digest";
import { canonicalJson } from "../../io/json";
import type { NonSharedFloat32Array, NonSharedInt32Array, NonSharedUint8Array } from "../../io/typed-arrays";
import { inOrder, passportShape } from "../../passport/place";
import { sizeOf } from "../../tensor/shape";
import { keystream, sha512, subSecret, toBits, toUniform } from "../digest";
import { type ClaimSpec, checkClaimSpec } from "./spec";
import { decodeInputs, groupSecret, inputsDigest, type TriggerInputs, triggerInputs, triggerLabels } from "./triggers";

const utf8 = new TextEncoder();
const TAG = utf8.encode("pan-claim-2");

/** Bits of a claim, or fewer: a search of 2⁸⁰ secrets would find one that fits some network. */
export const LEAST_BITS = 128;

/** What a claim's hash is taken over, each as a digest: an opened group needs no other part. */
export interface ClaimDigests {
  /** SHA-512 of all passports, with their names. */
  readonly passports: NonSharedUint8Array;
  /** X of each group of triggers. */
  readonly groups: readonly NonSharedUint8Array[];
}

/** h, over everything that a claim is about. */
export async function claimHash(spec: ClaimSpec, { passports, groups }: ClaimDigests): Promise<NonSharedUint8Array> {
  return sha512([TAG, passports, await sha512(groups), await sha512([utf8.encode(canonicalJson(spec))])]);
}

/** A group of triggers. */
export interface TriggerGroup {
  readonly inputs: TriggerInputs;
  readonly labels: NonSharedInt32Array;
}

/** What a claim makes of a network. */
export interface DerivedClaim {
  readonly spec: ClaimSpec;
  /** Passports of each norm, in PyTorch's order. */
  readonly passports: ReadonlyMap<string, { gamma: NonSharedFloat32Array; beta: NonSharedFloat32Array }>;
  /** Signature bits of each norm, ±1; 0 where a text has its own. */
  readonly bits: ReadonlyMap<string, NonSharedFloat32Array>;
  readonly groups: readonly TriggerGroup[];
  readonly digests: ClaimDigests;
  /** h: what a commitment commits to. */
  readonly hash: NonSharedUint8Array;
}

/** Bits of the places that no text takes. */
export const boundBits = ({ places }: ClaimSpec): number =>
  places.reduce((n, { channels, text }) => n + channels - 8 * text, 0);

/**
 * Everything that follows from a secret and a description.
 * @param secret 32 bytes, hexadecimal
 * @param supplied inputs of triggers that are not drawn, base64
 * @throws ArgumentError for what describes no claim, fewer than {@link LEAST_BITS} bits that no
 * text takes, and triggers that are supplied and not there, or there and drawn.
 */
export async function deriveClaim(secret: string, spec: ClaimSpec, supplied?: string): Promise<DerivedClaim> {
  if (typeof secret !== "string" || !/^[0-9a-f]{64}$/.test(secret))
    throw new ArgumentError(
      "claim: a secret of 64 hexadecimal digits expected; make one with newSecret(), and keep it secret",
    );
  checkClaimSpec("claim", spec);
  const count = boundBits(spec);
  if (count < LEAST_BITS)
    throw new ArgumentError(
      `claim: ${LEAST_BITS} signature bits or more that no text takes are needed, this network has ${count}: give passports to more or wider layers, or say the text in the statement`,
    );
  const key = fromHex(secret);
  const hashed: Uint8Array[] = [];
  const passports = new Map<string, { gamma: NonSharedFloat32Array; beta: NonSharedFloat32Array }>();
  const places = inOrder(spec.places);
  for (const place of places) {
    const draw = async (part: string) => {
      const name = `passports/${place.norm}.${part}`;
      const numbers = toUniform(await keystream(await subSecret(key, name), 4 * sizeOf(passportShape(place).torch)));
      hashed.push(utf8.encode(name), new Uint8Array(numbers.buffer));
      return numbers;
    };
    passports.set(place.norm, { gamma: await draw("skey"), beta: await draw("key") });
  }
  const { triggers } = spec;
  if (supplied !== undefined && !triggers?.supplied)
    throw new ArgumentError("claim: no inputs expected where triggers are drawn from the secret, found some");
  const drawn = async (g: number) => triggerInputs(await groupSecret(key, g), triggers!);
  const inputs = triggers?.supplied ? decodeInputs(supplied, triggers, triggers.groups) : [];
  // One after the other: what a group is drawn from may be far larger than its inputs.
  if (triggers && !triggers.supplied) for (let g = 0; g < triggers.groups; g++) inputs.push(await drawn(g));
  const digests = { passports: await sha512(hashed), groups: await Promise.all(inputs.map(inputsDigest)) };
  const hash = await claimHash(spec, digests);
  const bits = new Map<string, NonSharedFloat32Array>();
  for (const { norm, channels, text } of places) {
    const seed = await sha512([hash, utf8.encode("bits"), utf8.encode(norm)]);
    bits.set(norm, toBits(await keystream(seed, Math.ceil(channels / 8)), channels).fill(0, 0, 8 * text));
  }
  const groups = await Promise.all(
    inputs.map(async (of, g) => ({ inputs: of, labels: await triggerLabels(hash, g, triggers!) })),
  );
  return { spec, passports, bits, groups, digests, hash };
}
