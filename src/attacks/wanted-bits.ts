/** Signature bits that a network does not have yet. */
import type { StateDict } from "../io/host-tensor";
import { averageAt, type PassportPlace, tapsOf, windowMeans } from "../passport/place";
import { numbersOf } from "./forged-credential";

/** Bits that somebody wants to read from a layer under a passport that is given. */
export class WantedBits {
  readonly #means: Float64Array;

  /**
   * @param passport P_γ in the order of state dicts
   * @param bits ±1, one per channel
   */
  constructor(
    readonly place: PassportPlace,
    passport: Float32Array,
    readonly bits: Float32Array,
  ) {
    this.#means = windowMeans(place, passport);
  }

  /** γ_raw of the filter at one place, were it at another: inputs differ by the group it is in. */
  gammas(state: StateDict): (filter: number, output?: number) => number {
    const { place } = this;
    const known = {
      weight: numbersOf(state, place.weight),
      bias: place.bias === undefined ? null : numbersOf(state, place.bias),
      means: this.#means,
    };
    if (place.groups > 1) return (filter, output) => averageAt(place, known, filter, output);
    const own = Float64Array.from({ length: place.channels }, (_, o) => averageAt(place, known, o));
    return (filter) => own[filter]!;
  }

  /** How many bits the signs of γ_raw match. */
  matched(state: StateDict): number {
    const gamma = this.gammas(state);
    return this.bits.reduce((sum, bit, o) => sum + (gamma(o) * bit > 0 ? 1 : 0), 0);
  }

  /** What each input channel adds to γ_raw: [outputs, inputs], 0 from those of other groups. */
  shares(state: StateDict): Float64Array {
    const { channels, inChannels, groups, weight: name } = this.place;
    const weight = numbersOf(state, name);
    const [taps, inputs, outputs] = [tapsOf(this.place), inChannels / groups, channels / groups];
    const shares = new Float64Array(channels * inChannels);
    for (let o = 0; o < channels; o++)
      for (let i = 0; i < inputs; i++) {
        const input = Math.floor(o / outputs) * inputs + i;
        for (let t = 0; t < taps; t++)
          shares[o * inChannels + input]! += weight[(o * inputs + i) * taps + t]! * this.#means[input * taps + t]!;
      }
    return shares;
  }
}

/** Matches of all layers together. */
export const matchedOf = (wanted: readonly WantedBits[], state: StateDict): number =>
  wanted.reduce((sum, layer) => sum + layer.matched(state), 0);
