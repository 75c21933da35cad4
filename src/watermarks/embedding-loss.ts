import { fromTorch } from "../nn/state";
import { affine, reshape } from "../tensor/ops/elementwise";
import { binaryCrossEntropyWithLogits } from "../tensor/ops/loss";
import { matmul } from "../tensor/ops/products/matmul";
import { mean } from "../tensor/ops/reduce";
import { Tensor } from "../tensor/tensor";

/** w̄ of a weight [kH, kW, I, O] as a row [1, kH·kW·I], differentiable. */
export const meanFilterRow = (weight: Tensor): Tensor => reshape(mean(weight, 3), [1, weight.size / weight.shape[3]!]);

/**
 * The embedding loss of a feature watermark, λ·Σ_j BCE(σ(X_j·w̄), b_j), differentiable towards X
 * and w̄; σ and BCE are one operation, which overflows nowhere.
 * Shapes: x [bits, M], row [1, M], targets [1, bits] of 0 and 1 → [].
 */
export function embeddingLoss(x: Tensor, row: Tensor, targets: Tensor, lambda = 1): Tensor {
  const logits = matmul(row, x, { transposeB: true });
  return affine(binaryCrossEntropyWithLogits(logits, targets, { reduction: "sum" }), lambda);
}

/**
 * X on the device, its columns in the order of the network's own weights: [bits, I·kH·kW] →
 * [bits, kH·kW·I].
 */
export function uploadMatrix(x: Float32Array<ArrayBuffer>, bits: number, [i, h, w]: readonly number[]): Tensor {
  const image = { dtype: "F32", shape: [bits, i!, h!, w!], data: x } as const;
  return Tensor.from(fromTorch(image, [bits, h!, w!, i!], "image", "X"), [bits, h! * w! * i!]);
}
