import type { ConvNetConfig } from "@pan/core/models";
import { DATE_HELP, DATE_OPTIONS, type Dates, datesOf } from "../claim";
import { numberIn, parseOptions } from "../options";

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

export interface Settings {
  epochs: number;
  /** Training images taken from the sample's 3,000, and test images from its 1,000. */
  images: number;
  testImages: number;
  batchSize: number;
  lr: number;
  momentum: number;
  weightDecay: number;
  /** Inputs that follow from the secret, learnt beside the task; 0 for none. */
  triggers: number;
  /** How many of them join each batch. */
  triggerBatch: number;
  /** Random passports to try. */
  forgeries: number;
  dates: Dates;
  seed: number;
  out: string;
  resume: boolean;
}

export const HELP = `npm run quickstart -- [options]
  --epochs N     passes over the training images (default 6)
  --images N     training images, up to 3000 (default 3000)
  --tests N      test images, up to 1000 (default 1000)
  --triggers N   inputs that follow from the secret, which the network learns beside: evidence without its weights
                 (default 64; 0 for none)
  --seed N       decides weights and order (default 1); the secret behind the passports is fresh in every run
  --out DIR      where results go (default out/quickstart)
  --resume       go on where an interrupted run stopped
${DATE_HELP}`;

const OPTIONS = {
  epochs: "6",
  images: "3000",
  tests: "1000",
  triggers: "64",
  seed: "1",
  out: "out/quickstart",
  ...DATE_OPTIONS,
} as const;

/** @throws ArgumentError for an option that is not there or a value out of range. */
export function readSettings(args: string[]): Settings | "help" {
  const v = parseOptions(args, { texts: OPTIONS, switches: ["resume", "help"], help: HELP });
  if (v.help) return "help";
  return {
    epochs: numberIn("epochs", v.epochs, 1, 1000),
    images: numberIn("images", v.images, 50, 3000),
    testImages: numberIn("tests", v.tests, 10, 1000),
    batchSize: 50,
    lr: 0.05,
    momentum: 0.9,
    weightDecay: 5e-4,
    triggers: numberIn("triggers", v.triggers, 0, 1000),
    triggerBatch: 12,
    forgeries: 10,
    dates: datesOf(v),
    seed: numberIn("seed", v.seed, 0, 2 ** 31),
    out: v.out,
    resume: v.resume,
  };
}
