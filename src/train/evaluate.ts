import { type HostBatch, toTensors } from "../data/batch";
import { isDataset } from "../data/dataset";
import { DataLoader } from "../data/loader";
import { sampleShape, type TrainingSet } from "../data/sample-set";
import type { AnySet, SampleTransform } from "../data/samples";
import { isTransforms } from "../data/transform-kinds";
import { optionsOf, refuse, whole } from "../demand";
import { ArgumentError } from "../errors";
import { inMode } from "../nn/mode";
import { deviceOf } from "../nn/module";
import type { Branch, BranchAccuracy } from "../passport/branches";
import { asProtected, type Protected } from "../passport/protected";
import type { Inputs, Network } from "../passport/trace";
import { accumulateAt } from "../tensor/ops/metrics";
import { keep, scope } from "../tensor/storage";
import { noGrad, Tensor } from "../tensor/tensor";
import { checkClasses, type Task, type TaskFunction, type TaskOptions, taskOf } from "./task";

/** Options of {@link evaluate} for a classification. */
export interface EvaluateOptions {
  /** Branches to run (default: all there are). */
  branches?: readonly Branch[];
  /**
   * Samples of a pass (default 100). Memory grows with it, and a metric that is no mean over
   * samples depends on it.
   */
  batchSize?: number;
  /** What is done to each sample; the same normalisation as in training. */
  transform?: readonly SampleTransform[] | undefined;
  /**
   * Of {@link MeasureOptions}: without it and `metrics` the accuracy of a classification is
   * measured.
   */
  loss?: undefined;
  /** Of {@link MeasureOptions}. */
  metrics?: undefined;
}

/**
 * Options of {@link evaluate} for a task of any kind: with `metrics` those are measured, with
 * `loss` the loss too.
 */
export interface MeasureOptions<O = Tensor, I = Tensor, T = Tensor, K extends string = string>
  extends Omit<EvaluateOptions, "loss" | "metrics">,
    Omit<TaskOptions<O, I, T>, "metrics"> {
  /**
   * What is measured of each branch, by name: means over a batch, which are weighted by its size.
   * Of either direction. Default: the loss alone.
   */
  metrics?: Readonly<Record<K, TaskFunction<O, I, T>>>;
}

/**
 * What was measured, by name and branch: the names are those of `metrics`, and `loss` where one was
 * given.
 */
export type Measured<K extends string = string> = Record<K, BranchAccuracy>;

/**
 * Share of samples that each branch classifies right; or, with `loss` or `metrics`, the mean of
 * each over the set, by name and branch. In evaluation mode; sums are put together on the GPU, each
 * batch with its size for a weight, and read once. No flag of the network changes over an `await`:
 * evaluations may run beside each other and beside a training, whose weights they then see as they
 * are at each batch.
 * @returns with `metrics` or `loss` an object with their names for keys, which TypeScript knows
 * @throws ArgumentError when the samples or classes are not the network's, or it has not the
 * branches; ShapeError when a metric gives anything but one number.
 *
 * @example
 * const { iou } = await evaluate(owned, test, { metrics: { iou: (y, { targets }) => overlap(y, targets) } });
 * console.log(iou.public, iou.private);
 */
export function evaluate(network: Network, set: AnySet, options?: EvaluateOptions): Promise<BranchAccuracy>;
export function evaluate<O = Tensor, I = Tensor, T = Tensor, K extends string = string>(
  network: Network,
  set: AnySet,
  options: MeasureOptions<O, I, T, K> & { loss?: undefined; metrics: Readonly<Record<K, TaskFunction<O, I, T>>> },
): Promise<Measured<K>>;
export function evaluate<O = Tensor, I = Tensor, T = Tensor, K extends string = never>(
  network: Network,
  set: AnySet,
  options: MeasureOptions<O, I, T, K> & { loss: TaskFunction<O, I, T> },
): Promise<Measured<K | "loss">>;
export function evaluate<O = Tensor, I = Tensor, T = Tensor>(
  network: Network,
  set: AnySet,
  options: MeasureOptions<O, I, T>,
): Promise<Measured>;
export async function evaluate(
  network: Network,
  set: AnySet,
  options?: EvaluateOptions | MeasureOptions,
): Promise<BranchAccuracy | Measured> {
  const model = asProtected("evaluate", "its first argument", network);
  checkSet("evaluate", "its second argument", set);
  const given = optionsOf("evaluate", options, ["branches", "batchSize", "transform", "loss", "metrics"]);
  const { loss, metrics, ...how } = given as MeasureOptions;
  if (loss && metrics && Object.hasOwn(metrics, "loss"))
    refuse("evaluate", "metrics", "names other than `loss`, which is that of the loss given beside them", metrics);
  const task = taskOf("evaluate", loss ? { loss, metrics: { loss, ...metrics } } : metrics ? { metrics } : {});
  const measured = await measure(model, set, task, how);
  return task.classMeasure ? measured["accuracy"]! : measured;
}

/**
 * Means over a set of what a task measures, by name and branch.
 * @throws as {@link evaluate}
 */
export async function measure(
  model: Protected,
  set: AnySet,
  task: Task,
  { batchSize = 100, transform = [], branches = model.branches }: Omit<EvaluateOptions, "loss" | "metrics"> = {},
): Promise<Measured> {
  if (!Array.isArray(branches) || !branches.length || !branches.every((b) => model.branches.includes(b)))
    refuse("evaluate", "branches", `one or more of ${model.branches.join(", ")}`, branches);
  whole("evaluate", "batchSize", batchSize);
  isTransforms("evaluate", "transform", transform);
  const loader = new DataLoader(set, { batchSize: Math.min(batchSize, Math.max(1, set.length)), transform });
  if (task.classMeasure) checkTargets("evaluate", set, "metrics");
  checkSamples(model, set, loader.imageShape, task.classMeasure);
  const d = deviceOf(model);
  const { measures } = task;
  const sums = keep(Tensor.full([branches.length * measures.length], 0, "f32", d));
  try {
    for await (const batch of loader.epoch(0)) {
      scope(() =>
        noGrad(() => {
          const { inputs, targets, size } = toTensors(batch as HostBatch, d);
          branches.forEach((branch, i) => {
            const outputs = inMode(model, false, () => model.forward(inputs as Inputs, branch));
            measures.forEach((one, k) => {
              const { value, weight } = one.of(outputs, { inputs, targets, size });
              accumulateAt(sums, k * branches.length + i, value, weight);
            });
          });
        }),
      );
      sums.device.flush();
    }
    const totals = await sums.data();
    const mean = (k: number, i: number) => totals[k * branches.length + i]! / set.length;
    return Object.fromEntries(
      measures.map(({ name }, k) => [name, Object.fromEntries(branches.map((branch, i) => [branch, mean(k, i)]))]),
    );
  } finally {
    sums.dispose();
  }
}

/** @throws ArgumentError for what is no set of samples; a loader checks that its parts agree. */
export function checkSet(what: string, name: string, set: unknown): asserts set is AnySet {
  if (isDataset(set)) return;
  const found = (typeof set === "object" && set !== null ? set : {}) as Partial<Record<string, unknown>>;
  if (ArrayBuffer.isView(found["labels"]) && ["images", "points", "read"].some((part) => part in found)) return;
  refuse(
    what,
    name,
    "a set of images or of point clouds, as imageSet() or pointSet() makes one, or of anything, as dataset() or arrays() does",
    set,
  );
}

/** What samples of a shape are: [points, 3], or [height, width, channels]. */
const kindOf = (shape: readonly number[]): string => (shape.length === 2 ? "point clouds" : "images");

/** @throws ArgumentError where samples have no class, and nothing else is done with them. */
export function checkTargets(what: string, set: AnySet, need: "loss" | "metrics"): void {
  if (isDataset(set)) checkClasses(what, set.targets, need);
}

/**
 * Images and clouds as {@link checkImages}. What a general data set has is the network's own to
 * refuse.
 * @param classes whether labels are classes of the network
 */
export function checkSamples(model: Protected, set: AnySet, shape: readonly number[], classes: boolean): void {
  if (!isDataset(set)) checkImages(model, set as TrainingSet, shape, classes);
}

/**
 * @throws ArgumentError when the samples have another shape than the network takes, or more classes
 * than it has.
 */
export function checkImages(
  model: Protected,
  set: TrainingSet,
  shape: readonly number[] = sampleShape(set),
  areClasses = true,
): void {
  const { sampleShape: input, classes } = model;
  if (input && (shape.length !== input.length || shape.some((d, i) => d !== input[i])))
    throw new ArgumentError(
      `the network takes ${kindOf(input)} of ${input.join("×")}, these are ${shape.length === input.length ? "" : `${kindOf(shape)} of `}${shape.join("×")}`,
    );
  if (classes === null || !areClasses) return;
  let most = 0;
  for (const label of set.labels) most = Math.max(most, label);
  if (most >= classes)
    throw new ArgumentError(`a label is ${most} and the network has ${classes} classes, 0 to ${classes - 1}`);
}
