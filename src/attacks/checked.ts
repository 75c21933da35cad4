/**
 * What attacks are given: each goes through here before anything is computed, so that a mistake
 * ends it with the attack's name, and not in the middle of a training.
 */
import { checkedParts, type SampleSet } from "../data/sample-set";
import { isTransforms } from "../data/transform-kinds";
import { callable, objectOf, optionsOf, refuse, text, whole, within } from "../demand";
import type { SafetensorsFile } from "../io/safetensors";
import { checkFile } from "../passport/files";
import type { AttackOptions } from "./record";
import type { Checked, ForgingBudget, TrainingBudget } from "./training";

/** What of a target every attack reads. */
interface Attacked {
  readonly deployed: SafetensorsFile;
  readonly credential?: SafetensorsFile | undefined;
  readonly test: SampleSet;
  readonly transform?: unknown;
  readonly triggers?: SampleSet | undefined;
  readonly model?: unknown;
}

/**
 * @param owner whether the owner's half is needed
 * @throws ArgumentError for a target that is none, or lacks a part; FormatError, ShapeError for
 * parts that are damaged or do not agree.
 */
export function checkTarget(attack: string, target: Attacked, owner: "credential" | "plain" = "credential"): void {
  const { deployed, credential, test, transform, triggers, model } = objectOf(
    attack,
    "a target { deployed, credential, test }",
    target,
  );
  checkFile(deployed, `${attack}: target.deployed`);
  if (owner === "credential" || credential !== undefined) checkFile(credential, `${attack}: target.credential`);
  checkedParts(`${attack}: target.test`, test);
  if (triggers !== undefined) checkedParts(`${attack}: target.triggers`, triggers);
  if (transform !== undefined) isTransforms(attack, "target.transform", transform);
  if (model !== undefined) callable(attack, "target.model", model);
}

/**
 * The options of an attack, {} for none.
 * @param own names of those that the attack has beside `seed` and `onStep`
 * @throws ArgumentError for other names, a seed that is no whole number from 0, and what should be
 * called and is no function.
 */
export function attackOptions<T extends AttackOptions>(
  attack: string,
  options: T | undefined,
  own: readonly (keyof T & string)[],
): T {
  const given = optionsOf(attack, options, ["seed", "onStep", ...own]);
  if (given.seed !== undefined) whole(attack, "seed", given.seed, 0);
  for (const name of ["onStep", "onForged", "onAttacked"] as const) {
    const listener = (given as Partial<Record<typeof name, unknown>>)[name];
    if (listener !== undefined) callable(attack, name, listener);
  }
  return given;
}

const BUDGET = ["train", "epochs", "lr", "batchSize", "transform"] as const;

/** Images of a step where nothing is said, and there are as many. */
const BATCH = 64;

/**
 * {@link attackOptions} of a forger who trains.
 * @throws ArgumentError besides for data that are none, epochs that are no whole number from 1,
 * batches of none or of more images than there are, and a learning rate that is negative or no
 * number.
 */
export function forgingOptions<T extends ForgingBudget>(
  attack: string,
  options: T,
  own: readonly (keyof T & string)[] = [],
): Checked<T> {
  const given = attackOptions(attack, options, [...BUDGET, ...own]);
  whole(attack, "epochs", given.epochs);
  const { length } = checkedParts(`${attack}: train`, given.train);
  if (given.lr !== undefined) within(attack, "lr", given.lr, 0);
  const { batchSize = Math.min(BATCH, length) } = given;
  if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > length)
    refuse(attack, "batchSize", `a whole number from 1 to ${length}, the images there are`, batchSize);
  if (given.transform !== undefined) isTransforms(attack, "transform", given.transform);
  return { ...given, batchSize };
}

/**
 * {@link forgingOptions} of an attacker who trains the network on, or another in its place.
 * @throws ArgumentError besides for test data that are none.
 */
export function trainingOptions<T extends TrainingBudget>(
  attack: string,
  options: T,
  own: readonly (keyof T & string)[] = [],
): Checked<T> {
  const given = forgingOptions(attack, options, ["test", "task", "onAttacked", ...own]);
  if (given.test !== undefined) checkedParts(`${attack}: test`, given.test);
  if (given.task !== undefined) text(attack, "task", given.task);
  return given;
}
