/** Settings that the options of every experiment say in the same words. */
import { type DATE_OPTIONS, datesOf } from "./claim";
import type { RunSettings } from "./experiment";
import { listOf, numberIn, oneOf } from "./options";

type Texts = Record<
  | "statement"
  | "trigger-perturbation"
  | "label-smoothing"
  | "recompute"
  | "activations"
  | "epochs"
  | "early-stop"
  | "forgeries"
  | "seed"
  | keyof typeof DATE_OPTIONS,
  string
>;

/** @throws ArgumentError for a value out of range. */
export const commonSettings = (v: Texts & { resume: boolean }) =>
  ({
    statement: v.statement || undefined,
    dates: datesOf(v),
    triggerPerturbation: numberIn("trigger-perturbation", v["trigger-perturbation"], 0, 1, false),
    labelSmoothing: numberIn("label-smoothing", v["label-smoothing"], 0, 1, false),
    recompute: listOf(v.recompute),
    activations: oneOf("activations", v.activations, ["f32", "f16"]),
    epochs: numberIn("epochs", v.epochs, 1, 100_000),
    earlyStop: numberIn("early-stop", v["early-stop"], 0, 100_000),
    forgeries: numberIn("forgeries", v.forgeries, 0, 1000),
    seed: numberIn("seed", v.seed, 0, 2 ** 31),
    resume: v.resume,
  }) satisfies Partial<RunSettings>;
