/** Random symmetries of networks, from what is known of their channels. */
import type { StateDict } from "../../src/io/host-tensor";
import { type ChannelGroup, type Channels, permuteChannels, scaleChannels } from "../../src/passport/channels";
import type { Generator } from "../../src/tensor/random";

/** A random order of a group's units, and of the channels within each. */
export const randomOrder = ({ units, parts }: ChannelGroup, random: Generator) => ({
  units: random.permutation(units),
  within: parts.map(({ each }) => Array.from({ length: units }, () => random.permutation(each))),
});

/** Every group in another order, every factor another one. */
export function rearranged(state: StateDict, { groups, factors }: Channels, random: Generator, most = 3): StateDict {
  const changed = new Map(state);
  for (const group of factors) {
    const draw = () =>
      (group.scale ? most ** random.uniform(-1, 1) : 1) * (group.sign && random.uniform(0, 1) < 0.5 ? -1 : 1);
    scaleChannels(changed, group, Float64Array.from({ length: group.units }, draw));
  }
  for (const group of groups) permuteChannels(changed, group, randomOrder(group, random));
  return changed;
}
