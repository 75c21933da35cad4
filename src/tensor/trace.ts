import type { Affine } from "./ops/norm/affine";
import type { Over } from "./ops/norm/over";
import type { Tensor } from "./tensor";

/** What shapes alone do not tell of an operation. */
export interface TracedHow {
  /** Of a permutation: dims[d] is the input's dimension that becomes d. */
  readonly dims?: readonly number[];
  /** The dimensions that it walks along, reduces or joins. */
  readonly axes?: readonly number[];
  /** Where in the larger tensor the smaller one begins, of cutting and padding. */
  readonly from?: readonly number[];
  /** What is put around a padded tensor. */
  readonly value?: number;
  /** Whether the operands of a matrix product are transposed. */
  readonly turned?: readonly [boolean, boolean];
  readonly norm?: TracedNormalisation;
}

/** A normalisation of a batch that is one part. */
export interface TracedNormalisation {
  readonly over: Over;
  readonly affine: Affine;
  /** Running statistics, where those normalise. */
  readonly running: { readonly mean: Tensor; readonly variance: Tensor } | null;
  readonly relu: boolean;
}

/** One operation of a traced pass, by its name in graphs. */
export interface TracedOp {
  readonly name: string;
  readonly out: Tensor;
  readonly inputs: readonly Tensor[];
  readonly how: TracedHow;
}

let ops: TracedOp[] | null = null;

/** Adds an operation to the trace that is being made, if one is. */
export function traced(name: string, out: Tensor, inputs: readonly Tensor[], how: TracedHow = {}): void {
  ops?.push({ name, out, inputs, how });
}

/**
 * The operations that `body` runs, in order, whether or not a graph is recorded; views and what has
 * no gradient (comparisons, positions) too. Tensors are those that the operations were given and
 * gave: `trace` tells who made which from whom, and keeps none of them alive. One that was first
 * viewed and then recorded stands there twice.
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
