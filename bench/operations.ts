/** Convolutions of a list of rows as calls of the package. */
import { Generator, Tensor } from "@pan/core";
import { conv2d } from "@pan/core/nn";
import { conv2dInputGradient, conv2dWeightGradient } from "../src/tensor/ops/products/conv";
import type { Conv, ConvPass } from "./peers/rows";

/** Uniform numbers in [−1, 1). */
export const random = (shape: readonly number[], seed: number): Tensor =>
  Tensor.from(new Generator(seed).fill(new Float32Array(shape.reduce((n, d) => n * d, 1)), "uniform", -1, 1), shape);

/** One pass of a convolution: what it takes, and the call. */
export function convolution(
  pass: ConvPass,
  c: Conv,
  make: (what: "x" | "w" | "dy", shape: number[]) => Tensor,
): { inputs: Tensor[]; compute: () => Tensor } {
  const options = { stride: c.stride, padding: c.padding, groups: c.groups };
  const x = () => make("x", [c.batch, c.size, c.size, c.in]);
  const w = () => make("w", [c.kernel, c.kernel, c.in / c.groups, c.out]);
  const dy = () => make("dy", [c.batch, c.outSize, c.outSize, c.out]);
  if (pass === "forward") {
    const [a, b] = [x(), w()];
    return { inputs: [a, b], compute: () => conv2d(a, b, null, options) };
  }
  if (pass === "input gradient") {
    const [g, b] = [dy(), w()];
    return { inputs: [g, b], compute: () => conv2dInputGradient(g, b, [c.size, c.size], options) };
  }
  const [a, g] = [x(), dy()];
  return { inputs: [a, g], compute: () => conv2dWeightGradient(a, g, [c.kernel, c.kernel], options) };
}
