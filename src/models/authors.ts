import { StateDictError } from "../errors";
import type { HostTensor, StateDict } from "../io/host-tensor";

/** The authors' layers register some tensors under a second name too. */
const DOUBLES: readonly (readonly [string, string])[] = [
  ["weight", "conv.weight"],
  ["b", "sign_loss.b"],
  ["b", "sign_loss_private.b"],
];

/**
 * A state dict as the authors' code saves it, with each tensor once: layers that work with their passports only (they have `skey`) keep `conv.weight`, those with two branches `weight`.
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
      dropped.add(second === "conv.weight" && state.has(`${layer}skey`) ? layer + first : name);
    }
  return new Map([...state].filter(([name]) => !dropped.has(name)));
}

function sameValues(a: HostTensor, b: HostTensor): boolean {
  return a.data.length === b.data.length && a.data.every((v: number | bigint, i: number) => Object.is(v, b.data[i]));
}
