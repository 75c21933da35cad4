import { texts } from "../demand";
import { ArgumentError } from "../errors";
import { toFloat32 } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { readCredential } from "../models/credential";
import { rejoin } from "../ownership/running/rejoin";
import { decodeTexts } from "../ownership/suspect/signature";
import { secretName } from "../passport/place";
import { Generator } from "../tensor/random";
import { attackOptions, checkTarget } from "./checked";
import { type AttackOptions, type AttackRecord, type AttackStep, measure, type Target } from "./record";
import { checkShares, TENS, turnShare } from "./shares";
import { PassportEquations } from "./solve";

/** Options of {@link flipSigns}. */
export interface FlipSignsOptions extends AttackOptions {
  /** Shares of each layer's signs to turn (default 0, 0.1, … 1). */
  shares?: readonly number[];
  /** Norms with passports to attack, by name (default all). */
  layers?: readonly string[];
}

/**
 * Turned signs: γ_raw of the owner's passport with a share of its signs turned, everything else as
 * it was. What a forger gets who claims another signature and keeps the magnitudes. The passports
 * that give those γ are solved for in closed form. Source: Fan et al., "DeepIPR", TPAMI 2021,
 * section 4.2.3.
 * @throws ArgumentError for a target or options that are none, a share outside 0 to 1, an unknown
 * layer, or one whose equations have no solution.
 */
export async function flipSigns(target: Target, options?: FlipSignsOptions): Promise<AttackRecord> {
  checkTarget("flipSigns", target);
  const { shares = TENS, layers, seed = 0, onStep } = attackOptions("flipSigns", options, ["shares", "layers"]);
  if (layers !== undefined) texts("flipSigns", "layers", layers);
  checkShares("flipSigns", shares);
  const owner = rejoin(target.deployed, target.credential, target.model?.());
  try {
    const attacked = equations(target, layers);
    const before = await measure(owner, target);
    const gammas = new Map((await owner.readSigns()).map(({ name, gamma }) => [name, gamma]));
    const steps: AttackStep[] = [];
    for (const share of shares) {
      const tensors = new Map(target.credential.tensors);
      for (const [key, { name, solve }] of attacked) {
        const turned = turnShare(gammas.get(name)!, share, new Generator(seed).fork(`${name} ${share}`));
        const { shape } = tensors.get(key)!;
        tensors.set(key, { dtype: "F32", shape, data: solve(turned) });
      }
      const step: AttackStep = { setting: { share }, ...(await look({ ...target.credential, tensors }, target)) };
      steps.push(step);
      await onStep?.(step, steps.length, shares.length);
    }
    const knowledge = ["the deployed network", "the owner's whole credential"];
    const budget = { data: "none", layers: [...attacked.values()].map(({ name }) => name).join(", ") };
    return { attack: "turned signs", knowledge, budget, seed, before, steps };
  } finally {
    owner.dispose();
  }
}

/** What the network does under the forger's passports, and what its signs then spell. */
async function look(forged: SafetensorsFile, target: Target): Promise<Pick<AttackStep, "after" | "text">> {
  const model = rejoin(target.deployed, forged, target.model?.());
  try {
    const after = await measure(model, target);
    const { texts: spelt, places } = readCredential(forged);
    if (!spelt.length) return { after };
    const sizes = new Map(places.map((p) => [p.norm, p.text]));
    return { after, text: decodeTexts(await model.readSigns(), spelt, sizes).join(" ") };
  } finally {
    model.dispose();
  }
}

type Solver = { name: string; solve: (gamma: Float32Array) => Float32Array<ArrayBuffer> };

/** Name of each attacked layer's passport for γ → how to solve for it. */
function equations({ deployed, credential }: Target, chosen?: readonly string[]): Map<string, Solver> {
  const { places, named } = readCredential(credential);
  const names = places.map((p) => p.norm);
  const unknown = chosen?.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new ArgumentError(`${unknown} is no passport layer of the credential: they are ${names.join(", ")}`);
  return new Map(
    (chosen ?? names).map((name) => {
      const place = places.find((p) => p.norm === name)!;
      const read = (tensor: string) => toFloat32(deployed.tensors.get(tensor)!);
      const system = new PassportEquations(place, read(place.weight), place.bias ? read(place.bias) : null);
      return [named(`${secretName({ name })}.skey`), { name, solve: (gamma: Float32Array) => system.solve(gamma) }];
    }),
  );
}
