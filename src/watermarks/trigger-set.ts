import type { ImageSet } from "../data/sample-set";
import { isTransforms } from "../data/transform-kinds";
import type { ImageTransform } from "../data/transforms";
import { checkOptions } from "../demand";
import type { Module } from "../nn/module";
import { isRate } from "../ownership/check";
import { isDataset } from "../ownership/running/check-runs";
import { type TriggerHits, triggerHits } from "../ownership/running/triggers";
import { asProtected } from "../passport/protected";

/** Options of {@link detectTriggers}. */
export interface TriggerDetectionOptions {
  /** What is done to each image; the normalisation of the training. */
  transform?: readonly ImageTransform[];
  /** Largest probability that guessing is taken for the watermark (default 1e-6). */
  falsePositiveRate?: number;
}

/**
 * Asks a network for a trigger set: images with assigned labels that it was trained on beside its
 * task, by the trainer's `triggers`. Hits of guessing follow Bin(count, 1 / outputs of the
 * network).
 *
 * Source: Adi, Baum, Cisse, Pinkas, Keshet, "Turning your weakness into a strength: watermarking
 * deep neural networks by backdooring", USENIX Security 2018; attacked in Fan et al., "DeepIPR",
 * TPAMI 2021, section 3.2.2.
 * @throws ArgumentError when the images, their classes or the rate do not fit; ShapeError for a
 * network that gives anything but a row of two outputs or more.
 */
export async function detectTriggers(
  model: Module,
  triggers: ImageSet,
  options: TriggerDetectionOptions = {},
): Promise<TriggerHits> {
  const whole = asProtected("detectTriggers", "its first argument", model);
  isDataset("detectTriggers", "triggers", triggers);
  checkOptions("detectTriggers", options, { transform: isTransforms, falsePositiveRate: isRate });
  const { hits } = await triggerHits({ model: whole, isFolded: false }, { triggers, ...options });
  return hits!;
}
