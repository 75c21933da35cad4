import { ShapeError } from "../errors";
import { add, reshape } from "../tensor/ops/elementwise";
import { concat, permute } from "../tensor/ops/movement";
import { expectOptional, expectOptions, expectTensors, expectWhole } from "../tensor/ops/operands";
import { conv2dInputGradient, conv2dWeightGradient, convOutputShape } from "../tensor/ops/products/conv";
import { asPlane, CONV_OPTIONS, type ConvOptions } from "../tensor/ops/products/geometry";
import { linear, matmul } from "../tensor/ops/products/matmul";
import { mean } from "../tensor/ops/reduce";
import { showShape } from "../tensor/shape";
import { scope } from "../tensor/storage";
import { record, type Tensor } from "../tensor/tensor";

/**
 * Window means of a passport, all that the average of a convolution needs to know of it:
 *
 *     S[u, v, i] = mean over output positions (y, x) of
 *                  P_padded[y·stride + u·dilation, x·stride + v·dilation, i]
 *
 * It is the weight gradient of a convolution with one output channel, for a constant output
 * gradient of 1/(H'·W'), so the same kernel computes it; the gradient towards the passport is that
 * convolution's input gradient with dS as its weights. Groups do not change it: S knows no outputs.
 *
 * Shapes: passport [1, H, W, I], weight [kH, kW, I/groups, O] → [kH·kW·I]. In one dimension
 * passport [1, L, I], weight [k, I/groups, O] → [k·I], with plain numbers as options; for a linear
 * map passport [1, …, I], weight [I, O] → [I], the mean over the positions. Differentiable towards
 * the passport.
 * @throws ShapeError when the passport is not one input of the layer, or for integers;
 * ArgumentError for a pair as an option of a one-dimensional map.
 */
export function windowMeans(passport: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor {
  expectTensors("windowMeans", { passport, weight });
  expectOptions("windowMeans", options, CONV_OPTIONS);
  const fits = weight.rank === 2 ? passport.rank >= 2 : passport.rank === weight.rank;
  if (passport.shape[0] !== 1 || !fits)
    throw new ShapeError(
      `windowMeans: a passport is one input of the layer, ${EXPECTED[weight.rank] ?? "[1, …, I]"} for a weight ${showShape(weight.shape)}, found ${showShape(passport.shape)}`,
    );
  if (weight.rank === 4) return planeMeans(passport, weight, options);
  if (weight.rank === 3) return lineMeans(passport, weight, options);
  const channels = weight.shape[0]!;
  if (passport.shape[passport.rank - 1] !== channels)
    throw new ShapeError(
      `windowMeans: a passport ${showShape(passport.shape)} for a linear map ${showShape(weight.shape)}`,
    );
  const positions = reshape(passport, [-1, channels]);
  return passport.size === channels ? reshape(positions, [channels]) : mean(positions, 0);
}

const EXPECTED: Readonly<Record<number, string>> = { 2: "[1, …, I]", 3: "[1, L, I]", 4: "[1, H, W, I]" };

function planeMeans(passport: Tensor, weight: Tensor, options: ConvOptions): Tensor {
  const [, oh, ow] = convOutputShape(passport, weight, options);
  const [, h, w, channels] = passport.shape as [number, number, number, number];
  const kernel = [weight.shape[0]!, weight.shape[1]!] as const;
  const single = { ...options, groups: 1 };
  const even = () => passport.newFull([1, oh, ow, 1], 1 / (oh * ow));
  const means = scope(() => {
    const s = conv2dWeightGradient(passport, even(), kernel, single);
    return s.view([s.size]);
  });
  return record("windowMeans", means, [passport], [], () => (g) => [
    conv2dInputGradient(even(), g.view([...kernel, channels, 1]), [h, w], single),
  ]);
}

function lineMeans(passport: Tensor, weight: Tensor, options: ConvOptions): Tensor {
  const [, l, channels] = passport.shape as [number, number, number];
  const plane = weight.view([1, ...weight.shape]);
  const means = planeMeans(reshape(passport, [1, 1, l, channels]), plane, asPlane("windowMeans", options));
  plane.dispose();
  return means;
}

/**
 * γ and β of a passport branch in closed form: the average of a convolution is linear in its
 * weights, so
 *
 *     γ_raw[o] = avg(W * P_γ)[o] = Σ_{u,v,i} S(P_γ)[u, v, group(o)·I/groups + i] · W[u, v, i, o],
 *     β_raw likewise from P_β
 *
 * and both are one small matrix product, with groups one per group; the weight gradient is the
 * rank-1 update that the product's backward gives. Where the map has a bias, γ_raw and β_raw
 * contain it.
 *
 * Shapes: means [2, kH·kW·I] (rows S(P_γ), S(P_β)), weight [kH, kW, I/groups, O], [k, I/groups, O]
 * or [I, O], bias [O] → [2, O] (rows γ_raw, β_raw). Differentiable towards the means, the weight
 * and the bias. Source: DeepIPR equation 2; the closed form is ours.
 * @throws ShapeError when the means are not those of such a weight.
 */
export function passportGammaBeta(means: Tensor, weight: Tensor, groups = 1, bias: Tensor | null = null): Tensor {
  expectTensors("passportGammaBeta", { means, weight });
  expectOptional("passportGammaBeta", { bias });
  expectWhole("passportGammaBeta", "groups", groups, 1);
  const o = weight.shape[weight.rank - 1]!;
  if (groups === 1) return linear(means, reshape(weight, [weight.size / o, o]), bias);
  const i = weight.shape[weight.rank - 2]!;
  const taps = weight.size / (i * o);
  const passports = means.shape[0]!;
  if (o % groups !== 0 || means.size !== passports * taps * i * groups)
    throw new ShapeError(
      `passportGammaBeta: means ${showShape(means.shape)} and weight ${showShape(weight.shape)} in ${groups} groups do not belong together`,
    );
  return scope(() => {
    // Groups lead, so that the product runs over them as a batch.
    const s = permute(reshape(means, [passports, taps, groups, i]), [2, 0, 1, 3]);
    const w = permute(reshape(weight, [taps * i, groups, o / groups]), [1, 0, 2]);
    const product = matmul(reshape(s, [groups, passports, taps * i]), w);
    const rows = reshape(permute(product, [1, 0, 2]), [passports, o]);
    return bias ? add(rows, bias) : rows;
  });
}

/**
 * The two rows that {@link passportGammaBeta} takes, from the passports P_γ and P_β. Differentiable
 * towards the passports.
 */
export function passportMeans(gamma: Tensor, beta: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor {
  expectTensors("passportMeans", { gamma, beta, weight });
  expectOptions("passportMeans", options, CONV_OPTIONS);
  return scope(() => {
    const rows = [gamma, beta].map((p) => windowMeans(p, weight, options));
    return concat(
      rows.map((r) => reshape(r, [1, r.size])),
      0,
    );
  });
}
