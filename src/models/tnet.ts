import { Linear } from "../nn/linear";
import { Module } from "../nn/module";
import { add, affine, reshape, sqrt, square, sub } from "../tensor/ops/elementwise";
import { globalMaxPool } from "../tensor/ops/pool";
import { matmul } from "../tensor/ops/products/matmul";
import { mean, sum } from "../tensor/ops/reduce";
import type { Generator } from "../tensor/random";
import { keep } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import type { NormedMap } from "./block";

/**
 * Predicts a linear map of the points' coordinates, or features, from the whole cloud: conv →
 * conv → conv → max over the points → fc → fc → fc3, plus the identity.
 *
 * Shape: x [N, P, k] → [N, k, k]. Names in state dicts are the authors': `conv1`, `conv2`, `conv3`,
 * `fc1`, `fc2` (blocks) and `fc3.weight`, `fc3.bias`.
 * Source: Qi et al., "PointNet", CVPR 2017, section 4.2; after Jaderberg et al., "Spatial
 * transformer networks", NeurIPS 2015.
 */
export class TNet extends Module {
  readonly conv1: NormedMap;
  readonly conv2: NormedMap;
  readonly conv3: NormedMap;
  readonly fc1: NormedMap;
  readonly fc2: NormedMap;
  readonly fc3: Linear;
  readonly k: number;
  readonly #identity: Tensor;

  /** @param block those of the T-Net, by name. @param hidden outputs of `fc2` */
  constructor(
    block: (part: string) => NormedMap,
    { k, hidden, random }: { k: number; hidden: number; random: Generator },
  ) {
    super();
    this.k = k;
    this.conv1 = block("conv1");
    this.conv2 = block("conv2");
    this.conv3 = block("conv3");
    this.fc1 = block("fc1");
    this.fc2 = block("fc2");
    this.fc3 = new Linear(hidden, k * k, { random });
    const eye = Float32Array.from({ length: k * k }, (_, i) => (i % (k + 1) === 0 ? 1 : 0));
    this.#identity = keep(Tensor.from(eye, [k * k]));
  }

  forward(x: Tensor): Tensor {
    const { k } = this;
    const pooled = globalMaxPool(this.conv3.forward(this.conv2.forward(this.conv1.forward(x))));
    const h = add(this.fc3.forward(this.fc2.forward(this.fc1.forward(pooled))), this.#identity);
    return reshape(h, [h.shape[0]!, k, k]);
  }

  override dispose(): void {
    this.#identity.dispose();
    super.dispose();
  }
}

/**
 * Keeps the gradient of √ finite where a transform is orthogonal already; 1e-6 beside norms of that
 * order is nothing.
 */
const TINY = 1e-12;

/**
 * How far predicted transforms are from orthogonal ones, the mean over the batch of
 *
 *     ‖A·(Aᵀ − I)‖_F = ‖A·Aᵀ − A‖_F
 *
 * as the authors' code has it. The paper's term is ‖I − A·Aᵀ‖²_F; this one is 0 for the identity
 * and for projections, not for every orthogonal A. Shape: [N, k, k] → [].
 */
export const transformPenalty = (a: Tensor): Tensor => mean(transformDistances(a));

/** ‖A·Aᵀ − A‖_F of each transform. Shape: [N, k, k] → [N]. */
export function transformDistances(a: Tensor): Tensor {
  const rest = sub(matmul(a, a, { transposeB: true }), a);
  return sqrt(affine(sum(square(rest), [1, 2]), 1, TINY));
}
