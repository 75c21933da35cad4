import {
  type AttackOptions,
  type AttackRecord,
  cifarTransform,
  fineTune,
  flipSigns,
  type ImageSet,
  imageSet,
  overwrite,
  prune,
  quantise,
  randomPassports,
  replaceScales,
  subset,
  type Target,
  type TrainingBudget,
  trainPassports,
  trainScales,
} from "../../src/index";
import type { Budget } from "./budget";

/** What an attack is given. */
export interface Setup {
  target: Target;
  /** Training images of the owner's task. */
  train: ImageSet;
  budget: Budget;
  options: AttackOptions;
}

/** Images, epochs and batches of an attack that trains. */
const training = ({ train, budget, options }: Setup): TrainingBudget => ({
  ...options,
  train: subset(train, 0, Math.min(budget.images, train.length)),
  epochs: budget.epochs,
  batchSize: budget.batchSize,
  transform: cifarTransform("train"),
});

/** Another task on the same pictures: animals against vehicles. */
function animals(set: ImageSet): ImageSet {
  const { images, height, width, channels, classes } = set;
  const isAnimal = classes.map((name) => !["airplane", "automobile", "ship", "truck"].includes(name));
  const labels = Uint8Array.from(set.labels, (l) => (isAnimal[l] ? 1 : 0));
  return imageSet({ images, labels, channels, height, width, classes: ["vehicle", "animal"] });
}

/** Every attack of the runner by name. */
export const ATTACKS = {
  "random-passports": ({ target, budget, options }: Setup) =>
    randomPassports(target, { ...options, draws: budget.draws }),
  "flip-signs": ({ target, budget, options }: Setup) => flipSigns(target, { ...options, shares: budget.shares }),
  prune: ({ target, budget, options }: Setup) => prune(target, { ...options, shares: budget.pruneShares }),
  quantise: ({ target, options }: Setup) => quantise(target, options),
  "fine-tune": (s: Setup) => {
    const t = training(s);
    return fineTune(s.target, { ...t, train: animals(t.train), test: animals(s.target.test) });
  },
  overwrite: (s: Setup) => overwrite(s.target, { ...training(s), lr: 0.01 }),
  "train-scales": (s: Setup) => trainScales(s.target, { ...training(s), shares: s.budget.shares }),
  "train-passports": (s: Setup) =>
    trainPassports(s.target, { ...training(s), variant: "near", shares: s.budget.shares }),
  "replace-scales": (s: Setup) => replaceScales(s.target, training(s)),
} satisfies Record<string, (setup: Setup) => Promise<AttackRecord>>;

export type AttackName = keyof typeof ATTACKS;
