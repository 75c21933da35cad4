/**
 * The attacked network as an attacker has it: its structure and the weights that were given away.
 */
import { ArgumentError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import { buildPlain } from "../models/build";
import { deployedConfig, headName, type NetworkConfig } from "../models/described/network";
import { Linear } from "../nn/linear";
import type { Module } from "../nn/module";
import type { Network } from "../passport/trace";
import type { Target } from "./record";

/** What of a target says which network it is. */
export type Victim = Pick<Target, "deployed" | "model">;

/** A network of the victim's structure, freshly initialised. */
export function freshNetwork({ deployed, model }: Victim, options: { classes?: number; seed?: number } = {}): Network {
  if (model) return model();
  const own = deployedConfig(deployed);
  const { classes = own.classes, seed = 0 } = options;
  return buildPlain({ ...own, classes } as NetworkConfig, { seed });
}

/** Classes of the deployed network, where its file says it. */
export const classesOf = ({ deployed, model }: Victim): number | null =>
  model ? null : deployedConfig(deployed).classes;

/**
 * The name that a classifier's tensors begin with: of a network of the caller's, its last linear
 * layer.
 */
export function headOf({ deployed, model }: Victim, network?: Module): string {
  if (!model) return `${headName(deployedConfig(deployed))}.`;
  const made = network ?? model();
  const last = made.find(Linear).at(-1);
  if (!network) made.dispose();
  if (!last) throw new ArgumentError("the network has no linear layer that could be its classifier");
  return `${last[0]}.`;
}

/** The deployed network, with these weights or its own. */
export function victim(target: Victim, state: StateDict = target.deployed.tensors): Network {
  const network = freshNetwork(target);
  try {
    network.loadStateDict(state);
    return network.eval() as Network;
  } catch (error) {
    network.dispose();
    throw error;
  }
}
