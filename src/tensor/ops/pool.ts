import { avgPoolGradKernel, avgPoolKernel, maxPoolGradKernel, maxPoolKernel } from "../../../shaders/pool.wgsl";
import { ShapeError } from "../../errors";
import { type Pair, type Shape, showShape } from "../shape";
import { record, type Tensor } from "../tensor";
import type { TracedHow, TracedWindows } from "../trace";
import { reshape } from "./elementwise";
import { expectFlag, expectOptions, expectTensors, pairOf } from "./operands";
import { mean } from "./reduce";
import { windowCount } from "./windows";

/** Options of {@link maxPool2d}. */
export interface MaxPoolOptions {
  /** Step from window to window (default: the kernel size). */
  stride?: Pair;
  /** Rows and columns of −∞ around the image (default 0), at most half the kernel size. */
  padding?: Pair;
  /** Distance of a window's elements (default 1). */
  dilation?: Pair;
  /**
   * Whether a last window that reaches past the padding counts too, if it starts within the image
   * or the padding before it (default false).
   */
  ceilMode?: boolean;
}

/** Options of {@link avgPool2d}. */
export interface AvgPoolOptions {
  /** Step from window to window (default: the kernel size). */
  stride?: Pair;
  /** Rows and columns of zeros around the image (default 0), at most half the kernel size. */
  padding?: Pair;
  /** Whether the padding's zeros count as elements of the mean (default true). */
  countIncludePad?: boolean;
  /**
   * Whether a last window that reaches past the padding counts too, if it starts within the image
   * or the padding before it (default false).
   */
  ceilMode?: boolean;
}

/** Sizes as the kernels take them, `c` counted in vectors when `vec`. */
type Geometry = Record<"h" | "w" | "c" | "oh" | "ow" | "kh" | "kw" | "sh" | "sw" | "ph" | "pw", number>;

/**
 * Maximum over windows: y[n, i, j, c] = max over (a, b) of
 * x[n, i·sₕ − pₕ + a·dₕ, j·s_w − p_w + b·d_w, c].
 *
 * The gradient goes to the first maximum of a window in row-major order. A NaN in a window makes
 * its maximum NaN. The same as PyTorch's `max_pool2d`.
 *
 * Shape: [N, H, W, C] → [N, ⌊(H + 2pₕ − dₕ(kₕ − 1) − 1) / sₕ⌋ + 1, …, C], with `ceilMode` ⌈ ⌉ in
 * the place of ⌊ ⌋, less a window that would start at H + pₕ or behind.
 *
 * @throws ShapeError when x is not an f32 tensor of four dimensions, the padding passes half the
 * kernel, or no window fits.
 * @throws ArgumentError when an option is not a whole number in its range, or no flag.
 */
export function maxPool2d(x: Tensor, kernel: Pair, options: MaxPoolOptions = {}): Tensor {
  expectOptions("maxPool2d", options, ["stride", "padding", "dilation", "ceilMode"]);
  const [dh, dw] = pairOf("maxPool2d", "dilation", options.dilation ?? 1, 1);
  const { geometry, vec, shape, windows } = plan("maxPool2d", x, kernel, options, [dh, dw]);
  const { y, at } = largest(x, geometry, vec, shape, [dh, dw]);
  const extent = { ...geometry, kh: dh * (geometry.kh - 1) + 1, kw: dw * (geometry.kw - 1) + 1 };
  return recordMax("maxPool2d", x, y, at, extent, vec, { windows });
}

/**
 * Mean over windows: y[n, i, j, c] = Σ over the window of x / number of its elements, as PyTorch's
 * `avg_pool2d`. What of a window lies behind the padding (`ceilMode`) is never one of them.
 *
 * Shape: [N, H, W, C] → [N, ⌊(H + 2pₕ − kₕ) / sₕ⌋ + 1, …, C], with `ceilMode` as of
 * {@link maxPool2d}.
 *
 * @throws ShapeError when x is not an f32 tensor of four dimensions, the padding passes half the
 * kernel, or no window fits.
 * @throws ArgumentError when an option is not a whole number in its range, or no flag.
 */
export function avgPool2d(x: Tensor, kernel: Pair, options: AvgPoolOptions = {}): Tensor {
  expectOptions("avgPool2d", options, ["stride", "padding", "countIncludePad", "ceilMode"]);
  const { countIncludePad = true } = options;
  expectFlag("avgPool2d", "countIncludePad", countIncludePad);
  const { geometry, vec, shape, windows } = plan("avgPool2d", x, kernel, options, [1, 1]);
  const all = countIncludePad ? 1 : 0;
  const unit = vec ? 4 : 1;
  const y = x.newEmpty(shape);
  x.device.run(avgPoolKernel, { vec }, { x: x.buffer, y: y.buffer }, { ...geometry, count: y.size / unit, all });
  const backward = () => (g: Tensor) => {
    const dx = g.newEmpty(x.shape);
    g.device.run(
      avgPoolGradKernel,
      { vec },
      { g: g.buffer, dx: dx.buffer },
      { ...geometry, count: dx.size / unit, all },
    );
    return [dx];
  };
  const how = { windows: { ...windows, countsPadding: countIncludePad } };
  return record("avgPool2d", y, [x], [], backward, how);
}

/**
 * Mean over all positions: [N, H, W, C] or [N, L, C] → [N, C]. NaN when there are no positions.
 * @throws ShapeError for other ranks.
 */
export function globalAvgPool(x: Tensor): Tensor {
  const flat = reshape(x, positions("globalAvgPool", x));
  const y = mean(flat, [1]);
  flat.dispose();
  return y;
}

/**
 * Maximum over all positions: [N, H, W, C] or [N, L, C] → [N, C]; the symmetric function of
 * PointNet (Qi et al., CVPR 2017). The gradient goes to the first maximum; a NaN makes the maximum
 * NaN.
 *
 * @throws ShapeError for other ranks, and when there are no positions: the maximum of nothing is
 * not defined.
 */
export function globalMaxPool(x: Tensor): Tensor {
  const [n, length, channels] = positions("globalMaxPool", x);
  if (length === 0)
    throw new ShapeError(`globalMaxPool: ${showShape(x.shape)} has no positions to take the maximum of`);
  const vec = channels % 4 === 0;
  const c = vec ? channels / 4 : channels;
  const whole: Geometry = { h: length, w: 1, c, oh: 1, ow: 1, kh: length, kw: 1, sh: 1, sw: 1, ph: 0, pw: 0 };
  const chunk = chunkLength(length, n * c);
  const chunks = Math.ceil(length / chunk);
  // The last chunk may reach past the end, where the kernel sees padding.
  const first = largest(
    x,
    { ...whole, oh: chunks, kh: chunk, sh: chunk },
    vec,
    chunks > 1 ? [n, chunks, channels] : [n, channels],
  );
  if (chunks === 1) return recordMax("globalMaxPool", x, first.y, first.at, whole, vec);
  const { y, at } = largest(first.y, { ...whole, h: chunks, kh: chunks }, vec, [n, channels], [1, 1], first.at);
  first.y.dispose();
  first.at.dispose();
  return recordMax("globalMaxPool", x, y, at, whole, vec);
}

/**
 * Invocations that keep a device busy; with fewer outputs than that, a long maximum is taken in two
 * stages.
 */
const BUSY = 4096;

/**
 * Positions an invocation walks in the first stage; depends on sizes alone, so that every device
 * does the same.
 */
function chunkLength(length: number, outputs: number): number {
  if (length <= 64 || outputs >= BUSY) return length;
  return Math.max(16, Math.ceil(Math.sqrt(length)));
}

/**
 * Window maxima and their places; `earlier` are the places of x's own elements when x is a first
 * stage.
 */
function largest(
  x: Tensor,
  geometry: Geometry,
  vec: boolean,
  shape: Shape,
  [dh, dw] = [1, 1] as readonly [number, number],
  earlier?: Tensor,
) {
  const y = x.newEmpty(shape);
  const at = x.newEmpty(shape, "u32");
  const buffers = { x: x.buffer, y: y.buffer, at: at.buffer, earlier: (earlier ?? x).buffer };
  const params = { ...geometry, count: y.size / (vec ? 4 : 1), dh, dw, lowest: -Infinity };
  x.device.run(maxPoolKernel, { vec, carry: earlier !== undefined }, buffers, params);
  return { y, at };
}

/**
 * Makes y, the maxima at the places `at` of x, differentiable. `extent`: the geometry with kernel
 * sizes that include dilation.
 */
function recordMax(
  name: string,
  x: Tensor,
  y: Tensor,
  at: Tensor,
  extent: Geometry,
  vec: boolean,
  how?: TracedHow<Tensor>,
): Tensor {
  const backward = (places: Tensor) => (g: Tensor) => {
    const dx = g.newEmpty(x.shape);
    const params = { ...extent, count: dx.size / (vec ? 4 : 1) };
    g.device.run(maxPoolGradKernel, { vec }, { g: g.buffer, at: places.buffer, dx: dx.buffer }, params);
    return [dx];
  };
  const out = record(name, y, [x], [at], backward, how);
  at.dispose();
  return out;
}

/** Checks a windowed pool's input and options and lays out its sizes. */
function plan(
  op: string,
  x: Tensor,
  kernel: Pair,
  options: Pick<MaxPoolOptions, "stride" | "padding" | "ceilMode">,
  [dh, dw]: readonly [number, number],
): { geometry: Geometry; vec: boolean; shape: Shape; windows: TracedWindows } {
  expectTensors(op, { x });
  if (x.rank !== 4) throw new ShapeError(`${op}: expected images [N, H, W, C], found ${showShape(x.shape)}`);
  const [n, h, w, channels] = x.shape as readonly [number, number, number, number];
  const [kh, kw] = pairOf(op, "kernel", kernel, 1);
  const [sh, sw] = pairOf(op, "stride", options.stride ?? kernel, 1);
  const [ph, pw] = pairOf(op, "padding", options.padding ?? 0, 0);
  const { ceilMode = false } = options;
  expectFlag(op, "ceilMode", ceilMode);
  if (2 * ph > kh || 2 * pw > kw) {
    throw new ShapeError(
      `${op}: padding [${ph}, ${pw}] may be at most half the kernel [${kh}, ${kw}]: beyond that, windows lie in the padding alone`,
    );
  }
  const oh = windowCount(h, kh, sh, ph, dh, ceilMode);
  const ow = windowCount(w, kw, sw, pw, dw, ceilMode);
  if (h < 1 || w < 1 || oh < 1 || ow < 1) {
    throw new ShapeError(
      `${op}: no window of ${kh}×${kw} (dilation [${dh}, ${dw}], padding [${ph}, ${pw}]) fits into images of ${h}×${w} in ${showShape(x.shape)}: ` +
        `the output would be ${oh}×${ow}; use a smaller kernel or larger images`,
    );
  }
  const vec = channels % 4 === 0;
  const geometry = { h, w, c: vec ? channels / 4 : channels, oh, ow, kh, kw, sh, sw, ph, pw };
  const windows = { kernel: [kh, kw], stride: [sh, sw], padding: [ph, pw], dilation: [dh, dw] } as const;
  return { geometry, vec, shape: [n, oh, ow, channels], windows };
}

/** [N, L, C] of a tensor [N, …, C]. */
function positions(op: string, x: Tensor): readonly [number, number, number] {
  expectTensors(op, { x });
  if (x.rank !== 3 && x.rank !== 4)
    throw new ShapeError(`${op}: expected [N, H, W, C] or [N, L, C], found ${showShape(x.shape)}`);
  return [x.shape[0]!, x.shape.slice(1, -1).reduce((a, b) => a * b, 1), x.shape[x.rank - 1]!];
}
