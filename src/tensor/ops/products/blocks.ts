/**
 * Which block of workgroup memory a product takes. The numbers are arithmetic on a large graphics
 * processor (132 multiprocessors), to be replaced by measured ones.
 */

import { type Block, blockBytes, blockGroups, blockThreads } from "../../../../shaders/products/blocks.wgsl";
import type { ProductCaps } from "../../../gpu/kernel";

/**
 * A product of `rows` × `columns` outputs over `depth` values of k, `planes` times (batch, or
 * groups).
 */
export interface ProductSize {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly planes: number;
}

/**
 * A block, and the chunks that k is cut into; `chunk` is a multiple of the block's step, and no
 * chunk is empty.
 */
export interface BlockPlan {
  readonly block: Block;
  readonly splits: number;
  readonly chunk: number;
}

/**
 * Blocks, and the share of the multiply-add rate each reaches when there are enough of them: larger
 * ones read less for every multiply-add. Staged in f16, the step is twice as long. Of an invocation
 * with 8×8 outputs half as many bytes of workgroup memory are read as of one with 8×4. A step of 8
 * leaves room in workgroup memory, and so in registers, for as many subgroups again as one of 16.
 */
export const BLOCKS: readonly { readonly block: Omit<Block, "half">; readonly rate: number }[] = [
  { block: { bm: 128, bn: 128, bk: 8, tm: 8, tn: 8 }, rate: 0.8 },
  { block: { bm: 128, bn: 64, bk: 8, tm: 8, tn: 8 }, rate: 0.77 },
  { block: { bm: 64, bn: 64, bk: 8, tm: 8, tn: 8 }, rate: 0.72 },
  { block: { bm: 128, bn: 32, bk: 8, tm: 8, tn: 8 }, rate: 0.7 },
  { block: { bm: 32, bn: 32, bk: 16, tm: 4, tn: 4 }, rate: 0.4 },
  { block: { bm: 16, bn: 64, bk: 16, tm: 4, tn: 4 }, rate: 0.35 },
];

/**
 * A processor of U units takes workgroups of `FULL` invocations U at a time, and in the last such
 * round half of it is idle on average: as if there were U / 2 workgroups more. WebGPU does not tell
 * U; 96 is taken.
 */
const IDLE = 48;
const FULL = 256;
/**
 * Splitting k adds a dispatch, and writes and reads every output once per chunk: both in
 * multiply-adds that the processor could do meanwhile.
 */
const DISPATCH = 5e7;
const OUTPUT = 128;
/** Values of k a chunk has at least, and most chunks. */
const SHORTEST = 64;
const MOST_SPLITS = 256;
/**
 * Rows or columns below which most of a block would idle: then an invocation on its own does as
 * well, unless sums are long and outputs few.
 */
const FEW = 8;
const LONG = 512;
const FEW_OUTPUTS = 1 << 14;

/**
 * The block for a product, or null where register tiles are to be used. The block is the one that
 * takes the least time by
 *
 *     padded multiply-adds / rate · (1 + IDLE / workgroups) + (splits > 1 ? DISPATCH + OUTPUT · outputs · splits : 0)
 *
 * over all blocks that the device can run, each whole and with k split so often as makes that sum
 * least.
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
    const work = (groups * block.bm * block.bn * Math.max(depth, 1)) / rate;
    const idle = (IDLE * FULL) / (groups * blockThreads(block));
    const wanted = Math.max(2, Math.round(Math.sqrt((work * idle) / (OUTPUT * Math.max(outputs, 1)))));
    for (const most of [1, wanted]) {
      const plan = { block, ...chunks(depth, most, block.bk) };
      const { splits } = plan;
      const time = work * (1 + idle / splits) + (splits > 1 ? DISPATCH + OUTPUT * outputs * splits : 0);
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
