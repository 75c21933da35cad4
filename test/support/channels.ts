/** Symmetries of networks, from what is known of their channels. */
import { type StateDict, toFloat32 } from "../../src/io/host-tensor";
import type { SafetensorsFile } from "../../src/io/safetensors";
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

/**
 * Negates filters, and with them γ and the running mean of their batch norm: the function is the
 * same, and so many bits are turned.
 */
export function negated(file: SafetensorsFile, layer: string, turned: (channel: number) => boolean): SafetensorsFile {
  const tensors = new Map(file.tensors);
  for (const part of ["conv.weight", "bn.weight", "bn.running_mean"]) {
    const name = `${layer}.${part}`;
    const value = tensors.get(name)!;
    const each = value.data.length / value.shape[0]!;
    const data = Float32Array.from(toFloat32(value), (v, i) => (turned(Math.floor(i / each)) ? -v : v));
    tensors.set(name, { ...value, dtype: "F32", data });
  }
  return { ...file, tensors };
}
