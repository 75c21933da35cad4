import { clipSlots, normKernel, squaresKernel } from "../../../shaders/clip.wgsl";
import type { Device } from "../../gpu/device";
import type { PooledBuffer } from "../../gpu/pool";
import { scope } from "../storage";
import { Tensor } from "../tensor";

/**
 * Partial sums per dispatch: many enough to occupy a graphics card, few enough for the single
 * invocation that adds them up.
 */
const MOST_LANES = 1024;
/** Vectors an invocation sums at least; below, a launch costs more than the work. */
const VECTORS_A_LANE = 8;

/**
 * √ Σ x² over all elements of f32 tensors that are not empty, of shape [], without a graph; of no
 * tensors it is 0. Two stages in a fixed order: partial sums, several tensors per dispatch, then
 * their sum. Squares that overflow or vanish do not: they are added up scaled, too.
 */
export function euclidean(tensors: readonly Tensor[], d: Device): Tensor {
  return scope(() => {
    let offset = 0;
    const batches = inBatches(tensors, clipSlots(d.caps.maxStorageBuffers)).map((batch) => {
      const vectors = batch.reduce((n, g) => n + g.vectors, 0);
      // Whole vectors of sums: the second stage reads four at a time and must meet none that nobody
      // wrote.
      const lanes = 4 * Math.ceil(Math.min(MOST_LANES, vectors / VECTORS_A_LANE) / 4);
      const from = offset;
      offset += lanes;
      return { batch, lanes, from };
    });
    const sums = Tensor.empty([3, offset], "f32", d);
    for (const { batch, lanes, from } of batches) {
      const buffers: Record<string, PooledBuffer> = { sums: sums.buffer };
      const sizes: Record<string, number> = { lanes, offset: from, plane: offset };
      for (const [k, g] of batch.entries()) {
        buffers[`g${k}`] = g.buffer;
        sizes[`size${k}`] = g.size;
      }
      d.run(squaresKernel, { slots: batch.length }, buffers, sizes);
    }
    const norm = Tensor.empty([], "f32", d);
    d.run(normKernel, null, { sums: sums.buffer, norm: norm.buffer }, { n4: offset / 4 });
    return norm;
  });
}

/** At most `most` at a time. */
export function inBatches<T>(items: readonly T[], most: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / most) }, (_, b) => items.slice(b * most, (b + 1) * most));
}
