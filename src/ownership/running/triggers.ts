import type { TrainingSet } from "../../data/sample-set";
import type { SampleTransform } from "../../data/samples";
import type { Branch } from "../../passport/branches";
import { asProtected } from "../../passport/protected";
import { evaluate } from "../../train/evaluate";
import { binomialPValue, matchThreshold } from "../statistics";
import type { Rejoined } from "./rejoin";

/** What a network makes of a trigger set. */
export interface TriggerHits {
  /** The branch that was asked. */
  branch: Branch;
  count: number;
  /** Triggers classified as assigned. */
  hits: number;
  /** P(X ≥ hits), X ~ Bin(count, 1/classes). */
  pValue: number;
  /** Hits that guessing reaches with the false-positive rate at most. */
  threshold: number;
  holds: boolean;
}

/** Options of {@link triggerHits}, those of `verify`. */
interface TriggerCheck {
  triggers?: TrainingSet;
  transform?: readonly SampleTransform[];
  falsePositiveRate?: number;
}

/**
 * Asks the given-away branch of a suspect for the trigger images: it takes no passport, so a black
 * box would do.
 */
export async function triggerHits(
  { model, isFolded, otherClasses, idle }: Pick<Rejoined, "model" | "isFolded" | "otherClasses" | "idle">,
  known: number | null,
  { triggers, transform, falsePositiveRate = 1e-6 }: TriggerCheck,
): Promise<{ hits: TriggerHits | null; reasons: string[] }> {
  if (!triggers) return { hits: null, reasons: [] };
  if (idle !== undefined) return { hits: null, reasons: ["no branch can run, and the triggers are not checked"] };
  if (otherClasses !== undefined)
    return {
      hits: null,
      reasons: ["the triggers' labels mean nothing to the suspect's own classifier: they are not checked"],
    };
  const network = isFolded ? asProtected("triggers", "the suspect", model.network) : model;
  const branch = network.branches[0]!;
  const share = await evaluate(network, triggers, { branches: [branch], transform });
  const count = triggers.length;
  const classes = known ?? triggers.classes.length;
  const hits = Math.round((share[branch] ?? 0) * count);
  const threshold = matchThreshold(count, falsePositiveRate, 1 / classes);
  const found = { branch, count, hits, pValue: binomialPValue(hits, count, 1 / classes), threshold };
  const holds = hits >= threshold;
  const reasons = [
    `${hits} of ${count} triggers are classified as assigned; ${threshold} are needed at a false-positive rate of ${falsePositiveRate.toExponential()}`,
  ];
  return { hits: { ...found, holds }, reasons };
}
