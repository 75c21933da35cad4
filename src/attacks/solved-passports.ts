import { ArgumentError, StateDictError } from "../errors";
import { type HostTensor, hostVector, type StateDict, toFloat32 } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { checkConfig, type NetworkConfig } from "../models/build";
import { planOf } from "../models/credential";
import type { BranchAccuracy } from "../passport/branches";
import type { SecretPlan } from "../passport/built-in";
import { credentialFile } from "../passport/files";
import { averageUnder, type PassportPlace, passportShape } from "../passport/place";
import { branchesOf } from "../passport/schemes";
import { signatureBits } from "../passport/signature";
import { secretName } from "../passport/site";
import { Generator } from "../tensor/random";
import { isSolvable, PassportEquations } from "./solve";

/** What a forger of a credential chooses. */
export interface ForgeryOptions {
  /** Accuracies to claim: those of the deployed network are easily measured. */
  claimed?: BranchAccuracy;
  /** Decides the bits that no text takes. */
  seed?: number;
}

/**
 * Closed-form forgery: a credential for a network of somebody else, from its deployed weights
 * alone, without a step of training. avg(W * P) is linear in P, so the passports are solved for:
 *
 * - scheme `pan`: γ_raw := the forger's bits, whatever they spell; a made-up FC turns γ_raw and
 *   β_raw into the deployed γ and β, and the private statistics are the deployed ones. Any text,
 *   and a private branch that equals the public one.
 * - scheme `v1`, `v2`, `v3` (no FC): γ and β are the deployed ones, the bits the signs of γ: a
 *   working branch, a signature that spells nothing. A text costs it the channels whose sign it
 *   turns, so texts in the configuration are refused.
 *
 * Knowledge: the deployed weights. Budget: two least-squares solutions per layer. What stops it is
 * binding, see `bind`.
 * @param suspect a deployed network
 * @param config the network, scheme and passport layers that the forger claims
 * @returns a credential that satisfies every check of the papers
 * @throws ArgumentError for a configuration that cannot be forged, StateDictError for weights of
 * another network.
 */
export function solvePassports(
  suspect: SafetensorsFile,
  network: NetworkConfig | SecretPlan,
  { claimed = {}, seed = 0 }: ForgeryOptions = {},
): SafetensorsFile {
  const plan = "places" in network ? network : planOfConfig(network);
  const { scheme, fc: free, places, separate, statistics } = plan;
  if (!free && places.some((p) => p.text))
    throw new ArgumentError(
      `without an FC the signs of γ are those of the deployed network and spell no text: forge scheme "${scheme}" without texts`,
    );
  const two = branchesOf(scheme).length > 1;
  const random = new Generator(seed);
  const tensors: StateDict = new Map();
  const copy = (name: string, parts: readonly string[], to: string) => {
    for (const part of parts) {
      const own = suspect.tensors.get(`${name}.${part}`);
      if (own) tensors.set(`${to}${part}`, own);
    }
  };
  const moving = ["running_mean", "running_var", "num_batches_tracked"];
  for (const name of separate) {
    copy(name, ["weight", "bias"], `${secretName({ name })}.`);
    copy(name, moving, `${secretName({ name })}.norm.`);
  }
  const texts = plan.texts.map(({ text, layers }) => ({ bytes: new TextEncoder().encode(text), layers, at: 0 }));
  const textOf = ({ norm, text }: PassportPlace): Uint8Array => {
    const own = texts.find(({ layers }) => layers.includes(norm));
    if (!own || !text) return new Uint8Array(0);
    return own.bytes.slice(own.at, (own.at += text));
  };
  for (const place of places) {
    const { norm } = place;
    const read = (name: string) => toFloat32(take(suspect.tensors, name));
    const [gamma, beta] = [read(`${norm}.weight`), read(`${norm}.bias`)];
    const bias = place.bias === undefined ? null : read(place.bias);
    const known: Known = { place, weight: read(place.weight), bias };
    const forged = free ? underFc(known, textOf(place), random.fork(norm)) : withoutFc(known, { gamma, beta });
    const { bits, rawGamma, rawBeta } = forged;
    const shape = passportShape(place).torch;
    const secret = secretName({ name: norm });
    tensors.set(`${secret}.b`, hostVector(Float32Array.from(bits)));
    tensors.set(`${secret}.skey`, { dtype: "F32", shape, data: forged.gammaPassport });
    tensors.set(`${secret}.key`, { dtype: "F32", shape, data: forged.betaPassport });
    if (free)
      for (const [part, value] of encoder(rawGamma, rawBeta, gamma, beta)) tensors.set(`${secret}.${part}`, value);
    if (two && statistics === "separate") copy(norm, moving, `${secret}.norm.`);
  }
  return credentialFile(tensors, { ...plan, claimed, model: suspect.metadata["model"] });
}

/** @throws ArgumentError for a configuration without passports. */
function planOfConfig(config: NetworkConfig): SecretPlan {
  checkConfig(config);
  if (config.scheme === "plain") throw new ArgumentError("a plain network has no passports to forge");
  return planOf(config);
}

/** What the forger knows of a layer. */
interface Known {
  place: PassportPlace;
  weight: Float32Array;
  bias: Float32Array | null;
}

/** A layer's forged passports, what they give, and the bits that the forger claims. */
interface ForgedLayer {
  bits: Float32Array;
  rawGamma: Float32Array;
  rawBeta: Float32Array;
  gammaPassport: Float32Array<ArrayBuffer>;
  betaPassport: Float32Array<ArrayBuffer>;
}

/** Passports that give the deployed γ and β themselves. */
function withoutFc(
  { place, weight, bias }: Known,
  { gamma, beta }: { gamma: Float32Array; beta: Float32Array },
): ForgedLayer {
  const equations = new PassportEquations(place, weight, bias);
  return {
    bits: gamma.map((g) => (g > 0 ? 1 : -1)),
    rawGamma: gamma,
    rawBeta: beta,
    gammaPassport: equations.solve(gamma),
    betaPassport: equations.solve(beta),
  };
}

/**
 * Passports that give the forger's bits. Where filters are too many for that, any passports do,
 * their signs are the bits, and the FC makes γ and β of them; a text cannot be written there.
 */
function underFc({ place, weight, bias }: Known, text: Uint8Array, random: Generator): ForgedLayer {
  if (!text.length && !isSolvable(place)) {
    const size = passportShape(place).torch.reduce((a, b) => a * b);
    const draw = (part: string) => random.fork(part).fill(new Float32Array(size), "uniform", -1, 1);
    const [gammaPassport, betaPassport] = [draw("gamma"), draw("beta")];
    const raw = (passport: Float32Array) => averageUnder(place, weight, bias, passport);
    const rawGamma = raw(gammaPassport);
    const bits = rawGamma.map((g) => (g > 0 ? 1 : -1));
    return { bits, rawGamma, rawBeta: raw(betaPassport), gammaPassport, betaPassport };
  }
  const equations = new PassportEquations(place, weight, bias);
  const bits = signatureBits(text, place.channels, random);
  // β_raw is free as well: one that is not a multiple of γ_raw lets the FC tell them apart.
  const rawBeta = apartFrom(bits);
  return {
    bits,
    rawGamma: bits,
    rawBeta,
    gammaPassport: equations.solve(bits),
    betaPassport: equations.solve(rawBeta),
  };
}

function take(state: StateDict, name: string): HostTensor {
  const value = state.get(name);
  if (!value) throw new StateDictError(`the deployed network has no ${name}: the configuration is another network's`);
  return value;
}

/** The same signs with every other one turned. */
const apartFrom = (v: Float32Array): Float32Array => v.map((x, i) => (i % 2 ? -x : x));

/**
 * An FC (O → O/4 → O, LeakyReLU between) with FC(a) = γ and FC(b) = β: its first two hidden units
 * are 1 for one of them and 0 for the other. Neither of a and b may be a multiple of the other:
 * they are ±1 and differ at every other place, or come from two random passports.
 */
function encoder(a: Float32Array, b: Float32Array, gamma: Float32Array, beta: Float32Array): [string, HostTensor][] {
  const [o, hidden] = [a.length, Math.max(1, Math.floor(a.length / 4))];
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
  return [
    ["fc.0.weight", { dtype: "F32", shape: [hidden, o], data: first }],
    ["fc.2.weight", { dtype: "F32", shape: [o, hidden], data: second }],
  ];
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
