import { ArgumentError, FormatError, Generator } from "@pan/core";
import { type PointSet, selectSamples, type TriggerClouds, triggerClouds, withoutClasses } from "@pan/core/data";
import { loadModelNet40, type ModelNet } from "@pan/core/node";
import { type CloudSample, spread } from "../../report/src/index";
import { progressBar } from "../progress";
import type { Settings } from "./settings";

export interface Data {
  train: PointSet;
  test: PointSet;
  triggers: TriggerClouds | null;
}

/**
 * The clouds a run asks for.
 * @throws FormatError when they are not there; the message says how to get them.
 */
export async function loadData(s: Settings): Promise<Data> {
  const all = await load(s);
  const dropped = s.classes ? others(all.train, s.classes) : [];
  const kept = (set: PointSet) => (dropped.length ? withoutClasses(set, dropped) : set);
  const train = some(kept(all.train), s.clouds, s.seed);
  return {
    train,
    test: some(kept(all.test), s.testClouds, s.seed),
    triggers: s.triggers
      ? triggerClouds(all.train, train.classes, { count: s.triggers, seed: s.seed, points: s.points })
      : null,
  };
}

/** The classes that are not learnt. */
function others({ classes }: PointSet, wanted: readonly string[]): string[] {
  const unknown = wanted.filter((name) => !classes.includes(name));
  if (unknown.length)
    throw new ArgumentError(`--classes: of ${classes.join(", ")} expected, found ${unknown.join(", ")}`);
  return classes.filter((name) => !wanted.includes(name));
}

/** At most so many clouds, drawn by the seed: files lie in the order of classes. */
export function some(set: PointSet, most: number, seed: number): PointSet {
  if (most >= set.length) return set;
  return selectSamples(set, [...new Generator(seed).fork("clouds").permutation(set.length).subarray(0, most)]);
}

async function load({ data, points }: Settings): Promise<ModelNet> {
  const bar = progressBar("reading  {bar} {percentage} %  {value} of {total} clouds");
  const started = performance.now();
  let shown = false;
  try {
    return await loadModelNet40(data, {
      points,
      onProgress({ done, total }) {
        // Two large files are read in a second; only thousands of small ones are worth a bar.
        if (!shown && performance.now() - started < 2000) return;
        if (!shown) bar.start(total, done);
        shown = true;
        bar.update(done);
      },
    });
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new FormatError(`${cause.message} Name another folder with --data or $PAN_DATA.`, { cause });
  } finally {
    if (shown) bar.stop();
  }
}

/** Triggers as the report draws them: the first dozen, thinned. */
export function drawnTriggers({ points, pointsPerCloud, labels, classes, truths }: TriggerClouds): CloudSample[] {
  return Array.from({ length: Math.min(12, labels.length) }, (_, i) => {
    const at = (k: number) => 3 * (i * pointsPerCloud + k);
    const all = Array.from({ length: pointsPerCloud }, (_, k): [number, number, number] => [
      points[at(k)]!,
      points[at(k) + 1]!,
      points[at(k) + 2]!,
    ]);
    return { points: spread(all), label: classes[labels[i]!]!, truth: truths[i]! };
  });
}
