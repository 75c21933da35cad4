/** Bound triggers in a training. */
import {
  checkBytes,
  checkedParts,
  isPointSet,
  type SampleSet,
  sampleShape,
  type TrainingSet,
} from "../../data/sample-set";
import { objectOf, optionsOf, refuse, whole } from "../../demand";
import type { TriggerOptions } from "../../train/options";
import type { DerivedClaim } from "./derive";
import { checkTriggerSpec, type TriggerSpec } from "./spec";
import { triggerSet, triggerTransform } from "./trigger-set";
import { encodeInputs, type TriggerInputs } from "./triggers";

/** Options of {@link triggersLike}. */
export interface TriggersLikeOptions {
  /** Triggers of a group (default 100: of ten classes 57 hits are needed). */
  count?: number;
  /** Groups, of which one is opened in a dispute (default 2). */
  groups?: number;
  /** Rows and columns of the grid that images are enlarged from (default 4). */
  grid?: number;
  /** Mean and standard deviation per channel that images are normalised by (default none). */
  normalize?: { mean: readonly number[]; std: readonly number[] };
}

/**
 * Describes triggers of the kind, shape and classes of a data set, for a binding. They are drawn
 * from its secret in a way that everybody knows: a thief can draw others and have a copy unlearn
 * the kind (`unlearnTriggers` of `@pan/core/attacks`). Where answers have to count, supply your
 * own: {@link suppliedTriggers}.
 * @throws ArgumentError for options that are none, and what has no samples of one shape.
 *
 * @example
 * const triggers = triggersLike(train, { normalize: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] } });
 * const claim = await bind(owned, { statement, secret, publicKey, triggers });
 * new Trainer(owned, optimizer, { triggers: boundTriggers(claim) });
 */
export function triggersLike(set: TrainingSet, options?: TriggersLikeOptions): TriggerSpec {
  const what = "triggersLike";
  const given = optionsOf(what, options, ["count", "groups", "grid", "normalize"]);
  const { count = 100, groups = 2, grid = 4, normalize = null } = given;
  const { classes } = checkedParts(what, set);
  const isCloud = isPointSet(set);
  const spec = {
    kind: isCloud ? ("clouds" as const) : ("images" as const),
    shape: sampleShape(set),
    classes,
    count,
    groups,
    grid: isCloud ? 0 : grid,
    normalize,
  };
  checkTriggerSpec(what, spec);
  return spec;
}

/** Options of {@link suppliedTriggers}. */
export interface SuppliedTriggersOptions extends Pick<TriggersLikeOptions, "groups" | "normalize"> {
  /** Names of the classes that the network answers with (default: the set's own). */
  classes?: readonly string[];
}

/**
 * The samples of a set as triggers, for a binding: photographs that are no part of the training, or
 * clouds of classes that are not learnt. The set's own labels count for nothing: a claim's labels
 * follow from all inputs together and its secret. As many samples as fill the groups evenly. Take
 * what is not published: whoever knows what they are like can make a copy unlearn that.
 * @returns what a binding takes as `triggers` and `inputs`
 * @throws ArgumentError for options that are none, images of floats, and sets that are not in
 * memory.
 *
 * @example
 * const own = suppliedTriggers(photographs, { classes: train.classes, groups: 2 });
 * const claim = await bind(owned, { statement, secret, publicKey, ...own });
 */
export function suppliedTriggers(
  set: SampleSet,
  options?: SuppliedTriggersOptions,
): { triggers: TriggerSpec; inputs: string } {
  const what = "suppliedTriggers";
  const given = optionsOf(what, options, ["classes", "groups", "normalize"]);
  const parts = checkedParts(what, set);
  const { groups = 2, classes = parts.classes, normalize = null } = given;
  whole(what, "groups", groups);
  if (!isPointSet(parts)) checkBytes(what, parts);
  const count = Math.floor(parts.length / groups);
  if (count < 1) refuse(what, "groups", `at most the ${parts.length} samples there are`, groups);
  const shape = sampleShape(set);
  const kind = isPointSet(parts) ? ("clouds" as const) : ("images" as const);
  const spec = { kind, supplied: true as const, shape, classes, count, groups, grid: 0, normalize };
  checkTriggerSpec(what, spec);
  const all = isPointSet(parts) ? parts.points : (parts.images as Uint8Array);
  const inputs = all.slice(
    0,
    shape.reduce((a, b) => a * b, count * groups),
  ) as TriggerInputs;
  return { triggers: spec, inputs: encodeInputs(inputs) };
}

/** How triggers of a claim are learnt: what `TriggerOptions` says of each. */
export type BoundTriggersOptions = Pick<TriggerOptions, "batchSize" | "margin" | "statistics" | "perturbation">;

/**
 * What a `Trainer` takes for its option `triggers`: all groups of a claim, given as the claim says.
 * By default 4 join each batch. A small network learns triggers that it sees some seventy times
 * each: count on batchSize · steps / triggers.
 * @throws ArgumentError for a claim without triggers, and options that are none.
 */
export function boundTriggers(claim: DerivedClaim, options?: BoundTriggersOptions): TriggerOptions {
  objectOf("boundTriggers", "what bind() gives", claim);
  const how = optionsOf("boundTriggers", options, ["batchSize", "margin", "statistics", "perturbation"]);
  const { spec, groups } = claim;
  const triggers = spec?.triggers;
  if (!triggers || !Array.isArray(groups))
    return refuse(
      "boundTriggers",
      "its claim",
      "one with triggers",
      null,
      "give bind() the `triggers` that triggersLike() describes",
    );
  const size = groups.reduce((n, { inputs }) => n + inputs.length, 0);
  const inputs = triggers.kind === "clouds" ? new Float32Array(size) : new Uint8Array(size);
  const labels = new Int32Array(triggers.count * triggers.groups);
  groups.forEach((group, g) => {
    inputs.set(group.inputs, g * group.inputs.length);
    labels.set(group.labels, g * triggers.count);
  });
  return { batchSize: 4, ...how, set: triggerSet(triggers, inputs, labels), transform: triggerTransform(triggers) };
}
