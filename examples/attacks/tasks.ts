/** The data that a network was trained on, and other tasks that somebody may train it on for. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ArgumentError, Generator } from "@pan/core";
import {
  cifarTransform,
  type ImageSet,
  imageSet,
  type PointSet,
  parseCifar10,
  pointTransform,
  type SampleSet,
  type SampleTransform,
  selectSamples,
  subset,
  triggerClouds,
  withoutClasses,
} from "@pan/core/data";
import { loadCifar10, loadCifar100, loadImageFolder, loadImageRecords, loadModelNet40 } from "@pan/core/node";
import type { DataSource } from "../experiment";
import { some } from "../modelnet40/data";
import { say } from "../show";
import type { Budget } from "./budget";

/** A classification task. */
export interface Task {
  name: string;
  train: SampleSet;
  test: SampleSet;
}

/** The owner's task, and what goes with it. */
export interface TaskData extends Task {
  transform: (use: "train" | "test") => readonly SampleTransform[];
  /**
   * The test samples that the owner's accuracies were measured on; `test` are the first of them.
   */
  claimed: SampleSet;
  /** Triggers that networks with a trigger set were trained on. */
  triggers: SampleSet | null;
  /**
   * Tasks of others, for fine-tuning: those that are there, read when they are asked for.
   * @throws FormatError for what is there and damaged.
   */
  others(): Promise<readonly Task[]>;
}

/** The first of them. */
export const cut = <S extends SampleSet>(set: S, most: number): S => subset(set, 0, Math.min(most, set.length));

/** In another order: files may lie class by class, and attackers take the first. */
const mixed = <S extends ImageSet | PointSet>(set: S): S =>
  selectSamples(set, [...new Generator(0).fork("order").permutation(set.length)]);

/** Small pictures in folders of classes, in `train` and `test`. */
async function pictures(folder: string): Promise<Sets> {
  const { set: train } = await loadImageFolder(join(folder, "train"), { size: 32 });
  const { set: test } = await loadImageFolder(join(folder, "test"), { size: 32, classes: train.classes });
  return { train, test };
}

/** Another task on the same pictures: animals against vehicles. */
function animals(set: ImageSet): ImageSet {
  const { images, height, width, channels, classes } = set;
  const isAnimal = classes.map((name) => !["airplane", "automobile", "ship", "truck"].includes(name));
  const labels = Uint8Array.from(set.labels, (l) => (isAnimal[l] ? 1 : 0));
  return imageSet({ images, labels, channels, height, width, classes: ["vehicle", "animal"] });
}

type Sets = { train: ImageSet; test: ImageSet };

/**
 * Other pictures than CIFAR-10, in the forms that they may have; the first that is there is read.
 */
const OTHERS: readonly { name: string; forms: Readonly<Record<string, (path: string) => Promise<Sets>>> }[] = [
  { name: "CIFAR-100", forms: { "cifar-100-binary": (path) => loadCifar100(path), cifar100: pictures } },
  { name: "Caltech-101", forms: { "caltech-101-32": loadImageRecords, caltech101: pictures } },
];

/** Made when it is first asked for. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

async function loadImages(folder: string, { tests }: DataSource, { testImages }: Budget): Promise<TaskData> {
  const { train, test: all } = await loadCifar10(folder);
  const claimed = cut(all, tests.count);
  const test = cut(claimed, testImages);
  const source = "trigger_set.bin";
  const others = async ({ name, forms }: (typeof OTHERS)[number]): Promise<Task[]> => {
    const form = Object.keys(forms).find((inner) => existsSync(join(folder, inner)));
    if (form === undefined) {
      say(`left out   ${name}: ${Object.keys(forms).join(" or ")} expected in ${folder}, found neither`);
      return [];
    }
    const found = await forms[form]!(join(folder, form));
    return [{ name, train: mixed(found.train), test: cut(mixed(found.test), testImages) }];
  };
  return {
    name: "CIFAR-10",
    train,
    test,
    claimed,
    transform: cifarTransform,
    triggers: parseCifar10(await readFile(new URL(`../data/${source}`, import.meta.url)), { source }),
    others: once(async () => {
      const tasks: Task[] = [
        { name: "CIFAR-10, animals against vehicles", train: animals(train), test: animals(test) },
      ];
      for (const other of OTHERS) tasks.push(...(await others(other)));
      return tasks;
    }),
  };
}

async function loadClouds(folder: string, source: DataSource, { testImages }: Budget): Promise<TaskData> {
  const all = await loadModelNet40(folder, source.points === undefined ? {} : { points: source.points });
  const learnt = source.classes ?? all.train.classes;
  const dropped = all.train.classes.filter((name) => !learnt.includes(name));
  const train = mixed(dropped.length ? withoutClasses(all.train, dropped) : all.train);
  const { triggers, tests } = source;
  const claimed = some(dropped.length ? withoutClasses(all.test, dropped) : all.test, tests.count, tests.seed ?? 0);
  const otherClasses = (): Task => ({
    name: "ModelNet40, its other classes",
    train: mixed(withoutClasses(all.train, [...learnt])),
    test: cut(mixed(withoutClasses(all.test, [...learnt])), testImages),
  });
  return {
    name: "ModelNet40",
    train,
    test: cut(mixed(claimed), testImages),
    claimed,
    transform: pointTransform,
    triggers: triggers
      ? triggerClouds(all.train, train.classes, { ...triggers, ...(source.points && { points: source.points }) })
      : null,
    others: once(async () => (dropped.length ? [otherClasses()] : [])),
  };
}

/** What was read already: networks of one report mostly share their data. */
const loaded = new Map<string, Promise<TaskData>>();

/**
 * The data that the run in a folder says it was made with, read once for all runs that say the
 * same.
 * @throws ArgumentError when it says nothing, or names data that are not known.
 */
export async function loadTask(run: string, folder: string, budget: Budget): Promise<TaskData> {
  const path = join(run, "data.json");
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new ArgumentError(`${path} is not there: a folder that npm run cifar10 or modelnet40 left is expected`, {
      cause,
    });
  });
  const source = JSON.parse(text) as DataSource;
  const load = { "CIFAR-10": loadImages, ModelNet40: loadClouds, photographs: null }[source.name];
  const key = JSON.stringify([source, folder, budget.testImages]);
  if (load && !loaded.has(key)) loaded.set(key, load(folder, source, budget));
  const task = loaded.get(key);
  if (task) return task;
  throw new ArgumentError(`${path}: CIFAR-10 or ModelNet40 expected, found ${JSON.stringify(source)}`);
}
