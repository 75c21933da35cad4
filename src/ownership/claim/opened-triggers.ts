import type { SampleSet } from "../../data/sample-set";
import type { NonSharedUint8Array } from "../../io/typed-arrays";
import { type Opening, openedInputs } from "./opening";
import { triggerSet } from "./trigger-set";

/** An opened group, and what it belongs to. */
export interface OpenedGroup {
  /** Inputs with the labels that the claim gives them. */
  readonly set: SampleSet;
  /** h of the claim. */
  readonly hash: NonSharedUint8Array;
}

/**
 * Inputs and labels of an opened group.
 * @throws FormatError for what is no opening, or whose inputs are not those of its digest.
 */
export async function openedTriggers(opening: Opening): Promise<OpenedGroup> {
  const { inputs, labels, hash } = await openedInputs(opening);
  return { set: triggerSet(opening.spec.triggers!, inputs, labels), hash };
}
