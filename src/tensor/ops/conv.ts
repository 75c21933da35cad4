import { type ConvShape, convGatherKernel, convWeightKernel } from "../../../shaders/conv.wgsl";
import { convTiledKernel, convWeightTiledKernel } from "../../../shaders/conv-tiled.wgsl";
import { type Tile, tileGroups } from "../../../shaders/gemm.wgsl";
import { ArgumentError, ShapeError } from "../../errors";
import type { Device } from "../../gpu/device";
import { type Pair, type Shape, sameShape, showShape } from "../shape";
import { scope } from "../storage";
import { record, type Tensor } from "../tensor";
import { reshape } from "./elementwise";
import {
  expectOptional,
  expectOptions,
  expectScalar,
  expectTensors,
  expectWhole,
  expectWord,
  pairOf,
} from "./operands";
import { sum } from "./reduce";
import { inSplits, planBlocks, planTile, usesWinograd } from "./tiling";
import { winogradForward, winogradInputGradient, winogradWeightGradient } from "./winograd";

/** Options of a 2-D convolution. */
export interface ConvOptions {
  /** Step between output positions (default 1). */
  stride?: Pair;
  /**
   * Zeros around the input (default 0), on both sides of each axis. `"valid"` is 0. `"same"` has an output of the input's size, for stride 1:
   * dilation · (kernel − 1) zeros an axis, of which an odd one goes to the right or below.
   */
  padding?: Pair | "same" | "valid";
  /** Distance between taps (default 1). */
  dilation?: Pair;
  /** Channels are split into this many independent convolutions (default 1). */
  groups?: number;
}

/** Everything the three kernels need to know of one convolution. */
interface Geometry extends ConvShape {
  n: number;
  /** Input and output height and width. */
  in: readonly [number, number];
  out: readonly [number, number];
  /** Channels a group. */
  i: number;
  o: number;
  groups: number;
  /** Above and to the left; `out` tells how far the windows reach on the other sides. */
  padding: readonly [number, number];
}

/**
 * 2-D convolution (cross-correlation, as in every deep-learning library).
 *
 *     y[n, p, q, o] = bias[o] + Σ_{u,v,i} x[n, p·stride + u·dilation − padding, q·stride + v·dilation − padding, i] · w[u, v, i, o]
 *
 * Shapes: x [N, H, W, I], w [kH, kW, I/groups, O], bias [O] → [N, H', W', O] with H' = ⌊(H + 2·padding − dilation·(kH − 1) − 1) / stride⌋ + 1, or H with padding `"same"`.
 * Differentiable towards x, w and bias. An empty batch gives an empty output and zero weight gradients.
 * @throws ShapeError when channels do not fit the groups, the kernel is larger than the padded input, a size is no whole number in its range, or
 * for integers. @throws ArgumentError for padding "same" with a stride, and other options.
 */
export function conv2d(x: Tensor, w: Tensor, bias: Tensor | null = null, options: ConvOptions = {}): Tensor {
  return convolve("conv2d", x, w, bias, options);
}

function convolve(op: string, x: Tensor, w: Tensor, bias: Tensor | null, options: ConvOptions): Tensor {
  expectTensors(op, { x, w });
  expectOptional(op, { bias });
  const geo = geometry(op, x.shape, w.shape, options);
  const channels = geo.o * geo.groups;
  if (bias && !sameShape(bias.shape, [channels]))
    throw new ShapeError(`${op}: bias ${showShape(bias.shape)} for ${channels} output channels`);
  const y = forward(x, w, bias, geo);
  return record(op, y, bias ? [x, w, bias] : [x, w], [x, w], (sx, sw) => (g) => [
    x.requiresGrad ? inputGradient(g, sw, geo) : null,
    w.requiresGrad ? weightGradient(sx, g, geo) : null,
    bias?.requiresGrad ? sum(g, [0, 1, 2]) : null,
  ]);
}

/** Options of a 1-D convolution: those of {@link ConvOptions}, along one axis. */
export interface LineConvOptions {
  stride?: number;
  padding?: number | "same" | "valid";
  dilation?: number;
  groups?: number;
}

/**
 * 1-D convolution: {@link conv2d} over one axis.
 * Shapes: x [N, L, I], w [k, I/groups, O], bias [O] → [N, L', O].
 * @throws ShapeError, ArgumentError as {@link conv2d}.
 */
export function conv1d(x: Tensor, w: Tensor, bias: Tensor | null = null, options: LineConvOptions = {}): Tensor {
  expectTensors("conv1d", { x, w });
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

/** Options of {@link conv1d} as those of a convolution over [1, L]. @throws ArgumentError for a pair of numbers. */
export function asPlane(op: string, options: ConvOptions): ConvOptions {
  expectOptions(op, options);
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  const along = (name: string, value: unknown, none: number): Pair => {
    expectScalar(op, name, value);
    return [none, value as number];
  };
  return {
    stride: along("stride", stride, 1),
    padding: typeof padding === "string" ? padding : along("padding", padding, 0),
    dilation: along("dilation", dilation, 1),
    groups,
  };
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
  const geo = geometry("conv2dWeightGradient", x.shape, weight, options);
  const expected = [geo.n, ...geo.out, dy.shape[3]!];
  if (!sameShape(dy.shape, expected))
    throw new ShapeError(`conv2dWeightGradient: dy ${showShape(dy.shape)}, expected ${showShape(expected)}`);
  return weightGradient(x, dy, geo);
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
  const geo = geometry(
    "conv2dInputGradient",
    [dy.shape[0] ?? 0, ...size, (w.shape[2] ?? 0) * (options.groups ?? 1)],
    w.shape,
    options,
  );
  const expected = [geo.n, ...geo.out, geo.o * geo.groups];
  if (!sameShape(dy.shape, expected))
    throw new ShapeError(`conv2dInputGradient: dy ${showShape(dy.shape)}, expected ${showShape(expected)}`);
  return inputGradient(dy, w, geo);
}

/** Shape [N, H', W', O] of {@link conv2d}'s output. @throws ShapeError as conv2d. */
export function convOutputShape(x: Tensor, w: Tensor, options: ConvOptions = {}): [number, number, number, number] {
  const geo = geometry("conv2d", x.shape, w.shape, options);
  return [geo.n, ...geo.out, geo.o * geo.groups];
}

/** Output sizes of a window sliding over one axis. */
export function windowCount(size: number, kernel: number, stride: number, padding: number, dilation: number): number {
  return Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}

function geometry(op: string, x: Shape, w: Shape, options: ConvOptions): Geometry {
  expectOptions(op, options);
  if (x.length !== 4 || w.length !== 4) {
    throw new ShapeError(
      `${op}: x [N, H, W, I] and w [kH, kW, I/groups, O] expected, found ${showShape(x)} and ${showShape(w)}`,
    );
  }
  const [n, h, width, c] = x as [number, number, number, number];
  const [kh, kw, i, o] = w as [number, number, number, number];
  const kernel = pairOf(op, "the weight's kernel", [kh, kw], 1, ShapeError);
  const stride = pairOf(op, "stride", options.stride ?? 1, 1, ShapeError);
  const dilation = pairOf(op, "dilation", options.dilation ?? 1, 1, ShapeError);
  const { groups = 1 } = options;
  expectWhole(op, "groups", groups, 1, ShapeError);
  if (c !== i * groups || o % groups !== 0) {
    throw new ShapeError(
      `${op}: input with ${c} channels, weight for ${i}·groups = ${i * groups}, ${o} outputs over ${groups} groups: channels must be groups times the weight's third size, outputs divisible by groups`,
    );
  }
  const { padding, out } = placement(op, [h, width], kernel, stride, dilation, options.padding ?? 0);
  if (out[0] < 1 || out[1] < 1) {
    throw new ShapeError(
      `${op}: a ${kh}×${kw} kernel with dilation ${dilation} does not fit into ${h}×${width} with padding ${padding}`,
    );
  }
  return { n, in: [h, width], out, i, o: o / groups, groups, kernel, stride, dilation, padding };
}

type Both = readonly [number, number];

/** Zeros above and to the left, and sizes of the output. */
function placement(
  op: string,
  size: Both,
  kernel: Both,
  stride: Both,
  dilation: Both,
  padding: Pair | "same" | "valid",
): { padding: Both; out: Both } {
  if (padding === "same") {
    if (stride[0] !== 1 || stride[1] !== 1)
      throw new ArgumentError(`${op}: padding "same" is for stride 1, found stride [${stride}]: give it in numbers`);
    const before = (d: 0 | 1) => Math.floor((dilation[d] * (kernel[d] - 1)) / 2);
    return { padding: [before(0), before(1)], out: size };
  }
  if (typeof padding === "string") expectWord(op, "padding", padding, ["same", "valid"]);
  const around = pairOf(op, "padding", typeof padding === "string" ? 0 : padding, 0, ShapeError);
  const count = (d: 0 | 1) => windowCount(size[d], kernel[d], stride[d], around[d], dilation[d]);
  return { padding: around, out: [count(0), count(1)] };
}

/** Channels a group up to which taps and channels are walked as one. */
const FEW_CHANNELS = 4;

/** Whether by Winograd's method. */
const byTiles = (d: Device, geo: Geometry): boolean =>
  usesWinograd(d.caps, geo, d.gpu.limits.maxStorageBufferBindingSize);

const structure = ({ kernel, stride, dilation }: Geometry): ConvShape => ({ kernel, stride, dilation });

const forward = (x: Tensor, w: Tensor, bias: Tensor | null, geo: Geometry): Tensor =>
  byTiles(x.device, geo)
    ? winogradForward(x, w, bias, geo)
    : gather("forward", x, w, bias, geo, { size: geo.out, channels: geo.o }, { size: geo.in, channels: geo.i });

const inputGradient = (g: Tensor, w: Tensor, geo: Geometry): Tensor =>
  byTiles(g.device, geo)
    ? winogradInputGradient(g, w, geo)
    : gather("input", g, w, null, geo, { size: geo.in, channels: geo.i }, { size: geo.out, channels: geo.o });

/** One side of a convolution: height and width, and channels a group. */
interface Side {
  size: readonly [number, number];
  channels: number;
}

/** Every pixel of `to` gathers from the pixels of `from` that its taps reach. */
function gather(
  mode: "forward" | "input",
  src: Tensor,
  w: Tensor,
  bias: Tensor | null,
  geo: Geometry,
  to: Side,
  from: Side,
): Tensor {
  const shape = [geo.n, ...to.size, to.channels * geo.groups];
  const pixels = geo.n * to.size[0] * to.size[1];
  if (pixels * to.channels === 0) return src.newEmpty(shape);
  const d = src.device;
  const spec = { ...structure(geo), mode, vec: to.channels % 4 === 0, bias: bias !== null };
  const buffers = { src: src.buffer, w: w.buffer, bias: (bias ?? w).buffer };
  const sizes = {
    pixels,
    dstH: to.size[0],
    dstW: to.size[1],
    srcH: from.size[0],
    srcW: from.size[1],
    srcK: from.channels,
    dstN: to.channels,
    groups: geo.groups,
    padY: geo.padding[0],
    padX: geo.padding[1],
  };
  const depth = geo.kernel[0] * geo.kernel[1] * from.channels;
  const plan = planBlocks(d.caps, { rows: pixels, columns: to.channels, depth, planes: geo.groups });
  if (plan) {
    const { block, splits, chunk } = plan;
    const tiled = { ...spec, vecSrc: from.channels % 4 === 0, block };
    return inSplits(d, shape, splits, (dst) =>
      d.run(convTiledKernel, tiled, { ...buffers, dst: dst.buffer }, { ...sizes, splits, chunk }),
    );
  }
  const dst = src.newEmpty(shape);
  // Of a strided convolution's input pixels those of one phase, equal in coordinates modulo the stride, are computed together.
  const phase = (size: number, stride: number) => (mode === "input" ? Math.ceil(size / stride) : size);
  const rows = geo.n * phase(to.size[0], geo.stride[0]) * phase(to.size[1], geo.stride[1]);
  const flat = mode === "forward" && from.channels <= FEW_CHANNELS;
  const tile = planTile(d.caps, flat ? "patches" : "pixels", rows, to.channels);
  const whole = !flat && from.channels % tile.lanes === 0;
  d.run(convGatherKernel, { ...spec, flat, whole, tile }, { ...buffers, dst: dst.buffer }, { ...sizes, pixels: rows });
  return dst;
}

/** dL/dw [kH, kW, I/groups, O] from the input and the output's gradient. */
function weightGradient(x: Tensor, g: Tensor, geo: Geometry): Tensor {
  const rows = geo.kernel[0] * geo.kernel[1] * geo.i;
  const shape = [...geo.kernel, geo.i, geo.o * geo.groups];
  const pixels = geo.n * geo.out[0] * geo.out[1];
  if (pixels === 0 || rows * geo.o === 0) return x.newFull(shape, 0);
  const d = x.device;
  if (byTiles(d, geo)) return winogradWeightGradient(x, g, geo);
  const spec = { ...structure(geo), vec: geo.o % 4 === 0 };
  const buffers = { x: x.buffer, dy: g.buffer };
  const sizes = {
    pixels,
    dyH: geo.out[0],
    dyW: geo.out[1],
    xH: geo.in[0],
    xW: geo.in[1],
    i: geo.i,
    o: geo.o,
    groups: geo.groups,
    padY: geo.padding[0],
    padX: geo.padding[1],
  };
  const plan = planBlocks(d.caps, { rows, columns: geo.o, depth: pixels, planes: geo.groups });
  if (plan) {
    const { block, splits, chunk } = plan;
    const tiled = { ...spec, vecX: geo.i % 4 === 0, block };
    return inSplits(d, shape, splits, (dw) =>
      d.run(convWeightTiledKernel, tiled, { ...buffers, dw: dw.buffer }, { ...sizes, splits, chunk }),
    );
  }
  const widest = planTile(d.caps, "taps", rows, geo.o);
  // Rows of one tap are read together: a smaller tile that divides the channels beats a larger one that does not.
  const tile = {
    ...widest,
    rows: geo.i % widest.rows !== 0 && geo.i % 8 === 0 ? Math.min(widest.rows, 8) : widest.rows,
  };
  const splits = splitsFor(d, tile, rows, geo, pixels);
  const chunk = Math.ceil(pixels / splits);
  const whole = chunk % tile.lanes === 0 && pixels % tile.lanes === 0;
  const oneTap = tile.rows >= 4 && geo.i % tile.rows === 0;
  return inSplits(d, shape, splits, (dw) =>
    d.run(
      convWeightKernel,
      { ...spec, whole, oneTap, tile },
      { ...buffers, dw: dw.buffer },
      { ...sizes, splits, chunk },
    ),
  );
}

/** Chunks of the pixels, so that enough workgroups run at once; each chunk keeps at least 64 pixels. */
function splitsFor(d: Device, tile: Tile, rows: number, geo: Geometry, pixels: number): number {
  const wanted = d.caps.adapter === "hardware" ? 512 : 16;
  const groups = tileGroups(tile, rows, geo.o, geo.groups);
  const splits = Math.max(1, Math.min(Math.ceil(wanted / groups), Math.floor(pixels / 64), 256));
  // Whole chunks only: the last must not be empty.
  return Math.ceil(pixels / Math.ceil(pixels / splits));
}
