import { StateDictError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import { branchesOf, type ConvLayer, type NetworkSettings, passportPlan } from "./config";

/** Public names of a two-branch layer, as the plain layer in its place has them. `bn` is the statistic that both branches share. */
const TWO_BRANCHES: Readonly<Record<string, string>> = {
  weight: "conv.weight",
  scale: "bn.weight",
  bias: "bn.bias",
  ...statistics("bn0"),
  ...statistics("bn"),
};

/** Public names of a layer that works with its passports only. */
const ONE_BRANCH: Readonly<Record<string, string>> = { "conv.weight": "conv.weight", ...statistics("bn") };

function statistics(own: string): Record<string, string> {
  const names = ["running_mean", "running_var", "num_batches_tracked"];
  return Object.fromEntries(names.map((n) => [`${own}.${n}`, `bn.${n}`]));
}

/** Names in the plain network that have no counterpart in a layer with its passports only: there γ and β come from the passports. */
const CONSTANTS: readonly string[] = ["bn.weight", "bn.bias"];

/** γ and β of each passport layer, as constants. */
export type Scales = Map<string, { gamma: Float32Array<ArrayBuffer>; beta: Float32Array<ArrayBuffer> }>;

/** The two halves of a trained network's state: what may be given away, and what only the owner has. */
export interface SplitState {
  deployed: StateDict;
  credential: StateDict;
}

/** Configuration of a network and the convolutions it makes. */
export interface Structure {
  config: NetworkSettings;
  layers: readonly ConvLayer[];
}

const passportNames = ({ config, layers }: Structure) => [...passportPlan(config, layers).keys()];
const publicNames = ({ config }: Structure) => (branchesOf(config.scheme).length > 1 ? TWO_BRANCHES : ONE_BRANCH);

/** A name's passport layer, if it belongs to one, and the rest of the name. */
const within = (layers: readonly string[], name: string): [layer: string | undefined, rest: string] => {
  const layer = layers.find((l) => name.startsWith(`${l}.`));
  return layer === undefined ? [undefined, name] : [layer, name.slice(layer.length + 1)];
};

/**
 * Splits a whole state dict by the passport layers of its configuration. The deployed half has exactly the plain network's names and nothing else; every
 * entry of a passport layer that is not known to be public goes to the credential, so nothing private can slip through.
 * @param scales what takes the place of γ and β in layers that work with their passports only.
 */
export function splitState(state: StateDict, structure: Structure, scales: Scales = new Map()): SplitState {
  const layers = passportNames(structure);
  const open = publicNames(structure);
  const [deployed, credential]: [StateDict, StateDict] = [new Map(), new Map()];
  for (const [name, value] of state) {
    const [layer, rest] = within(layers, name);
    if (layer === undefined) deployed.set(name, value);
    else if (open[rest]) deployed.set(`${layer}.${open[rest]}`, value);
    else credential.set(name, value);
  }
  for (const [layer, { gamma, beta }] of scales) {
    deployed.set(`${layer}.bn.weight`, { dtype: "F32", shape: [gamma.length], data: gamma });
    deployed.set(`${layer}.bn.bias`, { dtype: "F32", shape: [beta.length], data: beta });
  }
  return { deployed, credential };
}

/** Puts the halves together again: a deployed (or suspect) network's weights under the owner's private parts. @throws StateDictError for doubled names. */
export function joinState({ deployed, credential }: SplitState, structure: Structure): StateDict {
  const layers = passportNames(structure);
  const single = branchesOf(structure.config.scheme).length === 1;
  const statistic = structure.config.norm === "sbn" ? "bn" : "bn0";
  const original = new Map(Object.entries(single ? ONE_BRANCH : TWO_BRANCHES).map(([own, open]) => [open, own]));
  if (!single) for (const [open, own] of original) original.set(open, own.replace(/^bn0?\./, `${statistic}.`));
  const whole: StateDict = new Map(credential);
  for (const [name, value] of deployed) {
    const [layer, rest] = within(layers, name);
    if (layer !== undefined && single && CONSTANTS.includes(rest)) continue;
    const own = layer === undefined ? name : `${layer}.${original.get(rest) ?? rest}`;
    if (whole.has(own))
      throw new StateDictError(
        `${own} is in the network's weights and in the credential: this is not a deployed model and its credential`,
      );
    whole.set(own, value);
  }
  return whole;
}
