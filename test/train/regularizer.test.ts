/** A loss of the caller's own beside those of the network: in every step, and in the records. */

import { beforeAll, describe, expect, it } from "vitest";
import { checkTrainingReport } from "../../report/src/index";
import { madeUpTraining } from "../../report/test/training-fixture";
import { ArgumentError, CheckpointFormatError, NanLossError, ShapeError } from "../../src/errors";
import { buildNetwork } from "../../src/models";
import type { ConvNetConfig } from "../../src/models/described/convnet";
import { SGD } from "../../src/optim/sgd";
import { affine } from "../../src/tensor/ops/elementwise";
import { sumSquares } from "../../src/tensor/ops/reduce";
import { memory } from "../../src/tensor/storage";
import type { Tensor } from "../../src/tensor/tensor";
import { type EpochRecord, stepsCsv, Trainer, type TrainerOptions } from "../../src/train";
import { gpu } from "../support/gpu";
import { convNet } from "../support/networks";
import { memoryStore, stateBytes, TINY, TINY_PLAIN, tinySet } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const images = tinySet(24, 1);

function run(options: TrainerOptions, config: ConvNetConfig = TINY_PLAIN) {
  const model = buildNetwork(config, { seed: 4 });
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5, readEvery: 1, ...options });
  const dispose = () => {
    optimizer.dispose();
    model.dispose();
  };
  return { model, trainer, dispose };
}

async function all(epochs: AsyncIterable<EpochRecord>): Promise<EpochRecord[]> {
  const out: EpochRecord[] = [];
  for await (const e of epochs) out.push(e);
  return out;
}

/** ½·Σ W² of the classifier: its gradient is W. */
const halfSquares = (model: unknown): Tensor => affine(sumSquares(convNet(model).classifier.weight), 0.5);

describe("a regularizer", () => {
  it("is a part of the loss: ½·λ·Σ W² trains as weight decay does", async () => {
    const regularized = run({ regularizer: (m) => affine(halfSquares(m), 0.1) });
    await all(regularized.trainer.fit(images, { epochs: 2 }));
    const weight = await convNet(regularized.model).classifier.weight.data();
    regularized.dispose();

    const model = buildNetwork(TINY_PLAIN, { seed: 4 });
    const rest = model.parameters().filter((p) => p !== convNet(model).classifier.weight);
    const decayed = { params: [convNet(model).classifier.weight], weightDecay: 0.1 };
    const optimizer = new SGD([decayed, { params: rest }], { lr: 0.02, momentum: 0.9 });
    const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5 });
    await all(trainer.fit(images, { epochs: 2 }));
    const expected = await convNet(model).classifier.weight.data();
    for (const [i, w] of weight.entries()) expect(Math.abs(w - expected[i]!)).toBeLessThan(1e-4);

    const bare = run({});
    await all(bare.trainer.fit(images, { epochs: 2 }));
    const without = await convNet(bare.model).classifier.weight.data();
    expect(Math.max(...weight.map((w, i) => Math.abs(w - without[i]!)))).toBeGreaterThan(1e-3);
    for (const d of [bare, optimizer, model]) d.dispose();
  });

  it.each<[string, TrainerOptions, ConvNetConfig]>([
    ["joint", {}, TINY],
    ["alternating", { mode: { alternating: 0.5 } }, TINY],
    ["one branch", {}, TINY_PLAIN],
  ])("%s: is called once a step, with the model, and recorded; nothing is left behind", async (_, options, config) => {
    const before = memory().tensors;
    const seen: unknown[] = [];
    const regularizer = (m: unknown) => {
      seen.push(m);
      return halfSquares(m);
    };
    const { model, trainer, dispose } = run({ ...options, regularizer }, config);
    const first = (await convNet(model).classifier.weight.data()).reduce((s, w) => s + (w * w) / 2, 0);
    await all(trainer.fit(images, { epochs: 2 }));
    expect(seen).toEqual([model, model, model, model]);
    const { steps } = trainer.history;
    expect(steps[0]!.regularizerLoss).toBeCloseTo(first, 4);
    for (const { regularizerLoss, ...s } of steps) {
      const parts = s.publicLoss + s.privateLoss + s.passportLoss + s.signLoss;
      expect(s.loss).toBeCloseTo(parts + regularizerLoss!, 5);
    }
    dispose();
    expect(memory().tensors).toBe(before);
  });

  it("has a column of its own in the CSV, and its history can be reported, negative or not", async () => {
    const { trainer, dispose } = run({ regularizer: (m) => affine(halfSquares(m), -3) });
    await all(trainer.fit(images, { epochs: 1 }));
    const { steps } = trainer.history;
    const [header, row] = stepsCsv(trainer.history).split("\n");
    expect(header).toBe("step,loss,publicLoss,privateLoss,passportLoss,signLoss,regularizerLoss");
    expect(row!.split(",")[6]).toBe(String(steps[0]!.regularizerLoss));
    expect(steps[0]!.loss).toBeLessThan(0);
    const report = madeUpTraining("plain");
    expect(() => checkTrainingReport({ ...report, steps })).not.toThrow();
    const wrong = [{ ...steps[0]!, regularizerLoss: Number.NaN }];
    expect(() => checkTrainingReport({ ...report, steps: wrong })).toThrow(/regularizerLoss/);
    const { regularizerLoss: __, ...plain } = steps[0]!;
    expect(() => checkTrainingReport({ ...report, steps: [plain] })).toThrow(/steps\[0\].loss/);
    dispose();
  });

  it("is not in the records of a run without one", async () => {
    const { trainer, dispose } = run({});
    await all(trainer.fit(images, { epochs: 1 }));
    expect(Object.keys(trainer.history.steps[0]!)).toEqual([
      ...["step", "loss", "publicLoss", "privateLoss", "passportLoss", "signLoss"],
    ]);
    expect(stepsCsv(trainer.history)).not.toContain("regularizer");
    dispose();
  });

  it("goes on after a stop to the same bits, and only where there was one", async () => {
    const whole = run({ regularizer: halfSquares });
    await all(whole.trainer.fit(images, { epochs: 2 }));
    const checkpoints = memoryStore();
    const first = run({ regularizer: halfSquares, checkpoints });
    await all(first.trainer.fit(images, { epochs: 1 }));
    const second = run({ regularizer: halfSquares, checkpoints });
    await all(second.trainer.fit(images, { epochs: 2, resume: true }));
    expect(await stateBytes(second.model)).toEqual(await stateBytes(whole.model));
    const other = run({ checkpoints });
    await expect(all(other.trainer.fit(images, { epochs: 3, resume: true }))).rejects.toThrow(CheckpointFormatError);
    for (const r of [whole, first, second, other]) r.dispose();
  });

  it("that is no function, gives several numbers or none, is refused before anything is changed", async () => {
    const notOne = { regularizer: 3 } as unknown as TrainerOptions;
    expect(() => run(notOne)).toThrow(ArgumentError);
    for (const [regularizer, message] of [
      [(m: unknown) => convNet(m).classifier.bias!, /one element expected, found one of shape \[3\]/],
      [() => 1, /found 1/],
    ] as [() => Tensor, RegExp][]) {
      const { model, trainer, dispose } = run({ regularizer });
      const before = await stateBytes(model);
      const error = await all(trainer.fit(images, { epochs: 1 })).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(ShapeError);
      expect((error as Error).message).toMatch(message);
      expect(await stateBytes(model)).toEqual(before);
      dispose();
    }
  });

  it("that is not a number stops the run and is named", async () => {
    const { trainer, dispose } = run({ regularizer: (m) => affine(halfSquares(m), Number.NaN) });
    const error = await all(trainer.fit(images, { epochs: 1 })).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(NanLossError);
    expect((error as Error).message).toMatch(/regularizer NaN/);
    dispose();
  });
});
