/** Networks that learn triggers, each with the data and the recipe it is trained by. */
import { manualSeed } from "@pan/core";
import {
  CIFAR_MEAN,
  CIFAR_STD,
  cifarTransform,
  type ImageSet,
  MODELNET10_CLASSES,
  type PointSet,
  pointTransform,
  type SampleTransform,
  withoutClasses,
} from "@pan/core/data";
import { alexNetConfig, buildNetwork, pointNetConfig, resNetConfig } from "@pan/core/models";
import { loadModelNet40 } from "@pan/core/node";
import { Adam, cosineLR, type Optimizer, type Schedule, SGD, stepLR } from "@pan/core/optim";
import { type Protected, protect } from "@pan/core/passport";
import { some } from "../../examples/modelnet40/data";
import { CONFIG } from "../../examples/quickstart/recipe";
import { PLACES, VisionTransformer } from "../../examples/vit/network";
import { loadSample } from "../strangers/train";

/** A network, and how it is trained beside its triggers. */
export interface Learner {
  epochs: number;
  batchSize: number;
  build: (seed: number) => Protected;
  /** Training samples, at most so many, and all tests. */
  load: (images: number) => Promise<{ train: ImageSet | PointSet; test: ImageSet | PointSet }>;
  transform: (split: "train" | "test") => readonly SampleTransform[];
  normalize?: { mean: readonly number[]; std: readonly number[] };
  optimizer: (model: Protected) => Optimizer;
  schedule: (epochs: number) => Schedule;
}

const pictures = {
  epochs: 6,
  batchSize: 50,
  load: (images: number) => loadSample({ images }),
  transform: cifarTransform,
  normalize: { mean: CIFAR_MEAN, std: CIFAR_STD },
  optimizer: (model: Protected) =>
    new SGD(model.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 5e-4, nesterov: true }),
  schedule: (epochs: number) => cosineLR({ epochs, warmup: Math.min(1, epochs / 2) }),
};

/** Clouds of the ten classes of ModelNet10, from the folder that `PAN_DATA` names. */
async function clouds(most: number) {
  const all = await loadModelNet40(process.env["PAN_DATA"] || "data", { points: 256 });
  const others = all.train.classes.filter((name) => !(MODELNET10_CLASSES as readonly string[]).includes(name));
  return {
    train: some(withoutClasses(all.train, others), most, 1),
    test: some(withoutClasses(all.test, others), 500, 1),
  };
}

export const LEARNERS: Readonly<Record<string, Learner>> = {
  quickstart: {
    ...pictures,
    build: (seed) => {
      const passports = Object.fromEntries(Object.keys(CONFIG.passports ?? {}).map((layer) => [layer, true]));
      return buildNetwork({ ...CONFIG, passports }, { seed });
    },
  },
  /** A quarter of the channels. */
  alexnet: {
    ...pictures,
    build: (seed) =>
      buildNetwork(alexNetConfig({ scheme: "pan", width: 0.25, passports: { 4: true, 5: true, 6: true } }), { seed }),
  },
  /** An eighth of the channels; passports in the last stage. */
  resnet9: {
    ...pictures,
    build: (seed) =>
      buildNetwork(resNetConfig([1, 1, 1, 1], { scheme: "pan", width: 8, passports: { layer4: true } }), { seed }),
  },
  vit: {
    ...pictures,
    build: (seed) => {
      manualSeed(seed);
      return protect(new VisionTransformer(), { scheme: "pan", at: PLACES, sample: [1, 32, 32, 3] });
    },
    optimizer: (model) => new Adam(model.parameters(), { lr: 1e-3, weightDecay: 1e-4 }),
  },
  /** An eighth of the channels, clouds of 256 points. */
  pointnet: {
    epochs: 12,
    batchSize: 16,
    build: (seed) =>
      buildNetwork(
        pointNetConfig({
          classes: MODELNET10_CLASSES.length,
          scheme: "pan",
          width: 0.125,
          points: 256,
          dropout: 0.2,
          branchStatistics: "separate",
          passports: { convp3: true, p1: true, p2: true },
        }),
        { seed },
      ),
    load: clouds,
    transform: pointTransform,
    optimizer: (model) => new Adam(model.parameters(), { lr: 0.002, weightDecay: 1e-4 }),
    schedule: () => stepLR({ stepSize: 4, gamma: 0.7 }),
  },
};
