/** Gradient clipping, on the GPU and in place; nothing is read back. */
import { clipKernel, clipSlots, normKernel, squaresKernel } from "../../shaders/optim.wgsl";
import { ArgumentError, ShapeError } from "../errors";
import { device } from "../gpu/init";
import type { PooledBuffer } from "../gpu/pool";
import { showShape } from "../tensor/shape";
import { scope } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import { demandAtLeastZero } from "./params";

/** Partial sums a dispatch: many enough to occupy a graphics card, few enough for the single invocation that adds them up. */
const MOST_LANES = 1024;
/** Vectors an invocation sums at least; below, a launch costs more than the work. */
const VECTORS_A_LANE = 8;

/** Options of {@link clipGradNorm}. */
export interface ClipOptions {
  /** Added to the norm. Default 1e-6. */
  eps?: number;
}

/**
 * Scales all gradients by one factor so that their joint Euclidean norm is at most `maxNorm`:
 *
 *     norm = √ Σ g²        g ← g · min(1, maxNorm / (norm + eps))
 *
 * Parameters without a gradient are passed over; without any gradient the norm is 0. Sums run in a fixed order.
 *
 * @param maxNorm ≥ 0; `Infinity` only measures.
 * @returns the norm before clipping, a tensor of shape [].
 * @throws ArgumentError for a `maxNorm` or `eps` that is negative or not a number.
 *
 * Source: `torch.nn.utils.clip_grad_norm_` (PyTorch 1.13); Pascanu et al., "On the difficulty of training recurrent neural networks", ICML 2013.
 */
export function clipGradNorm(params: Iterable<Tensor>, maxNorm: number, { eps = 1e-6 }: ClipOptions = {}): Tensor {
  if (maxNorm !== Number.POSITIVE_INFINITY) demandAtLeastZero("maxNorm", maxNorm);
  demandAtLeastZero("eps", eps);
  const grads = gradientsOf(params);
  const norm = normOf(grads);
  if (maxNorm !== Number.POSITIVE_INFINITY) apply("norm", grads, maxNorm, eps, { norm: norm.buffer });
  return norm;
}

/**
 * Clamps every element of every gradient: g ← min(max(g, −limit), limit).
 *
 * @throws ArgumentError for a `limit` that is negative or not finite.
 *
 * Source: `torch.nn.utils.clip_grad_value_`.
 */
export function clipGradValue(params: Iterable<Tensor>, limit: number): void {
  demandAtLeastZero("limit", limit);
  apply("value", gradientsOf(params), limit, 0, {});
}

function gradientsOf(params: Iterable<Tensor>): Tensor[] {
  const grads: Tensor[] = [];
  for (const p of params) {
    if (!p.grad || p.grad.size === 0) continue;
    if (p.grad.dtype !== "f32")
      throw new ShapeError(`clip: needs f32 gradients, found ${p.grad.dtype} ${showShape(p.grad.shape)}`);
    if (p.grad.device !== (grads[0] ?? p.grad).device)
      throw new ArgumentError("clip: gradients of two devices cannot be clipped together: call it once a device");
    grads.push(p.grad);
  }
  return grads;
}

/** √ Σ g² in two stages: partial sums, several gradients a dispatch, then their sum. */
function normOf(grads: readonly Tensor[]): Tensor {
  const d = grads[0]?.device ?? device();
  return scope(() => {
    let offset = 0;
    const batches = inBatches(grads, clipSlots(d.caps.maxStorageBuffers)).map((batch) => {
      const vectors = batch.reduce((n, g) => n + g.vectors, 0);
      // Whole vectors of sums: the second stage reads four at a time and must meet none that nobody wrote.
      const lanes = 4 * Math.ceil(Math.min(MOST_LANES, vectors / VECTORS_A_LANE) / 4);
      const from = offset;
      offset += lanes;
      return { batch, lanes, from };
    });
    const sums = Tensor.empty([offset], "f32", d);
    for (const { batch, lanes, from } of batches) {
      const buffers: Record<string, PooledBuffer> = { sums: sums.buffer };
      const sizes: Record<string, number> = { lanes, offset: from };
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

function apply(
  by: "norm" | "value",
  grads: readonly Tensor[],
  limit: number,
  eps: number,
  shared: Readonly<Record<string, PooledBuffer>>,
): void {
  const d = grads[0]?.device;
  if (!d) return;
  for (const batch of inBatches(grads, clipSlots(d.caps.maxStorageBuffers))) {
    const buffers: Record<string, PooledBuffer> = { ...shared };
    const sizes: Record<string, number> = { limit, eps };
    let end = 0;
    for (const [k, g] of batch.entries()) {
      end += g.vectors;
      buffers[`g${k}`] = g.buffer;
      sizes[`end${k}`] = end;
    }
    d.run(clipKernel, { by, slots: batch.length }, buffers, sizes);
  }
}

function inBatches<T>(items: readonly T[], most: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / most) }, (_, b) => items.slice(b * most, (b + 1) * most));
}
