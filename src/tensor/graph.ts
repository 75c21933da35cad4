import { LifetimeError } from "../errors";
import { type Shape, showShape } from "./shape";

/** What a graph sees of the tensors that its operations are between. */
export interface Graphed<T extends Graphed<T>> {
  readonly shape: Shape;
  readonly version: number;
  readonly requiresGrad: boolean;
  readonly node: GraphNode<T> | null;
  /** The same for all that share it. */
  readonly memory: object;
  dispose(): void;
}

/**
 * What other operations have sent to an input so far, by its number: a kernel may add to it, in the
 * place of a gradient of its own. Null where there is nothing yet, or nothing to be written to.
 */
export type SumSoFar<T> = (input: number) => T | null;

/**
 * Gradients towards each input, in order; null where none is needed, or where it was added to what
 * `sumSoFar` gave.
 */
export type BackwardFn<T> = (grad: T, sumSoFar: SumSoFar<T>) => readonly (T | null)[];

/**
 * One recorded operation: its inputs, what it saved, how gradients flow back. Counted by its output
 * handle and by the nodes that use it.
 */
export class GraphNode<T extends Graphed<T>> {
  private references = 1;
  private freed = false;
  readonly inputs: readonly { tensor: T; node: GraphNode<T> | null; needsGrad: boolean }[];
  /** Of what was saved, when it was. */
  private readonly versions: readonly number[];

  constructor(
    readonly name: string,
    inputs: readonly T[],
    readonly shape: Shape,
    private readonly saved: readonly T[],
    private readonly fn: BackwardFn<T>,
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
  run(grad: T, kept: boolean, sumSoFar: SumSoFar<T>): readonly (T | null)[] {
    const read = [grad, ...this.saved];
    const grads = this.fn(grad, (i) => {
      const sum = sumSoFar(i);
      // A kernel cannot write to what it reads.
      return sum && read.some((t) => t.memory === sum.memory) ? null : sum;
    });
    if (!kept) this.free();
    return grads;
  }

  /**
   * Frees what this node saved, and the nodes before it that nothing else holds; in a loop, for
   * graphs deeper than the call stack.
   */
  private free(): void {
    const unused: GraphNode<T>[] = [this];
    for (let node = unused.pop(); node; node = unused.pop()) {
      if (node.freed) continue;
      node.freed = true;
      for (const t of node.saved) t.dispose();
      for (const { node: from } of node.inputs) if (from && --from.references === 0) unused.push(from);
    }
  }
}
