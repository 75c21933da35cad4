import { reshape } from "../tensor/ops/elementwise";
import { unstack } from "../tensor/ops/unstack";
import type { Tensor } from "../tensor/tensor";

/**
 * Activations on their way through a network: [N, …] while all branches agree (one part), then [parts · N, …], those of one branch after the other. What is the same for all branches
 * runs on the whole at once, as on a larger batch.
 */
export class Flow {
  constructor(
    readonly tensor: Tensor,
    readonly parts = 1,
  ) {}

  /** f of all parts at once; f takes each sample for itself. */
  map(f: (t: Tensor) => Tensor): Flow {
    return new Flow(f(this.tensor), this.parts);
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
}

/**
 * f of two flows, part by part.
 * @param f takes [N, …] and [N, …], or where one flow has parts and the other not yet [parts, N, …] and [1, N, …] in their order: it broadcasts
 */
export function join(a: Flow, b: Flow, f: (a: Tensor, b: Tensor) => Tensor): Flow {
  if (a.parts === b.parts) return new Flow(f(a.tensor, b.tensor), a.parts);
  const y = f(a.stack(), b.stack());
  const [parts, rows, ...rest] = y.shape as [number, number, ...number[]];
  return new Flow(reshape(y, [parts * rows, ...rest]), parts);
}
