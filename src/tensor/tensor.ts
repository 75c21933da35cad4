import { accumulateKernel, binaryKernel, fillKernel } from "../../shaders/elementwise.wgsl";
import { LifetimeError, ShapeError } from "../errors";
import type { Device } from "../gpu/device";
import { device } from "../gpu/init";
import type { PooledBuffer } from "../gpu/pool";
import { checkShape, type Shape, sameShape, showShape, sizeOf } from "./shape";
import { forgotten, keep, register, Storage, scope, unregister } from "./storage";

/** Element types: 32 bits each. */
export type DType = "f32" | "i32" | "u32";

/** Gradients towards each input, in order; null where none is needed. */
export type BackwardFn = (grad: Tensor) => readonly (Tensor | null)[];

/**
 * An n-dimensional array on the GPU, in row-major order, with PyTorch's autograd meaning: `requiresGrad`, `backward()`, `grad`.
 *
 * **Layout.** Images are channels-last: `[N, H, W, C]`; point clouds and sequences `[N, L, C]`; convolution weights
 * `[kH, kW, I/groups, O]`; linear weights `[in, out]`. State dicts are converted to and from PyTorch's order when saved and loaded.
 *
 * **Lifetime.** A tensor lives until `dispose()` or the end of the {@link scope} it was made in. What a backward pass needs is kept by the graph and
 * freed at its last use.
 */
export class Tensor {
  /** Accumulated gradient of a leaf with `requiresGrad`. */
  grad: Tensor | null = null;
  /** The operation that made this tensor, while its graph lives. */
  node: GraphNode | null = null;
  private alive = true;

  private constructor(
    readonly shape: Shape,
    readonly dtype: DType,
    private readonly storage: Storage,
    public requiresGrad: boolean,
    private readonly internal: boolean,
  ) {
    if (!internal) register(this);
  }

  /** Uninitialised memory; every element must be written by the kernel it is made for. */
  static empty(shape: Shape, dtype: DType = "f32", d: Device = device()): Tensor {
    checkShape(shape);
    return new Tensor([...shape], dtype, new Storage(d, 4 * sizeOf(shape)), false, false);
  }

  /** Uploads host data; it is copied at once. */
  static from(data: Float32Array | Int32Array | Uint32Array, shape: Shape, d: Device = device()): Tensor {
    checkShape(shape);
    if (data.length !== sizeOf(shape)) {
      throw new ShapeError(`shape ${showShape(shape)} holds ${sizeOf(shape)} elements, the data has ${data.length}`);
    }
    const dtype = data instanceof Float32Array ? "f32" : data instanceof Int32Array ? "i32" : "u32";
    const t = new Tensor([...shape], dtype, new Storage(d, data.byteLength, d.serial), false, false);
    d.write(t.buffer, data);
    return t;
  }

  /** Every element `value`. */
  static full(shape: Shape, value: number, dtype: DType = "f32"): Tensor {
    return Tensor.empty(shape, dtype).fill(value);
  }

  /** Sets every element to `value`, in place. */
  fill(value: number): this {
    this.device.run(fillKernel, null, { y: this.buffer }, { n: this.size, bits: bitsOf(value, this.dtype) });
    return this;
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

  /** Whether a view or a graph uses the same memory. */
  get sharesMemory(): boolean {
    return this.storage.isShared;
  }

  /** Number of 16-byte vectors the elements fill, rounded up: what vector kernels run over. */
  get vectors(): number {
    return Math.ceil(this.size / 4);
  }

  /** The same memory under another shape; no graph. */
  view(shape: Shape, internal = false): Tensor {
    void this.buffer;
    if (sizeOf(shape) !== this.size) {
      throw new ShapeError(
        `cannot view ${showShape(this.shape)} (${this.size} elements) as ${showShape(shape)} (${sizeOf(shape)})`,
      );
    }
    return new Tensor([...shape], this.dtype, this.storage.retain(), false, internal);
  }

  /** The same values, cut from the graph. */
  detach(): Tensor {
    return this.view(this.shape);
  }

  /**
   * Reads the elements back, as they are after everything recorded so far; integers too are given as numbers.
   * @param options.withStep Let the copy go with the next submit (the training step's own) instead of submitting now.
   */
  async data(options: { withStep?: boolean } = {}): Promise<Float32Array<ArrayBuffer>> {
    const bytes = await this.device.read(this.buffer, 4 * this.size, options.withStep);
    if (this.dtype === "f32") return new Float32Array(bytes);
    return Float32Array.from(this.dtype === "i32" ? new Int32Array(bytes) : new Uint32Array(bytes));
  }

  /** The only element of a one-element tensor. */
  async item(): Promise<number> {
    if (this.size !== 1)
      throw new ShapeError(`item() reads tensors of one element, this one has shape ${showShape(this.shape)}`);
    return (await this.data())[0]!;
  }

  /** Overwrites the elements from the host. */
  write(data: Float32Array | Int32Array | Uint32Array): void {
    if (data.length !== this.size)
      throw new ShapeError(
        `write: shape ${showShape(this.shape)} takes ${this.size} elements, the data has ${data.length}`,
      );
    const wanted = { f32: Float32Array, i32: Int32Array, u32: Uint32Array }[this.dtype];
    this.device.write(this.buffer, data instanceof wanted ? data : wanted.from(data));
  }

  /**
   * Gradients of this tensor towards every leaf with `requiresGrad`, added to their `grad`. The graph is freed.
   * @param seed dL/d(this); one element tensors default to 1.
   */
  backward(seed?: Tensor): void {
    backward(this, seed);
  }

  zeroGrad(): void {
    this.grad?.dispose();
    this.grad = null;
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

/** One recorded operation: its inputs, what it saved, how gradients flow back. Counted by its output handle and by the nodes that use it. */
export class GraphNode {
  private references = 1;
  private freed = false;
  readonly inputs: readonly { tensor: Tensor; node: GraphNode | null; needsGrad: boolean }[];

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
  }

  retain(): this {
    this.references++;
    return this;
  }

  release(): void {
    if (--this.references === 0) this.free();
  }

  /** Runs the backward function, then frees what was saved for it. */
  run(grad: Tensor): readonly (Tensor | null)[] {
    if (this.freed)
      throw new LifetimeError(
        `backward through ${this.name} a second time: its saved tensors are freed after the first; compute the forward pass again`,
      );
    const grads = this.fn(grad);
    this.free();
    return grads;
  }

  /** Frees what this node saved, and the nodes before it that nothing else holds; in a loop, for graphs deeper than the call stack. */
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

/** Runs `body` without recording a graph. */
export function noGrad<T>(body: () => T): T {
  const before = recording;
  recording = false;
  try {
    return body();
  } finally {
    recording = before;
  }
}

/** Whether an operation on these inputs will be recorded. */
export const needsGraph = (inputs: readonly Tensor[]): boolean => recording && inputs.some((t) => t.requiresGrad);

/**
 * Makes `out` the differentiable result of an operation on `inputs`.
 * @param save Tensors the backward needs; the function gets handles of its own, which outlive any scope.
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

function backward(root: Tensor, seed?: Tensor): void {
  if (!root.requiresGrad)
    throw new LifetimeError(
      "backward() of a tensor that no parameter with requiresGrad led to (or under noGrad): nothing to differentiate",
    );
  if (!seed && root.size !== 1)
    throw new ShapeError(
      `backward() of a tensor of shape ${showShape(root.shape)} needs a seed gradient: reduce it to one element, or pass one`,
    );
  if (seed && (seed.dtype !== root.dtype || !sameShape(seed.shape, root.shape))) {
    throw new ShapeError(
      `backward(): the seed is ${seed.dtype} ${showShape(seed.shape)}, the tensor ${root.dtype} ${showShape(root.shape)}`,
    );
  }
  noGrad(() => scope(() => propagate(root, seed)));
}

/** Runs the graph of `root` backwards. Gradients of leaves are kept; all else is the caller's scope's. */
function propagate(root: Tensor, seed?: Tensor): void {
  const first = seed ? seed.detach() : Tensor.full(root.shape, 1);
  if (!root.node) return deliver(root, first);
  const pending = new Map<GraphNode, Tensor>([[root.node, first]]);
  const order = topological(root.node);
  // A node that ran releases its inputs' nodes: hold them all until each has had its turn.
  for (const node of order) node.retain();
  try {
    for (const node of order) {
      const grad = pending.get(node);
      pending.delete(node);
      if (!grad) continue;
      const grads = scope(() => node.run(grad));
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
  const out = Tensor.empty(t.shape, t.dtype);
  t.device.copy(t.buffer, out.buffer, 4 * t.size);
  return out;
}

/** A fresh tensor a + b: gradients may share memory with others (views), so none is changed in place. */
function sum(a: Tensor, b: Tensor): Tensor {
  const out = Tensor.empty(a.shape);
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
