import type { AnyDataset } from "../data/dataset";
import type { BatchTransform } from "../data/loader";
import type { SampleSet } from "../data/sample-set";
import type { SampleTransform } from "../data/samples";
import { isTransforms } from "../data/transform-kinds";
import { callable, flag, oneOf, optionsOf, refuse, whole, within } from "../demand";
import { ArgumentError } from "../errors";
import { isPlain, shown } from "../io/shown";
import type { Module } from "../nn/module";
import { constantLR, type Schedule } from "../optim/schedules";
import type { Protected } from "../passport/protected";
import { needsTriggers, withoutTriggers } from "../passport/schemes";
import { checkSignLoss, type SignLossOptions } from "../passport/sign-loss";
import type { Tensor } from "../tensor/tensor";
import type { CheckpointStore } from "./checkpoint";
import { checkSet } from "./evaluate";
import type { EpochRecord, StepRecord } from "./history";
import { oneNumber, type Task, type TaskOptions, taskOf } from "./task";

/**
 * How the branches of a network share the steps: `joint` runs both on every batch, `alternating`
 * one of them; r is the share of steps that are the private branch's, 0.5 one after each public
 * one.
 */
export type TrainingMode = "joint" | { readonly alternating: number };

/** Samples with assigned labels, or other targets, that a network shall learn beside its task. */
export interface TriggerOptions {
  /** The triggers, each with the class, or whatever target, that it is to be answered with. */
  set: SampleSet | AnyDataset;
  /** How many join each batch (default 2, as in DeepIPR; never more than the set has). */
  batchSize?: number;
  /** Default: the trainer's `testTransform`. */
  transform?: readonly SampleTransform[];
  /**
   * A trigger whose class leads every other by so much, in logits, is known well enough: its
   * gradient ends there (default: none). For classifications with the default loss.
   */
  margin?: number;
  /**
   * What mean and variance of batch norm are of, while training: the whole `batch`, the triggers in
   * it too (the default, as in DeepIPR), or the `clean` samples alone, by which triggers are then
   * normalised as they will be when they are asked for.
   */
  statistics?: "batch" | "clean";
  /**
   * ε: triggers are learnt a second time in weights moved against them, each tensor by this share
   * of its norm, so that training the network on leaves them behind later (default none; 0.02 in
   * the source). Costs two passes over the triggers a step, which is run each time as it is
   * written.
   *
   * Source: Gan, Li, Jiang, Xia, "Towards robust model watermark via reducing parametric
   * vulnerability", ICCV 2023.
   */
  perturbation?: number;
}

/** When to end before the last epoch. */
export interface EarlyStop {
  /** Epochs in a row without a better mean test accuracy, or first metric, after which to end. */
  patience: number;
  /**
   * An epoch is better that exceeds the last better one by more than this (default 0), as Keras and
   * Lightning have it: what is gained in small steps counts once their sum is enough.
   */
  minDelta?: number;
}

/** Where a run stands, at each reading of the losses. */
export interface Progress {
  /** Steps done and to do, over all epochs. */
  step: number;
  steps: number;
  /** From 1. */
  epoch: number;
  record: StepRecord;
}

/**
 * Options of a {@link Trainer}. `O` is what the network's `forward` gives, `I` and `T` are the
 * tensors of the data set's inputs and targets.
 */
export interface TrainerOptions<O = Tensor, I = Tensor, T = Tensor> extends TaskOptions<O, I, T> {
  /** Default `joint`. */
  mode?: TrainingMode;
  /** Required for a network of scheme `v3`. */
  triggers?: TriggerOptions;
  /** Constants of the sign loss. */
  signLoss?: SignLossOptions;
  /**
   * ε of the default loss, see `crossEntropy`: every class is asked for with ε/C, and the label
   * with the rest (default 0). Triggers are learnt with it too; what is measured does not know of
   * it.
   */
  labelSmoothing?: number;
  /**
   * A number added to the loss of every step, of one element and differentiable towards the
   * network's parameters: what is embedded in the weights themselves, such as a feature watermark.
   * Called in each step before the forward pass; tensors made inside live as long as the step.
   */
  regularizer?: (model: Protected) => Tensor;
  /**
   * How many times a step moves the running statistics that both branches share (default 1; 2 as in
   * the authors' code).
   */
  trunkUpdates?: 1 | 2;
  /**
   * Multiplies the optimiser's learning rate, as its `factor`; asked before each step with the
   * fractional epoch (default constant, 1). A new `optimizer.lr` holds from the next step on.
   */
  schedule?: Schedule;
  /**
   * Samples of a step (default 64). Batches are whole: samples that are left over at the end of an
   * epoch are left out of it, others each time.
   */
  batchSize?: number;
  /**
   * Parts that a step takes its batch in (default 1), for batches whose activations do not fit:
   * forward and backward for each, then one optimiser step on the gradient of the mean over the
   * whole batch. Memory is that of a part. It must divide `batchSize`, and the triggers that join
   * each batch, which are divided as the batch is. Batch norm takes its statistics from each part,
   * and its running ones move once per part: with it, parts train as batches of their size, at the
   * whole batch's gradient noise. Networks without it train as on whole batches.
   */
  accumulate?: number;
  /**
   * Most joint norm of a step's gradients, all of which are scaled by one factor to have it
   * (`clipGradNorm`), before the optimiser's step; above 0 (default: they are as they are). Against
   * single steps that throw a training off at high rates.
   */
  clipNorm?: number;
  /**
   * Give the GPU the commands of the second of two equal steps again, on the next batches, instead
   * of running the forward and backward pass in JavaScript for each (default true). Steps with a
   * `regularizer`, perturbed triggers or several parts are always run. Turn it off for a network of
   * your own whose forward pass decides something anew in JavaScript now and then (a layer that is
   * skipped at random), or by what cannot be seen from outside: `#private` fields, class instances
   * that are no modules, variables around it. What a callback changes in the model's properties, or
   * in lists, plain objects and maps there (the first 1000 entries of each module), holds from the
   * next step on, which is recorded anew.
   */
  replay?: boolean;
  /**
   * Names of modules of the network, as its `namedModules()` has them, whose passes are
   * recomputed: what a step keeps of them for its backward pass is their inputs, and they run
   * twice. Not such as have passports. Results are the same.
   */
  recompute?: readonly string[];
  /**
   * What activations wait in for the backward pass (default "f32"): rounded to "f16" they take half
   * of the memory, and a launch each way. Everything is computed in f32, gradients too, so that no
   * loss has to be scaled; activations beyond ±65,504 end the run with an OverflowError, and those
   * below 3e-8 wait as 0. Long skip connections read what they skip rounded. What waits for an
   * operation or two, what is smaller than 16 KB, and what a gradient divides by or compares
   * (`div`, `log`, `sqrt`, `amax`, `maximum`, losses), stays as it is.
   */
  activations?: "f32" | "f16";
  /**
   * Decides the order of the samples, their augmentation, and what a network draws at random in
   * each step: by dropout, and by every `RandomStream` that a module holds as it holds parameters,
   * not in a #private field (default 0).
   */
  seed?: number;
  /** What is done to each training sample, in this order (default nothing). */
  transform?: readonly SampleTransform[];
  /**
   * What is done to every training batch then, such as `mixup`; triggers and test samples are left
   * alone.
   */
  batchTransform?: BatchTransform;
  /** For test images; usually the normalisation alone. */
  testTransform?: readonly SampleTransform[];
  /**
   * Where to keep a checkpoint, written after every epoch and when stopped. One without a digest,
   * by an earlier version, is resumed from with a warning on the console.
   */
  checkpoints?: CheckpointStore;
  /**
   * Where to keep the checkpoint of the epoch with the highest mean test accuracy of all branches;
   * with metrics of one's own, the highest mean of the first of them.
   */
  best?: CheckpointStore;
  /** When to end before the last epoch (default never). */
  earlyStop?: EarlyStop;
  /** Steps between two readings of the losses (default 10). */
  readEvery?: number;
  /**
   * Called after each reading; awaited, which holds no step up before the reading after. What it
   * throws ends the run.
   */
  onProgress?: (progress: Progress) => unknown;
  /** Called after each epoch, before its checkpoint is written; awaited. */
  onEpoch?: (record: EpochRecord) => void | Promise<void>;
}

type Defaulted =
  | "mode"
  | "signLoss"
  | "trunkUpdates"
  | "schedule"
  | "batchSize"
  | "accumulate"
  | "replay"
  | "seed"
  | "transform"
  | "testTransform"
  | "readEvery";

/** Options of a trainer for whatever task. */
type AnyOptions = Omit<TrainerOptions, keyof TaskOptions> & TaskOptions<never, never, never>;

/** Options with the defaults filled in. */
export type FullOptions = Required<Pick<TrainerOptions, Defaulted>> &
  Omit<TrainerOptions, Defaulted | keyof TaskOptions> & {
    readonly task: Task;
  };

const NAMES = {
  loss: true,
  metrics: true,
  labelSmoothing: true,
  mode: true,
  triggers: true,
  signLoss: true,
  regularizer: true,
  trunkUpdates: true,
  schedule: true,
  batchSize: true,
  accumulate: true,
  clipNorm: true,
  replay: true,
  recompute: true,
  activations: true,
  seed: true,
  transform: true,
  batchTransform: true,
  testTransform: true,
  checkpoints: true,
  best: true,
  earlyStop: true,
  readEvery: true,
  onProgress: true,
  onEpoch: true,
} as const satisfies Record<keyof TrainerOptions, true>;

const DEFAULTS: Required<Pick<TrainerOptions, Defaulted>> = {
  mode: "joint",
  signLoss: {},
  trunkUpdates: 1,
  schedule: constantLR(),
  batchSize: 64,
  accumulate: 1,
  replay: true,
  seed: 0,
  transform: [],
  testTransform: [],
  readEvery: 10,
};

/** Types of options, before anything relies on them. */
function checkTypes(given: AnyOptions): void {
  const { triggers, earlyStop, checkpoints, best, signLoss } = given;
  for (const name of ["schedule", "regularizer", "batchTransform", "onProgress", "onEpoch"] as const)
    if (given[name] !== undefined) callable("Trainer", name, given[name]);
  for (const name of ["transform", "testTransform"] as const)
    if (given[name] !== undefined) isTransforms("Trainer", name, given[name]);
  if (given.activations !== undefined) oneOf("Trainer", "activations", given.activations, ["f32", "f16"]);
  if (given.replay !== undefined) flag("Trainer", "replay", given.replay);
  const { clipNorm } = given;
  if (clipNorm !== undefined && within("Trainer", "clipNorm", clipNorm, 0, Number.MAX_VALUE) === 0)
    refuse("Trainer", "clipNorm", "a number above 0", clipNorm, "0 would leave nothing to learn from");
  if (given.batchSize !== undefined) whole("Trainer", "batchSize", given.batchSize);
  if (given.seed !== undefined) whole("Trainer", "seed", given.seed, 0);
  if (signLoss !== undefined) checkSignLoss("Trainer's signLoss", signLoss);
  if (triggers !== undefined) {
    const what = "Trainer's triggers";
    const { set, margin, statistics, perturbation } = optionsOf(what, triggers, [
      ...(["set", "batchSize", "transform", "margin", "statistics", "perturbation"] as const),
    ]);
    checkSet("Trainer", "triggers.set", set);
    if (margin !== undefined) within(what, "margin", margin, 0, Number.MAX_VALUE);
    if (perturbation !== undefined) within(what, "perturbation", perturbation, 0, 1);
    if (statistics !== undefined) oneOf(what, "statistics", statistics, ["batch", "clean"]);
    if (margin !== undefined && given.loss !== undefined)
      refuse(what, "margin", "none beside a loss of one's own: it is one of logits", margin);
  }
  if (earlyStop !== undefined) {
    const { minDelta } = optionsOf("Trainer's earlyStop", earlyStop, ["patience", "minDelta"]);
    if (minDelta !== undefined) within("Trainer's earlyStop", "minDelta", minDelta, 0, Infinity);
  }
  for (const [name, store] of Object.entries({ checkpoints, best }))
    if (store !== undefined && !(typeof store?.save === "function" && typeof store.load === "function"))
      refuse("Trainer", name, "a store with save(bytes) and load(), such as fileCheckpoints(path)", store);
}

/**
 * @throws ArgumentError naming an option that is unknown, out of range, or does not go with the
 * network.
 */
export function fullOptions(model: Protected, options: AnyOptions | undefined): FullOptions {
  const given = optionsOf("Trainer", options, Object.keys(NAMES) as (keyof TrainerOptions)[]);
  checkTypes(given);
  const { loss, metrics, labelSmoothing, ...others } = given;
  const task = taskOf("Trainer", {
    ...(loss !== undefined && { loss }),
    ...(metrics !== undefined && { metrics }),
    ...(labelSmoothing !== undefined && { labelSmoothing }),
  });
  const set = Object.entries(others).filter(([, value]) => value !== undefined);
  const full: FullOptions = { ...DEFAULTS, ...Object.fromEntries(set), task };
  if ((full.best || full.earlyStop) && task.byLoss)
    throw new ArgumentError(
      "`best` and `earlyStop` go by what is higher when it is better, and a loss is lower: give `metrics`, of which they take the first",
    );
  const { mode, triggers, readEvery, earlyStop, trunkUpdates } = full;
  const count = (name: string, n: number) => {
    if (!Number.isInteger(n) || n < 1)
      throw new ArgumentError(`${name}: a whole number from 1 expected, found ${shown(n)}`);
  };
  count("readEvery", readEvery);
  if (earlyStop) count("earlyStop.patience", earlyStop.patience);
  if (triggers?.batchSize !== undefined) count("triggers.batchSize", triggers.batchSize);
  checkParts(full, count);
  if (full.recompute !== undefined) recomputedModules(model, full.recompute);
  if (trunkUpdates !== 1 && trunkUpdates !== 2)
    throw new ArgumentError(`trunkUpdates: 1 or 2 expected, found ${shown(trunkUpdates)}`);
  if (mode !== "joint") {
    const share = isPlain(mode) ? mode["alternating"] : undefined;
    if (!(typeof share === "number" && share > 0 && share < 1))
      throw new ArgumentError(
        `mode: "joint", or { alternating: share of private steps between 0 and 1 }, found ${shown(typeof share === "number" ? share : mode)}`,
      );
    if (model.branches.length < 2)
      throw new ArgumentError(`mode alternating needs two branches; scheme "${model.scheme}" has one: use "joint"`);
  }
  const { scheme } = model;
  if (needsTriggers(scheme) && !triggers)
    throw new ArgumentError(
      `scheme "${scheme}" trains on a trigger set too: give the trainer \`triggers: { set }\`, or use scheme "${withoutTriggers(scheme)}"`,
    );
  return full;
}

/** How many triggers join each batch. */
export const triggersPerBatch = ({ set, batchSize = 2 }: TriggerOptions): number => Math.min(batchSize, set.length);

/**
 * Parts are of one size, in images and in triggers: means over parts are then means over the whole.
 */
function checkParts({ accumulate, batchSize, triggers }: FullOptions, count: (name: string, n: number) => void): void {
  count("accumulate", accumulate);
  if (accumulate === 1) return;
  if (batchSize % accumulate !== 0)
    throw new ArgumentError(
      `accumulate: a divisor of batchSize expected, found ${accumulate} parts for a batch of ${batchSize}`,
    );
  const joining = triggers ? triggersPerBatch(triggers) : 0;
  if (joining % accumulate !== 0)
    throw new ArgumentError(
      `triggers.batchSize: a multiple of accumulate expected, found ${joining} triggers a batch for ${accumulate} parts: use a multiple (the set has ${triggers!.set.length}), or another accumulate`,
    );
}

/**
 * Modules of a network by their names; a name of several, such as "layer1" of "layer1.0" and
 * "layer1.1", is all of them.
 * @throws ArgumentError naming what is not there.
 */
export function recomputedModules(model: Protected, names: unknown): readonly Module[] {
  if (!Array.isArray(names)) return refuse("Trainer", "recompute", "a list of names of modules", names);
  const modules = model.network.namedModules().filter(([name]) => name !== "");
  // Below no other of those that fit.
  const highest = (fits: (name: string) => boolean) => {
    const fitting = modules.filter(([name]) => fits(name));
    return fitting.filter(([name]) => !fitting.some(([other]) => name.startsWith(`${other}.`)));
  };
  return names.flatMap((wanted: unknown) => {
    const found = highest((name) => name === wanted || name.startsWith(`${String(wanted)}.`));
    if (found.length && typeof wanted === "string") return found.map(([, module]) => module);
    const known = highest(() => true).map(([name]) => name);
    return refuse("Trainer", "recompute", `names of modules (${known.join(", ")}, or such as are below)`, wanted);
  });
}

/**
 * What the regularizer adds to a step's loss; null without one.
 * @throws ShapeError when it gives anything but one number.
 */
export function regularization(model: Protected, { regularizer }: Pick<TrainerOptions, "regularizer">): Tensor | null {
  if (!regularizer) return null;
  return oneNumber("regularizer", regularizer(model));
}
