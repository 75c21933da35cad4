import { StateDictError } from "../errors";
import { type HostTensor, type StateDict, toFloat32 } from "../io/host-tensor";
import { sameShape, showShape, stridesOf } from "../tensor/shape";
import { keep } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";

/**
 * How a tensor of ours is ordered against PyTorch's, which is the order of state dicts:
 * `conv2d` [kH, kW, I, O] ↔ [O, I, kH, kW], `conv1d` [k, I, O] ↔ [O, I, k], `linear` [I, O] ↔ [O, I],
 * `image` [N, H, W, C] ↔ [N, C, H, W], `sequence` [N, L, C] ↔ [N, C, L], `map` [H, W, C] ↔ [C, H, W].
 */
export type Layout = "same" | "conv2d" | "conv1d" | "linear" | "image" | "sequence" | "map";

/** Our dimensions, in the order PyTorch has them. */
const TO_TORCH: Record<Exclude<Layout, "same">, readonly number[]> = {
  conv2d: [3, 2, 0, 1],
  conv1d: [2, 1, 0],
  linear: [1, 0],
  image: [0, 3, 1, 2],
  sequence: [0, 2, 1],
  map: [2, 0, 1],
};

interface Registration {
  kind: "parameter" | "buffer";
  layout: Layout;
}

const registered = new WeakMap<Tensor, Registration>();

/** Makes a tensor a trained parameter of the module it is a property of. It then lives until the module is disposed. */
export function parameter(t: Tensor, layout: Layout = "same"): Tensor {
  t.requiresGrad = true;
  registered.set(keep(t), { kind: "parameter", layout });
  return t;
}

/** Makes a tensor part of a module's state without training it: running statistics, passports. */
export function buffer(t: Tensor, layout: Layout = "same"): Tensor {
  registered.set(keep(t), { kind: "buffer", layout });
  return t;
}

/** Values that live on the host but belong to the state dict, such as a count of batches. */
export interface HostState {
  get(): HostTensor;
  set(value: HostTensor): void;
}

/** What {@link Module.loadStateDict} did not find a place or a value for. */
export interface LoadReport {
  missing: string[];
  unexpected: string[];
}

/**
 * A part of a network: owns parameters, buffers and further modules as properties, in PyTorch's way.
 * State-dict names are property names, in snake_case, joined by dots.
 */
export abstract class Module {
  /** True while training: batch norm uses batch statistics, dropout drops. */
  training = true;

  /** Child modules by name: properties that are modules, and the entries of properties that are arrays of modules. */
  *children(): Iterable<[string, Module]> {
    for (const [key, value] of Object.entries(this)) {
      if (value instanceof Module) yield [snake(key), value];
      else if (Array.isArray(value)) {
        for (const [i, v] of value.entries()) if (v instanceof Module) yield [`${snake(key)}.${i}`, v];
      }
    }
  }

  /** Tensors of this module and its children by state-dict name, parameters and buffers. */
  *namedTensors(prefix = ""): Iterable<[name: string, tensor: Tensor, registration: Readonly<Registration>]> {
    for (const [key, value] of Object.entries(this)) {
      const r = value instanceof Tensor ? registered.get(value) : undefined;
      if (r) yield [prefix + snake(key), value, r];
    }
    for (const [name, child] of this.children()) yield* child.namedTensors(`${prefix}${name}.`);
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
    this.training = on;
    for (const [, child] of this.children()) child.train(on);
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
    const entries = [...this.namedTensors()];
    const host = [...this.hostStates()].map(([name, state]) => [name, state.get()] as const);
    // All copies go with one submit, so that no step that is recorded meanwhile comes between them.
    const reads = entries.map(([, t]) => t.data({ withStep: true }));
    const submitted = async () => entries[0]?.[1].device.flush();
    const [, ...data] = await Promise.all([submitted(), ...reads]);
    const dict: StateDict = new Map();
    entries.forEach(([name, t, { layout }], i) => {
      dict.set(name, toTorch(data[i]!, t.shape, layout));
    });
    for (const [name, value] of host) dict.set(name, value);
    return dict;
  }

  /**
   * Takes values from a state dict in PyTorch's order.
   * @param options.strict Throw when names are missing or unexpected (default true); otherwise report them.
   * @throws StateDictError naming every missing and unexpected name, or the first tensor of another shape. Nothing is changed then.
   */
  loadStateDict(dict: StateDict, { strict = true } = {}): LoadReport {
    const own = new Map([...this.namedTensors()].map(([name, tensor, { layout }]) => [name, { tensor, layout }]));
    const host = new Map(this.hostStates());
    const missing = [...own.keys(), ...host.keys()].filter((name) => !dict.has(name));
    const unexpected = [...dict.keys()].filter((name) => !own.has(name) && !host.has(name));
    if (strict && (missing.length || unexpected.length)) {
      throw new StateDictError(
        `the state dict does not fit this module: missing ${listNames(missing)}; unexpected ${listNames(unexpected)}. Load with { strict: false } to take what fits`,
      );
    }
    const ready: [Tensor, Float32Array][] = [];
    for (const [name, { tensor, layout }] of own) {
      const value = dict.get(name);
      if (value) ready.push([tensor, fromTorch(value, tensor.shape, layout, name)]);
    }
    for (const [name, state] of host) {
      const [found, own] = [dict.get(name), state.get()];
      if (!found || found.data.length === own.data.length) continue;
      throw new StateDictError(
        `${name}: shape ${showShape(found.shape)} in the state dict, ${showShape(own.shape)} in this module`,
      );
    }
    for (const [tensor, data] of ready) tensor.write(data);
    for (const [name, state] of host) {
      const value = dict.get(name);
      if (value) state.set(value);
    }
    this.notifyLoaded();
    return { missing, unexpected };
  }

  /** Called here and below after a state dict was loaded: drop what was derived from the old values. */
  protected loaded(): void {}

  private notifyLoaded(): void {
    this.loaded();
    for (const [, child] of this.children()) child.notifyLoaded();
  }

  /** Frees every parameter, gradient and buffer, here and below. */
  dispose(): void {
    for (const [, child] of this.children()) child.dispose();
    for (const [, t] of this.namedTensors()) t.dispose();
  }

  private *hostStates(prefix = ""): Iterable<[string, HostState]> {
    for (const [name, state] of Object.entries(this.hostState())) yield [prefix + name, state];
    for (const [name, child] of this.children()) yield* child.hostStates(`${prefix}${name}.`);
  }
}

const snake = (key: string) => key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** Names for a message: the first twelve, and how many more. */
export const listNames = (names: readonly string[]) =>
  names.length === 0
    ? "none"
    : names.slice(0, 12).join(", ") + (names.length > 12 ? ` and ${names.length - 12} more` : "");

/** Host data in our order as a tensor in PyTorch's. */
export function toTorch(data: Float32Array<ArrayBuffer>, shape: readonly number[], layout: Layout): HostTensor {
  if (layout === "same") return { dtype: "F32", shape, data };
  const order = TO_TORCH[layout];
  return { dtype: "F32", shape: order.map((d) => shape[d]!), data: permuted(data, shape, order) };
}

/** A tensor in PyTorch's order as host data in ours. @throws StateDictError when the shape is another. */
export function fromTorch(value: HostTensor, shape: readonly number[], layout: Layout, name: string): Float32Array {
  const order = layout === "same" ? null : TO_TORCH[layout];
  const expected = order ? order.map((d) => shape[d]!) : shape;
  if (!sameShape(value.shape, expected)) {
    throw new StateDictError(
      `${name}: shape ${showShape(value.shape)} in the state dict, ${showShape(expected)} in this module`,
    );
  }
  const data = toFloat32(value);
  if (!order) return data;
  const inverse = order.map((_, d) => order.indexOf(d));
  return permuted(data, value.shape, inverse);
}

/** Transposes on the host: dimension d of the result is dimension order[d] of the source. */
function permuted(data: Float32Array, shape: readonly number[], order: readonly number[]): Float32Array<ArrayBuffer> {
  const strides = stridesOf(shape);
  const out = new Float32Array(data.length);
  const walk = order.map((d) => ({ size: shape[d]!, stride: strides[d]! }));
  let at = 0;
  const visit = (d: number, from: number): void => {
    const { size, stride } = walk[d]!;
    for (let i = 0; i < size; i++) {
      if (d === walk.length - 1) out[at++] = data[from + i * stride]!;
      else visit(d + 1, from + i * stride);
    }
  };
  visit(0, 0);
  return out;
}
