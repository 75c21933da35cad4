import { DataLoader } from "../data/loader";
import type { AnyNetwork } from "../models/build";
import { clipGradNorm } from "../optim/clip";
import { SGD } from "../optim/sgd";
import { scope } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import type { TrainingBudget } from "./training";

/** What an attacker lowers, and by changing what; everything else stays as it is. */
export interface Descent {
  model: AnyNetwork;
  params: readonly Tensor[];
  loss: (x: Tensor, y: Tensor) => Tensor;
  /** Largest norm of all gradients together (default none). */
  clipNorm?: number;
}

/**
 * SGD with momentum 0.9 and weight decay 5e-4 on some tensors alone, the network's weights frozen; gives the number of each epoch after it. The papers' settings for
 * ambiguity attacks: learning rate 0.01 without a schedule.
 */
export async function* descend(
  { model, params, loss, clipNorm }: Descent,
  { train, epochs, lr = 0.01, batchSize = 64, transform = [], seed = 0 }: TrainingBudget,
): AsyncGenerator<number, void, void> {
  const chosen = new Set(params);
  const frozen = model.parameters().filter((p) => !chosen.has(p));
  for (const p of frozen) p.requiresGrad = false;
  for (const p of params) p.requiresGrad = true;
  const optimizer = new SGD(params, { lr, momentum: 0.9, weightDecay: 5e-4 });
  const loader = new DataLoader(train, { batchSize, seed, transform, shuffle: true, dropLast: true });
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      model.train();
      for await (const { images, labels, shape, size } of loader.epoch(epoch)) {
        scope(() => {
          optimizer.prepare();
          optimizer.zeroGrad();
          loss(Tensor.from(images, shape), Tensor.from(labels, [size])).backward();
          if (clipNorm) clipGradNorm(params, clipNorm);
          optimizer.step();
        });
        params[0]!.device.flush();
      }
      model.eval();
      yield epoch + 1;
    }
  } finally {
    optimizer.dispose();
    for (const p of frozen) p.requiresGrad = true;
  }
}
