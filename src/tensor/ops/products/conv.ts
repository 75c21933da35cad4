import { ShapeError } from "../../../errors";
import type { SumSoFar } from "../../graph";
import { expectUnparted } from "../../parts";
import { sameShape, showShape } from "../../shape";
import { scope } from "../../storage";
import { record, type Tensor } from "../../tensor";
import { reshape } from "../elementwise";
import { expectOptional, expectTensors } from "../operands";
import { sum } from "../reduce";
import { strategyFor } from "./conv-strategies";
import { forwardGather, gatheredShape, inputGather, weightShape } from "./conv-strategy";
import { asPlane, type ConvOptions, type Geometry, geometryOf, type LineConvOptions } from "./geometry";

/**
 * 2-D convolution (cross-correlation, as in every deep-learning library).
 *
 *     y[n, p, q, o] = bias[o] + Σ_{u,v,i} x[n, p·stride + u·dilation − padding, q·stride + v·dilation − padding, i] · w[u, v, i, o]
 *
 * Shapes: x [N, H, W, I], w [kH, kW, I/groups, O], bias [O] → [N, H', W', O] with H' = ⌊(H +
 * 2·padding − dilation·(kH − 1) − 1) / stride⌋ + 1, or H with padding `"same"`. Differentiable
 * towards x, w and bias. An empty batch gives an empty output and zero weight gradients.
 * @throws ShapeError when channels do not fit the groups, the kernel is larger than the padded
 * input, or for integers.
 * @throws ArgumentError for an option that is no whole number in its range, padding "same" with a
 * stride, and other options.
 */
export function conv2d(x: Tensor, w: Tensor, bias: Tensor | null = null, options: ConvOptions = {}): Tensor {
  return convolve("conv2d", x, w, bias, options);
}

function convolve(op: string, x: Tensor, w: Tensor, bias: Tensor | null, options: ConvOptions): Tensor {
  expectTensors(op, { x, w });
  expectOptional(op, { bias });
  expectUnparted(op, { w, bias });
  const geo = geometryOf(op, x.shape, w.shape, options);
  const channels = geo.o * geo.groups;
  if (bias && !sameShape(bias.shape, [channels]))
    throw new ShapeError(`${op}: bias ${showShape(bias.shape)} for ${channels} output channels`);
  const y = forward(x, w, bias, geo);
  const backward = (sx: Tensor, sw: Tensor) => (g: Tensor, sumSoFar: SumSoFar<Tensor>) => [
    x.requiresGrad ? inputGradient(g, sw, geo, () => sumSoFar(0)) : null,
    w.requiresGrad ? weightGradient(sx, g, geo, () => sumSoFar(1)) : null,
    bias?.requiresGrad ? sum(g, [0, 1, 2]) : null,
  ];
  const { kernel, stride, padding, dilation, groups } = geo;
  const how = { windows: { kernel, stride, padding, dilation, groups } };
  return record(op, y, bias ? [x, w, bias] : [x, w], [x, w], backward, how);
}

/**
 * 1-D convolution: {@link conv2d} over one axis.
 * Shapes: x [N, L, I], w [k, I/groups, O], bias [O] → [N, L', O].
 * @throws ShapeError, ArgumentError as {@link conv2d}.
 */
export function conv1d(x: Tensor, w: Tensor, bias: Tensor | null = null, options: LineConvOptions = {}): Tensor {
  expectTensors("conv1d", { x, w });
  expectUnparted("conv1d", { w });
  const plane = asPlane("conv1d", options);
  if (x.rank !== 3 || w.rank !== 3)
    throw new ShapeError(
      `conv1d: x [N, L, I] and w [k, I/groups, O] expected, found ${showShape(x.shape)} and ${showShape(w.shape)}`,
    );
  const [n, l, i] = x.shape as [number, number, number];
  return scope(() => {
    const y = convolve("conv1d", reshape(x, [n, 1, l, i]), reshape(w, [1, ...w.shape]), bias, plane);
    return reshape(y, [n, y.shape[2]!, y.shape[3]!]);
  });
}

/**
 * dL/dw of {@link conv2d} from the input and the output's gradient, without a graph.
 * Shapes: x [N, H, W, I], dy [N, H', W', O], kernel [kH, kW] → [kH, kW, I/groups, O].
 */
export function conv2dWeightGradient(
  x: Tensor,
  dy: Tensor,
  kernel: readonly [number, number],
  options: ConvOptions = {},
): Tensor {
  const weight = [...kernel, (x.shape[3] ?? 0) / (options.groups ?? 1), dy.shape[3] ?? 0];
  const geo = geometryOf("conv2dWeightGradient", x.shape, weight, options);
  const expected = [geo.n, ...geo.out, dy.shape[3]!];
  if (!sameShape(dy.shape, expected))
    throw new ShapeError(`conv2dWeightGradient: dy ${showShape(dy.shape)}, expected ${showShape(expected)}`);
  return weightGradient(x, dy, geo)!;
}

/**
 * dL/dx of {@link conv2d} from the output's gradient, without a graph: the transposed convolution.
 * Shapes: dy [N, H', W', O], w [kH, kW, I/groups, O], size [H, W] → [N, H, W, I].
 */
export function conv2dInputGradient(
  dy: Tensor,
  w: Tensor,
  size: readonly [number, number],
  options: ConvOptions = {},
): Tensor {
  const geo = geometryOf(
    "conv2dInputGradient",
    [dy.shape[0] ?? 0, ...size, (w.shape[2] ?? 0) * (options.groups ?? 1)],
    w.shape,
    options,
  );
  const expected = [geo.n, ...geo.out, geo.o * geo.groups];
  if (!sameShape(dy.shape, expected))
    throw new ShapeError(`conv2dInputGradient: dy ${showShape(dy.shape)}, expected ${showShape(expected)}`);
  return inputGradient(dy, w, geo)!;
}

/** Shape [N, H', W', O] of {@link conv2d}'s output. @throws ShapeError as conv2d. */
export function convOutputShape(x: Tensor, w: Tensor, options: ConvOptions = {}): [number, number, number, number] {
  const geo = geometryOf("conv2d", x.shape, w.shape, options);
  return [geo.n, ...geo.out, geo.o * geo.groups];
}

// What is empty on one side is nothing on the other, and no strategy sees it.

function forward(x: Tensor, w: Tensor, bias: Tensor | null, geo: Geometry): Tensor {
  if (geo.n * geo.o === 0) return x.newEmpty(gatheredShape(geo, forwardGather(geo)));
  return strategyFor(x.device, geo, "forward").forward(x, w, bias, geo);
}

const NONE = () => null;

/** The gradient; null where it was added to the sum so far. */
function inputGradient(dy: Tensor, w: Tensor, geo: Geometry, sumSoFar: () => Tensor | null = NONE): Tensor | null {
  if (geo.n * geo.in[0] * geo.in[1] * geo.i === 0) return dy.newEmpty(gatheredShape(geo, inputGather(geo)));
  const how = strategyFor(dy.device, geo, "input");
  const sum = how.adds ? sumSoFar() : null;
  const dx = how.inputGradient(dy, w, geo, sum);
  return sum ? null : dx;
}

/** The gradient; null where it was added to the sum so far. */
function weightGradient(x: Tensor, dy: Tensor, geo: Geometry, sumSoFar: () => Tensor | null = NONE): Tensor | null {
  if (geo.n * geo.i * geo.o === 0) return x.newFull(weightShape(geo), 0);
  const how = strategyFor(x.device, geo, "weight");
  const sum = how.adds ? sumSoFar() : null;
  const dw = how.weightGradient(x, dy, geo, sum);
  return sum ? null : dw;
}
