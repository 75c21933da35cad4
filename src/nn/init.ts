import { optionsOf, refuse, within } from "../demand";
import { LimitError } from "../errors";
import { device } from "../gpu/init";
import type { Generator } from "../tensor/random";
import { checkShape, type Shape, showShape, sizeOf } from "../tensor/shape";
import { Tensor } from "../tensor/tensor";
import { generatorOf } from "./random";

/**
 * Numbers of inputs and outputs that meet in one weight. Weights of ours end in [..., I, O]; what
 * comes before are taps: fan-in = taps · I, fan-out = taps · O.
 */
export function fans(shape: Shape): { fanIn: number; fanOut: number } {
  demandShape("fans", shape);
  const [i, o] = [shape[shape.length - 2] ?? 1, shape[shape.length - 1] ?? 1];
  const taps = sizeOf(shape.slice(0, -2));
  return { fanIn: taps * i, fanOut: taps * o };
}

const GAINS = { linear: 1, sigmoid: 1, tanh: 5 / 3, relu: Math.SQRT2 } as const;

/**
 * Gain of the activation that follows, as PyTorch's `calculate_gain`.
 * @throws ArgumentError for an activation that is not known.
 */
export function gain(nonlinearity: keyof typeof GAINS | "leakyRelu", slope = 0.01): number {
  if (nonlinearity === "leakyRelu") return Math.sqrt(2 / (1 + within("gain", "slope", slope, -Number.MAX_VALUE) ** 2));
  if (typeof nonlinearity === "string" && Object.hasOwn(GAINS, nonlinearity)) return GAINS[nonlinearity];
  return refuse("gain", "nonlinearity", `one of ${Object.keys(GAINS).join(", ")}, leakyRelu`, nonlinearity);
}

/** Options of Kaiming initialisation. */
export interface KaimingOptions {
  /**
   * What the variance is divided by: `fanIn`, taps · inputs, which keeps the size of outputs, or
   * `fanOut`, taps · outputs, which keeps that of gradients (default `fanIn`).
   */
  mode?: "fanIn" | "fanOut";
  /** Gain of the activation (default √2, ReLU). */
  gain?: number;
}

function kaiming(what: string, shape: Shape, options: KaimingOptions | undefined): { g: number; fan: number } {
  const { mode = "fanIn", gain: g = Math.SQRT2 } = optionsOf(what, options, ["mode", "gain"]);
  if (mode !== "fanIn" && mode !== "fanOut") refuse(what, "mode", '"fanIn" or "fanOut"', mode);
  demandShape(what, shape);
  return { g: within(what, "gain", g, 0), fan: Math.max(1, fans(shape)[mode]) };
}

function xavier(what: string, shape: Shape, g: number): { g: number; fan: number } {
  demandShape(what, shape);
  const { fanIn, fanOut } = fans(shape);
  return { g: within(what, "gain", g, 0), fan: Math.max(1, fanIn + fanOut) };
}

/**
 * N(0, gain² / fan). Without `random` from the common source, see `manualSeed`. He et al.,
 * "Delving deep into rectifiers", 2015.
 */
export function kaimingNormal(shape: Shape, random?: Generator, options?: KaimingOptions): Tensor {
  const { g, fan } = kaiming("kaimingNormal", shape, options);
  return normal(shape, random, g / Math.sqrt(fan), "kaimingNormal");
}

/** U(−b, b), b = gain · √(3 / fan). He et al., 2015. */
export function kaimingUniform(shape: Shape, random?: Generator, options?: KaimingOptions): Tensor {
  const { g, fan } = kaiming("kaimingUniform", shape, options);
  return uniform(shape, random, g * Math.sqrt(3 / fan), "kaimingUniform");
}

/**
 * N(0, gain² · 2 / (fan-in + fan-out)). Glorot and Bengio, "Understanding the difficulty of
 * training deep feedforward neural networks", 2010.
 */
export function xavierNormal(shape: Shape, random?: Generator, gain = 1): Tensor {
  const { g, fan } = xavier("xavierNormal", shape, gain);
  return normal(shape, random, g * Math.sqrt(2 / fan), "xavierNormal");
}

/** U(−b, b), b = gain · √(6 / (fan-in + fan-out)). Glorot and Bengio, 2010. */
export function xavierUniform(shape: Shape, random?: Generator, gain = 1): Tensor {
  const { g, fan } = xavier("xavierUniform", shape, gain);
  return uniform(shape, random, g * Math.sqrt(6 / fan), "xavierUniform");
}

/**
 * N(0, std²).
 * @param what whom messages speak of
 * @throws ShapeError for a shape that is none; LimitError for one that the device cannot hold.
 */
export function normal(shape: Shape, random?: Generator, std = 1, what = "normal"): Tensor {
  return drawn(shape, generatorOf(what, random), "normal", 0, std);
}

/** U(−bound, bound). @throws as {@link normal}. */
export function uniform(shape: Shape, random?: Generator, bound = 1, what = "uniform"): Tensor {
  return drawn(shape, generatorOf(what, random), "uniform", -bound, bound);
}

function drawn(shape: Shape, random: Generator, distribution: "uniform" | "normal", a: number, b: number): Tensor {
  demandShape(distribution, shape);
  const { limits } = device().gpu;
  // Before anything is drawn: numbers on the host would take as much, and minutes.
  if (4 * sizeOf(shape) > Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize))
    throw new LimitError(`a tensor ${showShape(shape)} is larger than this device can hold: use a smaller one`);
  return Tensor.from(random.fill(new Float32Array(sizeOf(shape)), distribution, a, b), shape);
}

function demandShape(what: string, shape: Shape): void {
  if (!Array.isArray(shape)) refuse(what, "shape", "an array of whole numbers from 0", shape);
  checkShape(shape);
}
