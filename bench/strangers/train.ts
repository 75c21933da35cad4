/** Small networks that are strangers to each other: the same data and recipe, other seeds. */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { SafetensorsFile } from "@pan/core";
import { cifarTransform, type ImageSet, parseCifar10, subset } from "@pan/core/data";
import { buildNetwork, type ConvNetConfig } from "@pan/core/models";
import { loadSafetensors, saveSafetensors } from "@pan/core/node";
import { cosineLR, SGD } from "@pan/core/optim";
import { evaluate, Trainer } from "@pan/core/train";

/** Four convolutions: behind the first three another one is wide enough to be compared. */
const NETWORK: ConvNetConfig = {
  classes: 10,
  input: [32, 32, 3],
  layers: [
    { channels: 32, kernel: 5, padding: 2, stride: 2 },
    "pool",
    { channels: 32, kernel: 3, padding: 1 },
    "pool",
    { channels: 48, kernel: 3, padding: 1 },
    { channels: 48, kernel: 3, padding: 1 },
  ],
  scheme: "plain",
};

/** How each of them is trained. */
export interface Recipe {
  epochs: number;
  /** Of the committed sample, the first so many. */
  images: number;
}

/** A trained network. */
export interface Stranger {
  file: SafetensorsFile;
  /** Share of the sample's 1,000 test images. */
  accuracy: number;
}

/** Images of the committed sample of CIFAR-10. */
export async function loadSample({ images }: Pick<Recipe, "images">): Promise<{ train: ImageSet; test: ImageSet }> {
  const read = async (name: string) =>
    parseCifar10(await readFile(new URL(`../../examples/data/${name}`, import.meta.url)), { source: name });
  return { train: subset(await read("train_sample.bin"), 0, images), test: await read("test_sample.bin") };
}

/**
 * Network number `index`, from its file where it was trained before. All have initial weights of
 * their own; those with even numbers see the images in one and the same order.
 */
export async function stranger(
  index: number,
  recipe: Recipe,
  out: string,
  { train, test }: { train: ImageSet; test: ImageSet },
): Promise<Stranger> {
  const folder = join(out, `${recipe.epochs}x${recipe.images}`);
  const path = join(folder, `${index}.safetensors`);
  if (existsSync(path)) {
    const file = await loadSafetensors(path);
    return { file, accuracy: Number(file.metadata["accuracy"]) };
  }
  await mkdir(folder, { recursive: true });
  const model = buildNetwork(NETWORK, { seed: index + 1 });
  const optimizer = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 5e-4, nesterov: true });
  const trainer = new Trainer(model, optimizer, {
    batchSize: 50,
    seed: index % 2 ? index + 1 : 0,
    transform: cifarTransform("train"),
    testTransform: cifarTransform("test"),
    schedule: cosineLR({ epochs: recipe.epochs, warmup: Math.min(1, recipe.epochs / 2) }),
  });
  for await (const _ of trainer.fit(train, { epochs: recipe.epochs })) {
    // Accuracy is measured once, at the end.
  }
  const { public: accuracy } = await evaluate(model, test, { transform: cifarTransform("test") });
  const deployed = await model.deployed();
  model.dispose();
  optimizer.dispose();
  const file = { ...deployed, metadata: { ...deployed.metadata, accuracy: String(accuracy) } };
  await saveSafetensors(path, file.tensors, file.metadata);
  return { file, accuracy: accuracy! };
}
