/**
 * The three passes of a 3×3 convolution by Winograd's method. Every one is three or four
 * dispatches, whose intermediate results, up to four times an input or gradient, are given back at
 * once: V = Bᵀ d B and Z = G₂ dy G₂ᵀ over all tiles, U = G w Gᵀ, M the weight gradient's products.
 */
import { matmulKernel } from "../../../../shaders/products/matmul-registers.wgsl";
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
 * Whether this computes a convolution, in all three passes: where it can (3×3, stride 1, dilation
 * 1, one group, padding up to 2, something to divide into tiles, and every transform at most
 * `limit` bytes, what one binding may have), and the device wants it or, by default, it is faster
 * there.
 */
export function usesWinograd(caps: ProductCaps, c: Geometry, limit: number): boolean {
  const { winograd } = caps;
  const fits =
    c.n * c.i * c.o > 0 &&
    c.kernel.every((k) => k === 3) &&
    [...c.stride, ...c.dilation, c.groups].every((v) => v === 1) &&
    c.padding.every((v) => v <= 2);
  if (winograd === false || !fits) return false;
  const [forth, back] = [tilesOf(c.n, c.out), tilesOf(c.n, c.in)];
  if (TRANSFORMED * Math.max(forth * Math.max(c.i, c.o), back * c.o, c.i * c.o) > limit) return false;
  if (winograd === true) return true;
  const tiles = Math.min(forth, back);
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
  const tiles = tilesOf(geo.n, out);
  const d = x.device;
  return scope(() => {
    const v = inputTiles(x, out, geo.padding);
    const z = x.newEmpty([16, tiles, o]);
    const vec = o % 4 === 0;
    const c = vec ? o / 4 : o;
    const [h, w, down, across] = [...out, ...out.map(half)] as [number, number, number, number];
    const buffers = { dy: dy.buffer, z: z.buffer };
    d.run(winogradGradientKernel, { vec }, buffers, { count: tiles * c, h, w, c, down, across });
    const m = x.newEmpty([16, i, o]);
    const tile = planTile(d.caps, "taps", i, o);
    d.run(
      matmulKernel,
      { transA: true, transB: false, vec: o % tile.columns === 0, bias: false, tile },
      { a: v.buffer, b: z.buffer, bias: z.buffer, c: m.buffer },
      { m: i, n: o, k: tiles, batch: 16, strideA: tiles * i, strideB: tiles * o },
    );
    const dw = x.newEmpty([3, 3, i, o]);
    d.run(winogradTapsKernel, null, { m: m.buffer, dw: dw.buffer }, { n: i * o });
    return dw;
  });
}

const half = (size: number) => Math.ceil(size / 2);

/** V [16, tiles, C] of x [N, H, W, C], for outputs of `size`. */
function inputTiles(x: Tensor, size: readonly [number, number], [padY, padX]: readonly [number, number]): Tensor {
  const [n, h, w, channels] = x.shape as [number, number, number, number];
  const tiles = tilesOf(n, size);
  const v = x.newEmpty([16, tiles, channels]);
  const vec = channels % 4 === 0;
  const c = vec ? channels / 4 : channels;
  const sizes = { count: tiles * c, h, w, c, down: half(size[0]), across: half(size[1]), padY, padX };
  x.device.run(winogradInputKernel, { vec }, { x: x.buffer, v: v.buffer }, sizes);
  return v;
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
  const tiles = tilesOf(n, size);
  return scope(() => {
    const u = src.newEmpty([16, c, columns]);
    d.run(winogradWeightKernel, { mode }, { w: w.buffer, u: u.buffer }, { i, o });
    const v = inputTiles(src, size, padding);
    const y = src.newEmpty([n, ...size, columns]);
    const tile = planTile(d.caps, "pixels", tiles, columns);
    d.run(
      winogradProductKernel,
      { vec: columns % tile.columns === 0, bias: bias !== null, whole: c % tile.lanes === 0, tile },
      { v: v.buffer, u: u.buffer, bias: (bias ?? w).buffer, y: y.buffer },
      { tiles, c, o: columns, h: size[0], w: size[1], down: half(size[0]), across: half(size[1]) },
    );
    return y;
  });
}
