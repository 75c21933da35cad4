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
}

/** Signature bits of all layers together, and how many match. */
export function countSigns(layers: readonly LayerSigns[]): { bits: number; matched: number } {
  const isLayer = (l: Partial<LayerSigns> | null) => typeof l?.matched === "number" && ArrayBuffer.isView(l.bits);
  if (!Array.isArray(layers) || !layers.every(isLayer))
    refuse(
      "countSigns",
      "its argument",
      "a list of layers { name, gamma, bits, matched }, as readSigns() gives",
      layers,
    );
  return {
    bits: layers.reduce((n, l) => n + l.bits.length, 0),
    matched: layers.reduce((n, l) => n + l.matched, 0),
  };
}
