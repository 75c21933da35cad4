import { ShapeError } from "../errors";
import { type ConvOptions, conv2dWeightGradient, convOutputShape } from "../tensor/ops/conv";
import { reshape } from "../tensor/ops/elementwise";
import { matmul } from "../tensor/ops/matmul";
import { concat } from "../tensor/ops/movement";
import { showShape } from "../tensor/shape";
import { scope } from "../tensor/storage";
import { noGrad, Tensor } from "../tensor/tensor";

/**
 * Window means of a passport, all that a convolution's average needs to know of it:
 *
 *     S[u, v, i] = mean over output positions (y, x) of P_padded[y·stride + u·dilation, x·stride + v·dilation, i]
 *
 * It is the convolution's own weight gradient for a constant output gradient of 1/(H'·W'), so the same kernel computes it.
 *
 * Shapes: passport [1, H, W, I], kernel of `weight` [kH, kW, I, O] → [kH·kW·I]. No gradient towards the passport.
 */
export function windowMeans(passport: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor {
  if ((options.groups ?? 1) !== 1)
    throw new ShapeError("a passport branch in closed form takes convolutions of one group");
  const [n, oh, ow] = convOutputShape(passport, weight, options);
  if (n !== 1)
    throw new ShapeError(`a passport is one input of the layer, [1, H, W, I], found ${showShape(passport.shape)}`);
  return noGrad(() => {
    const even = Tensor.full([1, oh, ow, 1], 1 / (oh * ow));
    const means = conv2dWeightGradient(passport, even, [weight.shape[0]!, weight.shape[1]!], options);
    const flat = means.view([means.size]);
    even.dispose();
    means.dispose();
    return flat;
  });
}

/**
 * γ and β of a passport branch in closed form: the average of a convolution is linear in its weights, so
 *
 *     γ_raw[o] = avg(W * P_γ)[o] = Σ_{u,v,i} S(P_γ)[u, v, i] · W[u, v, i, o],   β_raw likewise from P_β
 *
 * and both are one small matrix product; the weight gradient is the rank-1 update that the product's backward gives.
 *
 * Shapes: means [2, kH·kW·I] (rows S(P_γ), S(P_β)), weight [kH, kW, I, O] → [2, O] (rows γ_raw, β_raw).
 * Differentiable towards the weight. Source: DeepIPR equation 2; the closed form is ours.
 */
export function passportScales(means: Tensor, weight: Tensor): Tensor {
  const o = weight.shape[weight.rank - 1]!;
  return matmul(means, reshape(weight, [weight.size / o, o]));
}

/** The two rows that {@link passportScales} takes, from the passports for γ and β. */
export function passportMeans(skey: Tensor, key: Tensor, weight: Tensor, options: ConvOptions): Tensor {
  return scope(() =>
    noGrad(() => {
      const rows = [skey, key].map((p) => windowMeans(p, weight, options));
      return concat(
        rows.map((r) => r.view([1, r.size])),
        0,
      );
    }),
  );
}
