/**
 * Which kernel computes a product of what size: the one place where matrix products and convolutions choose. The numbers are arithmetic on a large
 * graphics processor (132 multiprocessors), to be replaced by measured ones.
 */
import { sumSplitsKernel } from "../../../shaders/conv.wgsl";
import { type Product, type Tile, tileFor } from "../../../shaders/gemm.wgsl";
import type { ProductCaps } from "../../../shaders/kernel";
import { type Block, blockBytes, blockGroups, blockThreads } from "../../../shaders/tiled.wgsl";
import type { Device } from "../../gpu/device";
import type { Shape } from "../shape";
import { Tensor } from "../tensor";

/** A product of `rows` × `columns` outputs over `depth` values of k, `planes` times (batch, or groups). */
export interface ProductSize {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly planes: number;
}

/** A block, and the chunks that k is cut into; `chunk` is a multiple of the block's step, and no chunk is empty. */
export interface BlockPlan {
  readonly block: Block;
  readonly splits: number;
  readonly chunk: number;
}

/**
 * Blocks, and the share of the multiply-add rate each reaches when there are enough of them: larger ones read less for every multiply-add.
 * Staged in f16, the step is twice as long.
 */
export const BLOCKS: readonly { readonly block: Omit<Block, "half">; readonly rate: number }[] = [
  { block: { bm: 128, bn: 128, bk: 8, tm: 8, tn: 8 }, rate: 0.8 },
  { block: { bm: 128, bn: 64, bk: 16, tm: 8, tn: 4 }, rate: 0.65 },
  { block: { bm: 64, bn: 64, bk: 16, tm: 8, tn: 4 }, rate: 0.6 },
  { block: { bm: 128, bn: 32, bk: 16, tm: 8, tn: 4 }, rate: 0.55 },
  { block: { bm: 32, bn: 32, bk: 16, tm: 4, tn: 4 }, rate: 0.4 },
  { block: { bm: 16, bn: 64, bk: 16, tm: 4, tn: 4 }, rate: 0.35 },
];

/** Workgroups that keep a large graphics processor busy: two a multiprocessor. */
const BUSY = 264;
/** Splitting k adds a dispatch, and writes and reads every output once a chunk: both in multiply-adds that the processor could do meanwhile. */
const DISPATCH = 5e7;
const OUTPUT = 64;
/** Values of k a chunk has at least, and most chunks. */
const SHORTEST = 64;
const MOST_SPLITS = 256;
/** Rows or columns below which most of a block would idle: then an invocation on its own does as well, unless sums are long and outputs few. */
const FEW = 8;
const LONG = 512;
const FEW_OUTPUTS = 1 << 14;

/**
 * The block for a product, or null where the forms of `gemm.wgsl.ts` are to be used. The block is the one that takes the least time by
 *
 *     padded multiply-adds / (rate · min(1, workgroups / BUSY)) + (splits > 1 ? DISPATCH + OUTPUT · outputs · splits : 0)
 *
 * over all blocks that the device can run, each whole and with k split until the processor is busy.
 */
export function planBlocks(caps: ProductCaps, size: ProductSize): BlockPlan | null {
  if (caps.tiling !== "workgroup") return null;
  const { rows, columns, depth, planes } = size;
  const outputs = rows * columns * planes;
  if (Math.min(rows, columns) < FEW && !(depth >= LONG && outputs <= FEW_OUTPUTS)) return null;
  const half = caps.precision === "f16";
  let best: BlockPlan | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const { block: b, rate } of BLOCKS) {
    const block = { ...b, bk: half ? 2 * b.bk : b.bk, half };
    if (blockThreads(block) > caps.maxInvocations || blockBytes(block) > caps.maxWorkgroupStorage) continue;
    const groups = blockGroups(block, rows, columns, planes);
    const work = groups * block.bm * block.bn * Math.max(depth, 1);
    for (const wanted of [1, Math.ceil(BUSY / groups)]) {
      const plan = { block, ...chunks(depth, wanted, block.bk) };
      const busy = Math.min(1, (groups * plan.splits) / BUSY);
      const time = work / (rate * busy) + (plan.splits > 1 ? DISPATCH + OUTPUT * outputs * plan.splits : 0);
      if (time < least) [best, least] = [plan, time];
    }
  }
  return best;
}

/** Cuts k into at most `wanted` chunks of whole steps. */
export function chunks(depth: number, wanted: number, step: number): { splits: number; chunk: number } {
  const most = Math.max(1, Math.min(wanted, Math.floor(depth / SHORTEST), MOST_SPLITS));
  const chunk = Math.max(1, Math.ceil(depth / most / step)) * step;
  return { splits: Math.max(1, Math.ceil(depth / chunk)), chunk };
}

/** The tile for the forms of `gemm.wgsl.ts`; without subgroups unless the device uses that form. */
export const planTile = (caps: ProductCaps, product: Product, rows: number, columns: number): Tile =>
  tileFor(caps.tiling === "subgroup" ? caps : { ...caps, subgroupSize: 0 }, product, rows, columns);

/** An output of `shape` that `run` fills; with `splits` > 1 it fills [splits, ...shape], whose parts are then added in order. */
export function inSplits(d: Device, shape: Shape, splits: number, run: (out: Tensor) => void): Tensor {
  const parts = Tensor.empty(splits === 1 ? shape : [splits, ...shape], "f32", d);
  run(parts);
  if (splits === 1) return parts;
  const out = parts.newEmpty(shape);
  d.run(sumSplitsKernel, null, { parts: parts.buffer, out: out.buffer }, { n: out.size, splits });
  parts.dispose();
  return out;
}

/** What a 2-D convolution's form is chosen by; channels are those of a group. */
export interface ConvSize {
  readonly n: number;
  readonly in: readonly [number, number];
  readonly out: readonly [number, number];
  readonly i: number;
  readonly o: number;
  readonly groups: number;
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly padding: readonly [number, number];
}

/** Tiles of 2×2 pixels that cover `n` images of `size`. */
export const tilesOf = (n: number, [h, w]: readonly [number, number]): number =>
  n * Math.ceil(h / 2) * Math.ceil(w / 2);

/**
 * From where on Winograd's method is clearly faster in all three passes: channels of either side, tiles, and tiles times both sides' channels. Measured with 3×3
 * layers as direct : Winograd in ms, forward, input and weight gradient (medians of alternating runs on two cores that others used too):
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
 * Whether `winograd.ts` computes a convolution, in all three passes: where it can (3×3, stride 1, dilation 1, one group, padding up to 2, something to divide into tiles, and every transform
 * at most `limit` bytes, what one binding may have), and the device wants it or, by default, it is faster there.
 */
export function usesWinograd(caps: ProductCaps, c: ConvSize, limit: number): boolean {
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
