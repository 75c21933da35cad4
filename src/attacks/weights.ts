import { refuse } from "../demand";
import { type HostTensor, type StateDict, toFloat32 } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { checkHostTensor, checkStateDict } from "../nn/state";
import { attackOptions, checkTarget } from "./checked";
import { withClaim } from "./owners-claim";
import type { AttackOptions, AttackRecord, AttackStep, Target } from "./record";
import { checkShares, TENS } from "./shares";
import { ownersView } from "./training";

/**
 * Tensors that an attacker without data may change: trained ones of the deployed network.
 * Statistics and counters are left alone.
 */
const isTrained = (name: string): boolean => !/\.(running_mean|running_var|num_batches_tracked)$/.test(name);

/** What an attack makes of the deployed network's trained tensors at one setting. */
export type WeightChange = (trained: StateDict) => StateDict;

/** Description of an attack that changes weights and nothing else. */
export interface WeightAttack {
  attack: string;
  budget: AttackRecord["budget"];
  settings: readonly { setting: AttackStep["setting"]; change: WeightChange }[];
}

/** The deployed file with its trained tensors changed. */
export function changeWeights(deployed: SafetensorsFile, change: WeightChange): SafetensorsFile {
  const trained = new Map([...deployed.tensors].filter(([name]) => isTrained(name)));
  return { ...deployed, tensors: new Map([...deployed.tensors, ...change(trained)]) };
}

/**
 * Runs an attack on weights at each of its settings: the owner puts the passports over what is
 * left, and measures.
 */
export async function attackWeights(
  target: Target,
  { attack, budget, settings }: WeightAttack,
  { seed = 0, onStep }: AttackOptions = {},
): Promise<AttackRecord> {
  const owned = await withClaim(target);
  const before = await ownersView(target.deployed, owned);
  const steps: AttackStep[] = [];
  for (const { setting, change } of settings) {
    const step = { setting, after: await ownersView(changeWeights(target.deployed, change), owned) };
    steps.push(step);
    await onStep?.(step, steps.length, settings.length);
  }
  return { attack, knowledge: ["the deployed network"], budget, seed, before, steps };
}

const withData = (t: HostTensor, data: Float32Array<ArrayBuffer>): HostTensor => ({ ...t, dtype: "F32", data });

/** Options of {@link prune}. */
export interface PruneOptions extends AttackOptions {
  /** Shares of weights to set to 0 (default 0, 0.1, … 1). */
  shares?: readonly number[];
}

/**
 * Class-blind pruning: the given share of all trained numbers, those of the smallest magnitude over
 * the whole network, is set to 0. The owner's FC is no part of what was given away and stays.
 * Source: See et al., CoNLL 2016, as used by DeepIPR, section 4.1.2.
 * @throws ArgumentError for a target or options that are none, and a share outside 0 to 1.
 */
export async function prune(target: Target, given?: PruneOptions): Promise<AttackRecord> {
  checkTarget("prune", target);
  const { shares = TENS, ...options } = attackOptions("prune", given, ["shares"]);
  checkShares("prune", shares);
  const settings = shares.map((share) => ({ setting: { share }, change: (t: StateDict) => pruned(t, share) }));
  return attackWeights(target, { attack: "class-blind pruning", budget: { data: "none" }, settings }, options);
}

/**
 * Sets the `share` of all numbers with the smallest magnitudes to 0; of equal ones at the limit the
 * first.
 * @throws ArgumentError, StateDictError for what is no state dict, or no share.
 */
export function pruned(trained: StateDict, share: number): StateDict {
  checkTensors(trained);
  checkShares("pruned", [share]);
  const entries = [...trained].map(([name, t]) => ({ name, t, data: toFloat32(t) }));
  const total = entries.reduce((n, e) => n + e.data.length, 0);
  const count = Math.round(share * total);
  const magnitudes = new Float32Array(total);
  let at = 0;
  for (const { data } of entries) for (const v of data) magnitudes[at++] = Math.abs(v);
  magnitudes.sort();
  const limit = count === 0 ? -1 : magnitudes[count - 1]!;
  let equal = count;
  for (let i = 0; i < count && magnitudes[i]! < limit; i++) equal--;
  return new Map(
    entries.map(({ name, t, data }) => [
      name,
      withData(
        t,
        Float32Array.from(data, (v) => {
          const size = Math.abs(v);
          if (size < limit || (size === limit && equal-- > 0)) return 0;
          return v;
        }),
      ),
    ]),
  );
}

/** @throws ArgumentError unless `bits` is a whole number from 2 to 16. */
function checkBits(attack: string, bits: unknown): void {
  if (!Number.isInteger(bits) || (bits as number) < 2 || (bits as number) > 16)
    refuse(attack, "bits", "whole numbers from 2 to 16", bits);
}

/**
 * @throws ArgumentError for what is no state dict; StateDictError for a tensor in it that is none.
 */
function checkTensors(trained: StateDict): void {
  checkStateDict(trained);
  for (const [name, value] of trained) checkHostTensor(name, value);
}

/** Options of {@link quantise}. */
export interface QuantiseOptions extends AttackOptions {
  /** Bits a weight (default 8, 4). */
  bits?: readonly number[];
}

/**
 * Weight quantisation: every trained tensor is rounded to 2ᵇ − 1 levels, symmetric about 0 and
 * scaled to the tensor's largest magnitude.
 * @throws ArgumentError for a target or options that are none, and bits that are no whole number
 * from 2 to 16.
 */
export async function quantise(target: Target, given?: QuantiseOptions): Promise<AttackRecord> {
  checkTarget("quantise", target);
  const { bits = [8, 4], ...options } = attackOptions("quantise", given, ["bits"]);
  if (!Array.isArray(bits)) refuse("quantise", "bits", "a list of whole numbers from 2 to 16", bits);
  for (const b of bits) checkBits("quantise", b);
  const settings = bits.map((b) => ({ setting: { bits: b }, change: (t: StateDict) => quantised(t, b) }));
  return attackWeights(target, { attack: "weight quantisation", budget: { data: "none" }, settings }, options);
}

/**
 * Rounds each tensor to multiples of max|w| / (2^(bits−1) − 1).
 * @throws ArgumentError, StateDictError for what is no state dict, or no number of bits.
 */
export function quantised(trained: StateDict, bits: number): StateDict {
  checkTensors(trained);
  checkBits("quantised", bits);
  const levels = 2 ** (bits - 1) - 1;
  return new Map(
    [...trained].map(([name, t]) => {
      const data = toFloat32(t);
      const step = data.reduce((m, v) => Math.max(m, Math.abs(v)), 0) / levels || 1;
      return [
        name,
        withData(
          t,
          Float32Array.from(data, (v) => Math.round(v / step) * step),
        ),
      ];
    }),
  );
}
