/**
 * Symmetries of a network, chosen so that wanted bits appear: it computes what it did, and the
 * signs of γ_raw are others.
 */
import type { StateDict } from "../io/host-tensor";
import { unitsAssigned } from "../ownership/suspect/matching";
import {
  type ChannelGroup,
  type ChannelRun,
  type Channels,
  entriesOf,
  type FactorGroup,
  permuteChannels,
  scaleChannels,
} from "../passport/channels";
import { isTurned } from "./disguise";
import { fittingFactors } from "./fitting-factors";
import { matchedOf, type WantedBits } from "./wanted-bits";

/** Changes a network's tensors so that more of the wanted bits match, where it finds how. */
export type Rearrangement = (state: StateDict, channels: Channels, wanted: readonly WantedBits[]) => void;

/** What is wanted of the outputs of a tensor, or of its inputs. */
const wantedAt = ({ tensor, axis }: ChannelRun, wanted: readonly WantedBits[], side: "outputs" | "inputs") =>
  axis === (side === "outputs" ? 0 : 1) ? wanted.filter(({ place }) => place.weight === tensor) : [];

/** Makes a change, and keeps it where more bits match: inputs of other layers may have changed. */
function keepBetter(state: StateDict, wanted: readonly WantedBits[], change: (copy: StateDict) => void): void {
  const copy: StateDict = new Map(state);
  change(copy);
  if (matchedOf(wanted, copy) > matchedOf(wanted, state)) for (const [name, t] of copy) state.set(name, t);
}

/**
 * Negates filters together with γ wherever that turns wrong bits: one by one in front of batch
 * norm, whole groups of group norm and whole layers of layer norm by their majority.
 */
export const negated: Rearrangement = (state, { factors }, wanted) => {
  for (const group of factors.filter(isTurned)) turn(state, group, wanted);
};

function turn(state: StateDict, group: FactorGroup, wanted: readonly WantedBits[]): void {
  const { units, members } = group;
  const votes = new Float64Array(units);
  for (const run of members)
    for (const layer of run.power === 1 ? wantedAt(run, wanted, "outputs") : []) {
      const gamma = layer.gammas(state);
      for (let u = 0; u < units; u++)
        for (const o of entriesOf(run, u, 0)) votes[u]! += Math.sign(gamma(o) * layer.bits[o]!);
    }
  const factors = votes.map((v) => (v < 0 ? -1 : 1));
  if (factors.includes(-1)) keepBetter(state, wanted, (copy) => scaleChannels(copy, group, factors));
}

/**
 * Puts channels where bits are wanted that they have: those with γ_raw > 0 at places of +1, as far
 * as there are as many. Groups, heads and streams change places as wholes.
 */
export const permuted: Rearrangement = (state, { groups }, wanted) => {
  for (const group of groups) order(state, group, wanted);
};

function order(state: StateDict, group: ChannelGroup, wanted: readonly WantedBits[]): void {
  const { units, parts } = group;
  let some = false;
  const sides = parts.map(({ each, members }) => {
    const tables = members.flatMap((run) =>
      wantedAt(run, wanted, "outputs").map((layer) => {
        const gamma = layer.gammas(state);
        const entries = Array.from({ length: units * each }, (_, c) => entriesOf(run, Math.floor(c / each), c % each));
        some = true;
        return (to: number, from: number) =>
          entries[to]!.reduce((n, o, i) => n + (gamma(entries[from]![i]!, o) * layer.bits[o]! > 0 ? 1 : 0), 0);
      }),
    );
    return { each, alike: (to: number, from: number) => tables.reduce((sum, fits) => sum + fits(to, from), 0) };
  });
  if (some) keepBetter(state, wanted, (copy) => permuteChannels(copy, group, unitsAssigned(units, sides)));
}

/**
 * Scales input channels by positive factors, which whatever makes them takes back, so that sums
 * over them change their sign.
 */
export const scaled: Rearrangement = (state, { factors }, wanted) => {
  for (const group of factors) if (group.scale) weigh(state, group, wanted);
};

function weigh(state: StateDict, group: FactorGroup, wanted: readonly WantedBits[]): void {
  const { units, members } = group;
  const rows = members.flatMap((run) =>
    (run.power === -1 ? wantedAt(run, wanted, "inputs") : []).flatMap((layer) => {
      const { inChannels } = layer.place;
      const [shares, gamma] = [layer.shares(state), layer.gammas(state)];
      return Array.from(layer.bits, (bit, o) => {
        const of = Float64Array.from({ length: units }, (_, u) =>
          entriesOf(run, u, 0).reduce((sum, i) => sum + shares[o * inChannels + i]! * bit, 0),
        );
        return { shares: of, rest: gamma(o) * bit - of.reduce((a, b) => a + b, 0) };
      });
    }),
  );
  if (!rows.length) return;
  const inverse = fittingFactors(rows, units).map((f) => 1 / f);
  keepBetter(state, wanted, (copy) => scaleChannels(copy, group, inverse));
}
