/**
 * Batches in parts. A pass through several branches of a network carries their activations one
 * after the other along the batch, [parts · N, …], in one tensor. What takes every row for itself
 * runs on the whole; what would mix rows is refused, as it would mix branches.
 */
import { ArgumentError } from "../errors";
import { type Shape, showShape } from "./shape";

/** What this file sees of a tensor. */
interface Parted {
  readonly shape: Shape;
  /** Parts of equal size that the first dimension is made of; 1 for nearly all tensors. */
  parts: number;
}

/**
 * Operations that take every row of a batch for itself, by their names in messages and in graphs,
 * and those that are put together from such. An operation that is not here refuses tensors in
 * parts.
 */
const BY_ROW: ReadonlySet<string> = new Set([
  ...["affine", "neg", "abs", "exp", "log", "sqrt", "square", "reciprocal", "sigmoid", "tanh", "relu", "sign"],
  ...["leakyRelu", "clamp", "pow", "silu", "hardswish", "gelu", "geluTanh", "dropout"],
  ...[
    "add",
    "sub",
    "mul",
    "div",
    "maximum",
    "minimum",
    "equal",
    "greater",
    "greaterEqual",
    "less",
    "lessEqual",
    "where",
    "softmax",
    "logSoftmax",
  ],
  ...["reshape", "flatten", "permute", "transpose", "narrow", "split", "concat", "stack", "pad", "flip", "expand"],
  ...["indexSelect", "sum", "mean", "amax", "amin", "variance", "sumSquares", "argmax"],
  ...["cumsum", "sort", "argsort", "topK", "einsum", "scaledDotProductAttention", "MultiheadAttention"],
  ...["linear", "matmul", "conv1d", "conv2d", "convTranspose2d", "scale"],
  ...["batchNorm", "instanceNorm", "groupNorm", "layerNorm", "rmsNorm"],
  ...["maxPool2d", "avgPool2d", "adaptiveAvgPool2d", "globalMaxPool", "globalAvgPool", "upsample2d"],
]);

const several = (parts: number) => `this tensor holds ${parts} branches of a network one after the other`;

/** @throws ArgumentError for a tensor in parts that `op` would mix. */
export function refuseParts(op: string, { parts }: Parted): void {
  if (parts > 1 && !BY_ROW.has(op))
    throw new ArgumentError(
      `${op}: ${several(parts)}, and ${op} does not keep them apart: compute it on the network's outputs, which are of one branch each`,
    );
}

/**
 * @param touched whether `op` reduces, moves or cuts the first dimension
 * @throws ArgumentError where that dimension is that of several parts.
 */
export function keepBatch(op: string, { parts, shape }: Parted, touched: boolean): void {
  if (parts > 1 && touched)
    throw new ArgumentError(
      `${op}: ${several(parts)}, and ${op} along the first dimension of ${showShape(shape)} would mix them: leave the batch where it is, and work along the others`,
    );
}

/** @throws ArgumentError for sizes that may be those of each part, or of all of them. */
export function refuseSizes(op: string, { parts }: Parted, sizes: Shape): never {
  throw new ArgumentError(
    `${op}: ${several(parts)}, and ${showShape(sizes)} may be a shape of each or of all of them: write out every size, or leave the first one open`,
  );
}

/**
 * What all rows of a batch have in common, such as weights, is no batch itself.
 * @throws ArgumentError for a tensor in parts.
 */
export function expectUnparted(op: string, tensors: Readonly<Record<string, Parted | null | undefined>>): void {
  for (const [name, t] of Object.entries(tensors))
    if (t && t.parts > 1)
      throw new ArgumentError(
        `${op}: ${name} is one for all rows, and ${several(t.parts)}: give one that no batch went into`,
      );
}

/**
 * Gives the result of an operation the parts of its inputs. Called for every recorded operation.
 * @throws ArgumentError where the operation has not kept them apart.
 */
export function carryParts<T extends Parted>(op: string, out: T, inputs: readonly Parted[]): T {
  let parts = 1;
  for (const input of inputs) if (input.parts > parts) parts = input.parts;
  if (parts === 1 || out.parts === parts) return out;
  if (!(out.shape[0]! % parts === 0))
    throw new ArgumentError(
      `${op}: ${several(parts)}, and the first dimension of the result ${showShape(out.shape)} is not theirs: leave the batch where it is`,
    );
  out.parts = parts;
  return out;
}
