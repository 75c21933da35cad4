/** Triggers of a claim as data: what a trainer, `evaluate` and `predict` take. */
import { pointSet } from "../../data/point-cloud";
import { imageSet, type SampleSet } from "../../data/sample-set";
import type { SampleTransform } from "../../data/samples";
import { normalize } from "../../data/transforms";
import type { TriggerSpec } from "./spec";
import type { TriggerInputs } from "./triggers";

/** Inputs and labels as a set that a trainer and `evaluate` take. */
export function triggerSet(
  { kind, shape, classes }: TriggerSpec,
  inputs: TriggerInputs,
  labels: Int32Array,
): SampleSet {
  if (kind === "clouds") {
    const points = inputs as Float32Array;
    return pointSet({ points, labels, classes: [...classes], pointsPerCloud: shape[0]! });
  }
  const [height, width, channels] = shape as [number, number, number];
  return imageSet({ images: inputs as Uint8Array, labels, classes: [...classes], height, width, channels });
}

/** What a claim says is done to its triggers before a network is given them, and nothing else. */
export const triggerTransform = ({ normalize: by }: TriggerSpec): readonly SampleTransform[] =>
  by ? [normalize(by.mean, by.std)] : [];
