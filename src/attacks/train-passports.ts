import { ArgumentError } from "../errors";
import { buildNetwork, readCredential } from "../models/build";
import { secretBranch } from "../models/config";
import type { Network } from "../models/network";
import { joinState } from "../models/split";
import { PassportAware } from "../passport/passport-aware";
import { add, div, mul, sub } from "../tensor/ops/elementwise";
import { crossEntropy } from "../tensor/ops/loss";
import { mean } from "../tensor/ops/reduce";
import { Generator } from "../tensor/random";
import { keep } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import { descend } from "./descent";
import { type AttackRecord, type AttackStep, measure, type Target } from "./record";
import { checkShares, TENS, turnShare } from "./shares";
import { checkBudget, type TrainingBudget } from "./training";

/** How passports are forged by training. */
interface Variant {
  /** Where they start: beside the owner's (+ 0.001 · noise), at other random ones, or at N(0, 1) noise. */
  start: "near" | "other" | "noise";
  /** The FC of passport-aware normalisation: the owner's, or a fresh one that is trained too. */
  fc: "known" | "fresh";
  /** Drive γ to the owner's signature with a share of its bits turned. */
  signs: boolean;
  /** Weight of Σ 1/MSE(P, P_owner), which keeps forged passports away from the owner's. */
  distance: number;
  clipNorm?: number;
}

const VARIANTS = {
  /** DeepIPR's fake 3. */
  near: { start: "near", fc: "known", signs: true, distance: 1, clipNorm: 2 },
  /** The variant of DeepIPR's attack 1. */
  other: { start: "other", fc: "known", signs: true, distance: 2, clipNorm: 2 },
  /** Passport-aware normalisation, attack I (`fake2-`). */
  noise: { start: "noise", fc: "known", signs: false, distance: 0 },
  /** Passport-aware normalisation, attack II (`fake3-`). */
  "near, fresh FC": { start: "near", fc: "fresh", signs: false, distance: 1 },
  /** The same with a signature of the forger's (`fake3s`). */
  "near, fresh FC, signs": { start: "near", fc: "fresh", signs: true, distance: 1 },
} as const satisfies Record<string, Variant>;

/** Names of the variants of {@link trainPassports}: where passports start, and what is trained or asked for beside. */
export type PassportVariant = keyof typeof VARIANTS;

/** Options of {@link trainPassports}. */
export interface TrainPassportsOptions extends TrainingBudget {
  variant: PassportVariant;
  /** Variants with signs: shares of the owner's bits that the forger wants otherwise (default 0, 0.1, … 1). */
  shares?: readonly number[];
}

/**
 * Trained passports: all weights frozen, the forger trains passports for a branch that works, to
 *
 *     L = CE + [Σ sign loss] + [w · Σ 1/MSE(P, P_owner)]
 *
 * Measured after the last epoch of each share. Sources: Fan et al., "DeepIPR", TPAMI 2021, section 4.2 (fake 3); Zhang et al., "Passport-aware Normalization", NeurIPS 2020, attacks I and II;
 * 100 epochs in both.
 * @throws ArgumentError for an unknown variant, a fresh FC where there is none, a share outside 0 to 1, or epochs that are none.
 */
export async function trainPassports(target: Target, options: TrainPassportsOptions): Promise<AttackRecord> {
  checkBudget("trainPassports", options);
  const { variant, train, epochs, lr = 0.01, batchSize = 64, seed = 0 } = options;
  if (!Object.hasOwn(VARIANTS, variant))
    throw new ArgumentError(
      `trainPassports: variant one of ${Object.keys(VARIANTS).join(" | ")} expected, found "${variant}"`,
    );
  const chosen: Variant = VARIANTS[variant];
  const shares = chosen.signs ? (options.shares ?? TENS) : [0];
  checkShares("trainPassports", shares);
  const { config } = readCredential(target.credential);
  const branch = secretBranch(config.scheme);
  const steps: AttackStep[] = [];
  let before: AttackRecord["before"] | undefined;
  for (const share of shares) {
    const model = buildNetwork(config);
    const owners: Tensor[] = [];
    try {
      const structure = { config, layers: model.layers };
      model.loadStateDict(
        joinState({ deployed: target.deployed.tensors, credential: target.credential.tensors }, structure),
      );
      model.eval();
      before ??= await measure(model, target);
      const bits = await Promise.all(model.passportLayers().map(({ layer }) => layer.b.data()));
      const passports = model.passportLayers().flatMap(({ layer }) => Object.values(layer.passports()));
      for (const p of passports) owners.push(keep(Tensor.from(await p.data(), p.shape)));
      const random = new Generator(seed).fork(`share ${share}`);
      await start(model, chosen, share, random);
      const params = [...passports, ...(chosen.fc === "fresh" ? freshFc(model, random) : [])];
      const loss = (x: Tensor, y: Tensor): Tensor => {
        const pass = model.trainingPass(x, { branches: [branch] });
        const parts = [crossEntropy(pass.logits[branch]!, y)];
        if (chosen.signs && pass.signLoss) parts.push(pass.signLoss);
        if (chosen.distance) parts.push(mul(inverseDistance(passports, owners), chosen.distance));
        return parts.reduce((a, b) => add(a, b));
      };
      const clip = chosen.clipNorm === undefined ? {} : { clipNorm: chosen.clipNorm };
      for await (const _ of descend({ model, params, loss, ...clip }, options));
      for (const p of passports) p.requiresGrad = false;
      // The owner's bits again: what is asked is how many of them the forger's γ still match.
      model.passportLayers().forEach(({ layer }, i) => void layer.b.write(bits[i]!));
      const step = { setting: { share }, after: await measure(model, target) };
      steps.push(step);
      options.onStep?.(step, steps.length, shares.length);
    } finally {
      for (const t of owners) t.dispose();
      model.dispose();
    }
  }
  const knowledge = ["the deployed network", "private statistics", "labelled images"];
  if (chosen.fc === "known") knowledge.push("the FC, where there is one");
  if (chosen.start === "near" || chosen.distance) knowledge.push("the owner's passports");
  const budget = { images: train.length, epochs, lr, batchSize };
  return { attack: `trained passports, ${variant}`, knowledge, budget, seed, before: before!, steps };
}

/** Passports and bits that the forger starts from. */
async function start(model: Network, { start, signs }: Variant, share: number, random: Generator): Promise<void> {
  for (const { name, layer } of model.passportLayers()) {
    const source = random.fork(name);
    if (start === "other") layer.randomPassports(source.fork("passports"));
    else {
      const fresh = async (part: "skey" | "key") => {
        const tensor = layer.passports()[part];
        const own = start === "near" ? await tensor.data() : new Float32Array(tensor.size);
        const noise = source.fork(part).fill(new Float32Array(own.length), "normal", 0, start === "near" ? 0.001 : 1);
        return own.map((v, i) => v + noise[i]!);
      };
      layer.setPassports({ skey: await fresh("skey"), key: await fresh("key") });
    }
    if (signs) layer.b.write(turnShare(await layer.b.data(), share, source.fork("signs")));
  }
}

/** Re-initialises every FC. @returns its weights. */
function freshFc(model: Network, random: Generator): Tensor[] {
  const weights = model.passportLayers().flatMap(({ name, layer }) => {
    if (!(layer instanceof PassportAware) || !layer.fc) return [];
    return layer.fc.parameters().map((weight, i) => {
      const bound = 1 / Math.sqrt(weight.shape[0]!);
      weight.write(random.fork(`${name}.fc.${i}`).fill(new Float32Array(weight.size), "uniform", -bound, bound));
      return weight;
    });
  });
  if (!weights.length) throw new ArgumentError("trainPassports: this network has no FC that could be made anew");
  return weights;
}

/** Σ 1 / MSE(P, P_owner). */
function inverseDistance(passports: readonly Tensor[], owners: readonly Tensor[]): Tensor {
  return passports
    .map((p, i) => {
      const d = sub(p, owners[i]!);
      return div(1, mean(mul(d, d)));
    })
    .reduce((a, b) => add(a, b));
}
