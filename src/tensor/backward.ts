/** The backward pass: gradients through the graph in topological order, into its leaves. */
import { accumulateKernel, binaryKernel } from "../../shaders/elementwise.wgsl";
import { LifetimeError, ShapeError } from "../errors";
import type { Device } from "../gpu/device";
import type { PooledBuffer } from "../gpu/pool";
import type { DType } from "./elements";
import type { Graphed, GraphNode } from "./graph";
import { recordedGradients } from "./recorded-gradients";
import { type Shape, sameShape, showShape } from "./shape";
import { keep, scope } from "./storage";

/** What a backward pass needs of tensors. */
interface Passed<T extends Passed<T>> extends Graphed<T> {
  readonly dtype: DType;
  readonly size: number;
  readonly vectors: number;
  readonly device: Device;
  readonly buffer: PooledBuffer;
  readonly isDisposed: boolean;
  readonly sharesMemory: boolean;
  grad: T | null;
  newEmpty(shape: Shape): T;
  newFull(shape: Shape, value: number): T;
  detach(): T;
  view(shape: Shape, internal?: boolean): T;
  fill(value: number): T;
}

/**
 * Runs the graph of `root` backwards, from a seed dL/d(root) or 1. Gradients of leaves are kept;
 * all else is the caller's scope's.
 * @throws LifetimeError without a graph, or with one that was freed or whose tensors were
 * overwritten; ShapeError for a seed that is not of the root's type and shape. Nothing is computed
 * then.
 */
export function propagate<T extends Passed<T>>(root: T, seed: T | undefined, retainGraph: boolean): void {
  checkSeed(root, seed);
  if (!root.node) return deliver(root, firstGradient(root, seed, [root]));
  const order = topological(root.node);
  const leaves: T[] = [];
  // Before anything is computed: a backward pass that is refused must not have been half done.
  for (const node of order) {
    node.check();
    for (const { tensor, node: from, needsGrad } of node.inputs) {
      if (!needsGrad || from) continue;
      checkLeaf(tensor);
      leaves.push(tensor);
    }
  }
  const pending = new Map<GraphNode<T>, T>([[root.node, firstGradient(root, seed, leaves)]]);
  // A node that ran releases its inputs' nodes: hold them all until each has had its turn.
  for (const node of order) node.retain();
  try {
    for (const node of order) {
      const grad = pending.get(node);
      pending.delete(node);
      if (!grad) continue;
      // A leaf's gradient that the network was given as an input has changed by now.
      node.check();
      const grads = scope(() => node.run(grad, retainGraph, (i) => sumSoFar(node.inputs[i]!, pending)));
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

/**
 * Where a pass begins. A leaf's gradient is added to in place: one that is the seed too must not
 * change what is propagated meanwhile.
 */
function firstGradient<T extends Passed<T>>(root: T, seed: T | undefined, leaves: readonly T[]): T {
  if (!seed) return root.newFull(root.shape, 1);
  return leaves.some(({ grad }) => grad?.memory === seed.memory) ? copyOf(seed) : seed.detach();
}

/**
 * The sum of the gradients that an input was sent so far, where it may be changed in place: it may
 * share memory with other gradients (views), but for a leaf's.
 */
function sumSoFar<T extends Passed<T>>(
  { tensor, node, needsGrad }: { readonly tensor: T; readonly node: GraphNode<T> | null; readonly needsGrad: boolean },
  pending: ReadonlyMap<GraphNode<T>, T>,
): T | null {
  if (!needsGrad) return null;
  if (node) {
    const sum = pending.get(node);
    return sum && !sum.sharesMemory ? sum : null;
  }
  recordedGradients(tensor.device)?.arriving(tensor);
  return tensor.grad;
}

/** @throws LifetimeError for a leaf that no gradient can go to. */
function checkLeaf({ isDisposed, shape }: { readonly isDisposed: boolean; readonly shape: Shape }): void {
  if (isDisposed)
    throw new LifetimeError(`backward(): a leaf of shape ${showShape(shape)} was disposed before its gradient arrived`);
}

/** Adds a gradient into a leaf. */
function deliver<T extends Passed<T>>(leaf: T, g: T): void {
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

/** The same values in memory of their own; no graph. */
export function copyOf<T extends Passed<T>>(t: T): T {
  const out = t.newEmpty(t.shape);
  t.device.copy(t.buffer, out.buffer, 4 * t.size);
  return out;
}

/** a + b: in the memory of a, or in other memory where a shares its own. */
function sum<T extends Passed<T>>(a: T, b: T): T {
  if (!a.sharesMemory) {
    accumulate(a, b);
    b.dispose();
    return a;
  }
  const out = a.newEmpty(a.shape);
  a.device.run(binaryKernel, "add", { a: a.buffer, b: b.buffer, y: out.buffer }, { n4: out.vectors });
  a.dispose();
  b.dispose();
  return out;
}

/** Nodes reachable from `root`, each before the nodes it took its inputs from. */
function topological<T extends Graphed<T>>(root: GraphNode<T>): GraphNode<T>[] {
  const order: GraphNode<T>[] = [];
  const seen = new Set<GraphNode<T>>([root]);
  const stack: { node: GraphNode<T>; next: number }[] = [{ node: root, next: 0 }];
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

/** into += g, in place. */
function accumulate<T extends Passed<T>>(into: T, g: T): void {
  into.device.run(accumulateKernel, null, { x: g.buffer, y: into.buffer }, { n4: into.vectors, a: 1 });
}

/** @throws LifetimeError, ShapeError */
function checkSeed<T extends Passed<T>>(root: T, seed: T | undefined): void {
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
}
