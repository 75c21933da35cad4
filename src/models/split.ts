import { StateDictError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import { branchesOf, type NetworkSettings, passportPlan } from "./config";
import { type MapLayer, mapName } from "./layers";

const STATISTICS = ["running_mean", "running_var", "num_batches_tracked"];
const AFFINE = ["weight", "bias"];

/** `own.PART` → `bn.PART`, the plain layer's name. */
const norm = (own: string, parts: readonly string[]): Record<string, string> =>
  Object.fromEntries(parts.map((part) => [`${own}.${part}`, `bn.${part}`]));

/** Public names of a layer that has private ones too, as the plain layer in its place has them. */
type OpenNames = Readonly<Record<string, string>>;

/**
 * Of a passport layer with two branches. `bn` is the statistic that both branches share, where the
 * norm is called so.
 */
const twoBranches = (map: string): OpenNames => ({
  weight: `${map}.weight`,
  [`${map}.bias`]: `${map}.bias`,
  scale: "bn.weight",
  bias: "bn.bias",
  ...norm("bn0", STATISTICS),
  ...norm("bn", STATISTICS),
});

/** Of a layer that works with its passports only. */
const oneBranch = (map: string): OpenNames => ({
  [`${map}.weight`]: `${map}.weight`,
  [`${map}.bias`]: `${map}.bias`,
  ...norm("bn", STATISTICS),
});

/** Of a layer without a passport that has a norm per branch. */
const twoNorms = (map: string): OpenNames => ({
  [`${map}.weight`]: `${map}.weight`,
  [`${map}.bias`]: `${map}.bias`,
  ...norm("bn0", [...AFFINE, ...STATISTICS]),
});

/**
 * Names in the plain network that have no counterpart in a layer with its passports only: there γ
 * and β come from the passports.
 */
const CONSTANTS: readonly string[] = ["bn.weight", "bn.bias"];

/** γ and β of each passport layer, as constants. */
export type GammaBetas = Map<string, { gamma: Float32Array<ArrayBuffer>; beta: Float32Array<ArrayBuffer> }>;

/**
 * The two halves of a trained network's state: what may be given away, and what only the owner has.
 */
export interface SplitState {
  deployed: StateDict;
  credential: StateDict;
}

/** Configuration of a network and the linear maps it makes. */
export interface Structure {
  config: NetworkSettings;
  layers: readonly MapLayer[];
}

/** The layers that have something private, with their public names. */
function dividedLayers({ config, layers }: Structure): Map<string, OpenNames> {
  const plan = passportPlan(config, layers);
  const two = branchesOf(config.scheme).length > 1;
  return new Map(
    layers.flatMap((layer): [string, OpenNames][] => {
      const map = mapName(layer);
      if (plan.has(layer.name)) return [[layer.name, two ? twoBranches(map) : oneBranch(map)]];
      return layer.branchNorms ? [[layer.name, twoNorms(map)]] : [];
    }),
  );
}

/** A name's divided layer, if it belongs to one, and the rest of the name. */
const within = (layers: ReadonlyMap<string, unknown>, name: string): [layer: string | undefined, rest: string] => {
  for (let dot = name.indexOf("."); dot > 0; dot = name.indexOf(".", dot + 1))
    if (layers.has(name.slice(0, dot))) return [name.slice(0, dot), name.slice(dot + 1)];
  return [undefined, name];
};

/**
 * Splits a whole state dict by the passport layers, and the norms a branch, of its configuration.
 * The deployed half has exactly the plain network's names and nothing else; every entry of such a
 * layer that is not known to be public goes to the credential, so nothing private can slip through.
 * @param gammaBetas what takes the place of γ and β in layers that work with their passports only.
 */
export function splitState(state: StateDict, structure: Structure, gammaBetas: GammaBetas = new Map()): SplitState {
  const divided = dividedLayers(structure);
  const [deployed, credential]: [StateDict, StateDict] = [new Map(), new Map()];
  for (const [name, value] of state) {
    const [layer, rest] = within(divided, name);
    const open = layer === undefined ? undefined : divided.get(layer)![rest];
    if (layer === undefined) deployed.set(name, value);
    else if (open !== undefined) deployed.set(`${layer}.${open}`, value);
    else credential.set(name, value);
  }
  for (const [layer, { gamma, beta }] of gammaBetas) {
    deployed.set(`${layer}.bn.weight`, { dtype: "F32", shape: [gamma.length], data: gamma });
    deployed.set(`${layer}.bn.bias`, { dtype: "F32", shape: [beta.length], data: beta });
  }
  return { deployed, credential };
}

/**
 * Puts the halves together again: a deployed (or suspect) network's weights under the owner's
 * private parts.
 * @throws StateDictError for doubled names.
 */
export function joinState({ deployed, credential }: SplitState, structure: Structure): StateDict {
  const divided = dividedLayers(structure);
  const single = branchesOf(structure.config.scheme).length === 1;
  const statistic = structure.config.norm === "sbn" ? "bn" : "bn0";
  const whole: StateDict = new Map(credential);
  for (const [name, value] of deployed) {
    const [layer, rest] = within(divided, name);
    if (layer !== undefined && single && CONSTANTS.includes(rest)) continue;
    const own = layer === undefined ? name : `${layer}.${ownName(divided.get(layer)!, rest, statistic)}`;
    if (whole.has(own))
      throw new StateDictError(
        `${own} is in the network's weights and in the credential: this is not a deployed model and its credential`,
      );
    whole.set(own, value);
  }
  return whole;
}

/**
 * What a divided layer calls a tensor of the plain one; of two statistics that would be the same,
 * the one of that name.
 */
function ownName(names: OpenNames, open: string, statistic: string): string {
  const own = Object.keys(names).filter((name) => names[name] === open);
  return own.find((name) => name.startsWith(`${statistic}.`)) ?? own[0] ?? open;
}
