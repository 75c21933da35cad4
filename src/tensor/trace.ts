/** One operation of a traced pass, by its name in graphs. */
export interface TracedOp<T> {
  readonly name: string;
  readonly out: T;
  readonly inputs: readonly T[];
}

let ops: TracedOp<unknown>[] | null = null;

/** Adds an operation to the trace that is being made, if one is. */
export function traced<T>(name: string, out: T, inputs: readonly T[]): void {
  ops?.push({ name, out, inputs });
}

/**
 * The differentiable operations that `body` runs, in order, whether or not a graph is recorded.
 * Tensors are those that the operations were given and gave: a trace tells who made which from
 * whom, and keeps none of their memory. What is computed without a gradient (comparisons,
 * positions) is not there, and so connects nothing.
 */
export function traceOps<T>(body: () => void): TracedOp<T>[] {
  const before = ops;
  const own: TracedOp<unknown>[] = [];
  ops = own;
  try {
    body();
  } finally {
    ops = before;
  }
  return own as TracedOp<T>[];
}
