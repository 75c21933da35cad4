/** A normalisation of a batch that is one part. */
export interface TracedNorm<T> {
  /** Which elements have their mean and variance in common: an `Over`. */
  readonly over: unknown;
  /** γ and β, each by itself; "rows" where they are computed together. */
  readonly affine: { readonly gamma?: T | null | undefined; readonly beta?: T | null | undefined } | "rows";
  /** Running statistics, where those normalise. */
  readonly running: { readonly mean: T; readonly variance: T } | null;
  /** Added to the variance. */
  readonly eps: number;
  readonly relu: boolean;
  /** Rows and columns of the windows, side by side, whose maxima it gives; null for all values. */
  readonly pooled: number | null;
}

/** Windows that slide over images. */
export interface TracedWindows {
  readonly kernel: TracedPair;
  readonly stride: TracedPair;
  /** Above and to the left; the shapes tell how far windows reach on the other sides. */
  readonly padding: TracedPair;
  readonly dilation: TracedPair;
  /** Of a convolution (default 1). */
  readonly groups?: number;
  /** Of a mean: whether the padding's zeros are elements of it (default false). */
  readonly countsPadding?: boolean;
}

type TracedPair = readonly [vertical: number, horizontal: number];

/** What shapes alone do not tell of an operation. */
export interface TracedHow<T> {
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
  readonly norm?: TracedNorm<T>;
  readonly windows?: TracedWindows;
  /** Constants of its formula, in the order of the operation's arguments. */
  readonly numbers?: readonly number[];
  /** Which of several formulas it is: `greater`, `bilinear`, `causal`. */
  readonly form?: string;
  /** Tensors that choose and are not computed with: indices, conditions, masks. */
  readonly chosen?: readonly T[];
  /** Elements that came from the host. */
  readonly data?: Float32Array | Int32Array | Uint32Array;
}

/** One operation of a traced pass, by its name in graphs. */
export interface TracedOp<T> {
  readonly name: string;
  readonly out: T;
  readonly inputs: readonly T[];
  readonly how: TracedHow<T>;
}

let ops: TracedOp<unknown>[] | null = null;

/** Whether a trace is being made: what is costly to tell is told then alone. */
export const isTracing = (): boolean => ops !== null;

/** Adds an operation to the trace that is being made, if one is. */
export function traced<T>(name: string, out: T, inputs: readonly T[], how: TracedHow<T> = {}): void {
  ops?.push({ name, out, inputs, how });
}

/**
 * The operations that `body` runs, in order, whether or not a graph is recorded; views and what has
 * no gradient (comparisons, positions) too. Tensors are those that the operations were given and
 * gave: a trace tells who made which from whom, and keeps none of their memory. A result that is a
 * view stands there twice, first as "reshape".
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
