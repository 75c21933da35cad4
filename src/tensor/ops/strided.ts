import { copyStridedKernel, type StridedRank } from "../../../shaders/elementwise.wgsl";
import { ShapeError } from "../../errors";
import { collapse, type Shape, sizeOf } from "../shape";
import type { Tensor } from "../tensor";

const RANKS = [2, 4, 8] as const;
type Axis = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;
export type StridedParams = { count: number; o_a: number; o_b: number } & Record<`${"n" | "a" | "b"}${Axis}`, number>;

/**
 * Parameters of the strided kernels for walking `shape` with two operands' strides and offsets
 * (elements).
 * @throws ShapeError when more than eight dimensions are left after merging those walked as one.
 */
export function stridedParams(
  shape: Shape,
  a: number[],
  b: number[],
  what: string,
  offsetA = 0,
  offsetB = 0,
): { rank: StridedRank; params: StridedParams } {
  const c = collapse(shape, a, b);
  const rank = RANKS.find((r) => r >= c.shape.length);
  if (!rank)
    throw new ShapeError(
      `${what}: ${c.shape.length} dimensions that cannot be merged, at most 8 are handled: reshape first`,
    );
  const params: Record<string, number> = { count: sizeOf(shape), o_a: offsetA, o_b: offsetB };
  const pad = rank - c.shape.length;
  for (let d = 0; d < rank; d++) {
    params[`n${d}`] = c.shape[d - pad] ?? 1;
    params[`a${d}`] = c.strides[0]![d - pad] ?? 0;
    params[`b${d}`] = c.strides[1]![d - pad] ?? 0;
  }
  return { rank, params: params as StridedParams };
}

/** Copies the region `shape` from `from` to `to`, each with its own strides and first element. */
export function copyRegion(
  from: Tensor,
  to: Tensor,
  region: { shape: Shape; fromStrides: number[]; fromOffset?: number; toStrides: number[]; toOffset?: number },
  what: string,
): void {
  const { rank, params } = stridedParams(
    region.shape,
    region.fromStrides,
    region.toStrides,
    what,
    region.fromOffset,
    region.toOffset,
  );
  from.device.run(copyStridedKernel, { rank }, { x: from.buffer, y: to.buffer }, params);
}
