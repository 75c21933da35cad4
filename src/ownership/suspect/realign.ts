import { checkOptions } from "../../demand";
import { StateDictError } from "../../errors";
import type { StateDict } from "../../io/host-tensor";
import type { SafetensorsFile } from "../../io/safetensors";
import { type ChannelSource, channelsOfFile } from "../../models/channels";
import type { NetworkConfig } from "../../models/described/network";
import type { Channels } from "../../passport/channels";
import { checkFile } from "../../passport/files";
import { isShare } from "../check";
import { findTensors, type Wanted } from "./names";
import { type RealignedLayer, Realigner } from "./realigner";
import { findNetwork } from "./suspect";

export type { RealignedLayer } from "./realigner";

/** What {@link realign} found. */
export interface Realignment {
  /** The suspect with its channels in the owner's order, sign and scale. */
  aligned: SafetensorsFile;
  layers: RealignedLayer[];
}

/** Options of {@link realign}. */
export interface RealignOptions {
  /** Similarity from which a layer is taken for a copy (default 0.7). */
  least?: number;
}

/**
 * Undoes disguises of a suspect that preserve its function: matches the filters of every group of
 * channels that hang together to those of the owner's own copy by cosine similarity, which no
 * positive scale changes and a negated filter turns, puts the channels into the owner's order
 * wherever they go, negates filters back together with γ, and gives them, and γ and β, the owner's
 * length. Streams that several maps write, heads of attention and grouped convolutions are matched
 * as wholes. Read the signature from `aligned`.
 *
 * It must not make a signature. Filters of an unrelated network, each turned towards the owner's,
 * would lean to the owner's bits: layers that are not similar enough stay as they are, and so does
 * all behind them that has no order of its own. Short filters are alike by chance, and have to be
 * more so: half of the way from what the best of as many random ones reach to 1.
 * @param reference the owner's deployed network, of the same structure
 * @param source which channels hang together, where the reference does not describe a network of
 * this package
 * @throws StateDictError when the suspect is another structure; FormatError when the reference does
 * not describe its network and there is no source; ArgumentError unless `least` is from 0 to 1.
 */
export function realign(
  suspect: SafetensorsFile,
  reference: SafetensorsFile,
  options: RealignOptions = {},
  source?: ChannelSource,
): Realignment {
  checkOptions("realign", options, { least: isShare });
  checkFile(suspect, "realign: the suspect");
  checkFile(reference, "realign: the reference");
  const { channels, config } = channelsOfFile("realign", reference, source);
  return realignTo(suspect, reference, { channels, config }, options);
}

/** {@link realign} where the owner's network is described elsewhere. */
export function realignTo(
  suspect: SafetensorsFile,
  owners: SafetensorsFile,
  { channels, config }: { channels: Channels; config?: NetworkConfig | undefined },
  { least = 0.7 }: RealignOptions = {},
): Realignment {
  const own = config ? findNetwork(owners.tensors, config).tensors : owners.tensors;
  const { tensors } = config ? findNetwork(suspect.tensors, config) : findLike(suspect.tensors, own);
  const realigner = new Realigner(new Map(tensors), own, channels, least);
  realigner.run();
  return { aligned: { ...suspect, tensors: realigner.suspect }, layers: realigner.layers() };
}

/** A suspect's tensors by the names and of the shapes that another network has. */
function findLike(state: StateDict, own: StateDict) {
  const wanted = new Map<string, Wanted>();
  for (const [name, { shape }] of own)
    wanted.set(name, shape.length > 1 ? { shape, need: "whole", anchor: true } : { shape, need: "optional" });
  const found = findTensors(state, wanted);
  if (!found.tensors.size) throw new StateDictError("none of the suspect's tensors is one of the owner's network");
  return found;
}
