import { checkOptions } from "../demand";
import { StateDictError } from "../errors";
import { type StateDict, toFloat32 } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { deployedConfig, headName, type NetworkConfig, networkLayers } from "../models/build";
import { negateFilters, permuteChannels, scaleChannels, scaleFilters } from "../models/channels";
import { type HiddenChannels, hiddenChannels } from "../models/edges";
import { type MapLayer, weightName } from "../models/layers";
import { checkFile } from "../passport/files";
import { isShare } from "./check";
import { findNetwork } from "./suspect";

/** How one layer's channels were put back. */
export interface RealignedLayer {
  name: string;
  channels: number;
  /** Channels that stood elsewhere. */
  moved: number;
  /** Filters that were negated. */
  negated: number;
  /**
   * Mean cosine, without its sign, of the suspect's filters and the owner's, matched: 1 for the
   * same up to scale, far below for unrelated networks.
   */
  similarity: number;
  /** Whether the layer is similar enough to be taken for a copy; else it is left as it was. */
  copied: boolean;
}

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
 * Undoes disguises of a suspect that preserve its function: matches every layer's filters to those
 * of the owner's own copy by cosine similarity, which no positive scale changes and a negated
 * filter turns, puts the hidden channels into the owner's order, negates filters back together with
 * γ, gives filters in front of batch norm the owner's length, and γ and β of their norm the owner's
 * size, channel by channel. Read the signature from `aligned`.
 *
 * It must not make a signature. Filters of an unrelated network, each turned towards the owner's,
 * would lean to the owner's bits: layers that are not similar enough stay as they are, and so does
 * all behind them that has no order of its own.
 * @param reference the owner's deployed network, of the same structure
 * @throws StateDictError when the suspect is another structure; FormatError when the reference is
 * no deployed network; ArgumentError unless `least` is from 0 to 1.
 */
export function realign(
  suspect: SafetensorsFile,
  reference: SafetensorsFile,
  options: RealignOptions = {},
): Realignment {
  checkOptions("realign", options, { least: isShare });
  checkFile(suspect, "realign: the suspect");
  return realignTo(suspect, reference, deployedConfig(reference), options);
}

/** {@link realign} where the owner's network is described elsewhere. */
export function realignTo(
  suspect: SafetensorsFile,
  owners: SafetensorsFile,
  config: NetworkConfig,
  { least = 0.7 }: RealignOptions = {},
): Realignment {
  const { tensors } = findNetwork(suspect.tensors, config);
  const reference = { ...owners, tensors: findNetwork(owners.tensors, config).tensors };
  const inner = new Map(hiddenChannels(config).map((h) => [h.from, h]));
  const present = networkLayers(config).filter((l) => l.name !== headName(config) || sameRows(tensors, reference, l));
  const layers = present.map((layer): RealignedLayer => {
    const { name, channels } = layer;
    const hidden = inner.get(name);
    // Channels of a residual stream are added to others': they have no order of their own, only a
    // sign.
    const { order, signs, similarity } = match(tensors, reference.tensors, { ...layer, free: !!hidden });
    const copied = similarity >= least;
    const found = { name, channels, moved: 0, negated: 0, similarity, copied };
    if (!copied) return found;
    if (hidden) permuteChannels(tensors, hidden, order);
    const moved = order.filter((from, to) => from !== to).length;
    // Folded norms have no γ that could be negated or scaled.
    if (!tensors.has(`${name}.bn.weight`)) return { ...found, moved };
    negateFilters(tensors, name, signs);
    // What a filter is multiplied by in front of batch norm, the norm takes out again.
    if (tensors.has(`${name}.bn.running_var`))
      scaleFilters(tensors, { from: name, channels }, lengthRatios(tensors, reference.tensors, layer));
    if (hidden) scaleChannels(tensors, hidden, factors(tensors, reference.tensors, hidden));
    return { ...found, moved, negated: signs.filter((s) => s < 0).length };
  });
  return { aligned: { ...suspect, tensors }, layers };
}

/**
 * Whether a classifier that is one of the layers is still the owner's kind: another task's has
 * other rows, and nothing of it could be put back.
 */
const sameRows = (suspect: StateDict, { tensors }: SafetensorsFile, layer: MapLayer): boolean =>
  suspect.get(weightName(layer))?.shape[0] === tensors.get(weightName(layer))?.shape[0];

function weights(state: StateDict, name: string, like: StateDict): Float32Array {
  const [value, own] = [state.get(name), like.get(name)];
  if (!value || !own || value.data.length !== own.data.length)
    throw new StateDictError(
      `${name}: ${value ? `shape [${value.shape.join(", ")}]` : "missing"} in the suspect, [${own?.shape.join(", ") ?? "missing"}] in the owner's network: not the same structure`,
    );
  return toFloat32(value);
}

/** Rows scaled to length 1. */
function unitRows(data: Float32Array, rows: number): Float32Array {
  const m = data.length / rows;
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) {
    let square = 0;
    for (let k = 0; k < m; k++) square += data[r * m + k]! ** 2;
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let k = 0; k < m; k++) out[r * m + k] = data[r * m + k]! * scale;
  }
  return out;
}

/**
 * The suspect's filter for each of the owner's, and whether it is negated: pairs are taken from the
 * most alike down, each filter once. Without `free` every filter stays in its place.
 */
function match(
  suspect: StateDict,
  reference: StateDict,
  { free, ...layer }: MapLayer & { free: boolean },
): { order: number[]; signs: number[]; similarity: number } {
  const { channels } = layer;
  const name = weightName(layer);
  const theirs = unitRows(weights(suspect, name, reference), channels);
  const own = unitRows(toFloat32(reference.get(name)!), channels);
  const m = own.length / channels;
  const pairs: { to: number; from: number; cosine: number }[] = [];
  for (let to = 0; to < channels; to++)
    for (let at = free ? 0 : to; at < (free ? channels : to + 1); at++) {
      let cosine = 0;
      for (let k = 0; k < m; k++) cosine += own[to * m + k]! * theirs[at * m + k]!;
      pairs.push({ to, from: at, cosine });
    }
  pairs.sort((a, b) => Math.abs(b.cosine) - Math.abs(a.cosine));
  const order = new Array<number>(channels).fill(-1);
  const signs = new Array<number>(channels).fill(1);
  const taken = new Set<number>();
  let sum = 0;
  for (const { to, from: at, cosine } of pairs) {
    if (order[to] !== -1 || taken.has(at)) continue;
    order[to] = at;
    signs[to] = cosine < 0 ? -1 : 1;
    taken.add(at);
    sum += Math.abs(cosine);
  }
  return { order, signs, similarity: sum / channels };
}

/** √ Σ x², of any number of values. */
const lengthOf = (values: Float32Array): number => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));

/** Length of the owner's filters over that of the suspect's. */
function lengthRatios(suspect: StateDict, reference: StateDict, layer: MapLayer): number[] {
  const { channels } = layer;
  const lengths = (state: StateDict) => {
    const data = weights(state, weightName(layer), reference);
    const m = data.length / channels;
    return Array.from({ length: channels }, (_, r) => lengthOf(data.subarray(r * m, (r + 1) * m)));
  };
  const [theirs, own] = [lengths(suspect), lengths(reference)];
  return theirs.map((length, i) => (length > 0 && own[i]! > 0 ? own[i]! / length : 1));
}

/**
 * What hidden channels must be multiplied by so that γ and β of their norm are as large as the
 * owner's.
 */
function factors(suspect: StateDict, reference: StateDict, { from, channels }: HiddenChannels): number[] {
  const sizes = (state: StateDict) => {
    const [gamma, beta] = ["bn.weight", "bn.bias"].map((part) => weights(state, `${from}.${part}`, reference));
    return Array.from({ length: channels }, (_, i) => Math.hypot(gamma![i]!, beta![i]!));
  };
  const [theirs, own] = [sizes(suspect), sizes(reference)];
  return theirs.map((size, i) => (size > 0 && own[i]! > 0 ? own[i]! / size : 1));
}
