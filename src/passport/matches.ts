import { refuse } from "../demand";
import type { NonSharedFloat32Array } from "../io/typed-arrays";

/**
 * How many numbers have the sign of their bit, −1 or +1: of γ against a signature, of features
 * against a watermark. A number of 0 matches neither, and a bit of 0 is none.
 */
export function matchedBits(values: ArrayLike<number>, bits: ArrayLike<number>): number {
  let matched = 0;
  for (let i = 0; i < bits.length; i++) if (values[i]! * bits[i]! > 0) matched++;
  return matched;
}

/** How many of a layer's signature bits the signs of γ match; a γ of 0 matches neither. */
export interface LayerSigns {
  /** Of the norm, in the plain network. */
  name: string;
  gamma: NonSharedFloat32Array;
  bits: NonSharedFloat32Array;
  matched: number;
  /**
   * Channels whose filter is all zeros, as pruning leaves some: γ is 0 there under every passport,
   * so their bits speak neither for a claim nor against it.
   */
  unread: readonly number[];
}

/**
 * Channels whose filter is all zeros, and whose γ is therefore 0.
 * @param isZero whether number k of filter o is 0, for all k below `size`
 */
export function unreadChannels(
  gamma: ArrayLike<number>,
  size: number,
  isZero: (o: number, k: number) => boolean,
): number[] {
  const isWiped = (o: number) => {
    for (let k = 0; k < size; k++) if (!isZero(o, k)) return false;
    return true;
  };
  return Array.from(gamma, (_, o) => o).filter((o) => gamma[o] === 0 && isWiped(o));
}

/** Bits of a layer, 0 at the channels that nothing can be read of. */
export function readableBits(bits: ArrayLike<number>, unread: readonly number[]): NonSharedFloat32Array {
  const read = Float32Array.from(bits);
  for (const o of unread) read[o] = 0;
  return read;
}

/** Signature bits of all layers together that can be read, and how many match. */
export function countSigns(layers: readonly LayerSigns[]): { bits: number; matched: number } {
  const isLayer = (l: Partial<LayerSigns> | null) =>
    typeof l?.matched === "number" && ArrayBuffer.isView(l.bits) && Array.isArray(l.unread);
  if (!Array.isArray(layers) || !layers.every(isLayer))
    refuse(
      "countSigns",
      "its argument",
      "a list of layers { name, gamma, bits, matched, unread }, as readSigns() gives",
      layers,
    );
  return {
    bits: layers.reduce((n, l) => n + l.bits.length - l.unread.length, 0),
    matched: layers.reduce((n, l) => n + l.matched, 0),
  };
}
