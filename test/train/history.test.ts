import { beforeAll, describe, expect, it, vi } from "vitest";
import { type ImageSet, imageSet } from "../../src/data/sample-set";
import { ArgumentError, CheckpointFormatError } from "../../src/errors";
import { buildNetwork } from "../../src/models";
import { SGD } from "../../src/optim/sgd";
import { decodeCheckpoint } from "../../src/train/checkpoint";
import { evaluate } from "../../src/train/evaluate";
import {
  bestEpoch,
  type EpochRecord,
  epochsCsv,
  type History,
  meanAccuracy,
  type StepRecord,
  stepsCsv,
} from "../../src/train/history";
import type { TrainerOptions } from "../../src/train/options";
import { Trainer } from "../../src/train/trainer";
import { gpu } from "../support/gpu";
import { convNet } from "../support/networks";
import { memoryStore, stateBytes, TINY, tinySet } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const epochOf = (epoch: number, rest: Partial<EpochRecord> = {}): EpochRecord => ({
  epoch,
  loss: 1,
  bitsMatched: 0,
  bits: 0,
  seconds: 0,
  ...rest,
});
const historyOf = (...epochs: Partial<EpochRecord>[]): History => ({
  steps: [],
  epochs: epochs.map((e, i) => epochOf(i + 1, e)),
});

describe("meanAccuracy", () => {
  it.each([
    [{ public: 0.5, private: 0.25 }, 0.375],
    [{ private: 0.25 }, 0.25],
    [{ passport: 0.75 }, 0.75],
    [{ public: 0, private: 1 }, 0.5],
    [{ public: 0 }, 0],
    [{}, undefined],
  ])("of %j is %s", (record, mean) => expect(meanAccuracy(record)).toBe(mean));

  it("does not look at the triggers", () => {
    expect(meanAccuracy(epochOf(1, { public: 0.5, triggers: { public: 1, private: 1 } }))).toBe(0.5);
  });
});

describe("bestEpoch", () => {
  it("goes by the mean over the branches, not by one of them", () => {
    const history = historyOf(
      { public: 0.9, private: 0.1 },
      { public: 0.6, private: 0.6 },
      { public: 0.1, private: 0.9 },
    );
    expect(bestEpoch(history)).toBe(history.epochs[1]);
  });

  it("gives the first of equals, and an accuracy of 0 where there is no other", () => {
    expect(bestEpoch(historyOf({ public: 0.25 }, { public: 0.5 }, { public: 0.5 }))?.epoch).toBe(2);
    expect(bestEpoch(historyOf({ public: 0 }, { public: 0 }))?.epoch).toBe(1);
  });

  it("passes over epochs that were not tested", () => {
    expect(bestEpoch(historyOf({}, { passport: 0.25 }, {}))?.epoch).toBe(2);
    expect(bestEpoch(historyOf({}, {}))).toBeUndefined();
    expect(bestEpoch({ steps: [], epochs: [] })).toBeUndefined();
  });
});

describe("CSV", () => {
  it("of steps: a header and a row a stretch, each ended by a line break", () => {
    const step = (n: number, rest: Partial<StepRecord>): StepRecord => ({
      step: n,
      loss: 0,
      publicLoss: 0,
      privateLoss: 0,
      passportLoss: 0,
      signLoss: 0,
      ...rest,
    });
    const steps = [
      step(10, { loss: 3.5, publicLoss: 1, privateLoss: 2, signLoss: 0.5 }),
      step(20, { signLoss: 0.125, loss: 1 / 3, passportLoss: 1e-7 }),
    ];
    expect(stepsCsv({ steps, epochs: [] })).toBe(
      "step,loss,publicLoss,privateLoss,passportLoss,signLoss\n" +
        "10,3.5,1,2,0,0.5\n" +
        "20,0.3333333333333333,0,0,1e-7,0.125\n",
    );
  });

  it("of epochs: empty cells for branches, triggers and tests that are not there, 0 where it is 0", () => {
    const all = { public: 0.5, private: 0, bitsMatched: 47, bits: 48, seconds: 1.25 };
    const history = historyOf({ ...all, loss: 2.5, triggers: { private: 1, public: 0.75 } }, { passport: 0.5 }, {});
    expect(epochsCsv(history)).toBe(
      "epoch,loss,public,private,passport,triggers.public,triggers.private,triggers.passport,bitsMatched,bits,seconds\n" +
        "1,2.5,0.5,0,,0.75,1,,47,48,1.25\n" +
        "2,1,,,0.5,,,,0,0,0\n" +
        "3,1,,,,,,,0,0,0\n",
    );
  });

  it("of a run that has not begun is the header alone", () => {
    const none: History = { steps: [], epochs: [] };
    for (const csv of [stepsCsv(none), epochsCsv(none)]) expect(csv).toMatch(/^[a-zA-Z,.]+\n$/);
  });
});

const images = tinySet(12, 1);
/**
 * One image of class 0, three of class 1, six of class 2: whoever answers one class to everything
 * is right on 0.1, 0.3 or 0.6 of them.
 */
const testSet: ImageSet = imageSet({ ...tinySet(10, 2), labels: Uint8Array.of(0, 1, 1, 1, 2, 2, 2, 2, 2, 2) });
const SHARES = [0.1, 0.3, 0.6];

/**
 * A network of which everything is trained but the classifier: that is set by hand before each
 * epoch, to have the test accuracy of the list after it.
 */
function scripted(accuracies: readonly number[], options: TrainerOptions = {}) {
  const model = buildNetwork(TINY, { seed: 4 });
  const { weight, bias } = convNet(model).classifier;
  const learned = model.parameters().filter((p) => p !== weight && p !== bias);
  const optimizer = new SGD(learned, { lr: 0.02, momentum: 0.9 });
  const states: Uint8Array[] = [];
  const onEpoch = async (record: EpochRecord) => {
    await options.onEpoch?.(record);
    states.push(await stateBytes(model));
  };
  const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5, readEvery: 1, ...options, onEpoch });
  const answer = (share: number | undefined) =>
    bias!.write(Float32Array.from(SHARES, (s) => (s === (share ?? SHARES[0]) ? 1 : 0)));
  weight.write(new Float32Array(weight.size));
  const train = async (epochs: number, { resume = false } = {}): Promise<EpochRecord[]> => {
    const out: EpochRecord[] = [];
    if (!resume) answer(accuracies[0]);
    for await (const record of trainer.fit(images, { epochs, test: testSet, resume })) {
      out.push(record);
      answer(accuracies[out.length]);
    }
    return out;
  };
  const dispose = () => {
    optimizer.dispose();
    model.dispose();
  };
  return { model, optimizer, trainer, states, answer, train, dispose };
}

describe("the best epoch", () => {
  it("is kept, and its bits come back", async () => {
    const [best, checkpoints] = [memoryStore(), memoryStore()];
    const { model, trainer, states, train, dispose } = scripted([0.1, 0.6, 0.3, 0.6], { best, checkpoints });
    const records = await train(4);
    expect(records.map((e) => [e.public, e.private])).toEqual([0.1, 0.6, 0.3, 0.6].map((a) => [a, a]));
    expect([best.saves, checkpoints.saves]).toEqual([2, 4]);
    expect((await decodeCheckpoint(best.bytes!)).history.epochs).toEqual(records.slice(0, 2));
    // Both have the same accuracy, and other weights.
    expect(states[3]).not.toEqual(states[1]);
    expect(await trainer.restoreBest()).toEqual(records[1]);
    expect(await stateBytes(model)).toEqual(states[1]);
    expect(await evaluate(model, testSet)).toEqual({ public: 0.6, private: 0.6 });
    expect(trainer.history.epochs).toHaveLength(4);
    dispose();
  });

  it("of before is remembered by a run that goes on", async () => {
    const [best, checkpoints] = [memoryStore(), memoryStore()];
    const first = scripted([0.1, 0.6], { best, checkpoints });
    await first.train(2);
    const kept = best.bytes;
    const second = scripted([], { best, checkpoints });
    convNet(second.model).classifier.bias!.write(Float32Array.of(9, 9, 9));
    // The checkpoint has the classifier that answers class 2; from the fourth epoch on it answers
    // class 0.
    expect((await second.train(4, { resume: true })).map((e) => [e.epoch, e.public])).toEqual([
      [3, 0.6],
      [4, 0.1],
    ]);
    expect(best.bytes).toBe(kept);
    expect((await second.trainer.restoreBest())?.epoch).toBe(2);
    expect(await stateBytes(second.model)).toEqual(first.states[1]);
    first.dispose();
    second.dispose();
  });

  it("is null where none is kept, and a damaged one changes nothing", async () => {
    const [store, none] = [memoryStore(), scripted([])];
    const { model, trainer, train, dispose } = scripted([0.1], { best: store });
    expect(await none.trainer.restoreBest()).toBeNull();
    expect(await trainer.restoreBest()).toBeNull();
    await train(1);
    const before = await stateBytes(model);
    store.bytes = store.bytes!.subarray(0, 500);
    await expect(trainer.restoreBest()).rejects.toThrow(CheckpointFormatError);
    expect(await stateBytes(model)).toEqual(before);
    none.dispose();
    dispose();
  });
});

describe("early stopping", () => {
  it.each<[string, number[], TrainerOptions["earlyStop"] & object, number]>([
    ["after so many epochs without a better one", [0.3, 0.6, 0.3, 0.1, 0.6, 0.6], { patience: 2 }, 4],
    ["the more patient later", [0.3, 0.6, 0.3, 0.1, 0.6, 0.6], { patience: 3 }, 5],
    ["at once with a patience of 1", [0.1, 0.3, 0.3, 0.6], { patience: 1 }, 3],
    ["never where it gets better in time", [0.1, 0.1, 0.3, 0.1, 0.6, 0.3], { patience: 2 }, 6],
    ["where equal is not better", [0.3, 0.3, 0.3, 0.6], { patience: 2 }, 3],
    ["where a little better is not enough", [0.1, 0.3, 0.3, 0.6], { patience: 2, minDelta: 0.25 }, 3],
    ["later where it is enough with a step before", [0.1, 0.3, 0.6, 0.1, 0.1, 0.6], { patience: 2, minDelta: 0.3 }, 5],
    ["later where it is enough", [0.1, 0.3, 0.6, 0.6, 0.6, 0.6], { patience: 2, minDelta: 0.25 }, 5],
  ])("ends %s", async (_, accuracies, earlyStop, ran) => {
    const checkpoints = memoryStore();
    const { trainer, train, dispose } = scripted(accuracies, { earlyStop, checkpoints });
    expect((await train(accuracies.length)).map((e) => e.public)).toEqual(accuracies.slice(0, ran));
    expect(checkpoints.saves).toBe(ran);
    expect([trainer.stalled, trainer.interrupted]).toEqual([ran < accuracies.length, false]);
    // A run that has ended so does not go on when it is asked again.
    if (trainer.stalled) expect(await train(accuracies.length)).toEqual([]);
    dispose();
  });

  it.each<[string, TrainerOptions]>([
    ["earlyStop", { earlyStop: { patience: 1 } }],
    ["best", { best: memoryStore() }],
  ])("and best: %s is refused without test images, before any step", async (_, options) => {
    const { trainer, optimizer, dispose } = scripted([], options);
    const step = vi.spyOn(optimizer, "step");
    const failed = trainer.fit(images, { epochs: 1 }).next();
    await expect(failed).rejects.toThrow(ArgumentError);
    await expect(failed).rejects.toThrow(/give `fit` a test set/);
    expect(step).not.toHaveBeenCalled();
    dispose();
  });

  it.each([0, -1, 1.5, Number.NaN])("refuses a patience of %d", (patience) => {
    expect(() => scripted([], { earlyStop: { patience } })).toThrow(/earlyStop.patience: a whole number from 1/);
  });
});

describe("onEpoch", () => {
  it("is awaited before the epoch's checkpoints are written and its record is given", async () => {
    const order: string[] = [];
    const store = (name: string) => ({ save: async () => void order.push(name), load: async () => null });
    const { model, optimizer, dispose } = scripted([]);
    const trainer = new Trainer(model, optimizer, {
      batchSize: 12,
      best: store("best"),
      checkpoints: store("checkpoint"),
      onEpoch: async ({ epoch }) => {
        order.push(`epoch ${epoch}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
        order.push("done");
      },
    });
    for await (const { epoch } of trainer.fit(images, { epochs: 2, test: testSet })) order.push(`record ${epoch}`);
    expect(order.slice(0, 5)).toEqual(["epoch 1", "done", "best", "checkpoint", "record 1"]);
    expect(order.slice(5)).toEqual(["epoch 2", "done", "checkpoint", "record 2"]);
    dispose();
  });

  it("is given the very record of the history", async () => {
    const seen: EpochRecord[] = [];
    const { trainer, train, dispose } = scripted([0.1, 0.3], { onEpoch: (e) => void seen.push(e) });
    const records = await train(2);
    for (const [i, e] of seen.entries()) {
      expect(e).toBe(records[i]);
      expect(e).toBe(trainer.history.epochs[i]);
    }
    expect(seen).toHaveLength(2);
    dispose();
  });

  it("ends the run with its own error, and what was saved stays", async () => {
    const own = new Error("no disk");
    const checkpoints = memoryStore();
    const { train, dispose } = scripted([0.1, 0.3], {
      checkpoints,
      onEpoch: async ({ epoch }) => {
        if (epoch === 2) throw own;
      },
    });
    await expect(train(3)).rejects.toBe(own);
    expect(checkpoints.saves).toBe(1);
    expect((await decodeCheckpoint(checkpoints.bytes!)).epoch).toBe(1);
    dispose();
  });

  it("may stop the run, which ends with that epoch", async () => {
    const checkpoints = memoryStore();
    const run = scripted([0.1, 0.3, 0.6], {
      checkpoints,
      onEpoch: ({ epoch }) => {
        if (epoch === 2) run.trainer.stop();
      },
    });
    expect((await run.train(3)).map((e) => e.epoch)).toEqual([1, 2]);
    expect(run.trainer.interrupted).toBe(true);
    expect(await decodeCheckpoint(checkpoints.bytes!)).toMatchObject({ epoch: 2, batch: 0 });
    run.dispose();
  });
});
