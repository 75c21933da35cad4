import { StateDictError } from "../../errors";
import { type HostTensor, type StateDict, toFloat32 } from "../../io/host-tensor";
import type { Module } from "../../nn/module";
import { ChannelAffine, InstanceNorm, type Norm } from "../../nn/norm";
import type { SecretPlan } from "../../passport/built-in";
import type { Protected } from "../../passport/protected";
import { branchesOf } from "../../passport/schemes";
import { NormedMap } from "../block";

/** The authors' layers register some tensors under a second name too. */
const DOUBLES: readonly (readonly [string, string])[] = [
  ["weight", "conv.weight"],
  ["weight", "linear.weight"],
  ["b", "sign_loss.b"],
  ["b", "sign_loss_private.b"],
];

/**
 * A state dict as the authors' code saves it, with each tensor once: passport layers of two
 * branches keep `weight`, all others (those that work with their passports only have `skey`, those
 * without a passport no signature `b`) `conv.weight` or `linear.weight`.
 * @throws StateDictError when two names of one tensor hold different values.
 */
export function withoutDuplicates(state: StateDict): StateDict {
  const dropped = new Set<string>();
  for (const [name, value] of state)
    for (const [first, second] of DOUBLES) {
      if (!name.endsWith(`.${second}`)) continue;
      const layer = name.slice(0, -second.length);
      const original = state.get(layer + first);
      if (!original) continue;
      if (!sameValues(original, value))
        throw new StateDictError(
          `${name} and ${layer}${first} are one tensor and hold different values: the state dict is damaged`,
        );
      const own = first === "weight" && (state.has(`${layer}skey`) || !state.has(`${layer}b`));
      dropped.add(own ? layer + first : name);
    }
  return new Map([...state].filter(([name]) => !dropped.has(name)));
}

/**
 * Leaves out the private statistics `bn1` that the authors' layers hold but never use where both
 * branches share `bn0`. Statistics that something has moved stay: a state dict of another network
 * shall not lose them unnoticed.
 */
export function withoutUnused(state: StateDict, plan: SecretPlan, shared: string): StateDict {
  if (plan.statistics !== "shared" || shared !== "bn0") return state;
  const layers = new Set(plan.places.map(({ norm }) => norm.replace(/\.bn$/, ".bn1")));
  const unused = (name: string): boolean => layers.has(name.slice(0, name.lastIndexOf("."))) && isFresh(name, state);
  return new Map([...state].filter(([name]) => !unused(name)));
}

/**
 * With γ and β in the layers without a passport, which the authors' code gives none in two cases:
 * with instance norm (`--norm-type in`), which there has no affine map, γ = 1 and β = 0; and
 * without a norm (`none`), where the map has a bias instead, γ = 1 and β = that bias. Here both are
 * learned when training goes on. A state dict that has γ or β anywhere stays as it is, so that one
 * with holes is told from one of theirs.
 */
export function withAffine(state: StateDict, owned: Module): StateDict {
  const { network, sites } = owned as Protected;
  const secret = new Set(sites.map((s) => s.norm));
  const plain = network.find(NormedMap).filter(([, { norm }]) => norm && !secret.has(norm));
  const kind = (norm: Norm | null) => norm instanceof InstanceNorm || norm instanceof ChannelAffine;
  if (!plain.length || !plain.every(([, { norm }]) => kind(norm))) return state;
  const bias = ([name, block]: [string, NormedMap]) => `${name}.${[...block.children()][0]![0]}.bias`;
  const theirs = (layer: [string, NormedMap]): boolean =>
    !state.has(`${layer[0]}.bn.weight`) &&
    !state.has(`${layer[0]}.bn.bias`) &&
    state.has(bias(layer)) === layer[1].norm instanceof ChannelAffine;
  if (!plain.every(theirs)) return state;
  const whole: StateDict = new Map(state);
  for (const layer of plain) {
    const [name, { norm }] = layer;
    const constant = (value: number): HostTensor => {
      const channels = norm!.weight!.size;
      return { dtype: "F32", shape: [channels], data: new Float32Array(channels).fill(value) };
    };
    whole.set(`${name}.bn.weight`, constant(1));
    whole.set(`${name}.bn.bias`, state.get(bias(layer)) ?? constant(0));
    whole.delete(bias(layer));
  }
  return whole;
}

/**
 * What to say of a state dict whose passport layers of two branches have the other kind of batch
 * norm; empty where they have not.
 */
export function hintOfNorm(state: StateDict, plan: SecretPlan): string {
  if (branchesOf(plan.scheme).length < 2) return "";
  const has = (norm: string) =>
    plan.places.some((place) => state.has(`${place.norm.replace(/bn$/, norm)}.running_mean`));
  if (plan.statistics === "separate" && has("bn") && !has("bn0"))
    return '. Its passport layers have one batch norm for both branches, which DeepIPR\'s code calls bn: build the network with statistics: "shared" (norm: "sbn" in a configuration)';
  if (plan.statistics === "shared" && has("bn0") && !has("bn"))
    return '. Its passport layers have a batch norm for each branch: build the network with statistics: "separate" (norm: "bn" in a configuration)';
  return "";
}

/** Whether a running statistic is as a norm that saw no batch has it. */
function isFresh(name: string, state: StateDict): boolean {
  const start = name.endsWith(".running_var") ? 1 : 0;
  return toFloat32(state.get(name)!).every((v) => v === start);
}

function sameValues(a: HostTensor, b: HostTensor): boolean {
  return a.data.length === b.data.length && a.data.every((v: number | bigint, i: number) => Object.is(v, b.data[i]));
}
