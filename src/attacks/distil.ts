import { within } from "../demand";
import { mul } from "../tensor/ops/elementwise";
import { crossEntropy } from "../tensor/ops/loss";
import { softmax } from "../tensor/ops/softmax";
import { noGrad, type Tensor } from "../tensor/tensor";
import { checkTarget, trainingOptions } from "./checked";
import { withClaim } from "./owners-claim";
import type { AttackRecord, Target } from "./record";
import { attackByTraining, ownersView, type PlainTarget, type TrainingBudget } from "./training";
import { freshNetwork, victim } from "./victim";

/** Options of {@link distil}. */
export interface DistilOptions extends TrainingBudget {
  /** T, by which both networks' logits are divided (default 4). */
  temperature?: number;
}

/**
 * Distillation: a fresh network of the same structure learns what the deployed one answers to the
 * attacker's images, whose labels it never sees. The loss is T² · H(softmax(z / T), softmax(y / T))
 * for logits z of the deployed network and y of the fresh one. No weight of the owner's is taken
 * over: does anything of the claim come along?
 *
 * Learning rate 0.05 by default, since the network is fresh. Measured after every epoch.
 * Source: Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015.
 * @throws ArgumentError for a target or options that are none, or a temperature outside 0.01
 * … 1000.
 */
export async function distil(target: Target | PlainTarget, options: DistilOptions): Promise<AttackRecord> {
  checkTarget("distil", target, "plain");
  const given = trainingOptions("distil", options, ["temperature"]);
  const { temperature = 4, seed = 0, lr = 0.05 } = given;
  within("distil", "temperature", temperature, 0.01, 1000);
  const owned = await withClaim(target);
  const before = await ownersView(target.deployed, owned);
  const teacher = victim(target);
  const cooled = (logits: unknown) => mul(logits as Tensor, 1 / temperature);
  const answers = (x: Tensor) => noGrad(() => softmax(cooled(teacher.forward(x)), -1));
  try {
    const model = freshNetwork(target, { seed: seed + 1 });
    try {
      return await attackByTraining(
        owned,
        {
          attack: "distillation",
          knowledge: ["the deployed network", "images without labels"],
          model,
          before,
          loss: (y, { inputs }) => mul(crossEntropy(cooled(y), answers(inputs)), temperature ** 2),
        },
        { ...given, lr },
      );
    } finally {
      model.dispose();
    }
  } finally {
    teacher.dispose();
  }
}
