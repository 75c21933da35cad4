import { oneOf, optionsOf } from "../../demand";
import type { Tensor } from "../tensor";
import { fromInput } from "./elementwise";
import { expectTensors } from "./operands";

/** y = x · sigmoid(x), Swish with β = 1; NaN at −∞. Source: Elfwing et al., 2018. */
export const silu = (x: Tensor): Tensor => fromInput("silu", "siluOfX", x);
/**
 * y = x · min(max(x + 3, 0), 6) / 6; the gradient is 0 at −3 and 1 at 3; NaN at −∞. Source: Howard
 * et al., "Searching for MobileNetV3", 2019.
 */
export const hardswish = (x: Tensor): Tensor => fromInput("hardswish", "hardswishOfX", x);

/** Options of {@link gelu}. */
export interface GeluOptions {
  /** `"tanh"`: the paper's approximation, as in GPT-2; default `"none"`. */
  readonly approximate?: "none" | "tanh";
}

/**
 * y = x · Φ(x) with the standard normal distribution Φ(x) = ½ (1 + erf(x/√2)), or with ½ (1 +
 * tanh(√(2/π) (x + 0.044715 x³))) in its place; of x's shape. NaN at −∞, as PyTorch's.
 * @throws ArgumentError for another approximation.
 *
 * Source: Hendrycks, Gimpel, "Gaussian error linear units", 2016.
 */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  expectTensors("gelu", { x });
  return geluForm("gelu", options) === "tanh"
    ? fromInput("geluTanh", "geluTanhOfX", x)
    : fromInput("gelu", "geluOfX", x);
}

/** The approximation that options ask for. @throws ArgumentError for another. */
export function geluForm(what: string, options: GeluOptions | undefined): "none" | "tanh" {
  const { approximate = "none" } = optionsOf(what, options, ["approximate"]);
  return oneOf(what, "approximate", approximate, ["none", "tanh"]);
}
