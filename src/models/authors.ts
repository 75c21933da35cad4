import { StateDictError } from "../errors";
import type { HostTensor, StateDict } from "../io/host-tensor";

/** The authors' layers register some tensors under a second name too: second name → first. */
const DUPLICATES: Readonly<Record<string, string>> = {
  "conv.weight": "weight",
  "sign_loss.b": "b",
  "sign_loss_private.b": "b",
};

/**
 * A state dict as the authors' code saves it, without the second names of tensors it has under their first.
 * @throws StateDictError when two names of one tensor hold different values.
 */
export function withoutDuplicates(state: StateDict): StateDict {
  const kept: StateDict = new Map();
  for (const [name, value] of state) {
    const second = Object.keys(DUPLICATES).find((d) => name.endsWith(`.${d}`));
    const first = second && name.slice(0, name.length - second.length) + DUPLICATES[second];
    const original = first ? state.get(first) : undefined;
    if (!original) kept.set(name, value);
    else if (!sameValues(original, value)) {
      throw new StateDictError(
        `${name} and ${first} are one tensor and hold different values: the state dict is damaged`,
      );
    }
  }
  return kept;
}

function sameValues(a: HostTensor, b: HostTensor): boolean {
  return a.data.length === b.data.length && a.data.every((v: number | bigint, i: number) => Object.is(v, b.data[i]));
}
