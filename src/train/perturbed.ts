/**
 * Triggers that are learnt in a neighbourhood of the weights, so that whoever trains the network on
 * does not leave them behind so soon.
 */
import { isPlain } from "../io/shown";
import { inMode } from "../nn/mode";
import type { Protected } from "../passport/protected";
import type { Inputs } from "../passport/trace";
import { add, div, mul } from "../tensor/ops/elementwise";
import { euclidean } from "../tensor/ops/euclidean";
import { stopAtMargin } from "../tensor/ops/margin";
import { narrow } from "../tensor/ops/movement";
import { scope } from "../tensor/storage";
import { noGrad, Tensor } from "../tensor/tensor";
import type { Samples, Task } from "./task";

/** Where the triggers of a part are, and how they are learnt. */
export interface PerturbedOptions {
  /** The row of the first of them, and how many there are. */
  first: number;
  count: number;
  /** ε: how far each tensor is moved, as a share of its norm. */
  perturbation: number;
  margin?: number | undefined;
  /** Of their mean loss in the step's. */
  weight: number;
  task: Pick<Task, "loss">;
}

/** Keeps a norm of 0 from dividing. */
const TINY = 1e-20;

/**
 * Adds to the gradients of `params` those of the triggers' loss in weights that are moved where
 * that loss rises fastest, each tensor W by a share of its norm:
 *
 *     δ = ε ‖W‖ ∇L(W) / ‖∇L(W)‖        W.grad += weight · ∇L(W + δ)
 *
 * Two passes of the branch that is given away, in evaluation mode: batch norm's statistics are the
 * running ones, of all the other samples, as when a trigger is asked for. The weights are what they
 * were to the bit when it returns.
 *
 * Source: Gan, Li, Jiang, Xia, "Towards robust model watermark via reducing parametric
 * vulnerability", ICCV 2023.
 */
export function learnPerturbed(
  model: Protected,
  params: readonly Tensor[],
  { x, y }: Samples,
  { first, count, perturbation, margin, weight, task }: PerturbedOptions,
): void {
  scope(() => {
    const batch = { inputs: rows(x, first, count), targets: rows(y, first, count), size: count };
    const propagate = (share: number) =>
      scope(() => {
        const whole = inMode(model, false, () => model.forward(batch.inputs)) as Tensor;
        const output = margin === undefined ? whole : stopAtMargin(whole, batch.targets as Tensor, 0, margin);
        const loss = task.loss(output, batch);
        loss.backward(loss.newFull(loss.shape, share));
      });
    const own = params.map((p) => p.grad);
    let gradients: (Tensor | null)[] = [];
    const back: (() => void)[] = [];
    try {
      for (const p of params) p.grad = null;
      try {
        propagate(1);
      } finally {
        gradients = params.map((p) => p.grad);
        for (const [i, p] of params.entries()) p.grad = own[i]!;
      }
      for (const [i, p] of params.entries()) if (gradients[i]) back.push(move(p, gradients[i], perturbation));
      propagate(weight);
    } finally {
      for (const put of back) put();
      for (const gradient of gradients) gradient?.dispose();
    }
  });
}

/** Moves a tensor along a gradient. @returns what puts it back. */
function move(w: Tensor, gradient: Tensor, share: number): () => void {
  const { device, buffer } = w;
  const bytes = 4 * w.size;
  const own = Tensor.empty(w.shape, "f32", device);
  device.copy(buffer, own.buffer, bytes);
  noGrad(() =>
    scope(() => {
      const length = div(mul(euclidean([w], device), share), add(euclidean([gradient], device), TINY));
      device.copy(add(w, mul(gradient, length)).buffer, buffer, bytes);
    }),
  );
  return () => device.copy(own.buffer, buffer, bytes);
}

/** Some rows of a batch's part. */
function rows(part: unknown, first: number, count: number): Inputs {
  if (part instanceof Tensor) return narrow(part, 0, first, count);
  if (Array.isArray(part)) return part.map((one) => rows(one, first, count)) as Inputs;
  if (!isPlain(part)) return part as Inputs;
  return Object.fromEntries(Object.entries(part).map(([name, one]) => [name, rows(one, first, count)])) as Inputs;
}
