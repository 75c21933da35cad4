/** A set in two: what a network learns from, and what it is tested with. */

import { optionsOf, whole, within } from "../demand";
import { ArgumentError } from "../errors";
import { Generator } from "../tensor/random";
import { type AnyDataset, dataset, isDataset } from "./dataset";
import { checkedParts, selectSamples, type TrainingSet } from "./sample-set";

/** Options of {@link trainTestSplit}. */
export interface SplitOptions {
  /** Share of the samples that are for testing. Default 0.2. */
  test?: number;
  /** Decides which. Default 0. */
  seed?: number;
}

/**
 * Splits a set at random, each class for itself: of n samples of a class round(n · test) are for
 * testing, but never all. Both parts keep the order of the set. Which sample of a class goes where
 * depends on the seed, the class and how many it has alone. A general data set, whose classes
 * nobody knows, is split as one.
 *
 * @returns copies of images and clouds in memory; views of streams and general data sets
 * @throws ArgumentError if `test` is not in 0 … 1, or leaves one of the parts without a sample
 * @throws ArgumentError, ShapeError, FormatError if the parts of `set` do not agree
 */
export function trainTestSplit<S extends TrainingSet | AnyDataset>(
  set: S,
  options: SplitOptions = {},
): { train: S; test: S } {
  const { test: share = 0.2, seed = 0 } = optionsOf("trainTestSplit", options, ["test", "seed"]);
  within("trainTestSplit", "test", share, 0, 1);
  whole("trainTestSplit", "seed", seed, 0);
  const random = new Generator(seed);
  const [train, test]: [number[], number[]] = [[], []];
  for (const [label, members] of groupsOf(set)) {
    const count = Math.min(Math.round(members.length * share), members.length - 1);
    const chosen = new Set(random.fork(label).permutation(members.length).subarray(0, count));
    for (const [i, index] of members.entries()) (chosen.has(i) ? test : train).push(index);
  }
  if (train.length === 0 || test.length === 0) {
    throw new ArgumentError(
      `trainTestSplit: expected samples on both sides, but ${share} of ${set.length} leaves ${train.length} to train ` +
        `and ${test.length} to test`,
    );
  }
  const inOrder = (indices: number[]) =>
    selectSamples(
      set,
      indices.sort((a, b) => a - b),
    );
  return { train: inOrder(train), test: inOrder(test) };
}

/** Indices of the samples of each class that has some. */
function groupsOf(set: TrainingSet | AnyDataset): Map<number, number[]> {
  const { length, labels } = isDataset(set)
    ? { length: dataset(set).length, labels: undefined }
    : checkedParts("trainTestSplit", set);
  const groups = new Map<number, number[]>();
  for (let i = 0; i < length; i++) {
    const label = labels?.[i] ?? 0;
    const members = groups.get(label);
    if (members) members.push(i);
    else groups.set(label, [i]);
  }
  return groups;
}
