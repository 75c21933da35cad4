/** Settings that the options of every experiment say in the same words. */
import { ArgumentError } from "@pan/core";
import { type DATE_OPTIONS, datesOf } from "./claim";
import type { RunSettings } from "./experiment";
import { listOf, numberIn, oneOf } from "./options";

type Texts = Record<
  | "statement"
  | "trigger-perturbation"
  | "label-smoothing"
  | "clip-norm"
  | "recompute"
  | "activations"
  | "epochs"
  | "early-stop"
  | "forgeries"
  | "seed"
  | keyof typeof DATE_OPTIONS,
  string
>;

/**
 * @throws ArgumentError for a value out of range, and for a statement about a network that has
 * nothing to bind to it.
 */
export function commonSettings(v: Texts & { resume: boolean; scheme: string }) {
  if (v.scheme === "plain" && v.statement)
    throw new ArgumentError("--statement: a scheme with passports expected, found --scheme plain");
  return {
    statement: v.statement || undefined,
    dates: datesOf(v),
    triggerPerturbation: numberIn("trigger-perturbation", v["trigger-perturbation"], 0, 1, false),
    labelSmoothing: numberIn("label-smoothing", v["label-smoothing"], 0, 1, false),
    clipNorm: numberIn("clip-norm", v["clip-norm"], 0, 1e6, false),
    recompute: listOf(v.recompute),
    activations: oneOf("activations", v.activations, ["f32", "f16"]),
    epochs: numberIn("epochs", v.epochs, 1, 100_000),
    earlyStop: numberIn("early-stop", v["early-stop"], 0, 100_000),
    forgeries: numberIn("forgeries", v.forgeries, 0, 1000),
    seed: numberIn("seed", v.seed, 0, 2 ** 31),
    resume: v.resume,
  } satisfies Partial<RunSettings>;
}
