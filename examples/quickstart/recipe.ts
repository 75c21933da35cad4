/** What the quickstart trains, and how: in Node, and in the page of `web/`. */
import { CIFAR_MEAN, CIFAR_STD, cifarTransform, type ImageSet } from "@pan/core/data";
import type { ConvNetConfig } from "@pan/core/models";
import { cosineLR, SGD } from "@pan/core/optim";
import { boundTriggers, type DerivedClaim, type TriggerSpec, triggersLike } from "@pan/core/ownership";
import type { Protected } from "@pan/core/passport";
import { Trainer, type TrainerOptions } from "@pan/core/train";

/**
 * A network small enough for two CPU cores: four convolutions, the last two with passports, the
 * text in the last: 224 bits follow from the claim.
 */
export const SIGNATURE = "ACME";
/**
 * What the owner says of it: passports and all bits beyond the text follow from this and a secret.
 */
export const STATEMENT = "Trained by ACME, with @pan/core";
export const CONFIG: ConvNetConfig = {
  classes: 10,
  input: [32, 32, 3],
  layers: [
    { channels: 24, kernel: 5, padding: 2, stride: 2 },
    "pool",
    { channels: 48, kernel: 3, padding: 1 },
    "pool",
    { channels: 128, kernel: 3, padding: 1 },
    { channels: 128, kernel: 1 },
  ],
  scheme: "pan",
  passports: { 4: true, 5: SIGNATURE },
};

/** How it is trained. */
export interface Recipe {
  epochs: number;
  batchSize: number;
  lr: number;
  momentum: number;
  weightDecay: number;
  /** Inputs that follow from the secret, learnt beside the task; 0 for none. */
  triggers: number;
  /** How many of them join each batch. */
  triggerBatch: number;
  /** How far the weights are moved against them, as a share of their norm; 0 for not at all. */
  triggerPerturbation: number;
  /** Decides weights and order; the secret behind the passports is fresh in every run. */
  seed: number;
}

/** The recipe that README tells of. */
export const RECIPE: Recipe = {
  epochs: 6,
  batchSize: 50,
  lr: 0.05,
  momentum: 0.9,
  weightDecay: 5e-4,
  triggers: 64,
  triggerBatch: 12,
  triggerPerturbation: 0,
  seed: 1,
};

/** Triggers of a recipe, for the binding; null for none. */
export const triggersOf = (train: ImageSet, { triggers }: Pick<Recipe, "triggers">): TriggerSpec | null =>
  triggers
    ? triggersLike(train, { count: triggers, groups: 1, normalize: { mean: CIFAR_MEAN, std: CIFAR_STD } })
    : null;

/** A trainer by a recipe. */
export function trainerOf(
  model: Protected,
  claim: DerivedClaim,
  { lr, momentum, weightDecay, batchSize, seed, epochs, triggers, triggerBatch, triggerPerturbation }: Recipe,
  more: Pick<TrainerOptions, "checkpoints" | "onProgress" | "readEvery">,
): Trainer {
  const optimizer = new SGD(model.parameters(), { lr, momentum, weightDecay, nesterov: true });
  return new Trainer(model, optimizer, {
    batchSize,
    seed,
    transform: cifarTransform("train"),
    testTransform: cifarTransform("test"),
    schedule: cosineLR({ epochs, warmup: Math.min(1, epochs / 2) }),
    ...(triggers && { triggers: boundTriggers(claim, { batchSize: triggerBatch, perturbation: triggerPerturbation }) }),
    ...more,
  });
}
