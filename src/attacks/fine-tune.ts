import { ArgumentError } from "../errors";
import { shown } from "../io/shown";
import { checkTarget, trainingOptions } from "./checked";
import { withClaim } from "./owners-claim";
import type { AttackRecord, Target } from "./record";
import { attackByTraining, ownersView, type PlainTarget, type TrainingBudget } from "./training";
import { classesOf, freshNetwork, headOf } from "./victim";

/** Options of {@link fineTune}. */
export interface FineTuneOptions extends TrainingBudget {
  /**
   * `rtal`: the last layer anew, train all layers (default); `ftal`: train all layers as they are.
   */
  mode?: "rtal" | "ftal";
}

/**
 * Fine-tuning of the deployed network on the attacker's images, of the same task or another: does
 * the signature go away? Learning rate 0.001 without a schedule by default, as in the papers.
 * Measured after every epoch: signature, and accuracy of the branches on the attacker's task.
 * Source: Fan et al., "DeepIPR", TPAMI 2021, section 4.1.1.
 * A plain network can be fine-tuned too, to compare with; it has no bits to lose.
 * @throws ArgumentError for a target or options that are none, an unknown mode, or classes that
 * `ftal` cannot have.
 */
export async function fineTune(target: Target | PlainTarget, options: FineTuneOptions): Promise<AttackRecord> {
  checkTarget("fineTune", target, "plain");
  const given = trainingOptions("fineTune", options, ["mode"]);
  const { mode = "rtal", train, seed = 0 } = given;
  if (mode !== "rtal" && mode !== "ftal")
    throw new ArgumentError(`fineTune: mode "rtal" or "ftal" expected, found ${shown(mode)}`);
  const own = classesOf(target);
  const classes = train.classes.length;
  if (mode === "ftal" && own !== null && classes !== own)
    throw new ArgumentError(
      `fineTune: the images have ${classes} classes, the network ${own}: "ftal" keeps the last layer, use "rtal"`,
    );
  const model = freshNetwork(target, { classes, seed });
  try {
    const head = headOf(target, model);
    const kept = [...target.deployed.tensors].filter(([name]) => mode === "ftal" || !name.startsWith(head));
    model.loadStateDict(new Map(kept), { strict: mode === "ftal" });
    const owned = await withClaim(target);
    const before = await ownersView(target.deployed, owned);
    const knowledge = ["the deployed network", "labelled images of its own"];
    const attack = `fine-tuning, ${mode.toUpperCase()}`;
    return await attackByTraining(owned, { attack, knowledge, model, before, newHead: mode === "rtal" }, given);
  } finally {
    model.dispose();
  }
}
