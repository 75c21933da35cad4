import type { QuickstartReport } from "../src/index";
import { madeUpFiles } from "./files-fixture";
import { madeUpVerdict } from "./verdict-fixture";

/** Park and Miller's generator: the same made-up run every time. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

/**
 * A made-up run that looks like a real one: three passport layers, bits found, 24 forged passports
 * near chance.
 */
export function madeUpReport(widths: readonly number[] = [64, 64, 128]): QuickstartReport {
  const random = generator(7);
  const normal = () => Math.sqrt(-2 * Math.log(random() + 1e-12)) * Math.cos(2 * Math.PI * random());
  const gamma = widths.map((width, i) => {
    const bits = Array.from({ length: width }, () => (random() < 0.5 ? -1 : 1));
    return {
      layer: `features.${i + 4}`,
      bits,
      owner: bits.map((b) => b * (0.1 + Math.abs(0.03 * normal()) - 0.012 * random())),
      forged: bits.map(() => 0.055 * normal()),
    };
  });
  const bits = widths.reduce((a, b) => a + b, 0);
  const steps = 400;
  const epochs = 8;
  return {
    adapter: { kind: "software", name: "llvmpipe (LLVM 19.1.7, 256 bits)" },
    seconds: 252,
    startedAt: "2026-03-14T09:26:53.000Z",
    train: {
      epochs,
      lossCurve: Array.from({ length: steps }, (_, step) => {
        const fall = Math.exp(-step / 130);
        const publicLoss = 0.85 + 1.45 * fall + 0.06 * Math.abs(normal());
        const privateLoss = 0.88 + 1.48 * fall + 0.06 * Math.abs(normal());
        const signLoss = 0.001 + 2.4 * Math.exp(-step / 45);
        return { step, loss: publicLoss + privateLoss + signLoss, publicLoss, privateLoss, signLoss };
      }),
      accuracyCurve: Array.from({ length: epochs }, (_, e) => ({
        epoch: e + 1,
        public: 0.72 - 0.42 * Math.exp(-e / 2.2),
        private: 0.714 - 0.43 * Math.exp(-e / 2.1),
        bits: Math.round(bits * (1 - 0.42 * Math.exp(-e / 0.7))),
      })).map((p, i) => (i === epochs - 1 ? { ...p, bits } : p)),
      images: 5000,
      batchSize: 64,
      imagesPerSecond: 187.4,
    },
    accuracy: {
      public: 0.7034,
      private: 0.6981,
      forged: Array.from({ length: 24 }, () => 0.1 + 0.012 * normal()),
      chance: 0.1,
    },
    signature: {
      text: "(c) 2026 ACME",
      decodedText: "(c) 2026 ACME",
      bits,
      matched: bits,
      pValue: 2 ** -bits,
      forgedMatched: Array.from({ length: 24 }, () => Math.round(bits / 2 + (Math.sqrt(bits) / 2) * normal())),
      layers: widths.map((width, i) => ({ name: `features.${i + 4}`, bits: width, matched: width })),
    },
    gamma,
    verdict: madeUpVerdict("holds as released"),
    files: madeUpFiles("out/quickstart"),
    settings: {
      model: "AlexNet, quarter width",
      scheme: "pan",
      seed: 1,
      learningRate: 0.01,
      momentum: 0.9,
      weightDecay: 5e-4,
      alpha: 0.1,
    },
  };
}
