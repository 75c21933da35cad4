import { ShapeError } from "../errors";

/** Sizes of a tensor's dimensions, outermost first. */
export type Shape = readonly number[];

/** One number for both axes of an image, or one each. */
export type Pair = number | readonly [vertical: number, horizontal: number];

/** Number of elements. */
export const sizeOf = (shape: Shape): number => shape.reduce((n, d) => n * d, 1);

/** A shape as messages show it. */
export const showShape = (shape: Shape): string => `[${shape.join(", ")}]`;

/** Whether two shapes are equal. */
export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((d, i) => d === b[i]);

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let s = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = s;
    s *= shape[d]!;
  }
  return strides;
}

/**
 * NumPy's and PyTorch's rule: align from the right, sizes equal or 1.
 * @throws ShapeError when they do not fit.
 */
export function broadcastShapes(a: Shape, b: Shape, what: string): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const m = a[i - rank + a.length] ?? 1;
    const n = b[i - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw new ShapeError(
        `${what}: shapes ${showShape(a)} and ${showShape(b)} do not broadcast: from the right, each pair of sizes must be equal or one of them 1`,
      );
    }
    return m === 1 ? n : m;
  });
}

/** Strides of `shape` seen as `target`: 0 along broadcast dimensions. */
export function broadcastStrides(shape: Shape, target: Shape): number[] {
  const own = stridesOf(shape);
  const shift = target.length - shape.length;
  return target.map((_, d) => (d < shift || shape[d - shift] === 1 ? 0 : own[d - shift]!));
}

/** Merges neighbouring dimensions that every operand walks as one; drops sizes of 1. */
export function collapse(shape: Shape, ...operands: number[][]): { shape: number[]; strides: number[][] } {
  const out: number[] = [];
  const strides: number[][] = operands.map(() => []);
  shape.forEach((n, d) => {
    if (n === 1) return;
    const last = out.length - 1;
    const joins = last >= 0 && operands.every((s, k) => strides[k]![last] === s[d]! * n);
    if (joins) {
      out[last]! *= n;
      operands.forEach((s, k) => {
        strides[k]![last] = s[d]!;
      });
    } else {
      out.push(n);
      operands.forEach((s, k) => {
        strides[k]!.push(s[d]!);
      });
    }
  });
  return { shape: out, strides };
}

/**
 * Resolves a dimension counted from the end.
 * @throws ShapeError when it is not one of the tensor's.
 */
export function axisOf(axis: number, rank: number, what: string): number {
  const d = typeof axis === "number" && axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(d) || d < 0 || d >= Math.max(rank, 1)) {
    throw new ShapeError(`${what}: dimension ${axis} of a tensor with ${rank} dimensions: use ${-rank} to ${rank - 1}`);
  }
  return d;
}

/**
 * A shape as it is given: a list of sizes, or the one size of a row.
 * @throws ShapeError unless every size is a non-negative integer.
 */
export function asShape(given: Shape | number): Shape {
  const shape: unknown = typeof given === "number" ? [given] : given;
  if (!Array.isArray(shape)) throw new ShapeError(`a shape is a list of sizes, or one size, found ${typeof given}`);
  const sizes = [...(shape as Shape)];
  checkShape(sizes);
  return sizes;
}

/** @throws ShapeError unless every size is a non-negative integer. */
export function checkShape(shape: Shape): void {
  if (!shape.every((d) => Number.isSafeInteger(d) && d >= 0)) {
    throw new ShapeError(`a shape holds non-negative integers, found ${showShape(shape)}`);
  }
}
