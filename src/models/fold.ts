import { ArgumentError, StateDictError } from "../errors";
import { type HostTensor, type StateDict, toFloat32 } from "../io/host-tensor";
import { NORM_EPS } from "../tensor/ops/norm/eps";
import { type MapLayer, mapName } from "./layers";

/**
 * Batch norm of evaluation folded into the convolution or fully connected layer before it:
 *
 *     W'[o] = W[o] · s[o],   b'[o] = β[o] + (b[o] − μ[o]) · s[o],   s = γ / √(σ² + ε)
 *
 * with b = 0 for a map without a bias, and μ = 0, s = γ for a layer that has no norm by itself. The
 * state of a plain network in, that of the same network with `norm: "folded"` out; equal up to
 * rounding.
 * @throws ArgumentError for a network without running statistics.
 */
export function foldBatchNorm(state: StateDict, layers: readonly MapLayer[]): StateDict {
  const folded = new Map(state);
  for (const layer of layers) {
    const { name } = layer;
    const map = mapName(layer);
    const read = (part: string): Float32Array => {
      const value = state.get(`${name}.${part}`);
      if (!value && part.startsWith("bn.running"))
        throw new ArgumentError(
          `batch norm alone can be folded into convolutions, and ${name} has no running statistics: leave foldNorm out`,
        );
      if (!value) throw new StateDictError(`${name}.${part} is missing`);
      return toFloat32(value);
    };
    const [mean, variance] = layer.norm === "none" ? [null, null] : [read("bn.running_mean"), read("bn.running_var")];
    const [gamma, beta, weight] = [read("bn.weight"), read("bn.bias"), read(`${map}.weight`)];
    const own = layer.bias ? read(`${map}.bias`) : new Float32Array(gamma.length);
    const scale = Float64Array.from(gamma, (g, o) => (variance ? g / Math.sqrt(variance[o]! + NORM_EPS) : g));
    const row = weight.length / gamma.length;
    const scaled = weight.map((w, i) => w * scale[Math.floor(i / row)]!);
    const bias = Float32Array.from(beta, (b, o) => b + (own[o]! - (mean?.[o] ?? 0)) * scale[o]!);
    for (const key of folded.keys()) if (key.startsWith(`${name}.bn.`)) folded.delete(key);
    const tensor = (data: Float32Array, shape: readonly number[]): HostTensor => ({
      dtype: "F32",
      shape,
      data: new Float32Array(data),
    });
    folded.set(`${name}.${map}.weight`, tensor(scaled, state.get(`${name}.${map}.weight`)!.shape));
    folded.set(`${name}.${map}.bias`, tensor(bias, [gamma.length]));
  }
  return folded;
}
