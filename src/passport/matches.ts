/**
 * How many numbers have the sign of their bit, −1 or +1: of γ against a signature, of features
 * against a watermark. A number of 0 matches neither, and a bit of 0 is none.
 */
export function matchedBits(values: ArrayLike<number>, bits: ArrayLike<number>): number {
  let matched = 0;
  for (let i = 0; i < bits.length; i++) if (values[i]! * bits[i]! > 0) matched++;
  return matched;
}
