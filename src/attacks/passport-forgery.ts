import { ArgumentError, NanLossError } from "../errors";
import { toFloat32 } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import type { Module } from "../nn/module";
import { rejoin } from "../ownership/running/rejoin";
import type { BranchAccuracy } from "../passport/branches";
import { credentialFile } from "../passport/files";
import { secretName } from "../passport/place";
import type { Protected } from "../passport/protected";
import { secretBranch } from "../passport/schemes";
import { signBytes } from "../passport/signature";
import { add, div, mul, sub } from "../tensor/ops/elementwise";
import { crossEntropy } from "../tensor/ops/loss";
import { mean } from "../tensor/ops/reduce";
import { Generator } from "../tensor/random";
import { keep } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import { descend } from "./descent";
import type { Target } from "./record";
import { turnShare } from "./shares";
import type { Checked, ForgingBudget } from "./training";

/** How passports are forged by training. */
export interface Forgery {
  /**
   * Where they start: beside the owner's (+ 0.001 · noise), at other random ones, or at N(0, 1)
   * noise.
   */
  start: "near" | "other" | "noise";
  /** The FC of passport-aware normalisation: the owner's, or a fresh one that is trained too. */
  fc: "known" | "fresh";
  /** Drive γ to the owner's signature with a share of its bits turned. */
  signs: boolean;
  /** Weight w of Σ 1/MSE(P, P_owner), which keeps forged passports away from the owner's. */
  distance: number;
}

/**
 * Largest norm of the passports' gradients together, as in the authors' code of both papers. Near
 * the owner's passport 1/MSE is 10⁶ and so steep that the first step without it throws the forged
 * one out of all numbers.
 */
const CLIP_NORM = 2;

/**
 * What a forger lowers, for one batch in the branch that passports open:
 *
 *     L = CE + [Σ_layers sign loss] + [w · Σ 1/MSE(P, P_owner)]
 *
 * the sums over all passport layers, the last one over both passports of each; the sign loss has
 * its default constants.
 *
 * Shapes: x [N, H, W, C] or [N, P, 3], y [N] → []. Differentiable towards passports with
 * `requiresGrad` and the FC.
 * @param owners the owner's passports, in the order of {@link passportsOf}
 */
export function forgeryLoss(
  model: Protected,
  { owners, signs, distance }: Pick<Forgery, "signs" | "distance"> & { owners: readonly Tensor[] },
  x: Tensor,
  y: Tensor,
): Tensor {
  const branch = secretBranch(model.scheme);
  const pass = model.trainingPass(x, { branches: [branch] });
  const parts = [crossEntropy(pass.outputs[branch] as Tensor, y)];
  if (signs && pass.signLoss) parts.push(pass.signLoss);
  if (distance) parts.push(mul(inverseDistance(passportsOf(model), owners), distance));
  return parts.reduce((a, b) => add(a, b));
}

/** Every passport of a network: P_γ, then P_β, layer by layer. */
export const passportsOf = (model: Protected): Tensor[] =>
  model.passportSites().flatMap(({ secret: { passport } }) => [passport.passports.gamma, passport.passports.beta]);

/** Σ 1 / MSE(P, P_owner). */
function inverseDistance(passports: readonly Tensor[], owners: readonly Tensor[]): Tensor {
  return passports
    .map((p, i) => {
      const d = sub(p, owners[i]!);
      return div(1, mean(mul(d, d)));
    })
    .reduce((a, b) => add(a, b));
}

/**
 * Trains passports (and a fresh FC) for the target's weights, which stay as they are, statistics
 * included: what the forger makes must fit the network that was given away.
 * @param share of the owner's bits that the forger wants otherwise
 * @returns the trained network in its two halves: the given-away one is the target's, the other one
 * the forger's passports, FC, private statistics and bits (without signs those that γ spells).
 * @throws ArgumentError for a fresh FC where there is none; NanLossError when training left
 * something that is no number.
 */
export async function forgePassports(
  target: Target,
  forgery: Forgery,
  share: number,
  budget: Checked<ForgingBudget>,
): Promise<SafetensorsFile> {
  const model = rejoin(target.deployed, target.credential, target.model?.());
  const owners: Tensor[] = [];
  try {
    const passports = passportsOf(model);
    for (const p of passports) owners.push(keep(Tensor.from(await p.data(), p.shape)));
    const random = new Generator(budget.seed ?? 0).fork(`share ${share}`);
    await start(model, forgery, share, random);
    const params = [...passports, ...(forgery.fc === "fresh" ? freshFc(model, random) : [])];
    const loss = (x: Tensor, y: Tensor) => forgeryLoss(model, { ...forgery, owners }, x, y);
    const clip = { norm: CLIP_NORM, of: passports };
    for await (const _ of descend({ model, params, loss, following: privateNorms(model), clip }, budget));
    if (!forgery.signs)
      for (const { secret } of model.passportSites())
        secret.passport.b.write((await secret.passport.readGamma()).map((g) => (g > 0 ? 1 : -1)));
    const forged = await model.credential();
    checkNumbers(forged.tensors, budget);
    return withoutUnspelt(forged, model);
  } finally {
    for (const t of owners) t.dispose();
    model.dispose();
  }
}

/** @throws NanLossError when training left something that is no number. */
function checkNumbers(forged: SafetensorsFile["tensors"], { epochs, lr = 0.01 }: ForgingBudget): void {
  for (const [name, t] of forged)
    if (t.dtype === "F32" && !toFloat32(t).every(Number.isFinite))
      throw new NanLossError(
        `trainPassports: ${name} holds no numbers any more after ${epochs} epochs at lr ${lr}: lower lr`,
      );
}

/**
 * Norms of the private branch alone: their statistics are no part of what was given away, and the
 * forger's own.
 */
const privateNorms = (model: Protected): Module[] =>
  model.sites.flatMap(({ secret: { norm } }) => (norm ? [norm] : []));

/** Passports and bits that the forger starts from. */
async function start(model: Protected, { start, signs }: Forgery, share: number, random: Generator): Promise<void> {
  for (const { name, secret } of model.passportSites()) {
    const layer = secret.passport;
    const source = random.fork(name);
    if (start === "other") layer.randomPassports(source.fork("passports"));
    else {
      const fresh = async (part: "gamma" | "beta", stream: string) => {
        const tensor = layer.passports[part];
        const own = start === "near" ? await tensor.data() : new Float32Array(tensor.size);
        const noise = source.fork(stream).fill(new Float32Array(own.length), "normal", 0, start === "near" ? 0.001 : 1);
        return own.map((v, i) => v + noise[i]!);
      };
      layer.setPassports({ gamma: await fresh("gamma", "skey"), beta: await fresh("beta", "key") });
    }
    if (signs) layer.b.write(turnShare(await layer.b.data(), share, source.fork("signs")));
  }
}

/** Re-initialises every FC. @returns its weights. */
function freshFc(model: Protected, random: Generator): Tensor[] {
  const weights = model.passportSites().flatMap(({ name, secret: { passport } }) => {
    if (!passport.fc) return [];
    return passport.fc.parameters().map((weight, i) => {
      const bound = 1 / Math.sqrt(weight.shape[0]!);
      weight.write(random.fork(`${name}.fc.${i}`).fill(new Float32Array(weight.size), "uniform", -bound, bound));
      return weight;
    });
  });
  if (!weights.length)
    throw new ArgumentError(
      'trainPassports: this network has no FC that could be made anew: take a variant without "fresh FC"',
    );
  return weights;
}

/** A forged credential that claims accuracies. */
export const forgedCredential = (forged: SafetensorsFile, claimed: BranchAccuracy): SafetensorsFile => ({
  ...forged,
  metadata: { ...forged.metadata, claimed: JSON.stringify(claimed) },
});

/** A credential without its texts, where its bits spell them no more. */
function withoutUnspelt(forged: SafetensorsFile, { plan }: Protected): SafetensorsFile {
  const bits = (norm: string) => toFloat32(forged.tensors.get(`${secretName({ name: norm })}.b`)!);
  const bytes = (layers: readonly string[]) =>
    layers.flatMap((norm) => [...signBytes(bits(norm), plan.places.find((p) => p.norm === norm)!.text)]);
  const spelt = plan.texts.every(({ text, layers }) => {
    const wanted = new TextEncoder().encode(text);
    const found = bytes(layers);
    return found.length === wanted.length && found.every((byte, i) => byte === wanted[i]);
  });
  if (spelt) return forged;
  const places = plan.places.map((p) => ({ ...p, text: 0 }));
  return credentialFile(forged.tensors, { ...plan, places, texts: [], claimed: {}, model: forged.metadata["model"] });
}
