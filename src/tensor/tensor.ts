import { accumulateKernel, binaryKernel, fillKernel } from "../../shaders/elementwise.wgsl";
import { ArgumentError, LifetimeError, ShapeError } from "../errors";
import { Device } from "../gpu/device";
import { device } from "../gpu/init";
import type { PooledBuffer } from "../gpu/pool";
import { shown } from "../io/shown";
import { ARRAYS, checkElement, type DType, type ElementsOf, elementsOf, type TensorSource } from "./elements";
import { recordedGradients } from "./recorded-gradients";
import { asShape, type Shape, sameShape, showShape, sizeOf } from "./shape";
import { forgotten, keep, type Range, refuseAsync, register, Storage, scope, unregister } from "./storage";

export type { DType } from "./elements";

/** Gradients towards each input, in order; null where none is needed. */
export type BackwardFn = (grad: Tensor) => readonly (Tensor | null)[];

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
export class Tensor {
  /** Accumulated gradient of a leaf with `requiresGrad`. */
  grad: Tensor | null = null;
  /** The operation that made this tensor, while its graph lives. */
  node: GraphNode | null = null;
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
    if (!(dtype in ARRAYS)) throw new ArgumentError(`dtype: "f32", "i32" or "u32" expected, found ${shown(dtype)}`);
    return new Tensor(sizes, dtype, new Storage(d, 4 * sizeOf(sizes)), false);
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
    const [dtype, on] = third instanceof Device ? [undefined, third] : [third, d ?? device()];
    const found = elementsOf("Tensor.from", source, shape === undefined ? undefined : asShape(shape), dtype);
    const storage = new Storage(on, found.data.byteLength, on.serial);
    const t = new Tensor(found.shape, found.dtype, storage, false);
    on.write(t.buffer, found.data);
    storage.noteRange(found.range);
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
    return this;
  }

  /**
   * Whether `backward()` computes a gradient towards this tensor: set it on leaves, read it on
   * results. @throws ShapeError when set on integers.
   */
  get requiresGrad(): boolean {
    return this.differentiable;
  }

  set requiresGrad(on: boolean) {
    if (on && this.dtype !== "f32")
      throw new ShapeError(
        `requiresGrad: only f32 tensors have gradients, this one is ${this.dtype} ${showShape(this.shape)}`,
      );
    this.differentiable = Boolean(on);
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  get rank(): number {
    return this.shape.length;
  }

  get device(): Device {
    return this.storage.device;
  }

  get isDisposed(): boolean {
    return !this.alive;
  }

  /** True when this tensor was not made by a recorded operation. */
  get isLeaf(): boolean {
    return this.node === null;
  }

  /** The buffer kernels bind. @throws LifetimeError after dispose. */
  get buffer(): PooledBuffer {
    if (!this.alive) {
      throw new LifetimeError(
        `a tensor of shape ${showShape(this.shape)} was used after it was disposed: return it from its scope, or keep() it`,
      );
    }
    return this.storage.buffer;
  }

  /** How often its memory was written to: equal numbers, equal values. */
  get version(): number {
    return this.storage.buffer.version;
  }

  /**
   * Least and greatest element of integers that the host uploaded, until something writes to them;
   * else null.
   */
  get range(): Range | null {
    return this.storage.range;
  }

  /** Whether a view or a graph uses the same memory. */
  get sharesMemory(): boolean {
    return this.storage.isShared;
  }

  /** Number of 16-byte vectors the elements fill, rounded up: what vector kernels run over. */
  get vectors(): number {
    return Math.ceil(this.size / 4);
  }

  /** The same memory under another shape; no graph. */
  view(given: Shape | number, internal = false): Tensor {
    void this.buffer;
    const shape = asShape(given);
    if (sizeOf(shape) !== this.size) {
      throw new ShapeError(
        `cannot view ${showShape(this.shape)} (${this.size} elements) as ${showShape(shape)} (${sizeOf(shape)})`,
      );
    }
    return new Tensor(shape, this.dtype, this.storage.retain(), internal);
  }

  /** The same values, cut from the graph. */
  detach(): Tensor {
    return this.view(this.shape);
  }

  /**
   * Reads the elements back, as they are after everything recorded so far, into the typed array of
   * the tensor's own type: `Float32Array`, `Int32Array` or `Uint32Array`. TypeScript takes the
   * first unless told: `await labels.data<"i32">()`.
   * @param options.withStep Let the copy go with the next submit (the training step's own) instead
   * of submitting now.
   */
  async data<D extends DType = "f32">(options: { withStep?: boolean } = {}): Promise<ElementsOf[D]> {
    const bytes = await this.device.read(this.buffer, 4 * this.size, options.withStep);
    return new ARRAYS[this.dtype](bytes) as ElementsOf[D];
  }

  /** The only element of a one-element tensor. */
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
  }

  /**
   * Gradients of this tensor towards every leaf with `requiresGrad`, added to their `grad`. The
   * graph is freed.
   * @param seed dL/d(this); one element tensors default to 1.
   * @param options.retainGraph Keep the graph, for another `backward()` through it (default false).
   * @throws LifetimeError when there is no graph, when it was freed by an earlier call, or when a
   * tensor that it needs the values of was overwritten since: by an optimiser's step, `write`,
   * `fill`, `loadStateDict`.
   */
  backward(seed?: Tensor, { retainGraph = false }: { retainGraph?: boolean } = {}): void {
    backward(this, seed, retainGraph);
  }

  /** Frees the gradient; the next one is stored, not added. */
  zeroGrad(): void {
    recordedGradients(this.device)?.zeroed(this);
    this.grad?.dispose();
    this.grad = null;
  }

  /** Type, shape, adapter, whether it is trained, and how to see the values: they stay on the GPU. */
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

  /** What `console.log` shows in Node. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** Frees the memory (when no view or graph shares it). Idempotent. */
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

/**
 * One recorded operation: its inputs, what it saved, how gradients flow back. Counted by its output
 * handle and by the nodes that use it.
 */
export class GraphNode {
  private references = 1;
  private freed = false;
  readonly inputs: readonly { tensor: Tensor; node: GraphNode | null; needsGrad: boolean }[];
  /** Of what was saved, when it was. */
  private readonly versions: readonly number[];

  constructor(
    readonly name: string,
    inputs: readonly Tensor[],
    readonly shape: Shape,
    private readonly saved: readonly Tensor[],
    private readonly fn: BackwardFn,
  ) {
    this.inputs = inputs.map((tensor) => ({
      tensor,
      node: tensor.node?.retain() ?? null,
      needsGrad: tensor.requiresGrad,
    }));
    this.versions = saved.map((t) => t.version);
  }

  retain(): this {
    this.references++;
    return this;
  }

  release(): void {
    if (--this.references === 0) this.free();
  }

  /** @throws LifetimeError when what was saved is freed, or has been overwritten since. */
  check(): void {
    if (this.freed)
      throw new LifetimeError(
        `backward through ${this.name} a second time: its saved tensors are freed after the first; compute the forward pass again, or call backward(seed, { retainGraph: true }) the first time`,
      );
    for (const [i, t] of this.saved.entries()) {
      if (t.version === this.versions[i]) continue;
      throw new LifetimeError(
        `backward through ${this.name}: a tensor of shape ${showShape(t.shape)} that it needs the values of was overwritten after the forward pass (by an optimiser's step, write, fill or loadStateDict: version ${t.version}, saved at ${this.versions[i]}), and the gradient would be wrong: call backward() before, or compute the forward pass again`,
      );
    }
  }

  /** Runs the backward function, then frees what was saved for it unless it is to be `kept`. */
  run(grad: Tensor, kept: boolean): readonly (Tensor | null)[] {
    const grads = this.fn(grad);
    if (!kept) this.free();
    return grads;
  }

  /**
   * Frees what this node saved, and the nodes before it that nothing else holds; in a loop, for
   * graphs deeper than the call stack.
   */
  private free(): void {
    const unused: GraphNode[] = [this];
    for (let node = unused.pop(); node; node = unused.pop()) {
      if (node.freed) continue;
      node.freed = true;
      for (const t of node.saved) t.dispose();
      for (const { node: from } of node.inputs) if (from && --from.references === 0) unused.push(from);
    }
  }
}

let recording = true;

/**
 * Runs `body` without recording a graph.
 * @throws ArgumentError when it is asynchronous: what follows its first `await` would be recorded.
 */
export function noGrad<T>(body: () => T): T {
  const before = recording;
  recording = false;
  try {
    const result = body();
    refuseAsync("noGrad()", result);
    return result;
  } finally {
    recording = before;
  }
}

/** Whether an operation on these inputs will be recorded. */
export const needsGraph = (inputs: readonly Tensor[]): boolean => recording && inputs.some((t) => t.requiresGrad);

/**
 * Makes `out` the differentiable result of an operation on `inputs`.
 * @param save Tensors the backward needs; the function gets handles of its own, which outlive any
 * scope.
 */
export function record(
  name: string,
  out: Tensor,
  inputs: readonly Tensor[],
  save: readonly Tensor[],
  backwardOf: (...saved: Tensor[]) => BackwardFn,
): Tensor {
  if (!needsGraph(inputs)) return out;
  const saved = save.map((t) => t.view(t.shape, true));
  out.requiresGrad = true;
  out.node = new GraphNode(name, inputs, out.shape, saved, backwardOf(...saved));
  return out;
}

/** into += g, in place. */
function accumulate(into: Tensor, g: Tensor): void {
  into.device.run(accumulateKernel, null, { x: g.buffer, y: into.buffer }, { n4: into.vectors, a: 1 });
}

function bitsOf(value: number, dtype: DType): number {
  const view = new DataView(new ArrayBuffer(4));
  if (dtype === "f32") view.setFloat32(0, value, true);
  else if (dtype === "i32") view.setInt32(0, value, true);
  else view.setUint32(0, value, true);
  return view.getUint32(0, true);
}

function backward(root: Tensor, seed: Tensor | undefined, retainGraph: boolean): void {
  if (!root.requiresGrad)
    throw new LifetimeError(
      "backward() of a tensor that no parameter with requiresGrad led to (or under noGrad): nothing to differentiate",
    );
  if (!seed && root.size !== 1)
    throw new ShapeError(
      `backward() of a tensor of shape ${showShape(root.shape)} needs a seed gradient: reduce it to one element, or pass one`,
    );
  if (seed !== undefined && !(seed instanceof Tensor))
    throw new ArgumentError(`backward(): the seed is a tensor, found ${shown(seed)}`);
  if (seed && (seed.dtype !== root.dtype || !sameShape(seed.shape, root.shape))) {
    throw new ShapeError(
      `backward(): the seed is ${seed.dtype} ${showShape(seed.shape)}, the tensor ${root.dtype} ${showShape(root.shape)}`,
    );
  }
  noGrad(() => scope(() => propagate(root, seed, retainGraph)));
}

/**
 * Runs the graph of `root` backwards. Gradients of leaves are kept; all else is the caller's
 * scope's.
 */
function propagate(root: Tensor, seed: Tensor | undefined, retainGraph: boolean): void {
  const first = seed ? seed.detach() : root.newFull(root.shape, 1);
  if (!root.node) return deliver(root, first);
  const pending = new Map<GraphNode, Tensor>([[root.node, first]]);
  const order = topological(root.node);
  // Before anything is computed: a backward pass that is refused must not have been half done.
  for (const node of order) node.check();
  // A node that ran releases its inputs' nodes: hold them all until each has had its turn.
  for (const node of order) node.retain();
  try {
    for (const node of order) {
      const grad = pending.get(node);
      pending.delete(node);
      if (!grad) continue;
      const grads = scope(() => node.run(grad, retainGraph));
      grads.forEach((g, i) => {
        if (!g) return;
        const { tensor, node: from, needsGrad } = node.inputs[i]!;
        if (!needsGrad) return g === grad ? undefined : g.dispose();
        const mine = g === grad ? g.detach() : g;
        if (!from) return deliver(tensor, mine);
        const before = pending.get(from);
        pending.set(from, before ? sum(before, mine) : mine);
      });
      grad.dispose();
    }
  } finally {
    for (const node of order) node.release();
  }
}

/** Adds a gradient into a leaf. */
function deliver(leaf: Tensor, g: Tensor): void {
  if (leaf.isDisposed) {
    g.dispose();
    throw new LifetimeError(
      `backward(): a leaf of shape ${showShape(leaf.shape)} was disposed before its gradient arrived`,
    );
  }
  recordedGradients(leaf.device)?.arriving(leaf);
  if (!leaf.grad) {
    // Gradients are later added to and clipped in place, so a leaf's must be its own memory.
    const own = g.sharesMemory ? copyOf(g) : g;
    if (own !== g) g.dispose();
    leaf.grad = keep(own);
    return;
  }
  accumulate(leaf.grad, g);
  g.dispose();
}

function copyOf(t: Tensor): Tensor {
  const out = t.newEmpty(t.shape);
  t.device.copy(t.buffer, out.buffer, 4 * t.size);
  return out;
}

/**
 * A fresh tensor a + b: gradients may share memory with others (views), so none is changed in
 * place.
 */
function sum(a: Tensor, b: Tensor): Tensor {
  const out = a.newEmpty(a.shape);
  a.device.run(binaryKernel, "add", { a: a.buffer, b: b.buffer, y: out.buffer }, { n4: out.vectors });
  a.dispose();
  b.dispose();
  return out;
}

/** Nodes reachable from `root`, each before the nodes it took its inputs from. */
function topological(root: GraphNode): GraphNode[] {
  const order: GraphNode[] = [];
  const seen = new Set<GraphNode>([root]);
  const stack: { node: GraphNode; next: number }[] = [{ node: root, next: 0 }];
  while (stack.length) {
    const top = stack[stack.length - 1]!;
    const input = top.node.inputs[top.next++];
    if (!input) {
      order.push(top.node);
      stack.pop();
    } else if (input.node && input.needsGrad && !seen.has(input.node)) {
      seen.add(input.node);
      stack.push({ node: input.node, next: 0 });
    }
  }
  return order.reverse();
}
