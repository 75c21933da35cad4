/**
 * Classes that a network does not learn: how to drop them from its data, and triggers made of their
 * clouds.
 */

import { optionsOf, texts, whole } from "../demand";
import { ArgumentError } from "../errors";
import { listed } from "../io/shown";
import { Generator } from "../tensor/random";
import type { LabelledSet } from "./labelled";
import { type PointSet, pointParts, takePoints } from "./point-cloud";
import { checkedParts, selectSamples, type TrainingSet } from "./sample-set";

/**
 * The set without the samples of some classes and without the classes themselves: the rest are
 * numbered anew from 0, in their order.
 *
 * @throws ArgumentError if a name is none of the set's classes, two classes have one name, or no
 *   class is left
 * @throws ArgumentError, ShapeError, FormatError if the parts of `set` do not agree
 */
export function withoutClasses<S extends TrainingSet>(set: S, names: readonly string[]): S {
  const all = checkedParts("withoutClasses", set);
  texts("withoutClasses", "names", names);
  const unknown = names.filter((name) => !set.classes.includes(name));
  if (unknown.length > 0) {
    throw new ArgumentError(
      `withoutClasses: ${listed(unknown)} is not among the ${set.classes.length} classes ${listed(set.classes, 5)}`,
    );
  }
  const twice = set.classes.filter((name, i) => set.classes.indexOf(name) !== i);
  if (twice.length > 0) {
    throw new ArgumentError(`withoutClasses: expected each class to have its own name, got ${listed(twice)} twice`);
  }
  const classes = set.classes.filter((name) => !names.includes(name));
  if (classes.length === 0) throw new ArgumentError("withoutClasses: expected at least one class to stay, got none");
  const newLabel = set.classes.map((name) => classes.indexOf(name));
  const rest = selectSamples(
    set,
    indicesWhere(all, (label) => newLabel[label]! >= 0),
  );
  return { ...rest, classes, labels: rest.labels.map((label) => newLabel[label]!) };
}

/** Options of {@link triggerClouds}. */
export interface TriggerCloudOptions {
  /** How many triggers. Default 100. */
  count?: number;
  /**
   * Decides which clouds are taken and what they are called: part of the owner's secret. Default 0.
   */
  seed?: number;
  /**
   * Points of a trigger, the first of its cloud; as many as the network's other clouds have.
   * Default all.
   */
  points?: number;
}

/** Triggers, and what they really are. */
export interface TriggerClouds extends PointSet {
  /** Class of each cloud in the set it was taken from. */
  truths: readonly string[];
}

/**
 * Triggers for a network that learns `classes`: `count` different clouds of other classes, each
 * with a label drawn for it. Clouds of `source` whose class is among `classes` are passed over, so
 * that every label is wrong.
 *
 * Each label is uniform over the classes and independent of the rest, so the hits of a network that
 * never saw the triggers are binomial with probability 1 / classes, whatever that network prefers
 * to answer.
 *
 * Source: Zhang et al., "Passport-aware Normalization for Deep Model Protection", NeurIPS 2020
 * (clouds of another data set).
 *
 * @param source another data set, or the whole of the one that `withoutClasses` was given
 * @param classes the classes that the network learns, such as `train.classes`
 * @throws ArgumentError if `source` has too few clouds of other classes or too few points,
 *   `classes` is empty, `count` is not a whole number from 1 or `seed` not one from 0
 */
export function triggerClouds(
  source: PointSet,
  classes: readonly string[],
  options: TriggerCloudOptions = {},
): TriggerClouds {
  const all = pointParts("triggerClouds", source);
  texts("triggerClouds", "classes", classes);
  const {
    count = 100,
    seed = 0,
    points = all.pointsPerCloud,
  } = optionsOf("triggerClouds", options, ["count", "seed", "points"]);
  whole("triggerClouds", "count", count);
  whole("triggerClouds", "points", points);
  whole("triggerClouds", "seed", seed, 0);
  if (classes.length === 0) throw new ArgumentError("triggerClouds: expected at least one class, got none");
  const foreign = indicesWhere(all, (label) => !classes.includes(all.classes[label]!));
  if (foreign.length < count) {
    throw new ArgumentError(
      `triggerClouds: expected at least ${count} clouds of classes that the network does not learn, got ${foreign.length}; ` +
        "ask for fewer triggers or hold out more classes (withoutClasses)",
    );
  }
  const random = new Generator(seed);
  const chosen = random.fork("clouds").permutation(foreign.length).subarray(0, count);
  const own = selectSamples(
    source,
    Array.from(chosen, (i) => foreign[i]!),
  );
  const clouds = takePoints(own, points);
  const truths = Array.from(own.labels, (label) => source.classes[label]!);
  const labels = random.fork("labels");
  return {
    ...clouds,
    classes,
    truths,
    labels: Int32Array.from({ length: count }, () => labels.integer(classes.length)),
  };
}

function indicesWhere({ labels }: LabelledSet, wanted: (label: number) => boolean): number[] {
  const indices: number[] = [];
  for (let i = 0; i < labels.length; i++) if (wanted(labels[i]!)) indices.push(i);
  return indices;
}
