import { DataLoader } from "../data/loader";
import { sampleShape, type TrainingSet } from "../data/sample-set";
import type { SampleTransform } from "../data/samples";
import { optionsOf, refuse, whole } from "../demand";
import { ArgumentError } from "../errors";
import { inMode } from "../nn/mode";
import { deviceOf, type Module } from "../nn/module";
import type { Branch, BranchAccuracy } from "../passport/branches";
import { asProtected, type Protected } from "../passport/protected";
import { accumulateAt, correctRows } from "../tensor/ops/metrics";
import { keep, scope } from "../tensor/storage";
import { noGrad, Tensor } from "../tensor/tensor";

/** Options of {@link evaluate}. */
export interface EvaluateOptions {
  /** Branches to run (default: all there are). */
  branches?: readonly Branch[];
  batchSize?: number;
  /** What is done to each sample; the same normalisation as in training. */
  transform?: readonly SampleTransform[] | undefined;
}

/**
 * Share of images, or of point clouds, that each branch classifies right, in evaluation mode.
 * Counts are summed on the GPU and read once. No flag of the network changes over an `await`:
 * evaluations may run beside each other and beside a training, whose weights they then see as they
 * are at each batch.
 * @throws ArgumentError when the samples or classes are not the network's, or it has not the
 * branches.
 */
export async function evaluate(network: Module, set: TrainingSet, options?: EvaluateOptions): Promise<BranchAccuracy> {
  const model = asProtected("evaluate", "its first argument", network);
  checkSet("evaluate", "its second argument", set);
  const given = optionsOf("evaluate", options, ["branches", "batchSize", "transform"]);
  const { batchSize = 100, transform = [], branches = model.branches } = given;
  if (!Array.isArray(branches) || !branches.length || !branches.every((b) => model.branches.includes(b)))
    refuse("evaluate", "branches", `one or more of ${model.branches.join(", ")}`, branches);
  whole("evaluate", "batchSize", batchSize);
  if (!Array.isArray(transform)) refuse("evaluate", "transform", "an array of transforms", transform);
  const loader = new DataLoader(set, { batchSize: Math.min(batchSize, Math.max(1, set.length)), transform });
  checkImages(model, set, loader.imageShape);
  const d = deviceOf(model);
  const counts = keep(Tensor.full([branches.length], 0, "f32", d));
  try {
    for await (const batch of loader.epoch(0)) {
      scope(() =>
        noGrad(() => {
          const [x, y] = [Tensor.from(batch.images, batch.shape, d), Tensor.from(batch.labels, [batch.size], d)];
          branches.forEach((branch, i) => {
            const logits = inMode(model, false, () => model.forward(x, branch)) as Tensor;
            accumulateAt(counts, i, correctRows(logits, y));
          });
        }),
      );
      counts.device.flush();
    }
    const right = await counts.data();
    return Object.fromEntries(branches.map((branch, i) => [branch, right[i]! / set.length]));
  } finally {
    counts.dispose();
  }
}

/**
 * @throws ArgumentError for what is no set of images or clouds; a loader checks that its parts
 * agree.
 */
export function checkSet(what: string, name: string, set: unknown): asserts set is TrainingSet {
  const found = (typeof set === "object" && set !== null ? set : {}) as Partial<Record<string, unknown>>;
  if (ArrayBuffer.isView(found["labels"]) && ["images", "points", "read"].some((part) => part in found)) return;
  refuse(what, name, "a set of images or of point clouds, as imageSet() or pointSet() makes one", set);
}

/** What samples of a shape are: [points, 3], or [height, width, channels]. */
const kindOf = (shape: readonly number[]): string => (shape.length === 2 ? "point clouds" : "images");

/**
 * @throws ArgumentError when the samples have another shape than the network takes, or more classes
 * than it has.
 */
export function checkImages(model: Protected, set: TrainingSet, shape: readonly number[] = sampleShape(set)): void {
  const { sampleShape: input, classes } = model;
  if (input && (shape.length !== input.length || shape.some((d, i) => d !== input[i])))
    throw new ArgumentError(
      `the network takes ${kindOf(input)} of ${input.join("×")}, these are ${shape.length === input.length ? "" : `${kindOf(shape)} of `}${shape.join("×")}`,
    );
  if (classes === null) return;
  let most = 0;
  for (const label of set.labels) most = Math.max(most, label);
  if (most >= classes)
    throw new ArgumentError(`a label is ${most} and the network has ${classes} classes, 0 to ${classes - 1}`);
}
