/** State dicts of modules: what is read into one, and how one is taken, all of it or nothing. */
import { StateDictError } from "../errors";
import type { HostTensor, StateDict } from "../io/host-tensor";
import { listed } from "../io/shown";
import { showShape } from "../tensor/shape";
import type { DType, Tensor } from "../tensor/tensor";
import { checkHostTensor, dataFor, type Layout, sameBytes, type TensorData, toTorch } from "./state";

/** Values that live on the host but belong to the state dict, such as a count of batches. */
export interface HostState {
  get(): HostTensor;
  /**
   * Takes a value of as many elements.
   * @param name the state's whole name
   * @throws StateDictError for one that it cannot be; nothing is changed then.
   */
  set(value: HostTensor, name: string): void;
}

/** Advice to whoever can be heard on it. */
export const TAKE_WHAT_FITS = ". Load with { strict: false } to take what fits";

/** What {@link Module.loadStateDict} did not find a place or a value for. */
export interface LoadReport {
  missing: string[];
  unexpected: string[];
}

/** Everything that a module's state dict holds, by name. */
export interface State {
  readonly tensors: ReadonlyMap<string, { readonly tensor: Tensor; readonly layout: Layout }>;
  readonly host: ReadonlyMap<string, HostState>;
}

/** Reads all values as they are now, in PyTorch's order. */
export async function readState({ tensors, host }: State): Promise<StateDict> {
  const values = [...host].map(([name, state]) => [name, state.get()] as const);
  // All copies go with one submit, so that no step that is recorded meanwhile comes between them.
  const reads = [...tensors.values()].map(({ tensor }) => tensor.data<DType>({ withStep: true }));
  const devices = new Set([...tensors.values()].map(({ tensor }) => tensor.device));
  const submitted = async () => devices.forEach((d) => d.flush());
  const [, ...data] = await Promise.all([submitted(), ...reads]);
  const dict: StateDict = new Map();
  [...tensors].forEach(([name, { tensor, layout }], i) => {
    dict.set(name, toTorch(data[i]!, tensor.shape, layout));
  });
  for (const [name, value] of values) dict.set(name, value);
  return dict;
}

/**
 * Gives all states the values of a state dict.
 * @throws StateDictError as {@link Module.loadStateDict}; nothing is changed then.
 */
export function loadState({ tensors, host }: State, dict: StateDict, strict: boolean): LoadReport {
  const missing = [...tensors.keys(), ...host.keys()].filter((name) => !dict.has(name));
  const unexpected = [...dict.keys()].filter((name) => !tensors.has(name) && !host.has(name));
  if (strict && (missing.length || unexpected.length)) {
    throw new StateDictError(
      `the state dict does not fit this module: missing ${listed(missing)}; unexpected ${listed(unexpected, 12)}${TAKE_WHAT_FITS}`,
    );
  }
  const ready = new Map<Tensor, { name: string; data: TensorData }>();
  for (const [name, { tensor, layout }] of tensors) {
    const value = dict.get(name);
    if (!value) continue;
    const data = dataFor(tensor, value, layout, name);
    const other = ready.get(tensor);
    if (other && !sameBytes(other.data, data))
      throw new StateDictError(
        `${other.name} and ${name} are one tensor in this module, and differ in the state dict: leave one of them out and load with { strict: false }`,
      );
    ready.set(tensor, { name, data });
  }
  setAll(host, dict);
  for (const [tensor, { data }] of ready) tensor.write(data);
  return { missing, unexpected };
}

/** Gives host states their values, all or none. */
function setAll(host: ReadonlyMap<string, HostState>, dict: StateDict): void {
  const changed: (() => void)[] = [];
  try {
    for (const [name, state] of host) {
      const value = dict.get(name);
      if (!value) continue;
      const before = state.get();
      checkHostTensor(name, value);
      if (value.data.length !== before.data.length)
        throw new StateDictError(
          `${name}: shape ${showShape(value.shape)} in the state dict, ${showShape(before.shape)} in this module`,
        );
      state.set(value, name);
      changed.push(() => state.set(before, name));
    }
  } catch (error) {
    for (const undo of changed) undo();
    throw error;
  }
}
