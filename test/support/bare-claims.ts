/**
 * Claims on networks that are a few matrices and never run: credentials whose channels are whatever
 * their owner says, marks that are planted into rows, files that are committed to and dated.
 */
import type { HostTensor, StateDict } from "../../src/io/host-tensor";
import { encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { type Binding, boundCredential, type DerivedClaim } from "../../src/ownership";
import { deriveClaim } from "../../src/ownership/claim/derive";
import { specOf } from "../../src/ownership/claim/own";
import type { ChannelMember, Channels } from "../../src/passport/channels/types";
import { credentialFile } from "../../src/passport/files";
import { averageUnder, type PassportPlace, passportShape, secretName } from "../../src/passport/place";
import { Generator } from "../../src/tensor/random";
import { type Anchored, anchored } from "./anchored";
import { floats } from "./edits";
import { bindingFor, type Who } from "./owner";

/** A place in a matrix [channels, inputs] of that name. */
export const linearPlace = (norm: string, weight: string, [channels, inputs]: readonly number[]): PassportPlace => ({
  ...{ norm, weight, text: 0, kind: "linear" as const, inChannels: inputs!, channels: channels! },
  ...{ kernel: [], stride: [], padding: [], dilation: [], groups: 1, inputSize: [] },
});

/** Normal numbers. */
export const randomMatrix = (shape: readonly number[], seed: number): HostTensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  const numbers = new Generator(seed).fill(new Float32Array(size), "normal", 0, 1);
  return floats(shape, (i) => numbers[i]!);
};

/** All channels of an axis, made or read there. */
export const along = (tensor: string, axis: number, role: ChannelMember["role"]): ChannelMember => ({
  ...{ tensor, axis, role, start: 0, unit: 1, channel: 1, times: 1, stride: 1 },
});

/** As many channels that hang together. */
export const channelsOfAxes = (units: number, ...members: readonly ChannelMember[]): Channels => ({
  groups: [{ units, parts: [{ each: 1, members }] }],
  factors: [],
});

export interface BareClaim {
  readonly binding: Binding;
  readonly derived: DerivedClaim;
  readonly places: readonly PassportPlace[];
}

const planOf = (places: readonly PassportPlace[]) => ({
  ...{ scheme: "v2" as const, fc: false, statistics: "shared" as const, places, separate: [], texts: [] },
});

/** A claim on places, with whatever follows from it. */
export async function bareClaim(who: Who, places: readonly PassportPlace[], more: Partial<Binding> = {}) {
  const binding = await bindingFor(who, more);
  const derived = await deriveClaim(binding.secret, specOf(binding, planOf(places)), undefined);
  return { binding, derived, places } satisfies BareClaim;
}

/** Its credential. @param edit of its tensors before they are bound */
export function bareCredential(
  { binding, derived, places }: BareClaim,
  channels?: Channels,
  edit: (tensors: StateDict) => void = () => undefined,
): Promise<SafetensorsFile> {
  const tensors: StateDict = new Map();
  for (const place of places) {
    const { gamma, beta } = derived.passports.get(place.norm)!;
    const shape = [...passportShape(place).torch];
    const name = (part: string) => `${secretName({ name: place.norm })}.${part}`;
    tensors.set(name("skey"), { dtype: "F32", shape, data: gamma });
    tensors.set(name("key"), { dtype: "F32", shape, data: beta });
    tensors.set(name("b"), { dtype: "F32", shape: [place.channels], data: derived.bits.get(place.norm)! });
  }
  edit(tensors);
  const info = { ...planOf(places), claimed: {}, ...(channels && { channels }) };
  return boundCredential(credentialFile(tensors, info) as SafetensorsFile, binding);
}

/** Weights whose rows are negated until all bits fit. */
export function planted({ derived, places }: BareClaim, tensors: StateDict): StateDict {
  const marked = new Map(tensors);
  for (const place of places) {
    const weight = tensors.get(place.weight)!;
    const data = Float32Array.from(weight.data as Float32Array);
    const gamma = averageUnder(place, data, null, derived.passports.get(place.norm)!.gamma);
    const bits = derived.bits.get(place.norm)!;
    const row = data.length / place.channels;
    gamma.forEach((g, o) => {
      if (g * bits[o]! < 0) for (let k = o * row; k < (o + 1) * row; k++) data[k] = -data[k]!;
    });
    marked.set(place.weight, { ...weight, data });
  }
  return marked;
}

/** A network with an owner's mark, committed to and dated. */
export interface BareOwner extends Anchored {
  credential: SafetensorsFile;
}

export async function bareOwner(
  who: Who,
  tensors: StateDict,
  places: readonly PassportPlace[],
  { channels, at }: { channels?: Channels; at?: string } = {},
): Promise<BareOwner> {
  const claim = await bareClaim(who, places);
  const credential = await bareCredential(claim, channels);
  const released: SafetensorsFile = { tensors: planted(claim, tensors), metadata: {} };
  return { credential, ...(await anchored({ credential, released }, { who, ...(at && { at }) })) };
}

/** A file of tensors, as bytes. */
export const bytesOf = (tensors: StateDict): Uint8Array => encodeSafetensors(tensors, {});
