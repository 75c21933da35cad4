/** What a network is trained for: its loss, and what is measured of it. */
import type { Field, Fields } from "../data/fields";
import { callable, refuse, within } from "../demand";
import { ArgumentError, ShapeError } from "../errors";
import { isPlain, shown } from "../io/shown";
import type { Inputs } from "../passport/trace";
import { crossEntropy } from "../tensor/ops/loss";
import { correctRows } from "../tensor/ops/metrics";
import type { Integers } from "../tensor/ops/operands";
import { showShape } from "../tensor/shape";
import { Tensor } from "../tensor/tensor";

/** Samples with what is to be made of them, on the device. */
export interface Samples {
  /** What the network is given: [N, H, W, C] or [N, P, 3], or whatever it takes. */
  x: Inputs;
  /** Classes, [N], i32; or whatever the loss takes. */
  y: Inputs;
}

/** What a loss sees of a `TensorBatch`: all but its number, which a replayed step does not know. */
export interface TaskBatch<I = Tensor, T = Tensor> {
  /** What the network was given. */
  readonly inputs: I;
  readonly targets: T;
  /** Number of samples. */
  readonly size: number;
}

/**
 * One number, f32, of what a network gives in one branch for a batch: its mean over the samples.
 *
 * @example
 * const squares = (y: Tensor, { targets }: TaskBatch) => mseLoss(y, targets);
 */
export type TaskFunction<O = Tensor, I = Tensor, T = Tensor> = (outputs: O, batch: TaskBatch<I, T>) => Tensor;

/**
 * What a network is trained for, where that is no classification of samples. `O` is what its
 * `forward` gives, `I` and `T` are the tensors of the data set's inputs and targets.
 */
export interface TaskOptions<O = Tensor, I = Tensor, T = Tensor> {
  /**
   * The loss of one branch: a mean over the batch, of one element and differentiable. Default: the
   * cross-entropy of logits [N, C] with a class per sample, or with the probabilities that a
   * `batchTransform` made of it.
   */
  loss?: TaskFunction<O, I, T>;
  /**
   * What is measured of each branch, by name: means over a batch, which are weighted by its size.
   * Of either direction: only `best`, `earlyStop` and `bestEpoch` need the first of them to be
   * higher when it is better. Default: `accuracy`, the share of samples classified right; with a
   * loss of one's own, that loss.
   */
  metrics?: Readonly<Record<string, TaskFunction<O, I, T>>>;
}

/** A value of each batch that is summed up over a set. */
interface Measure {
  readonly name: string;
  /** What is added up for a batch: Σ weight · Σ value. */
  of(outputs: unknown, batch: TaskBatch<unknown, unknown>): { value: Tensor; weight: number };
}

/** A task, whoever gave its parts. */
export interface Task {
  loss(outputs: unknown, batch: TaskBatch<unknown, unknown>): Tensor;
  readonly measures: readonly Measure[];
  /** Whether the loss is the cross-entropy of classes. */
  readonly classLoss: boolean;
  /** ε of that loss. */
  readonly labelSmoothing: number;
  /** Whether what is measured is the accuracy of a classification. */
  readonly classMeasure: boolean;
  /** Whether it is a loss of one's own for want of metrics: lower is better. */
  readonly byLoss: boolean;
}

const ACCURACY: Measure = {
  name: "accuracy",
  of: (outputs, { targets }) => ({ value: correctRows(outputs as Tensor, targets as Integers), weight: 1 }),
};

/** Letters first: keys that are whole numbers would change their order. */
const NAME = /^[A-Za-z][\w-]{0,63}$/;

/** Whether a text can be a metric's name: in files, too. */
export const isMetricName = (name: string): boolean => NAME.test(name);

/**
 * The task that options describe.
 * @throws ArgumentError for a loss or a metric that is no function, and names that are none.
 */
export function taskOf(
  what: string,
  { loss, metrics, labelSmoothing = 0 }: TaskOptions<never, never, never> & { labelSmoothing?: number },
): Task {
  if (loss !== undefined) callable(what, "loss", loss);
  within(what, "labelSmoothing", labelSmoothing, 0, 1);
  if (loss !== undefined && labelSmoothing > 0)
    refuse(what, "labelSmoothing", "none beside a loss of one's own, which may have it itself", labelSmoothing);
  if (metrics !== undefined && (!isPlain(metrics) || !Object.keys(metrics).length))
    refuse(what, "metrics", "an object from names to functions", metrics);
  const named = Object.entries(metrics ?? (loss ? { loss } : {})) as [string, Task["loss"]][];
  const measures = named.map(([name, f]): Measure => {
    if (!isMetricName(name))
      throw new ArgumentError(
        `${what}: metrics: a name is a letter and then letters, digits, _ or -, 64 in all, found ${shown(name)}`,
      );
    callable(what, `metrics.${name}`, f);
    return { name, of: (y, batch) => ({ value: oneNumber(name, f(y, batch)), weight: batch.size }) };
  });
  const own = loss as Task["loss"] | undefined;
  return {
    loss: own
      ? (y, batch) => oneNumber("loss", own(y, batch))
      : (y, { targets }) => crossEntropy(y as Tensor, targets as Integers, { labelSmoothing }),
    measures: measures.length ? measures : [ACCURACY],
    classLoss: !own,
    labelSmoothing,
    classMeasure: !measures.length,
    byLoss: own !== undefined && metrics === undefined,
  };
}

/** A classification. */
export const CLASSIFICATION: Task = /* @__PURE__ */ taskOf("Trainer", {});

/**
 * @throws ShapeError for anything but a tensor of one f32 number.
 */
export function oneNumber(what: string, value: unknown): Tensor {
  if (value instanceof Tensor && value.size === 1 && value.dtype === "f32") return value;
  const found = !(value instanceof Tensor)
    ? shown(value)
    : value.size === 1
      ? `one of ${value.dtype}`
      : `one of shape ${showShape(value.shape)}: reduce it`;
  throw new ShapeError(`${what}: a tensor of one element expected, found ${found}`);
}

/**
 * @param need what would do without classes
 * @throws ArgumentError where samples of a general data set are not told their class: floats might
 * be probabilities, and might be anything else.
 */
export function checkClasses(what: string, targets: Fields, need: "loss" | "metrics"): void {
  const { shape, dtype = "f32" } = targets as Field;
  if (Array.isArray(shape) && shape.length === 0 && dtype !== "f32") return;
  const found = Array.isArray(shape) ? `${dtype} ${showShape([...shape])} per sample` : "several, or none";
  throw new ArgumentError(
    `${what}: targets are a class (an integer) for each sample where there is no \`${need}\`, found ${found}: give \`${need}\` a function of your own`,
  );
}

/** The arrays of a batch's inputs or targets in a row, each with its name. */
export function arraysIn<A>(part: unknown, isOne: (value: unknown) => value is A, at = ""): [string, A][] {
  if (isOne(part)) return [[at, part]];
  if (typeof part !== "object" || part === null) return [];
  return Object.entries(part).flatMap(([key, one]) => arraysIn(one, isOne, `${at}.${key}`));
}

/** Tensors of a batch's part in a row. */
export const tensorsIn = (part: unknown): Tensor[] =>
  arraysIn(part, (value): value is Tensor => value instanceof Tensor).map(([, t]) => t);
