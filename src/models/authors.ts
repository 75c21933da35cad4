import { StateDictError } from "../errors";
import { type HostTensor, type StateDict, toFloat32 } from "../io/host-tensor";
import type { MapLayer } from "./layers";

/** The authors' layers register some tensors under a second name too. */
const DOUBLES: readonly (readonly [string, string])[] = [
  ["weight", "conv.weight"],
  ["weight", "linear.weight"],
  ["b", "sign_loss.b"],
  ["b", "sign_loss_private.b"],
];

/**
 * A state dict as the authors' code saves it, with each tensor once: passport layers of two branches keep `weight`, all others (those that work with their passports only have `skey`, those without a passport
 * no signature `b`) `conv.weight` or `linear.weight`.
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
 * Leaves out the private statistics `bn1` that the authors' layers hold but never use where both branches share `bn0`. Statistics that something has moved stay: a state dict of another
 * network shall not lose them unnoticed.
 */
export function withoutUnused(state: StateDict, layers: readonly MapLayer[]): StateDict {
  const unused = (name: string): boolean =>
    layers.some((l) => l.statistics === "shared" && name.startsWith(`${l.name}.bn1.`)) && isFresh(name, state);
  return new Map([...state].filter(([name]) => !unused(name)));
}

/** Whether a running statistic is as a norm that saw no batch has it. */
function isFresh(name: string, state: StateDict): boolean {
  const start = name.endsWith(".running_var") ? 1 : 0;
  return toFloat32(state.get(name)!).every((v) => v === start);
}

function sameValues(a: HostTensor, b: HostTensor): boolean {
  return a.data.length === b.data.length && a.data.every((v: number | bigint, i: number) => Object.is(v, b.data[i]));
}
