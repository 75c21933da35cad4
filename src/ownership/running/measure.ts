import type { BranchAccuracy } from "../../passport/branches";
import { asProtected } from "../../passport/protected";
import { evaluate } from "../../train/evaluate";
import { type FidelityOptions, hasLabels } from "./fidelity";
import type { Rejoined } from "./rejoin";

/** Accuracies of the branches that can run. */
export async function measure(joined: Rejoined, { test, transform }: FidelityOptions): Promise<BranchAccuracy> {
  const { model, isFolded, otherClasses, idle } = joined;
  if (!test || idle !== undefined || otherClasses === null || !hasLabels(joined, test)) return {};
  const whole = isFolded ? asProtected("examine", "the suspect", model.network) : model;
  return evaluate(whole, test, { transform });
}
