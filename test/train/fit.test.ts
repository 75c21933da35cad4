import type { Fit } from "@pan/core/train";
import { describe, expect, it } from "vitest";
import { ArgumentError, CheckpointFormatError, LifetimeError } from "../../src/errors";
import { buildNetwork } from "../../src/models";
import { buildPlain } from "../../src/models/build";
import { ExponentialMovingAverage } from "../../src/optim/average";
import { SGD, type SGDOptions } from "../../src/optim/sgd";
import { protect } from "../../src/passport/protect";
import { Tensor } from "../../src/tensor/tensor";
import { evaluate } from "../../src/train/evaluate";
import type { TrainerOptions } from "../../src/train/options";
import { Trainer } from "../../src/train/trainer";
import { gpu } from "../support/gpu";
import { memoryStore, stateBytes, TINY, TINY_PLAIN, tinySet } from "../support/tiny";

await gpu();

const set = tinySet(36, 1);
const make = (options: TrainerOptions = {}, sgd: SGDOptions = { lr: 0.05 }) => {
  const model = buildNetwork(TINY_PLAIN, { seed: 4 });
  const optimizer = new SGD(model, sgd);
  return { model, optimizer, trainer: new Trainer(model, optimizer, { batchSize: 6, readEvery: 1, ...options }) };
};
const epochsOf = async (run: AsyncIterable<{ epoch: number }>) => {
  const epochs: number[] = [];
  for await (const { epoch } of run) epochs.push(epoch);
  return epochs;
};

describe("fit", () => {
  it("trains to the end where it is awaited, as where it is gone through", async () => {
    const [awaited, iterated] = [make(), make()];
    const history = await awaited.trainer.fit(set, { epochs: 2, test: set });
    expect(history).toBe(awaited.trainer.history);
    expect(history.epochs.map((e) => e.epoch)).toEqual([1, 2]);
    expect(await epochsOf(iterated.trainer.fit(set, { epochs: 2, test: set }))).toEqual([1, 2]);
    expect(await stateBytes(awaited.model)).toEqual(await stateBytes(iterated.model));
    // What is awaited in the midst trains what is left.
    const { trainer } = make();
    const run = trainer.fit(set, { epochs: 3 });
    expect((await run.next()).value).toMatchObject({ epoch: 1 });
    expect((await run).epochs.length).toBe(3);
    await expect(trainer.fit(null as never, { epochs: 1 })).rejects.toThrow(ArgumentError);
    await expect(trainer.fit(set, { epochs: 4, resume: "no" as never })).rejects.toThrow(/resume is true or false/);
  });

  it("is stopped before its first step, between two epochs, and by the next call", async () => {
    const { model, optimizer, trainer } = make();
    const never: Fit = trainer.fit(set, { epochs: 2 });
    trainer.stop();
    expect(await epochsOf(never)).toEqual([]);
    expect(trainer.interrupted).toBe(true);
    const between = trainer.fit(set, { epochs: 3 });
    await between.next();
    expect(trainer.interrupted).toBe(false);
    trainer.stop();
    const other = new Trainer(model, optimizer, { batchSize: 6 });
    expect(await epochsOf(other.fit(set, { epochs: 1 }))).toEqual([1]);
    expect((await between.next()).done).toBe(true);
    const left = trainer.fit(set, { epochs: 3 });
    expect((await left.next()).value).toMatchObject({ epoch: 2 });
    expect(await epochsOf(trainer.fit(set, { epochs: 4 }))).toEqual([3, 4]);
    expect(await epochsOf(left)).toEqual([]);
    // Such a run is stopped as any other.
    const first = trainer.fit(set, { epochs: 9 });
    expect((await first.next()).value).toMatchObject({ epoch: 5 });
    const behind = trainer.fit(set, { epochs: 9 });
    expect((await behind.next()).value).toMatchObject({ epoch: 6 });
    trainer.stop();
    expect(await epochsOf(other.fit(set, { epochs: 2 }))).toEqual([2]);
    const within: number[] = [];
    for await (const { epoch } of trainer.fit(set, { epochs: 9 })) {
      within.push(epoch);
      if (epoch === 8) trainer.stop();
    }
    expect(within).toEqual([7, 8]);
  });

  it("takes a step where it is stopped as soon as it was asked for an epoch", async () => {
    const { trainer } = make();
    for (const steps of [1, 2, 3]) {
      const run = trainer.fit(set, { epochs: 1 });
      const next = run.next();
      trainer.stop();
      expect((await next).done).toBe(true);
      expect(trainer.history.steps.length).toBe(steps);
    }
  });

  it("ends with what a callback throws late, too", async () => {
    const { trainer } = make({
      onProgress: async ({ step }) => {
        await null;
        if (step === 3) throw new RangeError("mine");
      },
    });
    await expect(trainer.fit(set, { epochs: 2 })).rejects.toThrow("mine");
  });

  it("keeps to the number of batches that its steps are counted by", async () => {
    const { trainer } = make();
    await trainer.fit(set, { epochs: 1 });
    await expect(trainer.fit(tinySet(20, 2), { epochs: 2 })).rejects.toThrow(/6 batches an epoch expected.*found 3/);
    // Other samples, and as many batches: what is trained on may change.
    await trainer.fit(tinySet(40, 2), { epochs: 2 });
    expect(trainer.history.steps.map((s) => s.step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    await expect(make().trainer.fit(tinySet(5, 1), { epochs: 1 })).rejects.toThrow(/batchSize \(6\) samples.*found 5/);
  });

  it("refuses an optimiser that lacks what passports learn", async () => {
    const network = buildPlain(TINY, { seed: 4 });
    const late = new SGD(network, { lr: 0.05 });
    const owned = protect(network, { scheme: "pan", at: true, sample: [1, 8, 8, 3] });
    const [wrong, right] = [late, new SGD(owned, { lr: 0.05 })].map((o) => new Trainer(owned, o, { batchSize: 6 }));
    await expect(wrong!.fit(set, { epochs: 1 })).rejects.toThrow(
      /does not hold what passports have to learn \(.*fc.*\): make it of the protected network/,
    );
    expect((await right!.fit(set, { epochs: 1 })).epochs.length).toBe(1);
  });
});

describe("a checkpoint", () => {
  it("belongs to the optimiser's hyper-parameters, or is of a version that did not write them", async () => {
    const store = memoryStore();
    const sgd = { lr: 0.1, momentum: 0.9 };
    await make({ checkpoints: store }, sgd).trainer.fit(set, { epochs: 1 });
    for (const other of [{ momentum: 0.1 }, { weightDecay: 3 }, { nesterov: true }])
      await expect(
        make({ checkpoints: store }, { ...sgd, ...other }).trainer.fit(set, { epochs: 2, resume: true }),
      ).rejects.toThrow(CheckpointFormatError);
    const same = make({ checkpoints: store }, sgd);
    expect((await same.trainer.fit(set, { epochs: 2, resume: true })).epochs.length).toBe(2);
  });
});

describe("an optimiser", () => {
  it("takes no step on what was disposed, and no other network's average", () => {
    const { model, optimizer } = make();
    const other = buildNetwork(TINY_PLAIN, { seed: 5 });
    expect(() => optimizer.withAverage(new ExponentialMovingAverage(other, { decay: 0.9 }))).toThrow(
      /found another network's/,
    );
    model.dispose();
    expect(() => optimizer.step()).toThrow(LifetimeError);
  });

  it("keeps averages in place until a thenable is done", async () => {
    const { model } = make();
    const ema = new ExponentialMovingAverage(model, { decay: 0.9 });
    ema.update();
    const [, weight] = model.namedParameters()[0]!;
    weight.fill(7);
    const read: number[] = [];
    const lazy = {
      // biome-ignore lint/suspicious/noThenProperty: what is tested
      then: (done: (value: unknown) => void) =>
        void weight.data().then((data) => {
          read.push(data[0]!);
          done(null);
        }),
    };
    await ema.averaged(() => lazy);
    expect(read[0]).not.toBe(7);
    expect((await weight.data())[0]).toBe(7);
  });
});

describe("evaluate", () => {
  it("takes no metric that would stand in the loss's place", async () => {
    const { model } = make();
    const loss = () => Tensor.full([], 1);
    await expect(evaluate(model, set, { loss, metrics: { loss } })).rejects.toThrow(/names other than `loss`/);
  });
});
