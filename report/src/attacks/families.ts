/**
 * The kinds of attacks a report knows, what they are called, and where a record's numbers are
 * found.
 */

import type { AttackRecord, AttackStep, Measurement } from "@pan/core/attacks";
import { binomialPValue, matchThreshold, twoSidedPValue } from "@pan/core/ownership";
import { branchesOf, secretBranch } from "@pan/core/passport";
import { formatCount, formatNumber, formatPercent, formatSpan, plural } from "../format";
import { type Noun, nounOf } from "../samples";
import { least, most } from "../series";
import type { AttackedNetwork } from "./record";

/** Attacks that want the same thing in the same way. */
export interface Family {
  id: string;
  /** For readers who know nothing of networks. */
  name: string;
  /**
   * `removal`: the owner's signature is to go; `ambiguity`: another claim is to stand beside it.
   */
  side: "removal" | "ambiguity";
  /** Names of the attacks in records. */
  records: RegExp;
  /** The attacker trains: what is found depends on how long. */
  trains: boolean;
}

const family = (side: Family["side"], id: string, name: string, records: RegExp, trains = false): Family => ({
  id,
  name,
  side,
  records,
  trains,
});

/** All of them, in the order of a report. */
export const FAMILIES = {
  fineTuning: family("removal", "fine-tuning", "Training it further (fine-tuning)", /^fine-tuning/, true),
  pruning: family("removal", "pruning", "Setting small weights to 0 (pruning)", /^class-blind pruning/),
  quantisation: family("removal", "quantisation", "Rounding the weights (quantisation)", /^weight quantisation/),
  overwriting: family("removal", "overwriting", "Writing a second signature (overwriting)", /^overwriting/, true),
  distillation: family(
    "removal",
    "distillation",
    "Teaching a fresh network its answers (distillation)",
    /^distillation/,
    true,
  ),
  unlearning: family("removal", "unlearning", "Unlearning what triggers are like", /^unlearning triggers/, true),
  disguise: family("removal", "disguise", "Reordering and rescaling channels (disguise)", /^function-preserving/),
  random: family("ambiguity", "random-passports", "Passports made up at random", /^random passports/),
  turned: family("ambiguity", "turned-signs", "The owner’s factors with some signs turned", /^turned signs/),
  scales: family("ambiguity", "trained-scales", "Factors trained without passports", /^trained scales/, true),
  passports: family("ambiguity", "trained-passports", "Passports forged by training", /^trained passports/, true),
  blocks: family(
    "ambiguity",
    "residual-blocks",
    "Small networks in the passports’ place",
    /^expanded residual blocks/,
    true,
  ),
  planted: family("ambiguity", "planted-claims", "Bound claims planted into a copy", /^forged bound claims/),
} as const;

const ALL: readonly Family[] = Object.values(FAMILIES);

/** A network's records of a kind. */
export const recordsOf = ({ attacks }: AttackedNetwork, { records }: Family): AttackRecord[] =>
  attacks.filter(({ attack }) => records.test(attack));

/** Records of attacks that no family knows. */
export const otherRecords = ({ attacks }: AttackedNetwork): AttackRecord[] =>
  attacks.filter(({ attack }) => !ALL.some(({ records }) => records.test(attack)));

/** A step of an attack, and whose it is. */
export interface Found {
  network: AttackedNetwork;
  record: AttackRecord;
  step: AttackStep;
}

/** All steps of a kind of attack on all networks. */
export const stepsOf = (networks: readonly AttackedNetwork[], kind: Family): Found[] =>
  networks.flatMap((network) =>
    recordsOf(network, kind).flatMap((record) => record.steps.map((step) => ({ network, record, step }))),
  );

/** Accuracies, and that of the network as it is where no branch is it. */
type Accuracies = Pick<Measurement, "accuracy" | "deployed">;

/** Accuracy without passports; of V1 that of the network as it is, where a record has it. */
export const bareAccuracy = ({ network }: AttackedNetwork, m: Accuracies): number | undefined =>
  network.scheme === "v1" ? m.deployed : m.accuracy[branchesOf(network.scheme)[0]!];
/** Accuracy of what is given away, in V1 under the passports where nothing else was measured. */
export const openAccuracy = (n: AttackedNetwork, m: Accuracies): number | undefined =>
  bareAccuracy(n, m) ?? m.accuracy[branchesOf(n.network.scheme)[0]!];
/** Accuracy of the branch that passports open. */
export const secretAccuracy = ({ network }: AttackedNetwork, m: Pick<Measurement, "accuracy">): number | undefined =>
  m.accuracy[secretBranch(network.scheme)];

/** Bits read from a network: none of one whose filters are all zeros. */
type Bits = Pick<Measurement, "matched" | "bits">;

/** Matches that so many bits need by the papers' check, which knows of no claim. */
export const neededByPapers = ({ claim }: AttackedNetwork, bits: number): number =>
  bits === claim.bits ? claim.threshold : bits ? matchThreshold(bits) : 1;

/**
 * The bits that count in a network, and how many are needed: those of the owner's claim, as its
 * verdict counts them, where the record has them; else all, by the papers' check.
 */
export function countedBits(network: AttackedNetwork, m: Bits & Pick<Measurement, "mark">): Bits & { needed: number } {
  const { mark, matched, bits } = m;
  if (!mark) return { matched, bits, needed: neededByPapers(network, bits) };
  // Where every filter is all zeros no number is enough.
  const { hits, count, needed } = mark.bits ?? { hits: 0, count: 0, needed: 1 };
  return { matched: hits, bits: count, needed };
}

/** Share of the bits that are right; 0 of none. */
export const shareRight = ({ matched, bits }: Bits): number => (bits ? matched / bits : 0);

/** P that guessing matches as many bits; 1 of none. */
export const guessing = ({ matched, bits }: Bits): number => (bits ? binomialPValue(matched, bits) : 1);

/** P that guessing is as far from half of the bits, to either side; 1 of none. */
export const guessingEither = ({ matched, bits }: Bits): number => (bits ? twoSidedPValue(matched, bits) : 1);

/**
 * ε_f of DeepIPR: how much accuracy a claim may lack, 10 points for its ResNet and 3 for AlexNet.
 * Others are held to the 3.
 */
export const fidelity = ({ network }: AttackedNetwork): number => (/resnet/i.test(network.arch) ? 0.1 : 0.03);

/** `scheme pan` as the papers call it. */
export const SCHEME_NAMES = { v1: "V1", v2: "V2", v3: "V3", pan: "PAN" } as const;

const isShare = (value: number | string | undefined): value is number => typeof value === "number";

/**
 * The task of a record, and what was spent otherwise than in others of its name, in words: `on
 * CIFAR-100, learning rate 0.05`. The layers of turned signs have a column of their own.
 */
function spentApart({ attacks, ...network }: AttackedNetwork, record: AttackRecord): string {
  const alike = attacks.filter(({ attack }) => attack === record.attack);
  const apart = Object.entries(record.budget).filter(
    ([key, value]) => key === "task" || (key !== "layers" && alike.some(({ budget }) => budget[key] !== value)),
  );
  return apart.length > 0 ? budgetText(Object.fromEntries(apart), nounOf(network)) : "";
}

/**
 * Where a step stands: its setting, what tells its record from others of the name, and what came of
 * a forger's own claim.
 */
export const whereText = ({ network, record, step: { setting, own } }: Found): string =>
  [spentApart(network, record), settingText(setting), own === undefined ? "" : `own bits ${formatCount(own)}`]
    .filter((part) => part !== "")
    .join(", ");

/** A setting in words: `40 %`, `4 bits`, `epoch 2`, `channels shuffled, realigned`. */
export function settingText(setting: AttackStep["setting"]): string {
  return Object.entries(setting)
    .map(([key, value]) => {
      if (key === "share" && isShare(value)) return formatPercent(value, Number.isInteger(100 * value) ? 0 : 1);
      if (key === "bits" && isShare(value)) return plural(value, "bit");
      return typeof value === "string" ? value : `${key} ${formatNumber(value)}`;
    })
    .join(", ");
}

const SPENT: Readonly<Record<string, (value: number, noun: Noun) => string>> = {
  images: (n, noun) => plural(n, noun.one),
  epochs: (n) => plural(n, "epoch"),
  lr: (n) => `learning rate ${formatNumber(n)}`,
  batchSize: (n) => `batches of ${formatCount(n)}`,
  draws: (n) => plural(n, "draw"),
  decoys: (n) => plural(n, "decoy"),
  decoyBatch: (n) => `${formatCount(n)} of them a batch`,
  milliseconds: (n) => `${formatNumber(n)}\u202fms`,
  seconds: (n) => `${formatNumber(n)}\u202fs`,
};

/** What an attacker spent, in words; `noun` is what it trained with. */
export function budgetText(budget: AttackRecord["budget"], noun: Noun): string {
  const parts = Object.entries(budget).map(([key, value]) => {
    if (key === "data" && value === "none") return "no data";
    if (key === "task") return `on ${value}`;
    const write = SPENT[key];
    return typeof value === "number" && write ? write(value, noun) : `${key} ${value}`;
  });
  return parts.join(", ") || "nothing";
}

/** Smallest and largest of a budget's entry over some records, `undefined` where none has it. */
export function budgetRange(records: readonly AttackRecord[], key: string): [low: number, high: number] | undefined {
  const values = records.map(({ budget }) => budget[key]).filter(isShare);
  return values.length > 0 ? [least(values), most(values)] : undefined;
}

/**
 * What training attackers spent at least and at most, in words: `2–10 epochs with 1,000 pictures`.
 */
export function effortText(records: readonly AttackRecord[], noun: Noun): string {
  const said = (key: string, unit: string) => {
    const range = budgetRange(records, key);
    if (!range) return [];
    const [low, high] = range;
    return [low === high ? plural(low, unit) : `${formatSpan(formatCount(low), formatCount(high))} ${unit}s`];
  };
  return [...said("epochs", "epoch"), ...said("images", noun.one)].join(" with ");
}

/** The passport layers that an attack turned to, in words. */
export function attackedLayers({ network }: AttackedNetwork, { budget }: AttackRecord): string {
  const layers = budget["layers"];
  if (layers === undefined) return "all passport layers";
  const names = String(layers).split(/,\s*/);
  return names.length === network.passportLayers.length ? "all passport layers" : names.join(", ");
}
