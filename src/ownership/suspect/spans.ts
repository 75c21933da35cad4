/**
 * Where in a suspect's tensors the channels of a group lie.
 */
import type { ChannelRun } from "../../passport/channels";

/** Where a tensor has channels. */
export type Place = Pick<ChannelRun, "tensor" | "axis">;

/** Entries of an axis. */
export interface Span extends Place {
  readonly from: number;
  readonly to: number;
}

/** From the first to the last entry of some channels. */
export function spanOf(run: ChannelRun, units: number, each: number): Span {
  const { tensor, axis, start, unit, channel, times, stride } = run;
  const steps = [(units - 1) * unit, (each - 1) * channel, (times - 1) * stride];
  const reach = (sign: number) => steps.reduce((sum, s) => sum + (s * sign > 0 ? s : 0), start);
  return { tensor, axis, from: reach(-1), to: reach(1) };
}

/** All of an axis. */
export const whole = ({ tensor, axis }: Place): Span => ({ tensor, axis, from: 0, to: Number.MAX_SAFE_INTEGER });

/** Whether two spans of one axis have entries in common. */
export const meet = (a: Span, b: Span): boolean =>
  a.tensor === b.tensor && a.axis === b.axis && a.from <= b.to && b.from <= a.to;

/** A key for an axis of a tensor. */
export const keyOf = ({ tensor, axis }: Place): string => `${axis} ${tensor}`;
