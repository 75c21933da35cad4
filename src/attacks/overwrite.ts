import { buildNetwork, readCredential } from "../models/build";
import { withoutTriggers } from "../models/config";
import { joinState } from "../models/split";
import type { AttackRecord, Target } from "./record";
import { attackByTraining, checkBudget, ownersView, type TrainingBudget } from "./training";

/**
 * Overwriting: the attacker knows the method and the passport layers, and embeds passports and a
 * signature of its own into the deployed network by the same training. Is the owner's signature
 * still there? Source: Fan et al., "DeepIPR", TPAMI 2021, section 4.1.3.
 * @throws ArgumentError for epochs that are none.
 */
export async function overwrite(target: Target, options: TrainingBudget): Promise<AttackRecord> {
  checkBudget("overwrite", options);
  const { config: owners } = readCredential(target.credential);
  // The attacker has no trigger set to train on.
  const config = { ...owners, scheme: withoutTriggers(owners.scheme) };
  // The attacker's own secrets: those of a fresh network of the same structure.
  const model = buildNetwork(config, { seed: (options.seed ?? 0) + 1 });
  try {
    const { tensors } = await model.credential();
    const structure = { config, layers: model.layers };
    model.loadStateDict(joinState({ deployed: target.deployed.tensors, credential: tensors }, structure));
    const before = await ownersView(target.deployed, target);
    const knowledge = ["the deployed network", "the scheme and its passport layers", "labelled images"];
    return await attackByTraining(target, { attack: "overwriting", knowledge, model, before }, options);
  } finally {
    model.dispose();
  }
}
