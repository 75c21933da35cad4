/**
 * The numbers that all libraries are given: the same for the same label, in channels-last order.
 */
import { Generator } from "../../src/tensor/random";

const random = new Generator(1);

/** `count` numbers, uniform in [low, high), that depend on the label alone. */
export const numbers = (label: string, count: number, low = -1, high = 1): Float32Array =>
  random.fork(label).fill(new Float32Array(count), "uniform", low, high);

/** Number of elements of a shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** Transposes on the host: dimension d of the result is dimension order[d] of the source. */
export function permuted(data: Float32Array, shape: readonly number[], order: readonly number[]): Float32Array {
  const strides = shape.map((_, d) => sizeOf(shape.slice(d + 1)));
  const walk = order.map((d) => ({ size: shape[d]!, stride: strides[d]! }));
  const out = new Float32Array(data.length);
  let at = 0;
  const visit = (d: number, from: number): void => {
    const { size, stride } = walk[d]!;
    const last = d === walk.length - 1;
    for (let i = 0; i < size; i++) {
      if (last) out[at++] = data[from + i * stride]!;
      else visit(d + 1, from + i * stride);
    }
  };
  visit(0, 0);
  return out;
}
