import { whole } from "../demand";
import { rejoin } from "../ownership/running/rejoin";
import { Generator } from "../tensor/random";
import { attackOptions, checkTarget } from "./checked";
import { type AttackOptions, type AttackRecord, type AttackStep, measure, type Target } from "./record";

/** Options of {@link randomPassports}. */
export interface RandomPassportsOptions extends AttackOptions {
  /** Passports to try (default 50, as in DeepIPR). */
  draws?: number;
}

/**
 * Random passports (DeepIPR's fake 1): the forger has everything of the owner's but the passports,
 * and draws them anew, uniform in [−1, 1). Accuracy of the branch they open falls to chance,
 * matched bits to about half. The spread of the matches over the draws is the empirical null that
 * p-values should be read beside.
 * Source: Fan et al., "DeepIPR", TPAMI 2021, section 4.2.
 * @throws ArgumentError for a target or options that are none; draws is a whole number from 1.
 */
export async function randomPassports(target: Target, options?: RandomPassportsOptions): Promise<AttackRecord> {
  checkTarget("randomPassports", target);
  const { draws = 50, seed = 0, onStep } = attackOptions("randomPassports", options, ["draws"]);
  whole("randomPassports", "draws", draws);
  const model = rejoin(target.deployed, target.credential, target.model?.());
  try {
    const before = await measure(model, target);
    const steps: AttackStep[] = [];
    for (let draw = 1; draw <= draws; draw++) {
      model.randomPassports(new Generator(seed).fork(`draw ${draw}`));
      const step = { setting: { draw }, after: await measure(model, target) };
      steps.push(step);
      await onStep?.(step, draw, draws);
    }
    const knowledge = ["the deployed network", "FC and private statistics", "the signature", "no passport"];
    return { attack: "random passports", knowledge, budget: { draws }, seed, before, steps };
  } finally {
    model.dispose();
  }
}
