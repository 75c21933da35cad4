import type { Normaliser } from "../nn/norm";
import { reshape } from "../tensor/ops/elementwise";
import { normalise, normaliseThenPool } from "../tensor/ops/norm/normalise";
import { maxPool2d } from "../tensor/ops/pool";
import { unstack } from "../tensor/ops/unstack";
import type { Tensor } from "../tensor/tensor";

/**
 * Activations on their way through a network: [N, …] while all branches agree (one part), then
 * [parts · N, …], those of one branch after the other. What is the same for all branches runs on
 * the whole at once, as on a larger batch.
 *
 * A normalisation is computed when its output is asked for, so that a max-pooling right behind it
 * can be part of its kernel: the one place that sees both is {@link maxPool}.
 */
export class Flow {
  #tensor: Tensor | null = null;
  #pending: ((normaliser: Normaliser) => Tensor) | null = null;

  /** @param source the activations, or the normalisation that gives them */
  constructor(
    source: Tensor | ((normaliser: Normaliser) => Tensor),
    readonly parts = 1,
  ) {
    if (typeof source === "function") this.#pending = source;
    else this.#tensor = source;
  }

  get tensor(): Tensor {
    this.#tensor ??= this.#take()(normalise);
    return this.#tensor;
  }

  /** f of all parts at once; f takes each sample for itself. */
  map(f: (t: Tensor) => Tensor): Flow {
    return new Flow(f(this.tensor), this.parts);
  }

  /**
   * The maximum of each k×k window, side by side; a normalisation that nobody else asked for is
   * done in the same kernel, and its own output is then never there.
   */
  maxPool(k: number): Flow {
    if (!this.#pending) return this.map((t) => maxPool2d(t, k));
    const pooled = this.#take()((x, n) => normaliseThenPool(x, n, k));
    return new Flow(pooled, this.parts);
  }

  /** The activations of each part, [N, …]. */
  split(): Tensor[] {
    return this.parts === 1 ? [this.tensor] : unstack(this.stack());
  }

  /** The parts along a dimension of their own, [parts, N, …]. */
  stack(): Tensor {
    const [rows, ...rest] = this.tensor.shape as [number, ...number[]];
    return reshape(this.tensor, [this.parts, rows / this.parts, ...rest]);
  }

  #take(): (normaliser: Normaliser) => Tensor {
    const pending = this.#pending;
    if (!pending) throw new Error("these activations were pooled in the kernel of their norm");
    this.#pending = null;
    return pending;
  }
}

/**
 * f of two flows, part by part.
 * @param f takes [N, …] and [N, …], or where one flow has parts and the other not yet [parts, N, …]
 * and [1, N, …] in their order: it broadcasts
 */
export function join(a: Flow, b: Flow, f: (a: Tensor, b: Tensor) => Tensor): Flow {
  if (a.parts === b.parts) return new Flow(f(a.tensor, b.tensor), a.parts);
  const y = f(a.stack(), b.stack());
  const [parts, rows, ...rest] = y.shape as [number, number, ...number[]];
  return new Flow(reshape(y, [parts * rows, ...rest]), parts);
}
