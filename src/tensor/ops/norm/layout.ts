import type { NormLanes } from "../../../../shaders/norm/apply.wgsl";
import type { Device } from "../../../gpu/device";
import type { PooledBuffer } from "../../../gpu/pool";
import type { Tensor } from "../../tensor";

/**
 * One part of an input as [batches, rows, channels], with statistics for each of `groups` groups of
 * neighbouring channels in each batch item.
 */
export interface View {
  readonly batches: number;
  readonly rows: number;
  readonly channels: number;
  readonly groups: number;
}

/** One of whose rows, from the first on, so many have mean and variance. */
export interface MeasuredView extends View {
  readonly measured: number;
}

/**
 * How kernels load such an input, and its sizes in loads of `width` channels (`units`: in
 * statistics values of a load).
 */
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
 * Into how many parts to split reductions of `items` loads when there are `units` of them: enough
 * invocations to fill the adapter (a few workgroups of 64 for a processor's cores), no part so
 * short that merging costs more than it, no merge longer than its parts.
 */
export function splitsFor({ caps }: Device, units: number, items: number): number {
  const [invocations, shortest] = caps.adapter === "hardware" ? [32_768, 8] : [512, 32];
  return Math.max(
    1,
    Math.min(Math.ceil(invocations / units), Math.floor(items / shortest), Math.ceil(Math.sqrt(items))),
  );
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
