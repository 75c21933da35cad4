/** Gradient clipping, on the GPU and in place; nothing is read back. */
import { clipKernel, clipSlots } from "../../shaders/clip.wgsl";
import { within } from "../demand";
import { ArgumentError, ShapeError } from "../errors";
import { device } from "../gpu/init";
import type { PooledBuffer } from "../gpu/pool";
import { shown } from "../io/shown";
import { euclidean, inBatches } from "../tensor/ops/euclidean";
import { expectOptions, expectTensors } from "../tensor/ops/operands";
import { showShape } from "../tensor/shape";
import { Tensor } from "../tensor/tensor";

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
 * Parameters without a gradient are passed over; without any gradient the norm is 0. Sums run in a
 * fixed order, and squares do not overflow.
 *
 * **Gradients that are not finite** are no error, as PyTorch's default
 * (`error_if_nonfinite=False`): one NaN makes the norm and all gradients NaN; an infinite one makes
 * the norm infinite, itself NaN, and all others 0. Who would rather stop reads the norm before the
 * optimiser's step.
 *
 * @param params parameters, or one
 * @param maxNorm ≥ 0; `Infinity` only measures.
 * @returns the norm before clipping, a tensor of shape [].
 * @throws ArgumentError for a `maxNorm` or `eps` that is negative or not a number, or anything but
 * tensors.
 *
 * Source: `torch.nn.utils.clip_grad_norm_` (PyTorch 1.13); Pascanu et al., "On the difficulty of
 * training recurrent neural networks", ICML 2013.
 */
export function clipGradNorm(params: Iterable<Tensor> | Tensor, maxNorm: number, options: ClipOptions = {}): Tensor {
  within("clipGradNorm", "maxNorm", maxNorm, 0, Infinity);
  expectOptions("clipGradNorm", options, ["eps"]);
  const { eps = 1e-6 } = options;
  within("clipGradNorm", "eps", eps, 0, Number.MAX_VALUE);
  const grads = gradientsOf("clipGradNorm", params);
  const norm = euclidean(grads, grads[0]?.device ?? device());
  if (maxNorm !== Number.POSITIVE_INFINITY) apply("norm", grads, maxNorm, eps, { norm: norm.buffer });
  return norm;
}

/**
 * Clamps every element of every gradient: g ← min(max(g, −limit), limit); NaN stays NaN.
 *
 * @param params parameters, or one
 * @throws ArgumentError for a `limit` that is negative or not finite, or anything but tensors.
 *
 * Source: `torch.nn.utils.clip_grad_value_`.
 */
export function clipGradValue(params: Iterable<Tensor> | Tensor, limit: number): void {
  within("clipGradValue", "limit", limit, 0, Number.MAX_VALUE);
  apply("value", gradientsOf("clipGradValue", params), limit, 0, {});
}

function gradientsOf(what: string, params: Iterable<Tensor> | Tensor): Tensor[] {
  const grads: Tensor[] = [];
  for (const p of tensorsOf(what, params)) {
    if (!p.grad || p.grad.size === 0) continue;
    if (p.grad.dtype !== "f32")
      throw new ShapeError(`${what}: needs f32 gradients, found ${p.grad.dtype} ${showShape(p.grad.shape)}`);
    if (p.grad.device !== (grads[0] ?? p.grad).device)
      throw new ArgumentError(`${what}: gradients of two devices cannot be clipped together: call it once a device`);
    grads.push(p.grad);
  }
  return grads;
}

function tensorsOf(what: string, params: unknown): readonly Tensor[] {
  if (params instanceof Tensor) return tensorsOf(what, [params]);
  if (typeof params !== "object" || params === null || !(Symbol.iterator in params))
    throw new ArgumentError(`${what}: params are tensors, found ${shown(params)}: pass model.parameters()`);
  const list = [...(params as Iterable<Tensor>)];
  for (const [i, p] of list.entries()) expectTensors(what, { [`params[${i}]`]: p });
  return list;
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
