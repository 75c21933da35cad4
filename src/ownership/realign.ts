import { StateDictError } from "../errors";
import { type StateDict, toFloat32 } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { deployedConfig } from "../models/build";
import { permuteChannels, scaleChannels } from "../models/channels";
import { type HiddenChannels, hiddenChannels } from "../models/edges";

/** How one layer's channels were put back. */
export interface RealignedLayer {
  name: string;
  channels: number;
  /** Channels that stood elsewhere. */
  moved: number;
  /** Mean cosine of the suspect's filters and the owner's, matched: 1 for the same up to scale, about 0 for unrelated networks. */
  similarity: number;
}

/** What {@link realign} found. */
export interface Realignment {
  /** The suspect with its channels in the owner's order and scale. */
  aligned: SafetensorsFile;
  layers: RealignedLayer[];
}

/**
 * Undoes disguises of a suspect that preserve its function: matches every layer's filters to those of the owner's own copy by cosine similarity, which no positive scale changes, puts the hidden
 * channels into the owner's order, and gives γ and β of their norm the owner's size, channel by channel. Read the signature from `aligned`.
 *
 * It cannot make a signature: filters of an unrelated network stay unrelated in any order, and their similarity tells.
 * @param reference the owner's deployed network, of the same structure
 * @throws StateDictError when the suspect is another structure.
 */
export function realign(suspect: SafetensorsFile, reference: SafetensorsFile): Realignment {
  const tensors = new Map(suspect.tensors);
  const layers = hiddenChannels(deployedConfig(reference)).map((hidden) => {
    const { order, similarity } = match(tensors, reference.tensors, hidden);
    permuteChannels(tensors, hidden, order);
    scaleChannels(tensors, hidden, factors(tensors, reference.tensors, hidden));
    const moved = order.filter((from, to) => from !== to).length;
    return { name: hidden.from, channels: hidden.channels, moved, similarity };
  });
  return { aligned: { ...suspect, tensors }, layers };
}

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

/** The suspect's filter for each of the owner's: pairs are taken from the most alike down, each filter once. */
function match(
  suspect: StateDict,
  reference: StateDict,
  { from, channels }: HiddenChannels,
): { order: number[]; similarity: number } {
  const name = `${from}.conv.weight`;
  const theirs = unitRows(weights(suspect, name, reference), channels);
  const own = unitRows(toFloat32(reference.get(name)!), channels);
  const m = own.length / channels;
  const pairs: { to: number; from: number; cosine: number }[] = [];
  for (let to = 0; to < channels; to++)
    for (let at = 0; at < channels; at++) {
      let cosine = 0;
      for (let k = 0; k < m; k++) cosine += own[to * m + k]! * theirs[at * m + k]!;
      pairs.push({ to, from: at, cosine });
    }
  pairs.sort((a, b) => b.cosine - a.cosine);
  const order = new Array<number>(channels).fill(-1);
  const taken = new Set<number>();
  let sum = 0;
  for (const { to, from: at, cosine } of pairs) {
    if (order[to] !== -1 || taken.has(at)) continue;
    order[to] = at;
    taken.add(at);
    sum += cosine;
  }
  return { order, similarity: sum / channels };
}

/** What hidden channels must be multiplied by so that γ and β of their norm are as large as the owner's. */
function factors(suspect: StateDict, reference: StateDict, { from, channels }: HiddenChannels): number[] {
  const sizes = (state: StateDict) => {
    const [gamma, beta] = ["bn.weight", "bn.bias"].map((part) => weights(state, `${from}.${part}`, reference));
    return Array.from({ length: channels }, (_, i) => Math.hypot(gamma![i]!, beta![i]!));
  };
  const [theirs, own] = [sizes(suspect), sizes(reference)];
  return theirs.map((size, i) => (size > 0 && own[i]! > 0 ? own[i]! / size : 1));
}
