import { flag, instance, optionsOf, refuse } from "../demand";
import { ArgumentError, ShapeError, StateDictError } from "../errors";
import type { Device } from "../gpu/device";
import { device } from "../gpu/init";
import type { HostTensor, StateDict } from "../io/host-tensor";
import { showShape } from "../tensor/shape";
import { keep } from "../tensor/storage";
import { type DType, Tensor } from "../tensor/tensor";
import { type Content, contentsOf, titleOf } from "./contents";
import {
  checkHostTensor,
  checkStateDict,
  dataFor,
  type Layout,
  listNames,
  sameBytes,
  type TensorData,
  TO_TORCH,
  toTorch,
} from "./state";

export { checkStateDict, fromTorch, type Layout, listNames, toTorch } from "./state";

interface Registration {
  kind: "parameter" | "buffer";
  layout: Layout;
}

const registered = new WeakMap<Tensor, Registration>();

/** Makes a tensor a trained parameter of the module it is a property of. It then lives until the module is disposed. @throws ShapeError unless it is f32 and of the layout's rank; ArgumentError when it was computed from others. */
export function parameter(t: Tensor, layout: Layout = "same"): Tensor {
  checkRegistered("parameter", t, layout);
  if (t.dtype !== "f32")
    throw new ShapeError(`parameter: an f32 tensor expected, found ${t.dtype} ${showShape(t.shape)}: use buffer()`);
  if (!t.isLeaf)
    throw new ArgumentError(
      `parameter: the tensor ${showShape(t.shape)} was computed from trained ones: register those, or detach() it`,
    );
  t.requiresGrad = true;
  registered.set(keep(t), { kind: "parameter", layout });
  return t;
}

/** Makes a tensor part of a module's state without training it: running statistics, passports. @throws ShapeError when it has not the layout's rank. */
export function buffer(t: Tensor, layout: Layout = "same"): Tensor {
  checkRegistered("buffer", t, layout);
  registered.set(keep(t), { kind: "buffer", layout });
  return t;
}

function checkRegistered(what: string, t: Tensor, layout: Layout): void {
  instance(what, "its first argument", t, Tensor);
  if (layout === "same") return;
  if (typeof layout !== "string" || !Object.hasOwn(TO_TORCH, layout))
    refuse(what, "layout", `"same" or one of ${Object.keys(TO_TORCH).join(", ")}`, layout);
  const { length } = TO_TORCH[layout];
  if (t.rank !== length)
    throw new ShapeError(`${what}: layout "${layout}" is of ${length} dimensions, the tensor is ${showShape(t.shape)}`);
}

/** Values that live on the host but belong to the state dict, such as a count of batches. */
export interface HostState {
  get(): HostTensor;
  /** Takes a value of as many elements. @param name the state's whole name @throws StateDictError for one that it cannot be; nothing is changed then. */
  set(value: HostTensor, name: string): void;
}

/** What {@link Module.loadStateDict} did not find a place or a value for. */
export interface LoadReport {
  missing: string[];
  unexpected: string[];
}

const isPart = (value: unknown): value is Module | Tensor =>
  value instanceof Module || (value instanceof Tensor && registered.has(value));

/** Modules and registered tensors that a module holds in its properties, whether or not it calls them its children. */
export const partsOf = (m: Module): Content<Module | Tensor>[] => contentsOf(m, isPart);

/**
 * A part of a network: owns parameters, buffers and further modules as properties, in PyTorch's way.
 * State-dict names are property names, in snake_case, joined by dots.
 *
 * Parts may also lie in arrays, plain objects and maps with string keys, at any depth: `name.0`, `name.key`. A part under two names (tied weights) is trained once and has both in state dicts. `#private`
 * fields cannot be seen: what they hold is no part of the module, and a trainer refuses a network whose loss depends on parameters there.
 *
 * @throws ArgumentError, when its parts are asked for, where one has no name of its own: in a `Set`, under a key with a dot, two under one name (`fooBar` and `foo_bar`), or in a module that holds itself.
 */
export abstract class Module {
  /** True while training: batch norm uses batch statistics, dropout drops. */
  training = true;

  /** Child modules by name: those in properties, and in arrays, plain objects and maps there. Override it to give other names; every module that a property holds must stay among them, or below one. */
  *children(): Iterable<[string, Module]> {
    for (const { name, value } of partsOf(this)) if (value instanceof Module) yield [name, value];
  }

  /** Registered tensors of this module alone, by name: those in properties, and in arrays, plain objects and maps there. Override it to give other names. */
  *tensors(): Iterable<[name: string, tensor: Tensor]> {
    for (const { name, value } of partsOf(this)) if (value instanceof Tensor) yield [name, value];
  }

  /** This module, under the name "", and all modules below it. A module that is held in several places stands under the name of each. */
  namedModules(): [name: string, module: Module][] {
    const found: [string, Module][] = [];
    const above = new Map<Module, string>();
    const visit = (path: string, module: Module): void => {
      const seen = above.get(module);
      if (seen !== undefined)
        throw new ArgumentError(
          `${titleOf(this)}: ${path} leads back to ${seen || "the module itself"}, and a module cannot be part of itself: keep such a reference in a #private field`,
        );
      found.push([path, module]);
      above.set(module, path);
      const names = new Set<string>();
      for (const [name, child] of module.children()) {
        if (names.has(name)) throw new ArgumentError(`${titleOf(module)}: children() gives the name "${name}" twice`);
        names.add(name);
        visit(path === "" ? name : `${path}.${name}`, child);
      }
      above.delete(module);
    };
    visit("", this);
    checkNamed(found);
    return found;
  }

  /** Tensors of this module and its children by state-dict name, parameters and buffers. */
  *namedTensors(prefix = ""): Iterable<[name: string, tensor: Tensor, registration: Readonly<Registration>]> {
    for (const [path, module] of this.namedModules()) {
      const at = path === "" ? prefix : `${prefix}${path}.`;
      for (const [name, tensor] of module.tensors()) yield [at + name, tensor, registered.get(tensor)!];
    }
  }

  /** Trained tensors, each once. */
  parameters(): Tensor[] {
    return [...new Set([...this.namedTensors()].filter(([, , r]) => r.kind === "parameter").map(([, t]) => t))];
  }

  /** Host-side state of this module alone; override where there is some. */
  protected hostState(): Record<string, HostState> {
    return {};
  }

  /** Sets training mode here and below. */
  train(on = true): this {
    flag("train", "its argument", on);
    for (const [, module] of this.namedModules()) module.training = on;
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  zeroGrad(): void {
    for (const p of this.parameters()) p.zeroGrad();
  }

  /** Every tensor of the module, as it is now, read back and put into PyTorch's order. */
  async stateDict(): Promise<StateDict> {
    const { tensors, host } = this.state();
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
   * Takes values from a state dict in PyTorch's order.
   * @param options.strict Throw when names are missing or unexpected (default true); otherwise report them.
   * @throws StateDictError naming every missing and unexpected name, the first tensor of another shape or with values that this module cannot hold, or two names of one tensor with values that differ;
   * ArgumentError for what is no state dict. Nothing is changed then.
   */
  loadStateDict(dict: StateDict, options?: { strict?: boolean }): LoadReport {
    checkStateDict(dict);
    const { strict = true } = optionsOf("loadStateDict", options, ["strict"]);
    const { tensors, host } = this.state();
    const missing = [...tensors.keys(), ...host.keys()].filter((name) => !dict.has(name));
    const unexpected = [...dict.keys()].filter((name) => !tensors.has(name) && !host.has(name));
    if (strict && (missing.length || unexpected.length)) {
      throw new StateDictError(
        `the state dict does not fit this module: missing ${listNames(missing)}; unexpected ${listNames(unexpected)}. Load with { strict: false } to take what fits`,
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
    for (const module of new Set(this.namedModules().map(([, m]) => m))) module.loaded();
    return { missing, unexpected };
  }

  /** Called here and below after a state dict was loaded: drop what was derived from the old values. */
  protected loaded(): void {}

  /** Frees every parameter, gradient and buffer, here and below. */
  dispose(): void {
    // All are named before any is gone: a module that cannot be gone through is found whole.
    const tensors = [...this.namedTensors()];
    for (const [, child] of this.children()) child.dispose();
    for (const [, t] of tensors) t.dispose();
  }

  /** Everything that state dicts hold, by name. */
  private state(): { tensors: Map<string, { tensor: Tensor; layout: Layout }>; host: Map<string, HostState> } {
    const tensors = new Map([...this.namedTensors()].map(([name, tensor, { layout }]) => [name, { tensor, layout }]));
    const host = new Map<string, HostState>();
    for (const [path, module] of this.namedModules())
      for (const [key, state] of Object.entries(module.hostState())) {
        const name = path === "" ? key : `${path}.${key}`;
        if (tensors.has(name) || host.has(name))
          throw new ArgumentError(`${titleOf(module)}: two of its states are "${name}": rename the property`);
        host.set(name, state);
      }
    return { tensors, host };
  }
}

/** @throws ArgumentError when a property holds a module that an overridden `children()` left out: it would neither be trained nor saved. */
function checkNamed(found: readonly [string, Module][]): void {
  const all = new Set(found.map(([, m]) => m));
  for (const [path, module] of found) {
    if (module.children === Module.prototype.children) continue;
    const lost = partsOf(module).find(({ value }) => value instanceof Module && !all.has(value));
    if (lost)
      throw new ArgumentError(
        `${titleOf(module)}${path && ` at ${path}`}: its children() leaves out ${lost.name}, which would neither be trained nor saved: name it there, or keep it in a #private field`,
      );
  }
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

/** The device that a module's tensors live on; the current one where it has none. */
export function deviceOf(module: Module): Device {
  for (const [, t] of module.namedTensors()) return t.device;
  return device();
}
