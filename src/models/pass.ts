import type { Affine } from "../nn/norm";
import type { Branch, PassportLayer } from "../passport/layer";
import type { SignLossOptions } from "../passport/sign-loss";
import { add } from "../tensor/ops/elementwise";
import type { Tensor } from "../tensor/tensor";
import { type Block, PlainBlock } from "./block";

/** Activations on their way through a network: one tensor while all branches agree, then one a branch. */
export type Flow = readonly Tensor[];

/** How a {@link Pass} runs. */
export interface PassOptions {
  /** Sum the sign losses of the passport layers. */
  signLoss?: SignLossOptions | undefined;
  /**
   * How many times a training pass moves the running statistics of what both branches share: 1, or 2 as in the authors' code, which computes
   * that part once for each branch.
   */
  trunkUpdates?: 1 | 2 | undefined;
  /** γ and β for some plain layers, by name, in the place of their own. */
  affine?: ((name: string) => Affine | undefined) | undefined;
  /** Compute what a network adds to the loss of each branch by itself. */
  penalties?: boolean | undefined;
  /** Is shown the input of every block. */
  visit?: ((name: string, input: Tensor) => void) | undefined;
}

/**
 * One pass through a network in some of its branches. What comes before the first passport layer, and that layer's convolution, is the same for all and
 * computed once. A network describes its body in terms of flows, once for any number of branches.
 */
export class Pass {
  #signLoss: Tensor | null = null;
  #penalties: Partial<Record<Branch, Tensor>> = {};

  constructor(
    readonly branches: readonly Branch[],
    private readonly options: PassOptions = {},
  ) {}

  /** Σ over the passport layers met so far of the sign loss; null before the first, or when it was not asked for. */
  get signLoss(): Tensor | null {
    return this.#signLoss;
  }

  /** What was asked for by {@link penalise} so far, summed up a branch. */
  get penalties(): Partial<Record<Branch, Tensor>> {
    return this.#penalties;
  }

  /**
   * The flow behind a block.
   * @param between what happens between the block's map and its norm, such as dropout
   */
  block(name: string, block: Block, flow: Flow, between: (h: Tensor) => Tensor = (h) => h): Flow {
    this.options.visit?.(name, flow[0]!);
    const h = flow.map((x) => between(block.convolve(x)));
    if (!(block instanceof PlainBlock)) return this.#passport(block, h);
    const affine = this.options.affine?.(name);
    if (block.bn0) return this.branches.map((branch, i) => block.normalise(h[i] ?? h[0]!, branch, affine));
    const updates = h.length < this.branches.length ? this.options.trunkUpdates : 1;
    return h.map((t) => block.normalise(t, this.branches[0]!, { updates, ...affine }));
  }

  /** Adds f of a flow, a number, to the loss of each branch; what branches share is computed once. */
  penalise(flow: Flow, f: (t: Tensor) => Tensor): void {
    if (!this.options.penalties) return;
    const each = flow.map(f);
    this.branches.forEach((branch, i) => {
      const [own, before] = [each[i] ?? each[0]!, this.#penalties[branch]];
      this.#penalties[branch] = before ? add(before, own) : own;
    });
  }

  #passport(layer: PassportLayer, h: Flow): Flow {
    const secret = this.branches.some((b) => b !== "public");
    const scales = secret ? layer.privateScales() : undefined;
    if (scales && this.options.signLoss) {
      const loss = layer.signLoss(scales.gammaRaw, this.options.signLoss);
      this.#signLoss = this.#signLoss ? add(this.#signLoss, loss) : loss;
    }
    return this.branches.map((branch, i) => layer.normalise(h[i] ?? h[0]!, branch, scales));
  }
}

/** f of two flows, branch by branch. */
export const join = (a: Flow, b: Flow, f: (a: Tensor, b: Tensor) => Tensor): Flow =>
  (a.length > b.length ? a : b).map((_, i) => f(a[i] ?? a[0]!, b[i] ?? b[0]!));
