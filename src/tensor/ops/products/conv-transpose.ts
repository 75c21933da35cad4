import { refuse } from "../../../demand";
import { ShapeError } from "../../../errors";
import { expectUnparted } from "../../parts";
import { type Pair, sameShape, showShape } from "../../shape";
import { scope } from "../../storage";
import { noGrad, record, type Tensor } from "../../tensor";
import { add } from "../elementwise";
import { expectOptional, expectOptions, expectTensors, pairOf } from "../operands";
import { conv2d, conv2dInputGradient, conv2dWeightGradient } from "./conv";
import { geometryOf } from "./geometry";

/** Options of {@link convTranspose2d}. */
export interface ConvTransposeOptions {
  /** Step between the outputs that neighbouring inputs are added to (default 1). */
  stride?: Pair;
  /** Rows and columns that are cut off on all sides (default 0). */
  padding?: Pair;
  /** Rows and columns more below and to the right (default 0), fewer than the stride. */
  outputPadding?: Pair;
  /** Distance between taps (default 1). */
  dilation?: Pair;
  /** Channels are split into this many independent convolutions (default 1). */
  groups?: number;
}

/**
 * Transposed 2-D convolution, the input gradient of {@link conv2d} as an operation of its own:
 *
 *     y[n, p·stride + u·dilation − padding, q·stride + v·dilation − padding, o] += Σ_i x[n, p, q, i] · w[u, v, o, i]
 *
 * for all p, q, u, v, plus bias[o], as PyTorch's `conv_transpose2d`.
 *
 * Shapes: x [N, H, W, I], w [kH, kW, O/groups, I], bias [O] → [N, H', W', O] with H' = (H −
 * 1)·stride − 2·padding + dilation·(kH − 1) + outputPadding + 1. Differentiable towards x, w and
 * bias.
 *
 * @throws ShapeError when channels do not fit, the output has no pixels, or for integers.
 * @throws ArgumentError for an option that is no whole number in its range, an outputPadding that
 * is not less than the stride, and other options.
 */
export function convTranspose2d(
  x: Tensor,
  w: Tensor,
  bias: Tensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor {
  const op = "convTranspose2d";
  expectTensors(op, { x, w });
  expectOptional(op, { bias });
  expectUnparted(op, { w, bias });
  expectOptions(op, options, ["stride", "padding", "outputPadding", "dilation", "groups"]);
  if (x.rank !== 4 || w.rank !== 4 || x.shape[3] !== w.shape[3])
    throw new ShapeError(
      `${op}: x [N, H, W, I] and w [kH, kW, O/groups, I] expected, found ${showShape(x.shape)} and ${showShape(w.shape)}`,
    );
  const pair = (name: string, value: Pair, least: number) => pairOf(op, name, value, least);
  const stride = pair("stride", options.stride ?? 1, 1);
  const padding = pair("padding", options.padding ?? 0, 0);
  const dilation = pair("dilation", options.dilation ?? 1, 1);
  const more = pair("outputPadding", options.outputPadding ?? 0, 0);
  if (more[0] >= stride[0] || more[1] >= stride[1])
    refuse(op, "outputPadding", `less than the stride [${stride}]`, more);
  const side = (a: 0 | 1) =>
    (x.shape[a + 1]! - 1) * stride[a] - 2 * padding[a] + dilation[a] * (w.shape[a]! - 1) + more[a] + 1;
  const size = [side(0), side(1)] as const;
  if (size[0] < 1 || size[1] < 1)
    throw new ShapeError(`${op}: the output would be ${size[0]}×${size[1]}: give less padding or a larger input`);
  const { groups = 1 } = options;
  const conv = { stride, padding, dilation, groups };
  const channels = w.shape[2]! * groups;
  geometryOf(op, [x.shape[0]!, ...size, channels], w.shape, conv);
  if (bias && !sameShape(bias.shape, [channels]))
    throw new ShapeError(`${op}: bias ${showShape(bias.shape)} for ${channels} output channels`);
  return scope(() => {
    const kernel = [w.shape[0]!, w.shape[1]!] as const;
    const backward = (sx: Tensor, sw: Tensor) => (g: Tensor) => [
      x.requiresGrad ? noGrad(() => conv2d(g, sw, null, conv)) : null,
      w.requiresGrad ? conv2dWeightGradient(g, sx, kernel, conv) : null,
    ];
    const how = { windows: { kernel, ...conv } };
    const y = record(op, conv2dInputGradient(x, w, size, conv), [x, w], [x, w], backward, how);
    return bias ? add(y, bias) : y;
  });
}
