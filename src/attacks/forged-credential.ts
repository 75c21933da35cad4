/** The credential of a forger who computed what it says from the network of somebody else. */
import { ArgumentError, StateDictError } from "../errors";
import { type HostTensor, hostVector, type StateDict, toFloat32 } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { isObject } from "../io/shown";
import { planOf } from "../models/credential";
import { checkConfig, type NetworkConfig } from "../models/described/network";
import type { BranchAccuracy } from "../passport/branches";
import type { SecretPlan } from "../passport/built-in";
import type { Channels } from "../passport/channels";
import { credentialFile } from "../passport/files";
import { fcHidden, type PassportPlace, passportShape, secretName } from "../passport/place";
import { checkPlan } from "../passport/plan";
import { branchesOf } from "../passport/schemes";
import type { Generator } from "../tensor/random";

/**
 * Which passports a forger claims a network to have.
 * @throws ArgumentError for a configuration or plan that is none, or without passports.
 */
export function claimedPlan(network: NetworkConfig | SecretPlan): SecretPlan {
  if (isPlan(network)) {
    // What a credential says is a plan and more, which its file would not be let say.
    const { scheme, fc, statistics, places, separate, texts } = network;
    const plan = { scheme, fc, statistics, places, separate, texts };
    checkPlan(plan);
    return plan;
  }
  checkConfig(network);
  if (network.scheme === "plain") throw new ArgumentError("a plain network has no passports to forge");
  return planOf(network);
}

const isPlan = (network: NetworkConfig | SecretPlan): network is SecretPlan => isObject(network) && "places" in network;

/** The bytes of a plan's texts that the first bits of each norm spell. */
export function textBytes({ texts, places }: SecretPlan): Map<string, Uint8Array> {
  const sources = texts.map(({ text, layers }) => ({ bytes: new TextEncoder().encode(text), layers, at: 0 }));
  return new Map(
    places.map(({ norm, text }) => {
      const own = sources.find(({ layers }) => layers.includes(norm));
      return [norm, own && text ? own.bytes.slice(own.at, (own.at += text)) : new Uint8Array(0)];
    }),
  );
}

/** What a forger knows of a layer: the map's weights, γ and β as they were given away. */
export interface KnownLayer {
  place: PassportPlace;
  weight: Float32Array;
  bias: Float32Array | null;
  gamma: Float32Array;
  beta: Float32Array;
}

/** A layer's forged passports, what they give, and the bits that the forger claims. */
export interface ForgedLayer {
  bits: Float32Array;
  rawGamma: Float32Array;
  rawBeta: Float32Array;
  gammaPassport: Float32Array<ArrayBuffer>;
  betaPassport: Float32Array<ArrayBuffer>;
}

/** What a forged credential says beside its passports. */
export interface ForgedEntries {
  claimed: BranchAccuracy;
  /** Where FCs that are not solved for come from. */
  drawn?: Generator | undefined;
  channels?: Channels | undefined;
}

/**
 * A credential of forged passports. Private statistics, and norms without passports that the
 * private branch has for itself, are those of the deployed network; so is the whole private branch,
 * where FCs are solved for.
 * @throws StateDictError for a network that has not the passports' layers; ArgumentError for an FC
 * that cannot be solved.
 */
export function forgedCredential(
  { tensors: deployed, metadata }: SafetensorsFile,
  plan: SecretPlan,
  forge: (known: KnownLayer) => ForgedLayer,
  { claimed, drawn, channels }: ForgedEntries,
): SafetensorsFile {
  const { scheme, fc, places, separate, statistics } = plan;
  const two = branchesOf(scheme).length > 1;
  const tensors: StateDict = new Map();
  const copy = (name: string, parts: readonly string[], to: string) => {
    for (const part of parts) {
      const own = deployed.get(`${name}.${part}`);
      if (own) tensors.set(`${to}${part}`, own);
    }
  };
  const moving = ["running_mean", "running_var", "num_batches_tracked"];
  for (const name of separate) {
    copy(name, ["weight", "bias"], `${secretName({ name })}.`);
    copy(name, moving, `${secretName({ name })}.norm.`);
  }
  for (const place of places) {
    const { norm } = place;
    const known: KnownLayer = {
      place,
      weight: numbersOf(deployed, place.weight),
      bias: place.bias === undefined ? null : numbersOf(deployed, place.bias),
      gamma: numbersOf(deployed, `${norm}.weight`),
      beta: numbersOf(deployed, `${norm}.bias`),
    };
    const { bits, rawGamma, rawBeta, gammaPassport, betaPassport } = forge(known);
    const shape = passportShape(place).torch;
    const secret = secretName({ name: norm });
    tensors.set(`${secret}.b`, hostVector(Float32Array.from(bits)));
    tensors.set(`${secret}.skey`, { dtype: "F32", shape, data: gammaPassport });
    tensors.set(`${secret}.key`, { dtype: "F32", shape, data: betaPassport });
    if (fc) {
      const made = drawn ? drawnFc(place.channels, drawn.fork(norm)) : solvedFc(rawGamma, rawBeta, known);
      for (const [part, value] of made) tensors.set(`${secret}.${part}`, value);
    }
    if (two && statistics === "separate") copy(norm, moving, `${secret}.norm.`);
  }
  return credentialFile(tensors, { ...plan, claimed, channels, model: metadata["model"] });
}

/**
 * Numbers of a deployed network's tensor.
 * @throws StateDictError where there is none.
 */
export function numbersOf(state: StateDict, name: string): Float32Array {
  const value = state.get(name);
  if (!value) throw new StateDictError(`the deployed network has no ${name}: the configuration is another network's`);
  return toFloat32(value);
}

type Fc = [name: string, weight: HostTensor][];

const fcOf = (channels: number, first: Float32Array<ArrayBuffer>, second: Float32Array<ArrayBuffer>): Fc => {
  const hidden = fcHidden(channels);
  return [
    ["fc.0.weight", { dtype: "F32", shape: [hidden, channels], data: first }],
    ["fc.2.weight", { dtype: "F32", shape: [channels, hidden], data: second }],
  ];
};

/** An FC as one is before training. */
function drawnFc(channels: number, random: Generator): Fc {
  const hidden = fcHidden(channels);
  const draw = (part: string, inputs: number) => {
    const bound = 1 / Math.sqrt(inputs);
    return random.fork(part).fill(new Float32Array(channels * hidden), "uniform", -bound, bound);
  };
  return fcOf(channels, draw("first", channels), draw("second", hidden));
}

/**
 * An FC (O → O/4 → O, LeakyReLU between) with FC(a) = γ and FC(b) = β: its first two hidden units
 * are 1 for one of them and 0 for the other. Neither of a and b may be a multiple of the other:
 * they are ±1 and differ at every other place, or come from two random passports.
 */
function solvedFc(a: Float32Array, b: Float32Array, { gamma, beta }: Pick<KnownLayer, "gamma" | "beta">): Fc {
  const [o, hidden] = [a.length, fcHidden(a.length)];
  if (hidden < 2) throw new ArgumentError(`an FC of ${hidden} hidden unit cannot be forged: 8 channels or more`);
  const first = new Float32Array(hidden * o);
  const second = new Float32Array(o * hidden);
  const [aa, ab, bb] = [dot(a, a), dot(a, b), dot(b, b)];
  const det = aa * bb - ab * ab;
  for (let i = 0; i < o; i++) {
    first[i] = (bb * a[i]! - ab * b[i]!) / det;
    first[o + i] = (aa * b[i]! - ab * a[i]!) / det;
    second[i * hidden] = gamma[i]!;
    second[i * hidden + 1] = beta[i]!;
  }
  return fcOf(o, first, second);
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
