import type { Target } from "../../src/attacks";
import { type PointSet, pointSet } from "../../src/data/point-cloud";
import { buildNetwork, type PointNetConfig } from "../../src/models";
import { Adam } from "../../src/optim";
import { Generator } from "../../src/tensor/random";
import { evaluate, Trainer } from "../../src/train";

/** Points of a tiny cloud. */
export const POINTS = 16;

/** All layers of a PointNet that can carry passports, in order. */
export const PLACES = ["convp1", "convp2", "convp3", "p1", "p2", "p3"] as const;

/**
 * A PointNet of an eighth of the channels for three classes: 8, 16, 128, 64 and 32, passports at
 * four layers of 128 + 64 + 32 + 3 bits.
 */
export const TINY_CLOUD: PointNetConfig = {
  arch: "pointnet",
  classes: 3,
  input: [POINTS, 3],
  width: 0.125,
  dropout: 0.1,
  scheme: "pan",
  passports: { convp3: true, p1: true, p2: "PAN!", p3: true },
};

/** n clouds that a small network separates: those of class c spread along axis c, in noise. */
export function tinyClouds(n: number, seed: number): PointSet {
  const random = new Generator(seed);
  const labels = Uint8Array.from({ length: n }, (_, i) => i % 3);
  const points = Float32Array.from({ length: n * POINTS * 3 }, (_, at) => {
    const along = at % 3 === labels[Math.floor(at / (POINTS * 3))];
    return random.uniform(-1, 1) * (along ? 1 : 0.3);
  });
  return pointSet({ points, labels, classes: ["along x", "along y", "along z"], pointsPerCloud: POINTS });
}

/**
 * A tiny PointNet trained until both branches classify and every bit is embedded, as an attacker
 * and its owner have it.
 */
async function train(seed: number): Promise<Target> {
  const model = buildNetwork(TINY_CLOUD, { seed });
  const optimizer = new Adam(model.parameters(), { lr: 5e-3, weightDecay: 1e-4 });
  const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5, signLoss: { alpha: 0.5 } });
  for await (const _ of trainer.fit(tinyClouds(120, 1), { epochs: 14 }));
  const test = tinyClouds(60, 2);
  const [deployed, credential] = [await model.deployed(), await model.credential(await evaluate(model, test))];
  optimizer.dispose();
  model.dispose();
  return { deployed, credential, test };
}

const trained = new Map<number, Promise<Target>>();

/**
 * One of each seed for all test files of a process: nobody changes it. Seeds decide how small the
 * variances are that a norm's ε is seen beside.
 */
export function trainedClouds(seed = 4): Promise<Target> {
  const known = trained.get(seed) ?? train(seed);
  trained.set(seed, known);
  return known;
}
