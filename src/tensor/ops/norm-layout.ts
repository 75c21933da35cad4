import type { NormAffine, NormLanes } from "../../../shaders/norm.wgsl";
import { ShapeError } from "../../errors";
import type { Device } from "../../gpu/device";
import type { PooledBuffer } from "../../gpu/pool";
import { type Shape, sameShape, showShape } from "../shape";
import type { Tensor } from "../tensor";
import { expectTensors } from "./operands";

/** γ and β of a normalisation; they may be computed tensors and receive their gradients. */
export interface AffineTensors {
  /** Factor γ of the normalised input. Without it: 1. */
  gamma?: Tensor | null | undefined;
  /** Offset β. Without it: 0. */
  beta?: Tensor | null | undefined;
  /** γ and β as the rows of one tensor [2, …], in the place of both. */
  rows?: Tensor | null | undefined;
}

/** A batch of parts of equal size that are normalised each by itself and lie one after the other in y: [parts · N, …]. */
export interface Parted {
  readonly parts: number;
  /** All parts read the same x [N, …]; else x is [parts · N, …] as y. */
  readonly shared: boolean;
  /** γ and β of each part, or (a single entry) the same for all. */
  readonly affine: readonly AffineTensors[];
}

/** x (one part of it) as [batches, rows, channels], with statistics for each of `groups` groups of neighbouring channels in each batch item. */
export interface View {
  readonly batches: number;
  readonly rows: number;
  readonly channels: number;
  readonly groups: number;
}

/** How kernels load such an input, and its sizes in loads of `width` channels (`units`: in statistics values of a load). */
export function layoutOf({ batches, rows, channels, groups }: View, width?: 1) {
  const size = channels / groups;
  const grouped = size > 1;
  const wide = width !== 1 && (grouped ? size : channels) % 4 === 0;
  const lanes: NormLanes = { width: wide ? 4 : 1, grouped };
  const row = channels / lanes.width;
  return {
    lanes,
    sizes: {
      loads: batches * rows * row,
      units: (batches * groups) / (grouped ? 1 : lanes.width),
      row,
      q: grouped ? size / lanes.width : 1,
      block: rows * row,
    },
  };
}

/**
 * Into how many parts to split reductions of `items` loads when there are `units` of them: enough invocations to fill the adapter
 * (a few workgroups of 64 for a processor's cores), no part so short that merging costs more than it, no merge longer than its parts.
 */
export function splitsFor({ caps }: Device, units: number, items: number): number {
  const [invocations, shortest] = caps.adapter === "hardware" ? [32_768, 8] : [512, 32];
  return Math.max(
    1,
    Math.min(Math.ceil(invocations / units), Math.floor(items / shortest), Math.ceil(Math.sqrt(items))),
  );
}

/** In which form γ and β are given. */
export function affineForm({ gamma, beta, rows }: AffineTensors): NormAffine {
  if (rows) return "rows";
  if (gamma) return beta ? "both" : "scale";
  return beta ? "shift" : "none";
}

/** The tensors of γ and β, γ first. */
export const affineTensors = ({ gamma, beta, rows }: AffineTensors): Tensor[] =>
  rows ? [rows] : [gamma, beta].filter((t) => t != null);

/** @throws ShapeError unless γ and β have that shape. */
export function expectAffine(what: string, { gamma, beta, rows }: AffineTensors, shape: Shape): void {
  if (rows != null) return expectShape(what, "rows", rows, [2, ...shape]);
  if (gamma != null) expectShape(what, "gamma", gamma, shape);
  if (beta != null) expectShape(what, "beta", beta, shape);
}

/** @throws ShapeError unless `t` is f32 and has that shape. */
export function expectShape(what: string, name: string, t: Tensor, shape: Shape): void {
  expectTensors(what, { [name]: t });
  if (sameShape(t.shape, shape)) return;
  throw new ShapeError(`${what}: ${name} of shape ${showShape(shape)} is expected, found ${showShape(t.shape)}`);
}

/** Buffers under `name0`, `name1`, …, those that there are. */
export function numbered<N extends string>(
  name: N,
  tensors: readonly (Tensor | null | undefined)[],
): Record<`${N}${number}`, PooledBuffer> {
  const found: Record<string, PooledBuffer> = {};
  tensors.forEach((t, i) => {
    if (t) found[`${name}${i}`] = t.buffer;
  });
  return found;
}
