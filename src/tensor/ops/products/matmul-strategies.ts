import { matmulBlocksKernel } from "../../../../shaders/products/matmul-blocks.wgsl";
import { matmulKernel, matmulWalk } from "../../../../shaders/products/matmul-registers.wgsl";
import type { Device } from "../../../gpu/device";
import type { PooledBuffer } from "../../../gpu/pool";
import type { Shape } from "../../shape";
import type { Tensor } from "../../tensor";
import { inSplits } from "../splits";
import { planBlocks } from "./blocks";
import { planTile } from "./registers";

/** `planes` products of [m, k] and [k, n], either operand transposed or not. */
export interface MatmulSize {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly planes: number;
  readonly transA: boolean;
  readonly transB: boolean;
}

/** One way of computing a matrix product, of which nothing is empty. */
export interface MatmulStrategy {
  /** Whether it is the one, unless one before it in the list is. */
  fits(device: Device, size: MatmulSize): boolean;
  /** Whether it can add products to what is there. */
  readonly adds: boolean;
  /**
   * Σ_k op(a)·op(b) + bias, of `shape`, or `sum` with that added to it; an operand of two
   * dimensions is the same in every plane.
   */
  product(a: Tensor, b: Tensor, bias: Tensor | null, size: MatmulSize, shape: Shape, sum: Tensor | null): Tensor;
}

const specOf = ({ n, transA, transB }: MatmulSize, bias: Tensor | null, vector: number) => ({
  transA,
  transB,
  vec: n % vector === 0,
  bias: bias !== null,
});

const sizesOf = ({ m, n, k, planes }: MatmulSize, a: Tensor, b: Tensor) => ({
  m,
  n,
  k,
  batch: planes,
  strideA: a.rank > 2 ? m * k : 0,
  strideB: b.rank > 2 ? k * n : 0,
});

const blocksOf = ({ caps }: Device, { m, n, k, planes }: MatmulSize) =>
  planBlocks(caps, { rows: m, columns: n, depth: k, planes });

/** Blocks of outputs staged in workgroup memory, on graphics processors. */
const byBlocks: MatmulStrategy = {
  adds: true,
  fits: (device, size) => blocksOf(device, size) !== null,
  product(a, b, bias, size, shape, sum) {
    const { block, splits, chunk } = blocksOf(a.device, size)!;
    const { m, n, k, transA, transB } = size;
    const [vecA, vecB] = [transA ? m : k, transB ? k : n].map((length) => length % 4 === 0) as [boolean, boolean];
    const spec = { ...specOf(size, bias, 4), vecA, vecB, whole: k % block.bk === 0, block };
    const buffers = { a: a.buffer, b: b.buffer, bias: (bias ?? a).buffer };
    const sizes = { ...sizesOf(size, a, b), splits, chunk };
    const run = (c: PooledBuffer, adds: boolean) =>
      a.device.run(matmulBlocksKernel, { ...spec, adds }, { ...buffers, c }, sizes);
    return inSplits(a.device, shape, splits, run, sum);
  },
};

/** A tile of outputs in each invocation's registers: everything, everywhere. */
const byRegisters: MatmulStrategy = {
  adds: false,
  fits: () => true,
  product(a, b, bias, size, shape) {
    const c = a.newEmpty(shape);
    const tile = planTile(a.device.caps, "matmul", size.m, size.n, size.k);
    const spec = { ...specOf(size, bias, tile.columns), ...matmulWalk(tile, size.k), tile };
    const buffers = { a: a.buffer, b: b.buffer, bias: (bias ?? a).buffer, c: c.buffer };
    a.device.run(matmulKernel, spec, buffers, sizesOf(size, a, b));
    return c;
  },
};

/** Ways of computing a matrix product; the first that fits is taken, and the last always does. */
const STRATEGIES: readonly MatmulStrategy[] = [byBlocks, byRegisters];

/** The way of a product. */
export const matmulFor = (device: Device, size: MatmulSize): MatmulStrategy =>
  STRATEGIES.find((s) => s.fits(device, size))!;
