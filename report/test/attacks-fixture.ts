import type { AttackRecord, Measurement, WatermarkRecord } from "@pan/core/attacks";
import { binomialPValue, matchThreshold, type NullSample } from "@pan/core/ownership";
import type { AttackedNetwork, AttackRuns, ClaimVerdict, ForgedClaim } from "../src/index";
import type { Samples } from "../src/samples";
import { attacksOf, BITS, generator, LAYERS, Recorder, type Scheme, TEXT, WIDTHS } from "./attacks-fixture-records";
import { madeUpVerdict } from "./verdict-fixture";

function nullOf(r: Recorder, kind: NullSample["kind"], deviation: number, size: number): NullSample {
  const matched = Array.from({ length: size }, () => Math.round(56 + deviation * r.normal()));
  const mean = matched.reduce((a, b) => a + b, 0) / size;
  const square = matched.reduce((sum, m) => sum + (m - mean) ** 2, 0);
  return { kind, bits: BITS, matched, mean, deviation: Math.sqrt(square / (size - 1)) };
}

const bitsOf = (text: string) =>
  [...new TextEncoder().encode(text)].flatMap((byte) =>
    Array.from({ length: 8 }, (_, k) => ((byte >> (7 - k)) & 1 ? 1 : -1)),
  );

/** Which layer carries the text; the others' bits are random. */
const TEXT_LAYER = 2;

function layersOf(r: Recorder): AttackedNetwork["claim"]["layers"] {
  return WIDTHS.map((bits, i) => {
    const text = i === TEXT_LAYER ? bitsOf(TEXT) : [];
    const signs = Array.from({ length: bits }, (_, k) => text[k] ?? (r.random() < 0.5 ? -1 : 1));
    return { name: LAYERS[i]!, bits, matched: bits, signs, gamma: signs.map((s) => s * (0.1 + 0.3 * r.random())) };
  });
}

/** A credential that fits, and is bound to nothing. */
function solved(r: Recorder): ForgedClaim {
  const { accuracy, bits, pValue } = r.measured(r.accuracy, r.accuracy, BITS);
  return {
    method: "solved passports",
    knowledge: ["the deployed network"],
    budget: { milliseconds: 20 },
    asInPapers: {
      ...{ bits, matched: BITS, pValue, accuracy, decodedText: "" },
      passes: true,
      reasons: ["112 of 112 signature bits match; 82 are needed"],
    },
    verdict: unbound(),
  };
}

const unbound = (): ClaimVerdict => ({
  ...madeUpVerdict("refused"),
  ...{ sentence: "The claim does not hold together: the credential is not bound to a secret.", statement: "" },
  ...{ mark: null, released: null },
});

/** V1 is not bound, PAN dated, the others are neither. */
const verdictFor = (scheme: Scheme): ClaimVerdict =>
  scheme === "v1" ? unbound() : madeUpVerdict(scheme === "pan" ? "holds as released" : "mark present");

/** Sizes of the longer samples. */
export interface Sizes {
  values: number;
  epochs: number;
  draws: number;
}

/** A network to which everything was done that the report knows, and one thing that it does not. */
export function madeUpNetwork(scheme: Scheme, sizes: Sizes = { values: 60, epochs: 5, draws: 40 }): AttackedNetwork {
  const triggers = scheme === "v3" ? 1 : undefined;
  const r = new Recorder(scheme, 0.9, triggers);
  const plain = (task: string, reached: number): AttackRecord => {
    const none = (accuracy: number): Measurement => ({
      accuracy: { public: accuracy },
      bits: 0,
      matched: 0,
      pValue: 1,
    });
    const budget = { task, images: 1000, epochs: 2, lr: 0.001, batchSize: 50 };
    const steps = [{ setting: { epoch: 2 }, after: none(reached) }];
    return { attack: "fine-tuning, RTAL", knowledge: [], budget, seed: 1, before: none(0.912), steps };
  };
  const values = (scale: number, middle: number) =>
    Array.from({ length: sizes.values }, () => middle + scale * r.normal());
  const channels = Array.from({ length: 10 }, () => r.normal());
  return {
    title: `AlexNet, ${scheme.toUpperCase()}, CIFAR-10`,
    command: `npm run attacks -- --run out/cifar10/alexnet-${scheme}`,
    adapter: { kind: "discrete GPU", name: "NVIDIA H200" },
    network: { arch: "alexnet", scheme, parameters: 2_473_610, passportLayers: LAYERS },
    chance: 0.1,
    testImages: 10_000,
    claim: {
      claimedText: TEXT,
      decodedText: TEXT,
      bits: BITS,
      matched: BITS,
      pValue: binomialPValue(BITS, BITS),
      threshold: matchThreshold(BITS),
      accuracy: r.before().accuracy,
      layers: layersOf(r),
      triggers:
        triggers === undefined
          ? null
          : { branch: "public", count: 100, hits: 100, pValue: 1e-100, threshold: 29, holds: true },
      passes: true,
      reasons: ["112 of 112 signature bits match; 82 are needed at a false-positive rate of 1e-6"],
    },
    verdict: verdictFor(scheme),
    seconds: { epoch: 19.01, inference: 0.83 },
    plain: { accuracy: 0.912, seconds: { epoch: 8.445, inference: 0.834 } },
    attacks: attacksOf(r),
    plainAttacks: [plain("CIFAR-100", 0.62), plain("Caltech-101", 0.733)],
    forgeries: [solved(r)],
    nulls: [nullOf(r, "credentials", 5.3, sizes.draws), nullOf(r, "networks", 9, 12)],
    convergence: {
      layer: LAYERS[0]!,
      epochs: Array.from({ length: sizes.epochs }, (_, e) => ({
        epoch: e + 1,
        gamma: channels.map((c) => c * (1 - Math.exp(-e / 6)) * 0.4 + 0.02 * r.normal()),
        beta: channels.map((c) => -0.2 * c * (1 - Math.exp(-e / 9)) + 0.01 * r.normal()),
        update: 2 * Math.exp(-e / 12) + 0.05,
        accuracy: r.measured(0.9 - 0.5 * Math.exp(-e / 8), 0.89 - 0.55 * Math.exp(-e / 8), BITS).accuracy,
      })),
    },
    distributions: {
      layer: LAYERS[0]!,
      own: {
        weights: values(0.05, 0),
        gamma: values(0.1, 0).map((v) => v + 0.25 * Math.sign(v)),
        beta: values(0.2, 0),
      },
      plain: { weights: values(0.05, 0), gamma: values(0.1, 0.6), beta: values(0.2, -0.3) },
    },
  };
}

/** The older methods, forged as well as the paper says. */
export function madeUpWatermarks(values = 60): WatermarkRecord[] {
  const random = generator(3);
  const sample = (low: number, high: number) => Array.from({ length: values }, () => low + (high - low) * random());
  const found = (accuracy: number, real: number, forged: number) => ({ accuracy, real, forged });
  return [
    {
      method: "feature watermark",
      count: 64,
      task: "CIFAR-10",
      trained: found(0.9097, 1, 1),
      fineTuned: [
        { task: "CIFAR-100", ...found(0.6425, 1, 1) },
        { task: "Caltech-101", ...found(0.7408, 1, 1) },
      ],
      forging: { steps: 50, seconds: 50 },
      values: { real: sample(-1, 1), forged: sample(-1, 1) },
      pValue: { real: 2 ** -64, forged: 2 ** -64 },
      seed: 1,
    },
    {
      method: "trigger set",
      count: 100,
      task: "CIFAR-10",
      trained: found(0.9103, 1, 1),
      fineTuned: [{ task: "CIFAR-100", ...found(0.652, 0.25, 0.28) }],
      forging: { steps: 100, seconds: 100 },
      values: { real: sample(0, 1), forged: sample(0.3, 1) },
      pValue: { real: 1e-100, forged: 1e-100 },
      seed: 1,
    },
  ];
}

/**
 * A network of each scheme, each with its kind of samples where it is given, and the older methods.
 */
export const madeUpRuns = (sizes?: Sizes, samples: readonly Samples[] = []): AttackRuns => ({
  networks: (["v1", "v2", "v3", "pan"] as const).map((scheme, i) => {
    const kind = samples[i];
    return { ...madeUpNetwork(scheme, sizes), ...(kind && { samples: kind }) };
  }),
  watermarks: madeUpWatermarks(sizes?.values),
});
