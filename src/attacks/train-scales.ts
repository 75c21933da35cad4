import { hostVector, toFloat32 } from "../io/host-tensor";
import { readCredential } from "../models/credential";
import { rejoin } from "../ownership/running/rejoin";
import { secretName } from "../passport/place";
import { crossEntropy } from "../tensor/ops/loss";
import { Generator } from "../tensor/random";
import type { Tensor } from "../tensor/tensor";
import { evaluate } from "../train/evaluate";
import { checkTarget, forgingOptions } from "./checked";
import { descend, modulesAt } from "./descent";
import { type AttackRecord, type AttackStep, forgedMeasurement, measure, type Target } from "./record";
import { checkShares, TENS, turnShare } from "./shares";
import { checkNorms, type ForgingBudget } from "./training";
import { victim } from "./victim";

/** Options of {@link trainScales}. */
export interface TrainScalesOptions extends ForgingBudget {
  /** Shares of the owner's signs to turn before training (default 0, 0.1, … 1). */
  shares?: readonly number[];
}

/**
 * Trained γ and β without passports (DeepIPR's fake 2): γ starts as the signs of the owner's with a
 * share of them turned, β as 0; both are trained, all weights frozen, and running statistics but
 * those of the norms in question. How well can a branch with other signs be made to work? Measured
 * after the last epoch: its accuracy, and the owner's bits among its signs.
 * Source: Fan et al., "DeepIPR", TPAMI 2021, section 4.2.2; 100 epochs there.
 * @throws ArgumentError for a target or options that are none, a share outside 0 to 1, or a network
 * whose norms are folded.
 */
export async function trainScales(target: Target, options: TrainScalesOptions): Promise<AttackRecord> {
  checkTarget("trainScales", target);
  const given = forgingOptions("trainScales", options, ["shares"]);
  const { shares = TENS, train, epochs, lr = 0.01, batchSize, seed = 0, onStep } = given;
  checkShares("trainScales", shares);
  const { places, scheme, tensors: secrets } = readCredential(target.credential);
  const names = places.map((p) => p.norm);
  checkNorms("trainScales", target, names);
  const { before, gammas } = await ownersGammas(target);
  const steps: AttackStep[] = [];
  for (const share of shares) {
    const tensors = new Map(target.deployed.tensors);
    for (const name of names) {
      tensors.set(
        `${name}.weight`,
        hostVector(turnShare(signsOf(gammas.get(name)!), share, new Generator(seed).fork(`${name} ${share}`))),
      );
      tensors.set(`${name}.bias`, hostVector(new Float32Array(gammas.get(name)!.length)));
    }
    const model = victim(target, tensors);
    try {
      const byName = new Map(model.namedParameters());
      const params = names.flatMap((n) => [byName.get(`${n}.weight`)!, byName.get(`${n}.bias`)!]);
      const loss = (x: Tensor, y: Tensor) => crossEntropy(model.forward(x) as Tensor, y);
      for await (const _ of descend({ model, params, loss, following: modulesAt(model, names) }, given));
      const trained = await model.stateDict();
      const found = names.map((n) => toFloat32(trained.get(`${n}.weight`)!));
      const accuracy = (await evaluate(model, target.test, { transform: target.transform })).public!;
      const signs = names.map((name) => toFloat32(secrets.get(`${secretName({ name })}.b`)!));
      const step = { setting: { share }, after: forgedMeasurement(accuracy, found, signs, scheme) };
      steps.push(step);
      await onStep?.(step, steps.length, shares.length);
    } finally {
      model.dispose();
    }
  }
  const knowledge = ["the deployed network", "the signs of the owner's γ", "labelled images"];
  const budget = { images: train.length, epochs, lr, batchSize };
  return { attack: "trained scales", knowledge, budget, seed, before, steps };
}

async function ownersGammas(target: Target) {
  const model = rejoin(target.deployed, target.credential, target.model?.());
  try {
    const before = await measure(model, target);
    return { before, gammas: new Map((await model.readSigns()).map(({ name, gamma }) => [name, gamma])) };
  } finally {
    model.dispose();
  }
}

const signsOf = (gamma: Float32Array) => gamma.map((g) => (g > 0 ? 1 : -1));
