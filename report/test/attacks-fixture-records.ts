import type { AttackRecord, AttackStep, Measurement } from "@pan/core/attacks";
import { binomialPValue } from "@pan/core/ownership";
import { branchesOf } from "@pan/core/passport";
import type { AttackedNetwork } from "../src/index";

export type Scheme = AttackedNetwork["network"]["scheme"];

const TENS = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
export const WIDTHS = [48, 32, 32];
export const BITS = 112;
export const TEXT = "ACME";
export const LAYERS = ["features.4", "features.5", "features.6"];

/** Park and Miller's generator: the same made-up records every time. */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

const clamp = (x: number) => Math.min(1, Math.max(0, Math.round(1000 * x) / 1000));

/** A record of made-up numbers; what is not said is as in a network that keeps its claim. */
export class Recorder {
  readonly random = generator(7);
  constructor(
    readonly scheme: Scheme,
    readonly accuracy: number,
    readonly triggers: number | undefined,
  ) {}

  normal(): number {
    return Math.sqrt(-2 * Math.log(this.random() + 1e-12)) * Math.cos(2 * Math.PI * this.random());
  }

  measured(open: number, secret: number, matched: number, triggers?: number): Measurement {
    const [first, second] = branchesOf(this.scheme);
    return {
      accuracy: { [first!]: clamp(second ? open : secret), ...(second && { [second]: clamp(secret) }) },
      bits: BITS,
      matched,
      pValue: binomialPValue(matched, BITS),
      ...(!second && { deployed: clamp(open) }),
      ...(triggers !== undefined && this.triggers !== undefined && { triggers }),
    };
  }

  before(): Measurement {
    return this.measured(this.accuracy, this.accuracy - 0.01, BITS, this.triggers);
  }

  record(attack: string, steps: AttackStep[], more: Partial<AttackRecord> = {}): AttackRecord {
    const knowledge = ["the deployed network"];
    return { attack, knowledge, budget: { data: "none" }, seed: 1, before: this.before(), steps, ...more };
  }
}

/** Every attack that the report knows, and one thing that it does not. */
export function attacksOf(r: Recorder): AttackRecord[] {
  const { accuracy: a } = r;
  const trained = { images: 1000, epochs: 2, lr: 0.01, batchSize: 50 };
  const images = { knowledge: ["the deployed network", "labelled images"], budget: trained };
  const step = (setting: AttackStep["setting"], after: Measurement, text?: string): AttackStep => ({
    setting,
    after,
    ...(text !== undefined && { text }),
  });
  const fineTuning = (task: string, reached: number, kept: number): AttackRecord =>
    r.record(
      "fine-tuning, RTAL",
      [1, 2].map((epoch) =>
        step({ epoch }, r.measured(reached - 0.1 / epoch, reached - 0.05, BITS - (kept < 0.3 ? 1 : 0), kept)),
      ),
      { ...images, budget: { task, ...trained, lr: 0.001 } },
    );
  const turned = (layers: readonly string[]): AttackRecord =>
    r.record(
      "turned signs",
      TENS.map((share) => {
        const lost = layers.reduce((sum, l) => sum + Math.round(share * WIDTHS[LAYERS.indexOf(l)]!), 0);
        const secret = 0.1 + (a - 0.11) * Math.max(0, 1 - (5 * lost) / BITS);
        const text = share === 0 ? TEXT : share < 0.3 ? "AcME" : "\ufffd~,\u0003";
        return step({ share }, r.measured(a, secret, BITS - lost), text);
      }),
      { budget: { data: "none", layers: layers.join(", ") } },
    );
  const disguises = ["channels shuffled", "channels scaled", "all of it"];
  return [
    fineTuning("CIFAR-100", 0.61, 0.25),
    fineTuning("Caltech-101", 0.71, 0.5),
    r.record(
      "class-blind pruning",
      TENS.map((share) => {
        const left = share <= 0.6 ? 1 : (1 - share) / 0.4;
        const matched = Math.round(BITS * (share <= 0.6 ? 1 : share === 1 ? 0 : 0.5 + 0.5 * left));
        return step({ share }, r.measured(0.1 + (a - 0.1) * left, 0.1 + (a - 0.11) * left, matched, left));
      }),
    ),
    r.record("weight quantisation", [
      step({ bits: 8 }, r.measured(a, a - 0.01, BITS, 1)),
      step({ bits: 4 }, r.measured(a - 0.03, a - 0.05, BITS - 1, 0.96)),
    ]),
    r.record(
      "overwriting",
      [1, 2].map((epoch) => step({ epoch }, r.measured(a - 0.01 * epoch, a - 0.03, BITS - 2 * epoch, 0.9))),
      images,
    ),
    r.record(
      "function-preserving disguise",
      disguises.flatMap((disguise) => [
        step({ disguise, answer: "as it stands" }, r.measured(a, 0.11, 57)),
        step({ disguise, answer: "realigned" }, r.measured(a, a - 0.01, BITS)),
      ]),
    ),
    r.record(
      "random passports",
      Array.from({ length: 20 }, (_, i) =>
        step({ draw: i + 1 }, r.measured(a, 0.1 + 0.01 * r.normal(), Math.round(56 + 8 * r.normal()))),
      ),
      { budget: { draws: 20 } },
    ),
    ...LAYERS.map((_, i) => turned(LAYERS.slice(0, i + 1))),
    r.record(
      "trained scales",
      TENS.map((share) => step({ share }, r.measured(a, a - 0.04 - 0.3 * share, BITS - Math.round(share * BITS)))),
      images,
    ),
    r.record(
      "trained passports, near",
      TENS.map((share) => step({ share }, r.measured(a, a - 0.02, BITS - Math.round(share * 6)))),
      images,
    ),
    r.record(
      "trained passports, other",
      TENS.map((share) => step({ share }, r.measured(a, a - 0.15 - 0.2 * share, BITS - Math.round(share * BITS)))),
      images,
    ),
    r.record(
      "expanded residual blocks, collective",
      [1, 2].map((epoch) => step({ epoch }, r.measured(a, a - 0.3 / epoch, 36 + epoch))),
      images,
    ),
    r.record(
      "forged bound claims",
      ["negation", "permutation"].map((means, i) => ({
        ...step({ means }, r.measured(a, a - 0.01, 57 - i)),
        own: BITS - 6 * i,
      })),
      { budget: { data: "none", "own bits": BITS } },
    ),
    r.record(
      "distillation",
      [1, 2].map((epoch) => step({ epoch }, r.measured(a - 0.3 + 0.1 * epoch, 0.1, 55, 0.1))),
      { knowledge: ["the deployed network", "images without labels"], budget: { ...trained, lr: 0.05 } },
    ),
    r.record(
      "unlearning triggers",
      [1, 2].map((epoch) => step({ epoch }, r.measured(a - 0.01 * epoch, a - 0.02, BITS, 0.3))),
      { ...images, budget: { ...trained, lr: 0.01, decoys: 1000, decoyBatch: 12 } },
    ),
    r.record("an attack of tomorrow", [step({ temperature: 4 }, r.measured(a - 0.1, 0.1, 55))]),
  ];
}
