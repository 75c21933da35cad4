/** Signatures read from tensors alone, on the host. */
import { StateDictError } from "../../errors";
import { type StateDict, toFloat32 } from "../../io/host-tensor";
import type { LayerSigns } from "../../passport/matches";
import { matchedBits, unreadChannels } from "../../passport/matches";
import { averageUnder, type PassportPlace, secretName } from "../../passport/place";

/** A tensor that must be there. @throws StateDictError */
export function take(state: StateDict, name: string): Float32Array {
  const value = state.get(name);
  if (!value) throw new StateDictError(`${name} is missing`);
  return toFloat32(value);
}

/** What is said of bits that nothing can be read of. */
export const wipedText = (wiped: number, rest: number): string =>
  `${wiped} of ${wiped + rest} bits cannot be read and count neither way: the filters of their channels are all zeros`;

/** γ_raw of a place: what the weights give under a passport, in the order of state dicts. */
export const gammaUnder = (
  place: PassportPlace,
  weights: StateDict,
  passport: ArrayLike<number>,
): Float32Array<ArrayBuffer> =>
  averageUnder(
    place,
    take(weights, place.weight),
    // A suspect may have lost it; γ is then read without.
    place.bias !== undefined && weights.has(place.bias) ? take(weights, place.bias) : null,
    passport,
  );

/**
 * γ_raw = S(P_γ) · W of every place against its signature bits.
 * @param weights of the plain network @param secrets of the credential
 * @throws StateDictError when a tensor is missing.
 */
export function readSigns(places: readonly PassportPlace[], weights: StateDict, secrets: StateDict): LayerSigns[] {
  return places.map((place) => {
    const secret = secretName({ name: place.norm });
    const gamma = gammaUnder(place, weights, take(secrets, `${secret}.skey`));
    const bits = Float32Array.from(take(secrets, `${secret}.b`));
    const weight = take(weights, place.weight);
    const size = weight.length / place.channels;
    const unread = unreadChannels(gamma, size, (o, k) => weight[o * size + k] === 0);
    return { name: place.norm, gamma, bits, matched: matchedBits(gamma, bits), unread };
  });
}
