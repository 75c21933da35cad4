import type { Generator } from "../tensor/random";
import { checkShape, type Shape, sizeOf } from "../tensor/shape";
import { Tensor } from "../tensor/tensor";

/**
 * Numbers of inputs and outputs that meet in one weight. Weights of ours end in [..., I, O]; what comes before are taps:
 * fan-in = taps · I, fan-out = taps · O.
 */
export function fans(shape: Shape): { fanIn: number; fanOut: number } {
  const [i, o] = [shape[shape.length - 2] ?? 1, shape[shape.length - 1] ?? 1];
  const taps = sizeOf(shape.slice(0, -2));
  return { fanIn: taps * i, fanOut: taps * o };
}

/** Gain of the activation that follows, as PyTorch's `calculate_gain`. */
export function gain(nonlinearity: "linear" | "relu" | "leakyRelu" | "tanh" | "sigmoid", slope = 0.01): number {
  if (nonlinearity === "relu") return Math.SQRT2;
  if (nonlinearity === "leakyRelu") return Math.sqrt(2 / (1 + slope ** 2));
  return nonlinearity === "tanh" ? 5 / 3 : 1;
}

/** Options of Kaiming initialisation. */
export interface KaimingOptions {
  mode?: "fanIn" | "fanOut";
  /** Gain of the activation (default √2, ReLU). */
  gain?: number;
}

const fan = (shape: Shape, mode: "fanIn" | "fanOut") => Math.max(1, fans(shape)[mode]);

/** N(0, gain² / fan). He et al., "Delving deep into rectifiers", 2015. */
export function kaimingNormal(
  shape: Shape,
  random: Generator,
  { mode = "fanIn", gain: g = Math.SQRT2 }: KaimingOptions = {},
): Tensor {
  return normal(shape, random, g / Math.sqrt(fan(shape, mode)));
}

/** U(−b, b), b = gain · √(3 / fan). He et al., 2015. */
export function kaimingUniform(
  shape: Shape,
  random: Generator,
  { mode = "fanIn", gain: g = Math.SQRT2 }: KaimingOptions = {},
): Tensor {
  return uniform(shape, random, g * Math.sqrt(3 / fan(shape, mode)));
}

/** N(0, gain² · 2 / (fan-in + fan-out)). Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010. */
export function xavierNormal(shape: Shape, random: Generator, g = 1): Tensor {
  const { fanIn, fanOut } = fans(shape);
  return normal(shape, random, g * Math.sqrt(2 / Math.max(1, fanIn + fanOut)));
}

/** U(−b, b), b = gain · √(6 / (fan-in + fan-out)). Glorot and Bengio, 2010. */
export function xavierUniform(shape: Shape, random: Generator, g = 1): Tensor {
  const { fanIn, fanOut } = fans(shape);
  return uniform(shape, random, g * Math.sqrt(6 / Math.max(1, fanIn + fanOut)));
}

/** N(0, std²). @throws ShapeError for a shape that is none. */
export function normal(shape: Shape, random: Generator, std = 1): Tensor {
  checkShape(shape);
  return Tensor.from(random.fill(new Float32Array(sizeOf(shape)), "normal", 0, std) as Float32Array, shape);
}

/** U(−bound, bound). @throws ShapeError for a shape that is none. */
export function uniform(shape: Shape, random: Generator, bound = 1): Tensor {
  checkShape(shape);
  return Tensor.from(random.fill(new Float32Array(sizeOf(shape)), "uniform", -bound, bound) as Float32Array, shape);
}
