import { refuse, within } from "../demand";
import type { Generator } from "../tensor/random";

/** Shares from 0 to 1 in tens. */
export const TENS: readonly number[] = Array.from({ length: 11 }, (_, i) => i / 10);

/** @throws ArgumentError for what is no list, and a share outside 0 to 1. */
export function checkShares(attack: string, shares: readonly number[]): void {
  if (!Array.isArray(shares)) refuse(attack, "shares", "a list of numbers from 0 to 1", shares);
  for (const share of shares) within(attack, "a share", share, 0, 1);
}

/** A copy with the signs of a random share of the values turned. */
export function turnShare(values: Float32Array, share: number, random: Generator): Float32Array<ArrayBuffer> {
  const turned = Float32Array.from(values);
  const order = random.permutation(values.length);
  for (const i of order.subarray(0, Math.round(share * values.length))) turned[i] = -turned[i]!;
  return turned;
}
