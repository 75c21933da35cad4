import { whole } from "../demand";
import { ArgumentError } from "../errors";
import { toFloat32 } from "../io/host-tensor";
import { shown } from "../io/shown";
import { readCredential } from "../models/credential";
import { secretName } from "../passport/place";
import { asProtected } from "../passport/protected";
import { crossEntropy } from "../tensor/ops/loss";
import type { Affine } from "../tensor/ops/norm/affine";
import { Generator } from "../tensor/random";
import { scope } from "../tensor/storage";
import { noGrad, type Tensor } from "../tensor/tensor";
import { evaluate } from "../train/evaluate";
import { checkTarget, forgingOptions } from "./checked";
import { descend, modulesAt } from "./descent";
import { CollectiveErb, type ExpandedResidualBlock, IndividualErb } from "./erb";
import { type AttackRecord, type AttackStep, forgedMeasurement, type Target } from "./record";
import { checkNorms, type ForgingBudget, ownersView } from "./training";
import { victim } from "./victim";

/** Options of {@link replaceScales}. */
export interface ReplaceScalesOptions extends ForgingBudget {
  /**
   * `individual` (IERB): a perceptron per channel; `collective` (CERB): one per layer (default).
   */
  kind?: "individual" | "collective";
  /** Hidden units of an individual perceptron (default 10). */
  hidden?: number;
}

/** γ and β of one layer and what they are sent through. */
interface Replaced {
  name: string;
  gamma: Tensor;
  beta: Tensor;
  blocks: { gamma: ExpandedResidualBlock; beta: ExpandedResidualBlock };
}

/**
 * Expanded residual blocks in the place of passports (IERB, CERB): plain norms with γ'' = MLP(γ) +
 * γ, β likewise, from γ = 1 and β = 0; γ, β and the MLPs are trained with cross-entropy on a tenth
 * of the data or less, all weights frozen. A branch that works without any passport, with signs of
 * its own. Measured after every epoch; the share of the owner's bits that its signs differ in (BDR)
 * is 1 − matched / bits.
 *
 * Knowledge: the deployed network, which layers have passports, and a few images. Source: Chen et
 * al., CVPR 2023 (`IndividualErb` in `erb.ts`).
 * @throws ArgumentError for a target or options that are none, an unknown kind, or a network whose
 * norms are folded.
 */
export async function replaceScales(target: Target, options: ReplaceScalesOptions): Promise<AttackRecord> {
  checkTarget("replaceScales", target);
  const given = forgingOptions("replaceScales", options, ["kind", "hidden"]);
  const { kind = "collective", hidden = 10, train, epochs, lr = 0.01, batchSize, seed = 0 } = given;
  if (kind !== "individual" && kind !== "collective")
    throw new ArgumentError(`replaceScales: kind "individual" or "collective" expected, found ${shown(kind)}`);
  whole("replaceScales", "hidden", hidden);
  const { places, scheme, tensors } = readCredential(target.credential);
  const norms = places.map((p) => p.norm);
  checkNorms("replaceScales", target, norms);
  const before = await ownersView(target.deployed, target);
  const network = victim(target);
  const model = asProtected("replaceScales", "the network", network);
  const made: ExpandedResidualBlock[] = [];
  try {
    const named = new Map(model.namedParameters());
    const random = new Generator(seed).fork("blocks");
    const block = (name: string, channels: number) => {
      const source = random.fork(name);
      const erb =
        kind === "individual" ? new IndividualErb(channels, hidden, source) : new CollectiveErb(channels, source);
      made.push(erb);
      return erb;
    };
    const replaced = norms.map((name): Replaced => {
      const [gamma, beta] = [named.get(`${name}.weight`)!, named.get(`${name}.bias`)!];
      gamma.fill(1);
      beta.fill(0);
      return {
        name,
        gamma,
        beta,
        blocks: { gamma: block(`${name}.gamma`, gamma.size), beta: block(`${name}.beta`, beta.size) },
      };
    });
    const params = [...replaced.flatMap((r) => [r.gamma, r.beta]), ...made.flatMap((b) => b.parameters())];
    const affine = (name: string): Affine | undefined => {
      const r = replaced.find((l) => l.name === name);
      return r && { gamma: r.blocks.gamma.forward(r.gamma), beta: r.blocks.beta.forward(r.beta) };
    };
    const loss = (x: Tensor, y: Tensor) => crossEntropy(model.trainingPass(x, { affine }).outputs.public as Tensor, y);
    const bits = norms.map((name) => toFloat32(tensors.get(`${secretName({ name })}.b`)!));
    const steps: AttackStep[] = [];
    for await (const epoch of descend({ model, params, loss, following: modulesAt(model, norms) }, given)) {
      const { accuracy, gammas } = await asConstants(replaced, async () => {
        const found = await evaluate(model, target.test, { transform: target.transform });
        return found.public!;
      });
      const step = { setting: { epoch }, after: forgedMeasurement(accuracy, gammas, bits, scheme) };
      steps.push(step);
      await given.onStep?.(step, epoch, epochs);
    }
    const knowledge = ["the deployed network", "which layers have passports", "a few labelled images"];
    const budget = { images: train.length, epochs, lr, batchSize };
    return { attack: `expanded residual blocks, ${kind}`, knowledge, budget, seed, before, steps };
  } finally {
    for (const b of made) b.dispose();
    model.dispose();
  }
}

/** Runs `use` with γ'' and β'' in the places of γ and β, and puts these back. */
async function asConstants(
  replaced: readonly Replaced[],
  use: () => Promise<number>,
): Promise<{ accuracy: number; gammas: Float32Array[] }> {
  const kept: [Tensor, Float32Array<ArrayBuffer>][] = [];
  const gammas: Float32Array[] = [];
  for (const { gamma, beta, blocks } of replaced)
    for (const [scales, block] of [
      [gamma, blocks.gamma],
      [beta, blocks.beta],
    ] as const) {
      const out = scope(() => noGrad(() => block.forward(scales)));
      const values = await out.data();
      out.dispose();
      kept.push([scales, await scales.data()]);
      if (scales === gamma) gammas.push(values);
      scales.write(values);
    }
  try {
    return { accuracy: await use(), gammas };
  } finally {
    for (const [scales, values] of kept) scales.write(values);
  }
}
