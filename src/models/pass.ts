import type { Branch } from "../passport/branches";
import { PassportLayer } from "../passport/layer";
import type { SignLossOptions } from "../passport/sign-loss";
import { add } from "../tensor/ops/elementwise";
import type { Affine } from "../tensor/ops/norm/affine";
import { mean } from "../tensor/ops/reduce";
import { unstack } from "../tensor/ops/unstack";
import type { Tensor } from "../tensor/tensor";
import type { AroundNorm, Block } from "./block";
import { Flow } from "./flow";

/** How a {@link Pass} runs. */
export interface PassOptions {
  /** Sum the sign losses of the passport layers. */
  signLoss?: SignLossOptions | undefined;
  /** Runs around every batch norm of what all branches share. */
  aroundTrunk?: AroundNorm | undefined;
  /** γ and β for some plain layers, by name, in the place of their own. */
  affine?: ((name: string) => Affine | undefined) | undefined;
  /** Compute what a network adds to the loss of each branch by itself. */
  penalties?: boolean | undefined;
  /** Is shown the input of every block. */
  visit?: ((name: string, input: Tensor) => void) | undefined;
}

/**
 * One pass through a network in some of its branches. What comes before the first passport layer,
 * and that layer's convolution, is the same for all and computed once. A network describes its body
 * in terms of flows, once for any number of branches.
 */
export class Pass {
  #signLoss: Tensor | null = null;
  #penalties: Partial<Record<Branch, Tensor>> = {};

  constructor(
    readonly branches: readonly Branch[],
    private readonly options: PassOptions = {},
  ) {}

  /**
   * Σ over the passport layers met so far of the sign loss; null before the first, or when it was
   * not asked for.
   */
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
    this.options.visit?.(name, flow.tensor);
    const h = flow.map((x) => between(block.convolve(x)));
    if (block instanceof PassportLayer) return this.#passport(block, h);
    const around = this.#parted(h) ? undefined : this.options.aroundTrunk;
    return block.normalise(h, this.branches, this.options.affine?.(name), around);
  }

  /** By branch, the output of a network whose body ends in this flow. */
  outputs(flow: Flow): Partial<Record<Branch, Tensor>> {
    const each = flow.split();
    return Object.fromEntries(this.branches.map((b, i) => [b, each[i] ?? each[0]!]));
  }

  /**
   * Adds the mean over the batch of f, a number per sample, to the loss of each branch; what
   * branches share is computed once. Shape of f: [N, …] → [N].
   */
  penalise(flow: Flow, f: (t: Tensor) => Tensor): void {
    if (!this.options.penalties) return;
    const values = flow.map(f);
    const means = values.parts === 1 ? [mean(values.tensor)] : unstack(mean(values.stack(), 1));
    this.branches.forEach((branch, i) => {
      const [own, before] = [means[i] ?? means[0]!, this.#penalties[branch]];
      this.#penalties[branch] = before ? add(before, own) : own;
    });
  }

  #passport(layer: PassportLayer, h: Flow): Flow {
    const { branches, options } = this;
    const secret = branches.some((b) => b !== "public") ? layer.gammaBeta() : undefined;
    if (secret && options.signLoss) this.#signLoss = layer.signLoss(secret.raw, options.signLoss, this.#signLoss);
    const shared = !this.#parted(h);
    return new Flow(
      (normaliser) => layer.normalise(h.tensor, branches, secret?.rows, { shared, normaliser }),
      branches.length,
    );
  }

  /** Whether each branch has activations of its own. */
  #parted({ parts }: Flow): boolean {
    return parts === this.branches.length;
  }
}
