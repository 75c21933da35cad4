import type { SampleSet } from "../data/sample-set";
import type { SampleTransform } from "../data/samples";
import { ArgumentError } from "../errors";
import type { SafetensorsFile } from "../io/safetensors";
import { readCredential } from "../models/credential";
import type { Module } from "../nn/module";
import { SGD } from "../optim/sgd";
import { rejoin } from "../ownership/running/rejoin";
import { asProtected } from "../passport/protected";
import type { Network } from "../passport/trace";
import type { TriggerOptions } from "../train/options";
import type { TaskFunction } from "../train/task";
import { Trainer } from "../train/trainer";
import type { Claimable } from "./owners-claim";
import {
  type AttackOptions,
  type AttackRecord,
  type AttackStep,
  type Measurement,
  measure,
  type Target,
  triggerShare,
  withTriggers,
} from "./record";
import { headOf, type Victim, victim } from "./victim";

/** What a forger spends who trains beside the network, which stays as it was given away. */
export interface ForgingBudget extends AttackOptions {
  /** The attacker's images. */
  train: SampleSet;
  /** Passes over the attacker's images, a whole number from 1. */
  epochs: number;
  /**
   * Learning rate. Default: 0.001 to fine-tune and to overwrite, 0.05 to distil, 0.01 to unlearn
   * triggers, to train passports, to train scales and to replace them.
   */
  lr?: number;
  /** Images of a step, at most all there are (default 64, or all where they are fewer). */
  batchSize?: number;
  /** What is done to training images. */
  transform?: readonly SampleTransform[];
}

/** What an attacker spends who trains the network on, or another in its place. */
export interface TrainingBudget extends ForgingBudget {
  /** Test images of the attacker's task (default the target's). */
  test?: SampleSet;
  /** What the attacker's task is called in the record. */
  task?: string;
  /** Is given the attacked network after every epoch, as the attacker would give it away. */
  onAttacked?: (attacked: SafetensorsFile, epoch: number) => unknown;
}

/** Options that were checked, with the images of a step. */
export type Checked<T extends ForgingBudget> = T & { batchSize: number };

/** A plain network, to compare with: nobody has a credential of it. */
export type PlainTarget = Omit<Target, "credential"> & { credential?: undefined };

/** An attack that trains a network: what it is called, what it starts from, and what is known. */
export interface TrainingAttack {
  attack: string;
  knowledge: readonly string[];
  /** Whatever the attacker trains, with passports or without. */
  model: Network;
  before: AttackRecord["before"];
  /** What it is trained for, where that is not the labels of its images. */
  loss?: TaskFunction;
  /** What it learns beside. */
  triggers?: TriggerOptions;
  /** What is spent besides images and epochs. */
  spent?: AttackRecord["budget"];
  /**
   * Whether its last layer was made anew: triggers are asked under the owner's then, whose classes
   * they are of.
   */
  newHead?: boolean;
}

/**
 * The owner puts the passports over the attacked network's weights, where there are some, and
 * measures. Where no branch is the network as it is (V1), that is measured beside: passports over
 * weights that they were not trained with say nothing of what the attacker has.
 */
export async function ownersView(
  deployed: SafetensorsFile,
  target: Claimable<Target | PlainTarget>,
  test: SampleSet = target.test,
): Promise<Measurement> {
  const found = await using(ownersModel(deployed, target), (model) => measure(model, { ...target, test }));
  if (found.accuracy.public !== undefined) return found;
  const { credential: _, ...plain } = target;
  const { accuracy, triggers } = await ownersView(deployed, plain, test);
  return withTriggers({ ...found, deployed: accuracy.public! }, triggers, target);
}

/** Disposes a network after its use. */
const using = <T>(model: Module, use: (model: Module) => Promise<T>): Promise<T> =>
  use(model).finally(() => model.dispose());

const ownersModel = (deployed: SafetensorsFile, target: Target | PlainTarget): Module =>
  target.credential
    ? rejoin(deployed, target.credential, target.model?.())
    : victim({ ...target, deployed }, deployed.tensors);

/**
 * Forged passports beside the owner's bits: what is asked is how many of them the forger's γ still
 * match.
 */
export function withOwnersBits(target: Target, forged: SafetensorsFile): Target {
  const { tensors } = readCredential(target.credential);
  const own = [...tensors].filter(([name]) => name.endsWith(".passport.b") && forged.tensors.has(name));
  return { ...target, credential: { ...forged, tensors: new Map([...forged.tensors, ...own]) } };
}

/** An attacked network's body under the classifier of the network it was made of. */
export function underHeadOf(owners: Victim, attacked: SafetensorsFile): SafetensorsFile {
  const head = headOf(owners);
  const body = [...attacked.tensors].filter(([name]) => !name.startsWith(head));
  const own = [...owners.deployed.tensors].filter(([name]) => name.startsWith(head));
  return { ...owners.deployed, tensors: new Map([...body, ...own]) };
}

/**
 * As {@link ownersView}; the triggers are asked of the network itself, under the owner's
 * classifier.
 */
async function underOwnersHead(
  attacked: SafetensorsFile,
  { triggers, ...target }: Claimable<Target | PlainTarget>,
  test?: SampleSet,
): Promise<Measurement> {
  const found = await ownersView(attacked, target, test);
  if (!triggers) return found;
  const asked = victim({ ...target, deployed: underHeadOf(target, attacked) });
  const share = await using(asked, (model) => triggerShare(model, { ...target, triggers }));
  return withTriggers(found, share, { ...target, triggers });
}

/**
 * Trains the attacker's network, all of it whatever its maker froze or set apart, and after every
 * epoch has the owner look for the signature.
 */
export async function attackByTraining(
  target: Claimable<Target | PlainTarget>,
  { attack, knowledge, model, before, loss, triggers, spent, newHead = false }: TrainingAttack,
  { train, test, task, epochs, lr = 0.001, batchSize, transform = [], seed = 0, ...on }: Checked<TrainingBudget>,
): Promise<AttackRecord> {
  model.train().unfreeze();
  const optimizer = new SGD(model.parameters(), { lr, momentum: 0.9, weightDecay: 5e-4 });
  try {
    const how = { batchSize, seed, transform, ...(loss && { loss }), ...(triggers && { triggers }) };
    const trainer = new Trainer(model, optimizer, how);
    const steps: AttackStep[] = [];
    for await (const { epoch } of trainer.fit(train, { epochs })) {
      const attacked = await asProtected("attack", "its network", model).deployed();
      const after = newHead ? await underOwnersHead(attacked, target, test) : await ownersView(attacked, target, test);
      const step = { setting: { epoch }, after };
      steps.push(step);
      await on.onAttacked?.(attacked, epoch);
      await on.onStep?.(step, epoch, epochs);
    }
    const budget = { ...(task !== undefined && { task }), images: train.length, epochs, lr, batchSize, ...spent };
    return { attack, knowledge, budget, seed, before, steps };
  } finally {
    optimizer.dispose();
  }
}

/** @throws ArgumentError where the norms of passports have no γ and β in the deployed network. */
export function checkNorms(attack: string, { deployed }: Pick<Target, "deployed">, norms: readonly string[]): void {
  const bare = norms.find((name) => !deployed.tensors.has(`${name}.weight`) || !deployed.tensors.has(`${name}.bias`));
  if (bare !== undefined)
    throw new ArgumentError(
      `${attack}: ${bare} of the deployed network has no γ and β to replace or train: is it folded?`,
    );
}
