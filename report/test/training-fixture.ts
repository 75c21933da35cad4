import { binomialPValue, matchThreshold } from "@pan/core/ownership";
import type { BranchAccuracy } from "@pan/core/passport";
import { branchesOf, type Scheme } from "@pan/core/passport";
import type { CloudSample, TrainingReport } from "../src/index";
import type { Samples } from "../src/samples";
import { madeUpVerdict } from "./verdict-fixture";

/** Park and Miller's generator: the same made-up run every time. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

const TITLES = { plain: "plain", v1: "V1", v2: "V2", v3: "V3", pan: "passport-aware normalisation" };

/** A made-up shape: points on a ball. */
export function madeUpCloud(size: number, truth = "bowl", label = "chair"): CloudSample {
  const random = generator(size);
  const points = Array.from({ length: size }, (): CloudSample["points"][number] => {
    const [turn, z] = [2 * Math.PI * random(), 2 * random() - 1];
    const radius = Math.sqrt(1 - z * z);
    return [radius * Math.cos(turn), radius * Math.sin(turn), z];
  });
  return { points, label, truth };
}

/**
 * A made-up run that looks like a real one: AlexNet with three passport layers, ten forged
 * passports near chance.
 */
export function madeUpTraining(scheme: Scheme, epochs = 60, samples?: Samples): TrainingReport {
  const random = generator(11);
  const normal = () => Math.sqrt(-2 * Math.log(random() + 1e-12)) * Math.cos(2 * Math.PI * random());
  const marked = scheme !== "plain";
  const widths = marked ? [256, 384, 256] : [];
  const bits = widths.reduce((a, b) => a + b, 0);
  const names = widths.map((_, i) => `features.${i + 4}`);
  const branches = branchesOf(scheme);
  const shares = (share: (offset: number) => number): BranchAccuracy =>
    Object.fromEntries(branches.map((branch, i) => [branch, Math.min(1, Math.max(0, share(i)))]));
  const step = (i: number) => {
    const branchLoss = () => 0.35 + 1.9 * Math.exp(-i / 90) + 0.05 * Math.abs(normal());
    const has = (branch: (typeof branches)[number]) => (branches.includes(branch) ? branchLoss() : 0);
    const parts = { publicLoss: has("public"), privateLoss: has("private"), passportLoss: has("passport") };
    const signLoss = marked ? 0.002 + 3.1 * Math.exp(-i / 25) : 0;
    const loss = parts.publicLoss + parts.privateLoss + parts.passportLoss + signLoss;
    return { step: 50 * (i + 1), loss, ...parts, signLoss };
  };
  const curve: TrainingReport["epochs"] = Array.from({ length: epochs }, (_, e) => ({
    epoch: e + 1,
    loss: 0.4 * branches.length + 2.2 * Math.exp(-e / 9),
    ...shares((offset) => 0.884 - 0.5 * Math.exp(-e / 8) - 0.005 * offset + 0.004 * normal()),
    ...(scheme === "v3" ? { triggers: shares(() => 1 - 0.9 * Math.exp(-e / 5) + 0.02 * normal()) } : {}),
    bitsMatched: e === epochs - 1 ? bits : Math.round(bits * (1 - 0.45 * Math.exp(-e / 3))),
    bits,
    seconds: 41 + 2 * random(),
  }));
  const mean = (e: BranchAccuracy) => branches.reduce((sum, branch) => sum + e[branch]!, 0) / branches.length;
  const best = [...curve].sort((a, b) => mean(b) - mean(a))[0];
  return {
    title: `AlexNet, ${TITLES[scheme]}, CIFAR-10`,
    command: `npx tsx examples/cifar10.ts --scheme ${scheme} --epochs ${epochs} --seed 1`,
    adapter: { kind: "discrete GPU", name: "NVIDIA H200" },
    startedAt: "2026-03-14T09:26:53.000Z",
    seconds: 43 * epochs + 120,
    network: { arch: "AlexNet", scheme, parameters: 2_473_610, passportLayers: names },
    data: { train: 50_000, test: 10_000, triggers: scheme === "v3" ? 100 : 0, ...(samples && { samples }) },
    settings: {
      batchSize: 64,
      learningRate: 0.01,
      momentum: 0.9,
      weightDecay: 5e-4,
      milestones: "100, 150",
      augment: true,
    },
    steps: Array.from({ length: 400 }, (_, i) => step(i)),
    epochs: curve,
    best: best
      ? { epoch: best.epoch, accuracy: Object.fromEntries(branches.map((branch) => [branch, best[branch]!])) }
      : null,
    chance: 0.1,
    signature: marked
      ? {
          text: "(c) 2026 ACME",
          decodedText: "(c) 2026 ACME",
          bits,
          matched: bits,
          pValue: binomialPValue(bits, bits),
          threshold: matchThreshold(bits),
          layers: widths.map((width, i) => ({ name: names[i]!, bits: width, matched: width })),
        }
      : null,
    triggers: scheme === "v3" ? { count: 100, hits: 99, pValue: 9.01e-98, threshold: 27, branch: "public" } : null,
    forged: marked
      ? Array.from({ length: 10 }, () => ({
          accuracy: 0.1 + 0.015 * normal(),
          matched: Math.round(bits / 2 + (Math.sqrt(bits) / 2) * normal()),
        }))
      : [],
    verdict: marked ? madeUpVerdict("holds", { bits: 792 }) : null,
    files: [
      {
        path: `out/${scheme}/deployed.safetensors`,
        bytes: 9_894_440,
        about: "To hand out: the network alone.",
      },
      { path: `out/${scheme}/report.json`, bytes: 81_112, about: "The record behind this page." },
      ...(marked
        ? [
            {
              path: `out/${scheme}/owner.credential.safetensors`,
              bytes: 4_100_112,
              about: "Keep secret: the passports and the signature.",
            },
          ]
        : []),
    ],
  };
}
