import { fillKernel } from "../../shaders/elementwise.wgsl";
import { callable, flag, instance, optionsOf } from "../demand";
import { disposal } from "../disposal";
import { ArgumentError, LifetimeError, ShapeError } from "../errors";
import { Device } from "../gpu/device";
import { device } from "../gpu/init";
import type { PooledBuffer } from "../gpu/pool";
import { shown } from "../io/shown";
import { propagate } from "./backward";
import {
  ARRAYS,
  bitsOf,
  checkElement,
  type DType,
  dtypeOf,
  type ElementsOf,
  elementsOf,
  type TensorSource,
} from "./elements";
import { type BackwardFn, GraphNode } from "./graph";
import type { TensorMethods } from "./method-types";
import { currentPacking } from "./packing";
import { carryParts } from "./parts";
import { recordedGradients } from "./recorded-gradients";
import { asShape, type Shape, showShape, sizeOf } from "./shape";
import { type Centre, forgotten, type Range, refuseAsync, register, Storage, scope, unregister } from "./storage";
import { isTracing, type TracedHow, traced } from "./trace";

export type { DType } from "./elements";

/**
 * An n-dimensional array on the GPU, in row-major order, with PyTorch's autograd meaning:
 * `requiresGrad`, `backward()`, `grad`.
 *
 * **Layout.** Images are channels-last: `[N, H, W, C]`; point clouds and sequences `[N, L, C]`;
 * convolution weights `[kH, kW, I/groups, O]`; linear weights `[in, out]`. State dicts are
 * converted to and from PyTorch's order when saved and loaded.
 *
 * **Lifetime.** A tensor lives until `dispose()` or the end of the {@link scope} it was made in.
 * What a backward pass needs is kept by the graph and freed at its last use.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: methods.ts defines what this declares.
export class Tensor implements Disposable {
  /** Accumulated gradient of a leaf with `requiresGrad`. */
  grad: Tensor | null = null;
  /** The operation that made this tensor, while its graph lives. @internal */
  node: GraphNode<Tensor> | null = null;
  /**
   * Parts of equal size that the first dimension is made of: 1, and in a pass through several
   * branches of a network one per branch. Operations carry it, or refuse.
   * @internal
   */
  parts = 1;
  private alive = true;
  private differentiable = false;

  private constructor(
    readonly shape: Shape,
    readonly dtype: DType,
    private readonly storage: Storage,
    private readonly internal: boolean,
  ) {
    if (!internal) register(this);
  }

  /**
   * Uninitialised memory; every element must be written by the kernel it is made for.
   * @param d Default: the device of the last `init()`.
   * @throws ShapeError for sizes that are no whole numbers from 0, ArgumentError for an unknown
   * dtype, LimitError when the device cannot hold it.
   */
  static empty(shape: Shape | number, dtype: DType = "f32", d: Device = device()): Tensor {
    const sizes = asShape(shape);
    instance("Tensor.empty", "its device", d, Device);
    return new Tensor(sizes, dtypeOf("Tensor.empty", dtype), new Storage(d, 4 * sizeOf(sizes)), false);
  }

  /**
   * Uploads host data; it is copied at once. Typed arrays of every kind, numbers in (nested) lists,
   * a single number, and tensors as file readers give them are converted where nothing is lost that
   * was not asked for: floats and lists become f32, integers i32 (unsigned 32- and 64-bit ones
   * u32), or the `dtype` given.
   *
   * @example
   * Tensor.from([[1, 2], [3, 4]]);                        // f32 [2, 2]
   * Tensor.from(bytes, [28, 28, 1], "f32");               // a Uint8Array as floats
   * Tensor.from(state.get("weight")!);                    // F16, BF16, F64 and F32 of a file as f32
   * @param shape Default: that of the lists, of the file's tensor, or [length].
   * @param d Default: the device of the last `init()`.
   * @throws ShapeError when the shape holds another number of elements, or lists are ragged.
   * @throws ArgumentError for anything else as data, or an element that the type cannot hold.
   */
  static from(source: TensorSource, shape?: Shape | number, dtype?: DType, d?: Device): Tensor;
  static from(source: TensorSource, shape: Shape | number, d: Device): Tensor;
  static from(source: TensorSource, shape?: Shape | number, third?: DType | Device, d?: Device): Tensor {
    const [dtype, given] = third instanceof Device ? [undefined, third] : [third, d];
    const on = given === undefined ? device() : instance("Tensor.from", "its device", given, Device);
    const found = elementsOf("Tensor.from", source, shape === undefined ? undefined : asShape(shape), dtype);
    const storage = new Storage(on, found.data.byteLength, on.serial);
    const t = new Tensor(found.shape, found.dtype, storage, false);
    on.write(t.buffer, found.data);
    storage.noteRange(found.range);
    if (isTracing()) traced("constant", t, [], { data: found.data.slice() });
    return t;
  }

  /**
   * Every element `value`. @throws as {@link Tensor.empty}, and ArgumentError when the type cannot
   * hold the value.
   */
  static full(shape: Shape | number, value: number, dtype: DType = "f32", d: Device = device()): Tensor {
    return Tensor.empty(shape, dtype, d).fill(value);
  }

  /**
   * As {@link Tensor.empty}, on this tensor's device: what an operation's results are made with.
   */
  newEmpty(shape: Shape | number, dtype: DType = this.dtype): Tensor {
    return Tensor.empty(shape, dtype, this.device);
  }

  /** As {@link Tensor.full}, on this tensor's device. */
  newFull(shape: Shape | number, value: number, dtype: DType = this.dtype): Tensor {
    return Tensor.full(shape, value, dtype, this.device);
  }

  /**
   * Sets every element to `value`, in place. @throws ArgumentError when the type cannot hold it.
   */
  fill(value: number): this {
    const bits = bitsOf(checkElement("fill", value, this.dtype), this.dtype);
    this.device.run(fillKernel, null, { y: this.buffer }, { n: this.size, bits });
    if (isTracing()) traced("full", this, [], { numbers: [value] });
    return this;
  }

  /**
   * Whether `backward()` computes a gradient towards this tensor: set it on leaves, read it on
   * results. @throws ShapeError when set on integers; ArgumentError when taken from the result of a
   * recorded operation, where what led to it would lose its gradients, and for anything but true
   * and false.
   */
  get requiresGrad(): boolean {
    return this.differentiable;
  }

  set requiresGrad(on: boolean) {
    flag("a tensor", "requiresGrad", on);
    if (on && this.dtype !== "f32")
      throw new ShapeError(
        `requiresGrad: only f32 tensors have gradients, this one is ${this.dtype} ${showShape(this.shape)}`,
      );
    if (!on && this.node)
      throw new ArgumentError(
        `requiresGrad: a result of ${this.node.name}, ${showShape(this.shape)}, keeps its graph, and the gradients of what led to it would be lost: use detach() of it, or compute it under noGrad()`,
      );
    this.differentiable = on;
  }

  /** How many elements there are, PyTorch's `numel()`; its `size()` is `shape` here. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** How many dimensions there are; 0 for a single number. */
  get rank(): number {
    return this.shape.length;
  }

  /** The device that holds it; operands of an operation live on one. */
  get device(): Device {
    return this.storage.device;
  }

  /** Whether it was disposed of; whatever needs its elements throws a LifetimeError then. */
  get isDisposed(): boolean {
    return !this.alive;
  }

  /** True when this tensor was not made by a recorded operation. */
  get isLeaf(): boolean {
    return this.node === null;
  }

  /** The buffer kernels bind. @throws LifetimeError after dispose. @internal */
  get buffer(): PooledBuffer {
    if (!this.alive) {
      throw new LifetimeError(
        `a tensor of shape ${showShape(this.shape)} was used after it was disposed: return it from its scope, or keep() it`,
      );
    }
    return this.storage.buffer;
  }

  /** How often its memory was written to: equal numbers, equal values. @internal */
  get version(): number {
    return this.storage.version;
  }

  /**
   * Least and greatest element of integers that the host uploaded, until something writes to them;
   * else null.
   * @internal
   */
  get range(): Range | null {
    return this.storage.range;
  }

  /** Whether a view or a graph uses the same memory. */
  get sharesMemory(): boolean {
    return this.storage.isShared;
  }

  /**
   * Its memory, the same for all that share it.
   * @internal
   */
  get memory(): object {
    return this.storage;
  }

  /**
   * Number of 16-byte vectors the elements fill, rounded up: what vector kernels run over.
   * @internal
   */
  get vectors(): number {
    return Math.ceil(this.size / 4);
  }

  /**
   * The same memory under another shape, without a graph: what is written to one, by `fill`,
   * `write` or an optimiser, the other has too.
   * @throws ShapeError for another number of elements.
   */
  view(given: Shape | number, internal = false): Tensor {
    void this.buffer;
    const shape = asShape(given);
    if (sizeOf(shape) !== this.size) {
      throw new ShapeError(
        `cannot view ${showShape(this.shape)} (${this.size} elements) as ${showShape(shape)} (${sizeOf(shape)})`,
      );
    }
    const viewed = new Tensor(shape, this.dtype, this.storage.retain(), internal);
    if (this.parts > 1 && !internal && shape[0]! % this.parts === 0) viewed.parts = this.parts;
    if (!internal) traced("reshape", viewed, [this]);
    return viewed;
  }

  /**
   * The same values, cut from the graph. As in PyTorch both share their memory: what is written to
   * one, by `fill`, `write` or an optimiser, the other has too.
   */
  detach(): Tensor {
    return this.view(this.shape);
  }

  /**
   * Reads the elements back, as they are after everything recorded so far, into the typed array of
   * the tensor's own type: `Float32Array`, `Int32Array` or `Uint32Array`. TypeScript takes the
   * first unless told: `await labels.data<"i32">()`.
   * @param options.withStep Let the copy go with the next submit instead of submitting now (default
   * false). The promise waits for that submit, which nobody makes for it: `device.flush()`, or a
   * read without `withStep`. Do not await it before.
   * @throws LifetimeError after dispose.
   */
  async data<D extends DType = "f32">(options?: { withStep?: boolean }): Promise<ElementsOf[D]> {
    const { withStep = false } = optionsOf("data", options, ["withStep"]);
    const bytes = await this.device.read(this.buffer, 4 * this.size, flag("data", "withStep", withStep));
    return new ARRAYS[this.dtype](bytes) as ElementsOf[D];
  }

  /** The only element of a one-element tensor, read back. @throws ShapeError for any other. */
  async item(): Promise<number> {
    if (this.size !== 1)
      throw new ShapeError(`item() reads tensors of one element, this one has shape ${showShape(this.shape)}`);
    return (await this.data())[0]!;
  }

  /**
   * Overwrites the elements from the host; what {@link Tensor.from} takes, converted to this
   * tensor's type.
   * @throws ShapeError for another number of elements, ArgumentError for an element that the type
   * cannot hold; nothing is written then.
   */
  write(source: TensorSource): void {
    const { data, range } = elementsOf("write", source, this.shape, this.dtype);
    this.device.write(this.buffer, data);
    this.storage.noteRange(range);
    if (isTracing()) traced("constant", this, [], { data: data.slice() });
  }

  /**
   * Gradients of this tensor towards every leaf with `requiresGrad`, added to their `grad`. The
   * graph is freed.
   * @param seed dL/d(this); one element tensors default to 1.
   * @param options `retainGraph`: keep the graph, for another `backward()` through it (default
   * false).
   * @throws LifetimeError when there is no graph, when it was freed by an earlier call, or when a
   * tensor that it needs the values of was overwritten since: by an optimiser's step, `write`,
   * `fill`, `loadStateDict`.
   */
  backward(seed?: Tensor, options?: { retainGraph?: boolean }): void {
    const { retainGraph = false } = optionsOf("backward", options, ["retainGraph"]);
    flag("backward", "retainGraph", retainGraph);
    if (seed !== undefined && !(seed instanceof Tensor))
      throw new ArgumentError(`backward(): the seed is a tensor, found ${shown(seed)}`);
    noGrad(() => scope(() => propagate<Tensor>(this, seed, retainGraph)));
  }

  /** Frees the gradient; the next one is stored, not added. */
  zeroGrad(): void {
    recordedGradients(this.device)?.zeroed(this);
    this.grad?.dispose();
    this.grad = null;
  }

  /**
   * Type, shape, adapter, whether it is trained, and how to see the values: they stay on the GPU.
   */
  toString(): string {
    const form = `Tensor ${this.dtype} ${showShape(this.shape)}`;
    if (!this.alive) return `${form} (disposed)`;
    const grad = this.requiresGrad ? ", requiresGrad" : "";
    return `${form} on ${this.device.caps.adapter}${grad} (values: await tensor.data())`;
  }

  /**
   * In texts as {@link toString}. @throws ArgumentError where a number is wanted: operators of
   * JavaScript do not compute with tensors.
   */
  [Symbol.toPrimitive](hint: string): string {
    if (hint !== "number") return this.toString();
    throw new ArgumentError(
      `${this.toString()} is no number: compute with add(), mul(), … of the package, or read one element with await tensor.item()`,
    );
  }

  /** In JSON the text of {@link toString}: values stay on the GPU. */
  toJSON(): string {
    return this.toString();
  }

  /** What `console.log` shows in Node. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** Frees the memory at the end of a block: `using x = Tensor.from(…)`. */
  [disposal](): void {
    this.dispose();
  }

  /**
   * Frees the memory, when no view or graph shares it, and its gradient `grad` with it: a gradient
   * that is still needed has to be taken out of `grad` before. Again it does nothing.
   */
  dispose(): void {
    if (!this.alive) return;
    this.alive = false;
    if (!this.internal) {
      unregister(this);
      forgotten();
    }
    this.storage.release();
    this.grad?.dispose();
    this.grad = null;
    this.node?.release();
    this.node = null;
  }
}

export interface Tensor extends TensorMethods<Tensor> {}

/** What no program that uses the package needs to know of a tensor. */
const memoryOf = (t: Tensor): Storage => t["storage"];

/** Told the inputs of what would have been recorded, and what of them it would keep exact. */
export type Seen = (inputs: readonly Tensor[], exact: readonly Tensor[]) => void;

/** Whether operations are recorded; a function is told of the inputs of those that would be. */
let recording: boolean | Seen = true;

function whileRecording<T>(how: typeof recording, what: string, body: () => T): T {
  const before = recording;
  recording = how;
  try {
    const result = body();
    refuseAsync(what, result);
    return result;
  } finally {
    recording = before;
  }
}

/**
 * Runs `body` without recording a graph.
 * @throws ArgumentError when it is asynchronous: what follows its first `await` would be recorded.
 */
export function noGrad<T>(body: () => T): T {
  return whileRecording(false, "noGrad()", callable("noGrad", "its argument", body));
}

/** Runs `body` with a graph, whatever goes on around it. */
export function withGrad<T>(body: () => T): T {
  return whileRecording(true, "a forward pass", body);
}

/** Runs `body` without a graph; `seen` is told of what would have been recorded. */
export function withoutGraph<T>(seen: Seen, body: () => T): T {
  return whileRecording(seen, "a forward pass", body);
}

/** Whether graphs are recorded now. */
export const isRecording = (): boolean => recording === true;

/** Whether what runs now is run for its values alone, and again for its graph. */
export const isWithoutGraph = (): boolean => typeof recording === "function";

/** Whether an operation on these inputs will be recorded. */
export const needsGraph = (inputs: readonly Tensor[]): boolean =>
  recording === true && inputs.some((t) => t.requiresGrad);

/**
 * Tells traces of the result of an operation that has no gradient, and gives it its inputs' parts.
 */
export function derived(name: string, out: Tensor, inputs: readonly Tensor[], how?: TracedHow<Tensor>): Tensor {
  traced(name, out, inputs, how);
  return carryParts(name, out, inputs);
}

/** What of the tensors that a backward pass needs may not wait rounded as it is. */
export interface Rounding {
  /**
   * Never rounded: what the backward divides, divides by, or compares with something. Of all else
   * it may be given numbers that are near, tiny ones as 0.
   */
  readonly exact?: readonly Tensor[];
  /** Rounded about its mean: `by` has means [2 or more, blocks, groups], see {@link Centre}. */
  readonly centred?: { readonly x: Tensor; readonly by: Tensor; readonly columns: number };
}

/**
 * Makes `out` the differentiable result of an operation on `inputs`.
 * @param save Tensors the backward needs; the function gets handles of its own, which outlive any
 * scope.
 * @param how What traces tell of the operation beside.
 */
export function record(
  name: string,
  out: Tensor,
  inputs: readonly Tensor[],
  save: readonly Tensor[],
  backwardOf: (...saved: Tensor[]) => BackwardFn<Tensor>,
  how?: TracedHow<Tensor>,
  { exact = [], centred }: Rounding = {},
): Tensor {
  traced(name, out, inputs, how);
  carryParts(name, out, inputs);
  // What is rounded about a mean would lose it where nobody keeps the mean.
  if (typeof recording === "function") recording(inputs, centred ? [...exact, centred.x] : exact);
  currentPacking()?.pass();
  if (!needsGraph(inputs)) return out;
  const saved = save.map((t) => t.view(t.shape, true));
  const centres = centred ? ([[memoryOf(centred.x), centreOf(centred.by, centred.columns)]] as const) : [];
  currentPacking()?.note(memoryOf(out), inputs.map(memoryOf), saved.map(memoryOf), exact.map(memoryOf), centres);
  out.requiresGrad = true;
  out.node = new GraphNode(name, inputs, out.shape, saved, backwardOf(...saved));
  return out;
}

const centreOf = (by: Tensor, columns: number): Centre => ({
  ...{ means: memoryOf(by), blocks: by.shape[1]!, groups: by.shape[2]!, columns },
});
