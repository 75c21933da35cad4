import { ArgumentError } from "../errors";
import { trunkUpdates } from "../models/compat/trunk-updates";
import { inMode } from "../nn/mode";
import type { Module } from "../nn/module";
import { recomputing } from "../nn/recompute";
import { clipGradNorm } from "../optim/clip";
import type { Optimizer } from "../optim/optimizer";
import type { Branch } from "../passport/branches";
import type { Protected } from "../passport/protected";
import type { SignLossOptions } from "../passport/sign-loss";
import { add, affine } from "../tensor/ops/elementwise";
import { stopAtMargin } from "../tensor/ops/margin";
import { packingSaved } from "../tensor/packing";
import { scope } from "../tensor/storage";
import type { Tensor } from "../tensor/tensor";
import type { Loss } from "./losses";
import { regularization, type TrainerOptions, type TriggerOptions } from "./options";
import { learnPerturbed } from "./perturbed";
import { CLASSIFICATION, type Samples, type Task, tensorsIn } from "./task";

/** Triggers at the end of samples, and how they count. */
export interface StepTriggers extends Pick<TriggerOptions, "margin" | "statistics" | "perturbation"> {
  readonly count: number;
}

/** How {@link trainStep} goes. */
export interface StepOptions extends Pick<TrainerOptions, "regularizer" | "clipNorm"> {
  /** Default: all there are. */
  branches?: readonly Branch[];
  signLoss?: SignLossOptions;
  trunkUpdates?: 1 | 2;
  /** What each branch is trained for (default: cross-entropy of classes). */
  task?: Pick<Task, "loss">;
  /** What lies behind the other samples of each part. */
  triggers?: StepTriggers | undefined;
  /** Which step of which run this is, for what the network draws at random. */
  draws?: { seed: number; step: number };
  /** Modules that keep their inputs alone for the backward pass. */
  recompute?: readonly Module[];
  /** Counts activations beyond f16 (`packingSaved`), in which they then wait; default: in f32. */
  beyond?: Tensor | null;
  /** Is given the whole loss of each part before its backward pass. */
  onTotal?: ((total: Tensor) => void) | undefined;
  /**
   * Is given each loss of each part, with its weight in the step's. Every name's weights add up
   * to 1.
   */
  onLoss?: (name: Loss, value: Tensor, weight: number) => void;
}

/**
 * Records one training step, in training mode, of the samples that `parts` put on the device, one
 * call per part; the caller submits it. With one part, L = Σ over branches (the task's loss
 * [+ the network's own penalty]) + sign loss [+ regularizer], one backward pass, one optimiser
 * step.
 *
 * With k parts of one size: forward and backward for each, gradients summed, then the optimiser's
 * one step, on ∇ Σ_parts L_part / k. The task's losses are means over their samples, so that is the
 * gradient of the whole batch's mean; the sign loss, which a pass computes anyway and which depends
 * on weights alone, counts 1/k in each; the regularizer, somebody else's function, is called once,
 * and counts whole in the first. What is a statistic of the batch (batch norm's, and how often
 * running statistics move) is one of the part. Parts are submitted one by one and hold memory one
 * after another.
 *
 * Handles made by the forward pass end before the backward pass starts: it finds the memory of
 * everything that the graph does not keep.
 *
 * @throws ArgumentError without parts.
 * @throws ShapeError when the regularizer gives anything but one number, before anything is
 * changed, or the task's loss does.
 */
export function trainStep(
  model: Protected,
  optimizer: Optimizer,
  parts: readonly (() => Samples)[],
  options: StepOptions = {},
): void {
  if (!parts.length) throw new ArgumentError("trainStep: samples expected, in one part or several, found none");
  const part = (upload: () => Samples, i: number): void =>
    scope(() => {
      // Before anything of the step is changed: it is somebody else's function, and may throw.
      const extra = i === 0 ? regularization(model, options) : null;
      const samples = upload();
      if (i === 0) {
        optimizer.prepare();
        optimizer.zeroGrad();
        if (options.draws) model.beginStep(options.draws.seed, options.draws.step);
      }
      propagate(model, optimizer, samples, { extra, parts: parts.length }, options);
      if (i < parts.length - 1) return;
      if (options.clipNorm !== undefined) clipGradNorm(optimizer.params, options.clipNorm);
      optimizer.step();
    });
  parts.forEach((upload, i) => {
    inMode(model, true, () => part(upload, i));
    // The next part's samples can then take the memory of these.
    if (i < parts.length - 1) optimizer.params[0]!.device.flush();
  });
}

const sizeOf = ({ x }: Pick<Samples, "x">): number => tensorsIn(x)[0]?.shape[0] ?? 0;

/**
 * The losses of one pass over samples, by name: of each branch, the task's
 * [+ the network's own penalty], and the sign loss where passports ran.
 */
export function lossesOf(
  model: Protected,
  { x, y }: Samples,
  { branches, signLoss, trunkUpdates: updates = 1, task = CLASSIFICATION, triggers }: StepOptions = {},
): [Loss, Tensor][] {
  const size = sizeOf({ x });
  const first = size - (triggers?.count ?? 0);
  const measured = triggers?.statistics === "clean" ? { samples: size, first } : undefined;
  const pass = model.trainingPass(x, { branches, signLoss, aroundTrunk: trunkUpdates(updates), measured });
  const batch = { inputs: x, targets: y, size };
  const { margin } = triggers ?? {};
  const losses = Object.entries(pass.outputs).map(([branch, whole]): [Loss, Tensor] => {
    const output = margin === undefined ? whole : stopAtMargin(whole as Tensor, y as Tensor, first, margin);
    const [loss, penalty] = [task.loss(output, batch), pass.penalties[branch as Branch]];
    return [`${branch as Branch}Loss`, penalty ? add(loss, penalty) : loss];
  });
  return pass.signLoss ? [...losses, ["signLoss", pass.signLoss]] : losses;
}

/** One part's forward and backward pass. */
function propagate(
  model: Protected,
  optimizer: Optimizer,
  samples: Samples,
  { extra, parts }: { extra: Tensor | null; parts: number },
  options: StepOptions,
): void {
  const forward = () =>
    scope((): [[Loss, Tensor][], Tensor] => {
      const terms = recomputing(options.recompute ?? [], () => lossesOf(model, samples, options));
      const summed = terms.map(([, loss]) => loss);
      if (extra) summed.push(parts === 1 ? extra : affine(extra, parts));
      return [terms, summed.reduce((a, b) => add(a, b))];
    });
  const [losses, total] = packingSaved(options.beyond ?? null, forward);
  options.onTotal?.(total);
  total.backward(parts === 1 ? undefined : total.newFull(total.shape, 1 / parts));
  perturb(model, optimizer, samples, parts, options);
  for (const [name, loss] of losses) options.onLoss?.(name, loss, 1 / parts);
  if (extra) options.onLoss?.("regularizerLoss", extra, 1);
}

/**
 * What the triggers ask of the given-away branch in moved weights, as much as they count in the
 * batch.
 */
function perturb(
  model: Protected,
  optimizer: Optimizer,
  samples: Samples,
  parts: number,
  { triggers, branches = model.branches, task = CLASSIFICATION }: StepOptions,
): void {
  if (!triggers?.perturbation || !branches.includes(model.branches[0]!)) return;
  const size = sizeOf(samples);
  const { count, perturbation, margin } = triggers;
  const params = optimizer.params.filter((p) => p.requiresGrad);
  learnPerturbed(model, params, samples, {
    ...{ first: size - count, count, perturbation, margin, task },
    weight: count / size / parts,
  });
}
