/** Label smoothing in the trainer's own loss: what is learnt, and what is measured. */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, CheckpointFormatError } from "../../src/errors";
import { buildNetwork } from "../../src/models";
import { SGD } from "../../src/optim/sgd";
import { crossEntropy } from "../../src/tensor/ops/loss";
import type { Tensor } from "../../src/tensor/tensor";
import { type TaskFunction, Trainer, type TrainerOptions } from "../../src/train";
import { gpu } from "../support/gpu";
import { memoryStore, stateBytes, TINY_PLAIN, tinySet } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const set = tinySet(24, 1);

async function trained(options: TrainerOptions, fit: { resume?: boolean } = {}) {
  const model = buildNetwork(TINY_PLAIN, { seed: 4 });
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
  try {
    const trainer = new Trainer(model, optimizer, { batchSize: 8, seed: 5, readEvery: 1, ...options });
    for await (const _ of trainer.fit(set, { epochs: 2, test: set, ...fit })) {
      // Looked at below.
    }
    const { steps, epochs } = trainer.history;
    return { weights: await stateBytes(model), losses: steps.map(({ loss }) => loss), last: epochs.at(-1)! };
  } finally {
    optimizer.dispose();
    model.dispose();
  }
}

describe("label smoothing", () => {
  it("is that of crossEntropy, to the bit, and accuracies are measured beside it", async () => {
    const smoothed: TaskFunction = (y, { targets }) => crossEntropy(y, targets, { labelSmoothing: 0.1 });
    const option = await trained({ labelSmoothing: 0.1 });
    const own = await trained({ loss: smoothed });
    const none = await trained({});
    expect(option.losses).toEqual(own.losses);
    expect(option.weights).toEqual(own.weights);
    expect(option.weights).not.toEqual(none.weights);
    expect(option.last.public).toBeGreaterThan(0);
    expect(option.last).not.toHaveProperty("metrics");
    expect(await trained({ labelSmoothing: 0 })).toMatchObject({ losses: none.losses, weights: none.weights });
  });

  it("belongs to the run: another ε does not go on from its checkpoint", async () => {
    const checkpoints = memoryStore();
    await trained({ labelSmoothing: 0.1, checkpoints });
    await expect(trained({ labelSmoothing: 0.2, checkpoints }, { resume: true })).rejects.toThrow(
      CheckpointFormatError,
    );
  });

  it.each([
    [{ labelSmoothing: -0.1 }, /labelSmoothing.*0/],
    [{ labelSmoothing: 1.1 }, /labelSmoothing/],
    [{ labelSmoothing: "0.1" as never }, /labelSmoothing/],
    [{ labelSmoothing: 0.1, loss: (y: Tensor) => y }, /labelSmoothing.*loss of one's own/],
  ])("is refused as %o", async (options, message) => {
    await expect(trained(options)).rejects.toThrow(ArgumentError);
    await expect(trained(options)).rejects.toThrow(message);
  });
});
