import { DataLoader } from "../data/loader";
import { inMode, withMode } from "../nn/mode";
import { deviceOf, type Module } from "../nn/module";
import { clipGradNorm } from "../optim/clip";
import { SGD } from "../optim/sgd";
import { scope } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import type { Checked, ForgingBudget } from "./training";

/** What an attacker lowers, and by changing what; everything else stays as it is. */
export interface Descent {
  model: Module;
  params: readonly Tensor[];
  loss: (x: Tensor, y: Tensor) => Tensor;
  /**
   * Norms whose running statistics are the attacker's own and follow the batches; those that were
   * given away stay as they are.
   */
  following?: readonly Module[];
  /** Largest norm of the gradients of `of` together (default: no clipping). */
  clip?: { norm: number; of: readonly Tensor[] };
}

/**
 * Modules of a network by name: an attacker who takes the places of passports has statistics of its
 * own at their norms.
 */
export const modulesAt = (model: Module, names: readonly string[]): Module[] =>
  model.namedModules().flatMap(([path, module]) => (names.includes(path) ? [module] : []));

/**
 * SGD with momentum 0.9 and weight decay 5e-4 on some tensors alone, the network's weights and
 * running statistics frozen; gives the number of each epoch after it. The papers' settings for
 * ambiguity attacks: learning rate 0.01 without a schedule.
 */
export async function* descend(
  { model, params, loss, following = [], clip }: Descent,
  { train, epochs, lr = 0.01, batchSize, transform = [], seed = 0 }: Checked<ForgingBudget>,
): AsyncGenerator<number, void, void> {
  model.freeze();
  for (const p of params) p.requiresGrad = true;
  const loader = new DataLoader(train, { batchSize, seed, transform, shuffle: true, dropLast: true });
  const optimizer = new SGD(params, { lr, momentum: 0.9, weightDecay: 5e-4 });
  const asGiven = (body: () => void) => inMode(model, false, () => withMode(following, true, body));
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      for await (const { images, labels, shape, size } of loader.epoch(epoch)) {
        scope(() => {
          optimizer.prepare();
          optimizer.zeroGrad();
          const d = deviceOf(model);
          asGiven(() => loss(Tensor.from(images, shape, d), Tensor.from(labels, [size], d)).backward());
          if (clip) clipGradNorm(clip.of, clip.norm);
          optimizer.step();
        });
        params[0]!.device.flush();
      }
      yield epoch + 1;
    }
  } finally {
    optimizer.dispose();
    model.unfreeze();
  }
}
