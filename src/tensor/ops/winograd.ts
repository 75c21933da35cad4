/**
 * The three passes of a 3×3 convolution by Winograd's method. Every one is three or four dispatches, whose intermediate results, up to four times an input or
 * gradient, are given back at once: V = Bᵀ d B and Z = G₂ dy G₂ᵀ over all tiles, U = G w Gᵀ, M the weight gradient's products.
 */
import { matmulKernel } from "../../../shaders/matmul.wgsl";
import {
  winogradGradientKernel,
  winogradInputKernel,
  winogradProductKernel,
  winogradTapsKernel,
  winogradWeightKernel,
} from "../../../shaders/winograd.wgsl";
import { scope } from "../storage";
import type { Tensor } from "../tensor";
import { type ConvSize, planTile, tilesOf } from "./tiling";

/** y [N, H', W', O] of x [N, H, W, I], w [3, 3, I, O] and bias [O]. */
export const winogradForward = (x: Tensor, w: Tensor, bias: Tensor | null, geo: ConvSize): Tensor =>
  gather("forward", x, w, bias, geo.out, geo.padding);

/** dx [N, H, W, I] of dy [N, H', W', O] and w [3, 3, I, O]: the convolution of dy, padded by 2 − padding, with the turned filters. */
export const winogradInputGradient = (dy: Tensor, w: Tensor, geo: ConvSize): Tensor =>
  gather("input", dy, w, null, geo.in, [2 - geo.padding[0], 2 - geo.padding[1]]);

/** dw [3, 3, I, O] of x [N, H, W, I] and dy [N, H', W', O]. */
export function winogradWeightGradient(x: Tensor, dy: Tensor, geo: ConvSize): Tensor {
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
    d.run(
      matmulKernel,
      { transA: true, transB: false, vec, bias: false, tile: planTile(d.caps, "taps", i, o) },
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
      { vec: columns % 4 === 0, bias: bias !== null, whole: c % tile.lanes === 0, tile },
      { v: v.buffer, u: u.buffer, bias: (bias ?? w).buffer, y: y.buffer },
      { tiles, c, o: columns, h: size[0], w: size[1], down: half(size[0]), across: half(size[1]) },
    );
    return y;
  });
}
