import { type ConvShape, convGatherKernel, convWeightKernel } from "../../../shaders/conv.wgsl";
import { convTiledKernel, convWeightTiledKernel } from "../../../shaders/conv-tiled.wgsl";
import { type Tile, tileGroups } from "../../../shaders/gemm.wgsl";
import { ShapeError } from "../../errors";
import type { Device } from "../../gpu/device";
import { type Pair, pair, type Shape, sameShape, showShape } from "../shape";
import { scope } from "../storage";
import { record, Tensor } from "../tensor";
import { reshape } from "./elementwise";
import { sum } from "./reduce";
import { inSplits, planBlocks, planTile, usesWinograd } from "./tiling";
import { winogradForward, winogradInputGradient, winogradWeightGradient } from "./winograd";

/** Options of a 2-D convolution. */
export interface ConvOptions {
  /** Step between output positions (default 1). */
  stride?: Pair;
  /** Zeros around the input (default 0). */
  padding?: Pair;
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
  padding: readonly [number, number];
}

/**
 * 2-D convolution (cross-correlation, as in every deep-learning library).
 *
 *     y[n, p, q, o] = bias[o] + Σ_{u,v,i} x[n, p·stride + u·dilation − padding, q·stride + v·dilation − padding, i] · w[u, v, i, o]
 *
 * Shapes: x [N, H, W, I], w [kH, kW, I/groups, O], bias [O] → [N, H', W', O] with H' = ⌊(H + 2·padding − dilation·(kH − 1) − 1) / stride⌋ + 1.
 * Differentiable towards x, w and bias. An empty batch gives an empty output and zero weight gradients.
 * @throws ShapeError when channels do not fit the groups, or the kernel is larger than the padded input.
 */
export function conv2d(x: Tensor, w: Tensor, bias: Tensor | null = null, options: ConvOptions = {}): Tensor {
  const geo = geometry(x.shape, w.shape, options);
  const channels = geo.o * geo.groups;
  if (bias && !sameShape(bias.shape, [channels]))
    throw new ShapeError(`conv2d: bias ${showShape(bias.shape)} for ${channels} output channels`);
  const y = forward(x, w, bias, geo);
  return record("conv2d", y, bias ? [x, w, bias] : [x, w], [x, w], (sx, sw) => (g) => [
    x.requiresGrad ? inputGradient(g, sw, geo) : null,
    w.requiresGrad ? weightGradient(sx, g, geo) : null,
    bias?.requiresGrad ? sum(g, [0, 1, 2]) : null,
  ]);
}

/**
 * 1-D convolution: {@link conv2d} over one axis.
 * Shapes: x [N, L, I], w [k, I/groups, O], bias [O] → [N, L', O].
 */
export function conv1d(
  x: Tensor,
  w: Tensor,
  bias: Tensor | null = null,
  {
    stride = 1,
    padding = 0,
    dilation = 1,
    groups = 1,
  }: { stride?: number; padding?: number; dilation?: number; groups?: number } = {},
): Tensor {
  if (x.rank !== 3 || w.rank !== 3)
    throw new ShapeError(
      `conv1d: x [N, L, I] and w [k, I/groups, O] expected, found ${showShape(x.shape)} and ${showShape(w.shape)}`,
    );
  const [n, l, i] = x.shape as [number, number, number];
  return scope(() => {
    const y = conv2d(reshape(x, [n, 1, l, i]), reshape(w, [1, ...w.shape]), bias, {
      stride: [1, stride],
      padding: [0, padding],
      dilation: [1, dilation],
      groups,
    });
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
  const geo = geometry(x.shape, weight, options);
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
  const geo = geometry([dy.shape[0] ?? 0, ...size, (w.shape[2] ?? 0) * (options.groups ?? 1)], w.shape, options);
  const expected = [geo.n, ...geo.out, geo.o * geo.groups];
  if (!sameShape(dy.shape, expected))
    throw new ShapeError(`conv2dInputGradient: dy ${showShape(dy.shape)}, expected ${showShape(expected)}`);
  return inputGradient(dy, w, geo);
}

/** Shape [N, H', W', O] of {@link conv2d}'s output. @throws ShapeError as conv2d. */
export function convOutputShape(x: Tensor, w: Tensor, options: ConvOptions = {}): [number, number, number, number] {
  const geo = geometry(x.shape, w.shape, options);
  return [geo.n, ...geo.out, geo.o * geo.groups];
}

/** Output sizes of a window sliding over one axis. */
export function windowCount(size: number, kernel: number, stride: number, padding: number, dilation: number): number {
  return Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}

function geometry(x: Shape, w: Shape, options: ConvOptions): Geometry {
  if (x.length !== 4 || w.length !== 4) {
    throw new ShapeError(
      `conv2d: x [N, H, W, I] and w [kH, kW, I/groups, O] expected, found ${showShape(x)} and ${showShape(w)}`,
    );
  }
  const [n, h, width, c] = x as [number, number, number, number];
  const [kh, kw, i, o] = w as [number, number, number, number];
  const [stride, padding, dilation] = [
    pair(options.stride ?? 1),
    pair(options.padding ?? 0),
    pair(options.dilation ?? 1),
  ];
  const groups = options.groups ?? 1;
  const whole = [...stride, ...dilation, groups, kh, kw].every((v) => Number.isInteger(v) && v >= 1);
  if (!whole || !padding.every((v) => Number.isInteger(v) && v >= 0)) {
    throw new ShapeError(
      `conv2d: kernel, stride, dilation and groups are integers ≥ 1 and padding ≥ 0, found kernel ${kh}×${kw}, stride ${stride}, dilation ${dilation}, groups ${groups}, padding ${padding}`,
    );
  }
  if (c !== i * groups || o % groups !== 0) {
    throw new ShapeError(
      `conv2d: input with ${c} channels, weight for ${i}·groups = ${i * groups}, ${o} outputs over ${groups} groups: channels must be groups times the weight's third size, outputs divisible by groups`,
    );
  }
  const out = [
    windowCount(h, kh, stride[0], padding[0], dilation[0]),
    windowCount(width, kw, stride[1], padding[1], dilation[1]),
  ] as const;
  if (out[0] < 1 || out[1] < 1) {
    throw new ShapeError(
      `conv2d: a ${kh}×${kw} kernel with dilation ${dilation} does not fit into ${h}×${width} with padding ${padding}`,
    );
  }
  return { n, in: [h, width], out, i, o: o / groups, groups, kernel: [kh, kw], stride, dilation, padding };
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
  if (pixels * to.channels === 0) return Tensor.empty(shape);
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
  const dst = Tensor.empty(shape);
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
  if (pixels === 0 || rows * geo.o === 0) return Tensor.full(shape, 0);
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
