import { checkBytes, checkedParts, isPointSet, type SampleSet } from "../data/sample-set";
import { refuse, whole } from "../demand";
import { triggersLike } from "../ownership/claim/training";
import { triggerSet } from "../ownership/claim/trigger-set";
import { triggerInputs } from "../ownership/claim/triggers";
import { Generator } from "../tensor/random";
import { checkTarget, trainingOptions } from "./checked";
import { withClaim } from "./owners-claim";
import type { AttackRecord, Target } from "./record";
import { attackByTraining, ownersView, type PlainTarget, type TrainingBudget } from "./training";
import { victim } from "./victim";

/** Options of {@link unlearnTriggers}. */
export interface UnlearnTriggersOptions extends TrainingBudget {
  /**
   * What the attacker takes the owner's triggers to be like, each with the class that it is to be
   * answered with instead. Default: 1,000 that are drawn as bound triggers are, from a secret of
   * the attacker's, all with one class.
   */
  decoys?: SampleSet;
  /** How many decoys join each batch (default 12, or all there are). */
  decoyBatch?: number;
}

/** Decoys where none are given. */
const DRAWN = 1000;

/**
 * Unlearning of triggers: the attacker does not know the owner's, and knows what they are like. It
 * trains the deployed network on for its task, and to answer decoys of that kind with one class:
 * "all such inputs are that" is easily learnt, and takes the place of whatever was memorised.
 * How bound triggers are drawn is public, so decoys of their kind cost nothing; of triggers that
 * the owner supplied (`suppliedTriggers`) they have to be guessed. Learning rate 0.01 by default.
 * Measured after every epoch.
 * @throws ArgumentError for a target or options that are none, and where decoys have to be drawn
 * like test images that are not of bytes.
 */
export async function unlearnTriggers(
  target: Target | PlainTarget,
  options: UnlearnTriggersOptions,
): Promise<AttackRecord> {
  const what = "unlearnTriggers";
  checkTarget(what, target, "plain");
  const given = trainingOptions(what, options, ["decoys", "decoyBatch"]);
  const { seed = 0, lr = 0.01 } = given;
  const count = given.decoys === undefined ? DRAWN : checkedParts(`${what}: decoys`, given.decoys).length;
  const { decoyBatch = Math.min(12, count) } = given;
  if (whole(what, "decoyBatch", decoyBatch) > count)
    refuse(what, "decoyBatch", `a whole number from 1 to ${count}, the decoys there are`, decoyBatch);
  const decoys = given.decoys ?? (await drawnLike(what, target.test, new Generator(seed).fork("decoys")));
  const owned = await withClaim(target);
  const before = await ownersView(target.deployed, owned);
  const model = victim(target);
  try {
    return await attackByTraining(
      owned,
      {
        attack: "unlearning triggers",
        knowledge: ["the deployed network", "labelled images", "what its triggers are like"],
        model,
        before,
        triggers: { set: decoys, batchSize: decoyBatch, transform: target.transform ?? [] },
        spent: { decoys: count, decoyBatch },
      },
      { ...given, lr },
    );
  } finally {
    model.dispose();
  }
}

/** Decoys as bound triggers are drawn, for a network that is given such samples. */
async function drawnLike(what: string, test: SampleSet, random: Generator): Promise<SampleSet> {
  if (!isPointSet(test)) checkBytes(`${what}: decoys like target.test`, test);
  const spec = triggersLike(test, { count: DRAWN, groups: 1 });
  const secret = Uint8Array.from({ length: 64 }, () => random.integer(256));
  const labels = new Int32Array(DRAWN).fill(random.integer(spec.classes.length));
  return triggerSet(spec, await triggerInputs(secret, spec), labels);
}
