/** Images of one size from images of another: means over windows, and interpolation. */
import { adaptivePoolKernel } from "../../../shaders/adaptive-pool.wgsl";
import { upsampleGradKernel, upsampleKernel } from "../../../shaders/upsample.wgsl";
import { refuse } from "../../demand";
import { ArgumentError, ShapeError } from "../../errors";
import { type Pair, showShape } from "../shape";
import { record, type Tensor } from "../tensor";
import { expectFlag, expectNumber, expectOptions, expectTensors, expectWord, pairOf } from "./operands";

/** Options of {@link upsample2d}: either `size` or `scale`. */
export interface UpsampleOptions {
  /** Rows and columns of the output. */
  size?: Pair;
  /** Output pixels per input pixel along each axis; the output has ⌊size · scale⌋. */
  scale?: Pair;
  /** The nearest pixel before (default), or a mean of four. */
  mode?: "nearest" | "bilinear";
  /** Corner pixels lie on corner pixels (default false: pixels are areas). For "bilinear". */
  alignCorners?: boolean;
}

type Both = readonly [vertical: number, horizontal: number];

/** @throws ShapeError unless x are images with pixels. */
function imagesOf(op: string, x: Tensor) {
  expectTensors(op, { x });
  const [n, h, w, channels] = x.shape as [number, number, number, number];
  if (x.rank !== 4 || h * w === 0)
    throw new ShapeError(`${op}: expected images [N, H, W, C] of at least one pixel, found ${showShape(x.shape)}`);
  const vec = channels % 4 === 0;
  return { n, h, w, channels, vec, unit: vec ? 4 : 1, c: vec ? channels / 4 : channels };
}

/**
 * Means over windows that divide the image evenly, whatever its size: y[n, i, j, c] is the mean of
 * x[n, p, q, c] over ⌊i·H/oh⌋ ≤ p < ⌈(i + 1)·H/oh⌉ and ⌊j·W/ow⌋ ≤ q < ⌈(j + 1)·W/ow⌉, as PyTorch's
 * `adaptive_avg_pool2d`. Differentiable.
 *
 * Shape: [N, H, W, C] → [N, oh, ow, C] for `size` [oh, ow], or one number for both.
 *
 * @throws ShapeError when x is not an f32 tensor of images with pixels.
 * @throws ArgumentError when a size is not a whole number from 1.
 */
export function adaptiveAvgPool2d(x: Tensor, size: Pair): Tensor {
  const op = "adaptiveAvgPool2d";
  const { n, h, w, channels, vec, unit, c } = imagesOf(op, x);
  const [oh, ow] = pairOf(op, "size", size, 1);
  const y = x.newEmpty([n, oh, ow, channels]);
  const forward = { count: y.size / unit, c, toH: oh, toW: ow, ofH: h, ofW: w };
  x.device.run(adaptivePoolKernel, { vec, pass: "forward" }, { src: x.buffer, dst: y.buffer }, forward);
  return record(op, y, [x], [], () => (g) => {
    const dx = g.newEmpty(x.shape);
    const back = { count: dx.size / unit, c, toH: h, toW: w, ofH: oh, ofW: ow };
    g.device.run(adaptivePoolKernel, { vec, pass: "gradient" }, { src: g.buffer, dst: dx.buffer }, back);
    return [dx];
  });
}

/**
 * Images of another size, as PyTorch's `interpolate`. Along each axis, with step = H/H' (or 1/scale
 * where that is given), output i is
 *
 *     nearest     x[⌊i·step⌋]
 *     bilinear    (1 − λ)·x[⌊s⌋] + λ·x[⌊s⌋ + 1],  λ = s − ⌊s⌋,  s = max((i + ½)·step − ½, 0),
 *                 or with `alignCorners` s = i·(H − 1)/(H' − 1)
 *
 * where a place past the last pixel is the last. Differentiable.
 *
 * Shape: [N, H, W, C] → [N, H', W', C], of `size` or ⌊H·scale⌋ × ⌊W·scale⌋.
 *
 * @throws ShapeError when x is not an f32 tensor of images with pixels, or the output has none.
 * @throws ArgumentError unless exactly one of size and scale is given, in its range; for another
 * mode, and `alignCorners` with "nearest".
 */
export function upsample2d(x: Tensor, options: UpsampleOptions): Tensor {
  const op = "upsample2d";
  const { n, h, w, channels, vec, unit, c } = imagesOf(op, x);
  checkUpsample(op, options);
  const { mode = "nearest", alignCorners = false } = options;
  const [[oh, stepY], [ow, stepX]] = [axis(options, 0, h), axis(options, 1, w)];
  if (oh < 1 || ow < 1)
    throw new ShapeError(`${op}: images of ${h}×${w} would become ${oh}×${ow}: give a larger scale`);
  const y = x.newEmpty([n, oh, ow, channels]);
  const spec = { vec, mode, alignCorners };
  const sizes = { c, h, w, oh, ow, stepY, stepX };
  x.device.run(upsampleKernel, spec, { x: x.buffer, y: y.buffer }, { count: y.size / unit, ...sizes });
  const backward = () => (g: Tensor) => {
    const dx = g.newEmpty(x.shape);
    g.device.run(upsampleGradKernel, spec, { g: g.buffer, dx: dx.buffer }, { count: dx.size / unit, ...sizes });
    return [dx];
  };
  return record(op, y, [x], [], backward, { form: alignCorners ? "corners" : mode, numbers: [stepY, stepX] });
}

/** Output pixels along an axis, and how far apart they lie in the input. */
function axis({ size, scale, alignCorners }: UpsampleOptions, a: 0 | 1, input: number): Both {
  const of = (pair: Pair) => (typeof pair === "number" ? pair : pair[a]);
  const output = scale === undefined ? of(size!) : Math.floor(input * of(scale));
  if (alignCorners) return [output, output > 1 ? (input - 1) / (output - 1) : 0];
  return [output, scale === undefined ? input / output : 1 / of(scale)];
}

/** @throws ArgumentError for options that are none of {@link upsample2d}'s. */
export function checkUpsample(op: string, options: UpsampleOptions): void {
  expectOptions(op, options, ["size", "scale", "mode", "alignCorners"]);
  const { size, scale, mode = "nearest", alignCorners = false } = options;
  if ((size === undefined) === (scale === undefined))
    throw new ArgumentError(`${op}: either size or scale is given, found ${size === undefined ? "neither" : "both"}`);
  if (size !== undefined) pairOf(op, "size", size, 1);
  else if (Array.isArray(scale) && scale.length !== 2) refuse(op, "scale", "a number, or one for each axis", scale);
  else for (const s of [scale].flat()) expectNumber(op, "scale", s, 1e-6, 1e6);
  expectWord(op, "mode", mode, ["nearest", "bilinear"]);
  expectFlag(op, "alignCorners", alignCorners);
  if (alignCorners && mode === "nearest") refuse(op, "mode", '"bilinear" where alignCorners is true', mode);
}
