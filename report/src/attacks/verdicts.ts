/** What the attacks came to, decided by numbers alone. */

import {
  bareAccuracy,
  countedBits,
  FAMILIES,
  type Family,
  type Found,
  fidelity,
  openAccuracy,
  recordsOf,
  secretAccuracy,
  stepsOf,
} from "./families";
import type { AttackedNetwork } from "./record";

/** A network that lost no more accuracy than this is still of use to whoever attacked it. */
export const USEFUL_LOSS = 0.1;

/** What became of one kind of attack. */
export interface Verdict {
  family: Family;
  /** Every setting that was tried. */
  tried: Found[];
  /**
   * Those that count: removal, where the network is still of use; ambiguity, where the forger's
   * branch is as good as the owner's.
   */
  counted: Found[];
  /** Those that count and have fewer of the owner's bits than are needed. */
  lost: Found[];
}

/**
 * How many bits a step has more than are needed, as a share of all; negative where it has fewer.
 */
export function margin({ network, step }: Found): number {
  const { matched, bits, needed } = countedBits(network, step.after);
  return (matched - needed) / Math.max(1, bits);
}

/** Whether the owner's signature is not to be found any more. */
export const isLost = (found: Found): boolean => margin(found) < 0;

/** Accuracy that guessing does not reach: three standard deviations above it. */
function beatsGuessing({ chance, testImages }: AttackedNetwork, accuracy: number): boolean {
  return accuracy > chance + 3 * Math.sqrt((chance * (1 - chance)) / testImages);
}

/** Attacks after which the owner's passports say nothing of what the attacker has. */
const UNDER_OTHERS = [FAMILIES.overwriting, FAMILIES.distillation];

/**
 * Whether what is left of a network is of use. Fine-tuned networks do another task, and a V1 that
 * was trained without the owner's passports may not have been measured as it is: those count
 * always, against the owner.
 */
function isUseful({ network, record, step }: Found): boolean {
  const unseen =
    bareAccuracy(network, step.after) === undefined && UNDER_OTHERS.some(({ records }) => records.test(record.attack));
  if (unseen || FAMILIES.fineTuning.records.test(record.attack)) return true;
  const [before, after] = [openAccuracy(network, record.before), openAccuracy(network, step.after)];
  if (before === undefined || after === undefined) return true;
  return after >= before - USEFUL_LOSS && beatsGuessing(network, after);
}

/**
 * Disguised networks are judged by the owner's best answer: who knows that channels may be shuffled
 * puts them back.
 */
function judged(found: readonly Found[]): Found[] {
  const best = new Map<unknown, Found>();
  for (const f of found) {
    const { disguise } = f.step.setting;
    const key = disguise === undefined ? f : `${f.network.title}\n${disguise}`;
    const known = best.get(key);
    if (!known || margin(f) > margin(known)) best.set(key, f);
  }
  return [...best.values()];
}

/** Was the signature removed? `undefined` where it was not tried. */
export function removal(networks: readonly AttackedNetwork[], family: Family): Verdict | undefined {
  const tried = judged(stepsOf(networks, family));
  if (tried.length === 0) return undefined;
  const counted = tried.filter(isUseful);
  return { family, tried, counted, lost: counted.filter(isLost) };
}

/** Does the branch do as well as with the owner's passports, up to ε_f of DeepIPR? */
export function isFaithful({ network, record, step }: Found): boolean {
  const [before, after] = [secretAccuracy(network, record.before), secretAccuracy(network, step.after)];
  if (before === undefined || after === undefined) return false;
  return after >= before - fidelity(network) && beatsGuessing(network, after);
}

/**
 * Was a branch made that works and does not carry the owner's signature? `undefined` where it was
 * not tried.
 */
export function ambiguity(networks: readonly AttackedNetwork[], family: Family): Verdict | undefined {
  const tried = stepsOf(networks, family);
  if (tried.length === 0) return undefined;
  const counted = tried.filter(isFaithful);
  return { family, tried, counted, lost: counted.filter(isLost) };
}

/** By how much a branch does better than the owner's; negative where it does worse. */
export const gap = ({ network, record, step }: Found): number =>
  (secretAccuracy(network, step.after) ?? 0) - (secretAccuracy(network, record.before) ?? 0);

/** The best accuracy among steps without the owner's signature, compared with the owner's own. */
export function bestWithout(tried: readonly Found[]): Found | undefined {
  return tried.filter(isLost).sort((a, b) => gap(b) - gap(a))[0];
}

/** Whether a kind of attack says anything of a network. */
const isOpenTo = ({ claim }: AttackedNetwork, family: Family): boolean =>
  family !== FAMILIES.unlearning || claim.triggers !== null;

/**
 * Verdicts on all kinds of attacks of a side that were tried, and the kinds that some network was
 * not put to.
 */
export function verdicts(networks: readonly AttackedNetwork[], side: Family["side"]) {
  const kinds: readonly Family[] = Object.values(FAMILIES).filter((family) => family.side === side);
  const judge = side === "removal" ? removal : ambiguity;
  return {
    found: kinds.flatMap((family) => judge(networks, family) ?? []),
    missing: kinds.flatMap((family) => {
      const without = networks.filter((n) => isOpenTo(n, family) && recordsOf(n, family).length === 0);
      return without.length > 0 ? [{ family, without }] : [];
    }),
  };
}
