/** What is told of a network's channels. */
import type { Power } from "./ledger";

/**
 * Where channels lie along an axis of a tensor in PyTorch's order. Channel e of unit u has the
 * entries `start + u · unit + e · channel + i · stride`, i from 0 to `times` − 1.
 */
export interface ChannelRun {
  /** State-dict name. */
  readonly tensor: string;
  readonly axis: number;
  /**
   * Of the inputs of a grouped map (first axis: blocks of rows, one per group): entries count the
   * channels of all groups, and the axis is that of one. Default 1.
   */
  readonly groups?: number;
  readonly start: number;
  readonly unit: number;
  readonly channel: number;
  readonly times: number;
  readonly stride: number;
}

/** A tensor that has channels: a map's outputs or inputs, a norm's numbers, or others. */
export interface ChannelMember extends ChannelRun {
  readonly role: "out" | "in" | "norm" | "value";
}

/** Channels of each unit, that move with it, and change places within it. */
export interface ChannelPart {
  /** Channels of one unit. */
  readonly each: number;
  readonly members: readonly ChannelMember[];
}

/**
 * Channels that may change places, in all members alike, without a change of what the network
 * computes. Ordinary ones are units by themselves (`each` 1); channels of a group norm, a grouped
 * convolution or an attention head keep together, and whole units change places.
 */
export interface ChannelGroup {
  readonly units: number;
  readonly parts: readonly ChannelPart[];
}

/** A tensor that goes with factors of channels. */
export interface FactorMember extends ChannelRun {
  /** Its numbers are multiplied by the factor to this power, or by its sign. */
  readonly power: Power;
  /** Of variances: what their norm adds to them, which is multiplied too. */
  readonly plus?: number;
}

/** Channels that may be multiplied by factors, in all members, without a change of the network. */
export interface FactorGroup {
  /** Factors, one per unit. */
  readonly units: number;
  /** Any positive factor. */
  readonly scale: boolean;
  /** A factor of −1. */
  readonly sign: boolean;
  readonly members: readonly FactorMember[];
}

/** What a network's state dict can be rearranged by. JSON-able. */
export interface Channels {
  readonly groups: readonly ChannelGroup[];
  readonly factors: readonly FactorGroup[];
}
