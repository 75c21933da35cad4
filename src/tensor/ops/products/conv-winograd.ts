/**
 * The three passes of a 3×3 convolution by Winograd's method. Every one is three or four
 * dispatches, whose intermediate results are given back at once: V = Bᵀ d B and Z = G₂ dy G₂ᵀ over
 * tiles, U = G w Gᵀ, M the weight gradient's products. V and Z are four times an input or gradient
 * in size, so a large batch goes through in slices of images ({@link sliceOf}).
 */
import { accumulateKernel } from "../../../../shaders/elementwise.wgsl";
import { matmulKernel, matmulWalk } from "../../../../shaders/products/matmul-registers.wgsl";
import {
  winogradGradientKernel,
  winogradInputKernel,
  winogradProductKernel,
  winogradTapsKernel,
  winogradWeightKernel,
} from "../../../../shaders/products/winograd.wgsl";
import type { ProductCaps } from "../../../gpu/kernel";
import { scope } from "../../storage";
import type { Tensor } from "../../tensor";
import type { ConvStrategy } from "./conv-strategy";
import type { Geometry } from "./geometry";
import { planTile } from "./registers";

/** Tiles of 2×2 pixels that cover `n` images of `size`. */
const tilesOf = (n: number, [h, w]: readonly [number, number]): number => n * Math.ceil(h / 2) * Math.ceil(w / 2);

/**
 * From where on Winograd's method is clearly faster in all three passes: channels of either side,
 * tiles, and tiles times both sides' channels. Measured with 3×3 layers as direct : Winograd in ms,
 * forward, input and weight gradient (medians of alternating runs on two cores that others used
 * too):
 *
 *     N, H = W, I → O     tiles   lavapipe                                    SwiftShader
 *     16, 16,  32 →  64    1024   14.5 : 8.3    20.1 : 8.6    13.3 : 7.7      107 : 54      92 : 69      81 : 48
 *     16,  8,  64 → 128     256   12.8 : 7.3    14.1 : 8.9    16.3 : 7.2       64 : 36      73 : 29      61 : 34
 *     16, 16,  16 →  16    1024    5.6 : 3.7     5.8 : 4.9     4.8 : 3.7     11.1 : 6.8   11.8 : 7.0    7.5 : 5.5
 *     16,  8,  16 →  32     256    1.3 : 1.1     2.8 : 1.2     0.9 : 0.8      5.1 : 3.0    3.9 : 2.7    3.7 : 2.9
 *      8,  8,  24 →  48     128    3.6 : 1.6     2.5 : 1.5     2.0 : 1.3      7.1 : 4.2    6.2 : 4.3    5.0 : 4.1
 *      8,  4,  64 →  64      32    1.3 : 0.9     1.6 : 1.0     1.6 : 0.9      4.5 : 2.8    4.1 : 2.8    4.1 : 3.6
 *      2,  8,  16 →  16      32    0.2 : 0.2     0.2 : 0.2     0.2 : 0.2      0.7 : 0.5    0.6 : 0.6    0.7 : 0.6
 *      4,  4, 256 → 256      16    6.0 : 4.7     7.4 : 6.1     8.1 : 8.1       47 : 32      59 : 43      58 : 63
 *      2,  4, 128 → 128       8    1.6 : 1.8     1.8 : 2.1     2.1 : 2.4      7.5 : 7.4    9.7 : 7.4    7.5 : 10.8
 */
const FEWEST = { channels: 16, tiles: 32, products: 1 << 17 };

/** Bytes of one number of all 16 transformed values. */
const TRANSFORMED = 16 * 4;

/**
 * A batch goes through in so many slices at most, or in fewer of {@link SLICE} bytes of transforms.
 * Smaller slices are more launches, and were no faster for staying in a cache. With one megabyte
 * the small network of `npm run bench -- peers` takes 76 launches, with two 60, as fast as without
 * any; with four, peaks of small networks are 1.5 times what must live (`npm run bench -- scale`).
 */
const SLICES = 4;
const SLICE = 2 ** 21;

/**
 * How many of `n` images are transformed at once, slices being of about the same size.
 * @param image bytes of an image's transforms
 * @param beside bytes of U or M, which are there all the time: transforms may have as many
 */
export function sliceOf(n: number, image: number, beside: number): number {
  const most = Math.max(1, Math.floor(Math.max(SLICE, beside) / image), Math.ceil(n / SLICES));
  return Math.ceil(n / Math.ceil(n / most));
}

/** The slices themselves: first image and number of images. */
function slicesOf(n: number, image: number, beside: number): [first: number, images: number][] {
  const size = sliceOf(n, image, beside);
  return Array.from({ length: Math.ceil(n / size) }, (_, s) => [s * size, Math.min(size, n - s * size)]);
}

/**
 * Whether this computes a convolution, in all three passes: where it can (3×3, stride 1, dilation
 * 1, one group, padding up to 2, something to divide into tiles, and the transforms of a slice and
 * of the weights at most `limit` bytes, what one binding may have), and the device wants it or, by
 * default, it is faster there.
 */
export function usesWinograd(caps: ProductCaps, c: Geometry, limit: number): boolean {
  const { winograd } = caps;
  const fits =
    c.n * c.i * c.o > 0 &&
    c.kernel.every((k) => k === 3) &&
    [...c.stride, ...c.dilation, c.groups].every((v) => v === 1) &&
    c.padding.every((v) => v <= 2);
  if (winograd === false || !fits) return false;
  const [forth, back] = [tilesOf(1, c.out), tilesOf(1, c.in)];
  const slice = Math.ceil(c.n / SLICES);
  if (TRANSFORMED * Math.max(slice * forth * Math.max(c.i, c.o), slice * back * c.o, c.i * c.o) > limit) return false;
  if (winograd === true) return true;
  const tiles = c.n * Math.min(forth, back);
  return (
    caps.tiling !== "workgroup" &&
    caps.adapter !== "hardware" &&
    Math.min(c.i, c.o) >= FEWEST.channels &&
    tiles >= FEWEST.tiles &&
    tiles * c.i * c.o >= FEWEST.products
  );
}

/** 3×3 convolutions of stride 1 by 16 products in the place of 36. */
export const byWinograd: ConvStrategy = {
  adds: false,
  fits: ({ caps, gpu }, g) => usesWinograd(caps, g, gpu.limits.maxStorageBufferBindingSize),
  forward,
  inputGradient,
  weightGradient,
};

/** y [N, H', W', O] of x [N, H, W, I], w [3, 3, I, O] and bias [O]. */
function forward(x: Tensor, w: Tensor, bias: Tensor | null, geo: Geometry): Tensor {
  return gather("forward", x, w, bias, geo.out, geo.padding);
}

/**
 * dx [N, H, W, I] of dy [N, H', W', O] and w [3, 3, I, O]: the convolution of dy, padded by 2 −
 * padding, with the turned filters.
 */
function inputGradient(dy: Tensor, w: Tensor, geo: Geometry): Tensor {
  return gather("input", dy, w, null, geo.in, [2 - geo.padding[0], 2 - geo.padding[1]]);
}

/** dw [3, 3, I, O] of x [N, H, W, I] and dy [N, H', W', O]. */
function weightGradient(x: Tensor, dy: Tensor, geo: Geometry): Tensor {
  const { i, o, out } = geo;
  const image = tilesOf(1, out);
  const d = x.device;
  return scope(() => {
    const slices = slicesOf(geo.n, TRANSFORMED * image * (i + o), TRANSFORMED * i * o);
    const most = slices[0]![1] * image;
    const [v, z] = [x.newEmpty([16, most, i]), x.newEmpty([16, most, o])];
    const [m, sum] = [x.newEmpty([16, i, o]), slices.length > 1 ? x.newEmpty([16, i, o]) : null];
    const tile = planTile(d.caps, "taps", i, o);
    const vec = o % 4 === 0;
    const c = vec ? o / 4 : o;
    for (const [first, images] of slices) {
      const tiles = images * image;
      inputTiles(x, v, out, geo.padding, first, images);
      d.run(
        winogradGradientKernel,
        { vec },
        { dy: dy.buffer, z: z.buffer },
        { ...placesOf(out, first), count: tiles * c, c },
      );
      d.run(
        matmulKernel,
        { transA: true, transB: false, vec: o % tile.columns === 0, bias: false, ...matmulWalk(tile, tiles), tile },
        { a: v.buffer, b: z.buffer, bias: z.buffer, c: (first > 0 && sum ? sum : m).buffer },
        { m: i, n: o, k: tiles, batch: 16, strideA: tiles * i, strideB: tiles * o },
      );
      if (first > 0 && sum) d.run(accumulateKernel, null, { x: sum.buffer, y: m.buffer }, { n4: m.vectors, a: 1 });
    }
    const dw = x.newEmpty([3, 3, i, o]);
    d.run(winogradTapsKernel, null, { m: m.buffer, dw: dw.buffer }, { n: i * o });
    return dw;
  });
}

const half = (size: number) => Math.ceil(size / 2);

/** Sizes of outputs, and where their tiles lie from image `first` on. */
function placesOf([h, w]: readonly [number, number], first: number) {
  const [down, across] = [half(h), half(w)];
  return { h, w, down, across, before: first * down * across };
}

/** V [16, tiles, C] of `images` of x [N, H, W, C] from the first on, for outputs of `size`. */
function inputTiles(
  x: Tensor,
  v: Tensor,
  size: readonly [number, number],
  [padY, padX]: readonly [number, number],
  first: number,
  images: number,
): void {
  const [, h, w, channels] = x.shape as [number, number, number, number];
  const vec = channels % 4 === 0;
  const c = vec ? channels / 4 : channels;
  const sizes = { ...placesOf(size, first), h, w, count: tilesOf(images, size) * c, c, padY, padX };
  x.device.run(winogradInputKernel, { vec }, { x: x.buffer, v: v.buffer }, sizes);
}

/** Convolves `src` [N, ·, ·, C] into [N, ...size, O]. */
function gather(
  mode: "forward" | "input",
  src: Tensor,
  w: Tensor,
  bias: Tensor | null,
  size: readonly [number, number],
  padding: readonly [number, number],
): Tensor {
  const d = src.device;
  const [n, c] = [src.shape[0]!, src.shape[3]!];
  const [i, o] = [w.shape[2]!, w.shape[3]!];
  const columns = mode === "forward" ? o : i;
  const image = tilesOf(1, size);
  return scope(() => {
    const u = src.newEmpty([16, c, columns]);
    d.run(winogradWeightKernel, { mode }, { w: w.buffer, u: u.buffer }, { i, o });
    const slices = slicesOf(n, TRANSFORMED * image * c, TRANSFORMED * i * o);
    const v = src.newEmpty([16, slices[0]![1] * image, c]);
    const y = src.newEmpty([n, ...size, columns]);
    const tile = planTile(d.caps, "pixels", n * image, columns);
    for (const [first, images] of slices) {
      inputTiles(src, v, size, padding, first, images);
      d.run(
        winogradProductKernel,
        { vec: columns % tile.columns === 0, bias: bias !== null, whole: c % tile.lanes === 0, tile },
        { v: v.buffer, u: u.buffer, bias: (bias ?? w).buffer, y: y.buffer },
        { ...placesOf(size, first), tiles: images * image, c, o: columns },
      );
    }
    return y;
  });
}
