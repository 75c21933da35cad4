import { flag, oneOf, optionsOf, refuse, whole } from "../demand";
import { toHex } from "../io/digest";
import type { StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { type ChannelSource, channelsOfFile } from "../models/channels";
import type { NetworkConfig } from "../models/described/network";
import { type DerivedClaim, deriveClaim } from "../ownership/claim/derive";
import { type Binding, boundCredential, specOf } from "../ownership/claim/own";
import { newSecret } from "../ownership/digest";
import { deriveBinding, boundCredential as firstBoundCredential } from "../ownership/first/binding";
import type { BranchAccuracy } from "../passport/branches";
import type { SecretPlan } from "../passport/built-in";
import type { Channels } from "../passport/channels";
import { checkFile } from "../passport/files";
import { averageUnder } from "../passport/place";
import { signatureBits } from "../passport/signature";
import { Generator } from "../tensor/random";
import { claimedPlan, forgedCredential, textBytes } from "./forged-credential";
import { negated, permuted, type Rearrangement, scaled } from "./rearrange";
import { matchedOf, WantedBits } from "./wanted-bits";

const MEANS = {
  none: [],
  negation: [negated],
  permutation: [permuted],
  inputScaling: [scaled],
  all: [negated, permuted, scaled],
} as const satisfies Record<string, readonly Rearrangement[]>;

/** How a forger brings bits into a copy; `none` leaves the network as it is. */
export type BoundForgeryMeans = keyof typeof MEANS;

/** What follows from a claim of either version, of what a forger needs. */
type Follows = Pick<DerivedClaim, "passports" | "bits">;

/** Times that all means are tried after one another: each changes what the others can do. */
const ROUNDS = 3;

/** What {@link forgeBoundClaim} may choose. */
export interface BoundForgeryOptions {
  /** Default `all`. */
  means?: BoundForgeryMeans;
  /**
   * Solve for the FC, so that the private branch is the public one (default true); else it is as
   * one before training. Schemes without an FC have none to solve for.
   */
  fc?: boolean;
  /** What the forger says of the network. */
  statement?: string;
  /** Which claims are forged (default 2). */
  version?: 1 | 2;
  /** The forger's own key, PEM, for a commitment of version 2. */
  publicKey?: string;
  /** The first secret (default a fresh one, or one that follows from `seed`). */
  secret?: string;
  /** How many secrets are tried, of which the best is taken (default 1). */
  tries?: number;
  /** Decides secrets and unsolved FCs, so that a forgery can be made again. */
  seed?: number;
  /** Accuracies to claim: those of the deployed network are easily measured. */
  claimed?: BranchAccuracy;
  /** Which channels hang together, where the file does not describe a network of this package. */
  channels?: ChannelSource;
}

const OPTIONS = [
  "means",
  "fc",
  "version",
  "publicKey",
  "statement",
  "secret",
  "tries",
  "seed",
  "claimed",
  "channels",
] as const;

/** What {@link forgeBoundClaim} makes. */
export interface BoundForgery {
  /** The forger's copy: it computes what the deployed network does. */
  network: SafetensorsFile;
  /** A bound credential, which the copy's signs match. */
  credential: SafetensorsFile;
  /** What it is bound to. */
  binding: Binding;
  /** Signature bits, and how many of them the copy matches. */
  bits: number;
  matched: number;
  /** What it took, all tried secrets together. */
  milliseconds: number;
}

/**
 * Forges a bound claim to a network of somebody else, from its deployed weights alone, without data
 * or training. A binding leaves no choice of passports and bits, but the copy can be chosen: where
 * a bit does not fit, the network is rearranged without a change of what it computes, until it
 * does.
 *
 * - `negation`: the filter is negated together with γ and running mean, which turns one bit (whole
 *   groups of group norm, whole layers of layer norm, by majority). Computes the same to the bit.
 * - `permutation`: channels stand where bits are wanted that they have: of n bits √(n/π) stay wrong
 *   on average, more layers one after another.
 * - `inputScaling`: inputs are scaled by positive factors, which their producer takes back. Fits
 *   nearly all bits where inputs are as many as outputs.
 * - `none`: secrets are tried (`tries`) on the network as it is.
 *
 * An FC turns γ_raw and β_raw into γ and β in closed form, so that the private branch is the public
 * one. Claims of the first version held then, on the copy and, with the copy as `reference`, on the
 * release. Of the second version the copy bears a mark, which is said to show no ownership: what
 * holds is a signed and dated commitment to the very file that was released.
 *
 * Knowledge: the deployed network. Budget: milliseconds.
 * @param network the configuration, or plan of passports, that the forger claims
 * @throws ArgumentError for a plan without passports, with fewer than 128 bits (80 in version 1)
 * that no text takes, or with an FC of fewer than 8 channels to solve for; FormatError for a file
 * that does not describe its network, where no channels are given; StateDictError for weights of
 * another network.
 */
export async function forgeBoundClaim(
  deployed: SafetensorsFile,
  network: NetworkConfig | SecretPlan,
  options: BoundForgeryOptions = {},
): Promise<BoundForgery> {
  const started = performance.now();
  const what = "forgeBoundClaim";
  checkFile(deployed, `${what}: the deployed network`);
  const { claimed = {}, channels: source, ...chosen } = optionsOf(what, options, OPTIONS);
  const means = oneOf(what, "means", chosen.means ?? "all", Object.keys(MEANS) as BoundForgeryMeans[]);
  const solved = flag(what, "fc", chosen.fc ?? true);
  const tries = whole(what, "tries", chosen.tries ?? 1);
  const version = chosen.version ?? 2;
  if (version !== 1 && version !== 2) refuse(what, "version", "1 or 2", version);
  const plan = claimedPlan(network);
  const { channels } = channelsOfFile(what, deployed, source);
  const random = chosen.seed === undefined ? null : new Generator(chosen.seed);
  const secretOf = (i: number): string => {
    if (i === 0 && chosen.secret !== undefined) return chosen.secret;
    const source = random?.fork(`secret ${i}`);
    return source ? toHex(Uint8Array.from({ length: 32 }, () => source.integer(256))) : newSecret();
  };
  let best: Planted | null = null;
  for (let i = 0; i < tries && !(best && best.matched === best.bits); i++) {
    const { statement = "Mine", publicKey } = chosen;
    const binding = { statement, secret: secretOf(i), ...(publicKey !== undefined && { publicKey }) };
    const planted = await plant({ tensors: deployed.tensors, channels, plan }, { binding, version }, MEANS[means]);
    if (!best || planted.matched > best.matched) best = planted;
  }
  const { binding, derived, wanted, state, bits, matched } = best!;
  const copy: SafetensorsFile = { ...deployed, tensors: state };
  const credential = forgedCredential(
    copy,
    plan,
    ({ place, weight, bias }) => {
      const { gamma, beta } = derived.passports.get(place.norm)!;
      return {
        bits: wanted.find((w) => w.place === place)!.bits,
        rawGamma: averageUnder(place, weight, bias, gamma),
        rawBeta: averageUnder(place, weight, bias, beta),
        gammaPassport: gamma,
        betaPassport: beta,
      };
    },
    {
      claimed,
      drawn: solved ? undefined : new Generator(chosen.seed ?? 0).fork("fc"),
      channels: deployed.metadata["model"] === undefined ? channels : undefined,
    },
  );
  const bound = await (version === 2 ? boundCredential : firstBoundCredential)(credential, binding);
  return { network: copy, credential: bound, binding, bits, matched, milliseconds: performance.now() - started };
}

/** A network with a binding's bits in it, as many as were brought in. */
interface Planted {
  binding: Binding;
  derived: Follows;
  wanted: readonly WantedBits[];
  state: StateDict;
  bits: number;
  matched: number;
}

/** Derives what is wanted of a network, and rearranges it until nothing gets better. */
async function plant(
  { tensors, channels, plan }: { tensors: StateDict; channels: Channels; plan: SecretPlan },
  { binding, version }: { binding: Binding; version: 1 | 2 },
  means: readonly Rearrangement[],
): Promise<Planted> {
  const derived: Follows =
    version === 2
      ? await deriveClaim(binding.secret, specOf(binding, plan), binding.inputs)
      : await deriveBinding(binding, plan);
  const texts = textBytes(plan);
  const wanted = plan.places.map((place) => {
    const text = signatureBits(texts.get(place.norm)!, place.channels, new Generator(0));
    const bits = derived.bits.get(place.norm)!.map((bit, o) => bit || text[o]!);
    return new WantedBits(place, derived.passports.get(place.norm)!.gamma, bits);
  });
  const bits = wanted.reduce((sum, layer) => sum + layer.bits.length, 0);
  const state: StateDict = new Map(tensors);
  let matched = matchedOf(wanted, state);
  for (let round = 0, before = -1; round < ROUNDS && matched > before; round++) {
    before = matched;
    for (const rearrange of means) {
      if (matched < bits) rearrange(state, channels, wanted);
      matched = matchedOf(wanted, state);
    }
  }
  return { binding, derived, wanted, state, bits, matched };
}
