import { type HostBatch, toTensors } from "../../data/batch";
import { DataLoader } from "../../data/loader";
import type { TrainingSet } from "../../data/sample-set";
import type { SampleTransform } from "../../data/samples";
import { ArgumentError, ShapeError } from "../../errors";
import { inMode } from "../../nn/mode";
import { deviceOf } from "../../nn/module";
import type { Branch } from "../../passport/branches";
import { asProtected, type Protected } from "../../passport/protected";
import type { Inputs } from "../../passport/trace";
import { showShape } from "../../tensor/shape";
import { scope } from "../../tensor/storage";
import { noGrad, Tensor } from "../../tensor/tensor";
import { evaluate } from "../../train/evaluate";
import { binomialPValue, matchThreshold } from "../statistics";
import type { Rejoined } from "./rejoin";

/** What a network makes of a trigger set. */
export interface TriggerHits {
  /** The branch that was asked. */
  branch: Branch;
  count: number;
  /** Triggers classified as assigned. */
  hits: number;
  /** P(X ≥ hits), X ~ Bin(count, 1 / outputs of the network). */
  pValue: number;
  /** Hits that guessing reaches with the false-positive rate at most. */
  threshold: number;
  holds: boolean;
}

/** Options of {@link triggerHits}, those of `verify`. */
interface TriggerCheck {
  triggers?: TrainingSet;
  transform?: readonly SampleTransform[];
  falsePositiveRate?: number;
}

/**
 * Outputs that a network has for a sample of a set. What guessing reaches follows from them, and
 * never from how many classes the set names: its writer chooses those.
 * @throws ShapeError for anything but a row of two outputs or more.
 */
export async function outputCount(
  model: Protected,
  set: TrainingSet,
  transform: readonly SampleTransform[] = [],
): Promise<number> {
  for await (const batch of new DataLoader(set, { batchSize: 1, transform }).epoch(0)) {
    const shape = scope(() =>
      noGrad(() => {
        const { inputs } = toTensors(batch as HostBatch, deviceOf(model));
        const outputs: unknown = inMode(model, false, () => model.forward(inputs as Inputs, model.branches[0]!));
        return outputs instanceof Tensor ? outputs.shape : null;
      }),
    );
    if (shape?.length === 2 && shape[1]! >= 2) return shape[1]!;
    throw new ShapeError(
      `triggers: outputs [1, classes] of two classes or more expected, found ${shape ? showShape(shape) : "no tensor"}`,
    );
  }
  throw new ArgumentError("triggers: one sample or more expected, found an empty set");
}

/**
 * Asks the given-away branch of a suspect for the trigger images: it takes no passport, so a black
 * box would do.
 * @throws ArgumentError for triggers of more classes than the network has outputs.
 */
export async function triggerHits(
  { model, isFolded, otherClasses, idle }: Pick<Rejoined, "model" | "isFolded" | "otherClasses" | "idle">,
  { triggers, transform, falsePositiveRate = 1e-6 }: TriggerCheck,
): Promise<{ hits: TriggerHits | null; reasons: string[] }> {
  if (!triggers) return { hits: null, reasons: [] };
  if (idle !== undefined) return { hits: null, reasons: ["no branch can run, and the triggers are not checked"] };
  if (otherClasses !== undefined)
    return {
      hits: null,
      reasons: ["the triggers' labels mean nothing to the suspect's own classifier: they are not checked"],
    };
  const network = isFolded ? asProtected("triggers", "the suspect", model.network) : model;
  const branch = network.branches[0]!;
  const share = await evaluate(network, triggers, { branches: [branch], transform });
  const count = triggers.length;
  const classes = await outputCount(network, triggers, transform);
  if (triggers.classes.length > classes)
    throw new ArgumentError(
      `triggers: labels of the network's ${classes} classes expected, found a set that names ${triggers.classes.length}: name the network's own`,
    );
  const hits = Math.round((share[branch] ?? 0) * count);
  const threshold = matchThreshold(count, falsePositiveRate, 1 / classes);
  const found = { branch, count, hits, pValue: binomialPValue(hits, count, 1 / classes), threshold };
  const holds = hits >= threshold;
  const reasons = [
    `${hits} of ${count} triggers are classified as assigned; ${threshold} are needed at a false-positive rate of ${falsePositiveRate.toExponential()}`,
  ];
  return { hits: { ...found, holds }, reasons };
}
