import type { Tensor } from "./tensor";

/** One operation of a traced pass, by its name in graphs. */
export interface TracedOp {
  readonly name: string;
  readonly out: Tensor;
  readonly inputs: readonly Tensor[];
}

let ops: TracedOp[] | null = null;

/** Adds an operation to the trace that is being made, if one is. */
export function traced(name: string, out: Tensor, inputs: readonly Tensor[]): void {
  ops?.push({ name, out, inputs });
}

/**
 * The differentiable operations that `body` runs, in order, whether or not a graph is recorded.
 * Tensors are those that the operations were given and gave: `trace` tells who made which from
 * whom, and keeps none of them alive. What is computed without a gradient (comparisons, positions)
 * is not there, and so connects nothing.
 */
export function traceOps(body: () => void): TracedOp[] {
  const before = ops;
  const own: TracedOp[] = [];
  ops = own;
  try {
    body();
  } finally {
    ops = before;
  }
  return own;
}
