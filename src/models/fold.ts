import { ArgumentError, StateDictError } from "../errors";
import { type HostTensor, type StateDict, toFloat32 } from "../io/host-tensor";
import type { ConvLayer } from "./config";

/** Added to the variance by every batch norm of the models. */
const EPS = 1e-5;

/**
 * Batch norm of evaluation folded into the convolution before it:
 *
 *     W'[o] = W[o] · s[o],   b'[o] = β[o] − μ[o] · s[o],   s = γ / √(σ² + ε)
 *
 * The state of a plain network in, that of the same network with `norm: "folded"` out; equal up to rounding.
 * @throws ArgumentError for a network without running statistics.
 */
export function foldBatchNorm(state: StateDict, layers: readonly ConvLayer[]): StateDict {
  const folded = new Map(state);
  for (const { name } of layers) {
    const read = (part: string): Float32Array => {
      const value = state.get(`${name}.${part}`);
      if (!value && part.startsWith("bn.running"))
        throw new ArgumentError(
          `batch norm alone can be folded into convolutions, and ${name} has no running statistics: leave foldNorm out`,
        );
      if (!value) throw new StateDictError(`${name}.${part} is missing`);
      return toFloat32(value);
    };
    const [mean, variance] = [read("bn.running_mean"), read("bn.running_var")];
    const [gamma, beta, weight] = [read("bn.weight"), read("bn.bias"), read("conv.weight")];
    const scale = Float64Array.from(gamma, (g, o) => g / Math.sqrt(variance[o]! + EPS));
    const row = weight.length / gamma.length;
    const scaled = weight.map((w, i) => w * scale[Math.floor(i / row)]!);
    const bias = Float32Array.from(beta, (b, o) => b - mean[o]! * scale[o]!);
    for (const key of folded.keys()) if (key.startsWith(`${name}.bn.`)) folded.delete(key);
    const tensor = (data: Float32Array, shape: readonly number[]): HostTensor => ({
      dtype: "F32",
      shape,
      data: new Float32Array(data),
    });
    folded.set(`${name}.conv.weight`, tensor(scaled, state.get(`${name}.conv.weight`)!.shape));
    folded.set(`${name}.conv.bias`, tensor(bias, [gamma.length]));
  }
  return folded;
}
