/** A trainer for whatever a network is for: own losses and metrics, on data of any kind. */
import { beforeAll, describe, expect, it, vi } from "vitest";
import { arrays } from "../../src/data/dataset";
import { mixup } from "../../src/data/mixup";
import type { AnySet } from "../../src/data/samples";
import { ArgumentError, CheckpointFormatError, NanLossError, ShapeError } from "../../src/errors";
import { buildNetwork } from "../../src/models";
import { BatchNorm } from "../../src/nn/batch-norm";
import { Conv2d } from "../../src/nn/conv";
import { Embedding } from "../../src/nn/embedding";
import { Linear } from "../../src/nn/linear";
import { deviceOf, Module } from "../../src/nn/module";
import { LayerNorm } from "../../src/nn/norm";
import { manualSeed } from "../../src/nn/random";
import { Adam } from "../../src/optim/adam";
import { protect } from "../../src/passport/protect";
import type { Protected } from "../../src/passport/protected";
import type { Network } from "../../src/passport/trace";
import { add, neg, relu, reshape } from "../../src/tensor/ops/elementwise";
import { binaryCrossEntropyWithLogits, crossEntropy, mseLoss } from "../../src/tensor/ops/loss";
import { mean } from "../../src/tensor/ops/reduce";
import { Generator } from "../../src/tensor/random";
import { scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { bestEpoch, epochsCsv, evaluate, Trainer, type TrainerOptions } from "../../src/train";
import { decodeCheckpoint, encodeCheckpoint } from "../../src/train/checkpoint";
import { gpu, randomData } from "../support/gpu";
import { memoryStore, stateBytes, TINY_PLAIN, tinySet } from "../support/tiny";

/** 6 numbers to 2. */
class Table extends Module {
  readonly map = new Linear(6, 16, { bias: false });
  readonly norm = new BatchNorm(16);
  readonly out = new Linear(16, 2);
  forward(x: Tensor): Tensor {
    return this.out.forward(relu(this.norm.forward(this.map.forward(x))));
  }
}

/** A mask for each picture, and what is in it. */
class Masks extends Module {
  readonly map = new Conv2d(1, 16, 3, { padding: 1, bias: false });
  readonly norm = new BatchNorm(16);
  readonly out = new Conv2d(16, 1, 1);
  forward(x: Tensor): { mask: Tensor; inside: Tensor[] } {
    const h = relu(this.norm.forward(this.map.forward(x)));
    const mask = this.out.forward(h);
    return { mask, inside: [mean(h, [1, 2])] };
  }
}

/** What comes behind each token. */
class Tokens extends Module {
  readonly words = new Embedding(7, 12);
  readonly map = new Linear(12, 16);
  readonly norm = new LayerNorm(16);
  readonly out = new Linear(16, 7);
  forward(x: Tensor): Tensor {
    return this.out.forward(relu(this.norm.forward(this.map.forward(this.words.forward(x)))));
  }
}

/** A table beside a word. */
class Pair extends Module {
  readonly words = new Embedding(7, 16);
  readonly map = new Linear(6, 16);
  readonly norm = new BatchNorm(16);
  readonly out = new Linear(16, 2);
  forward({ table, word }: { table: Tensor; word: Tensor }): [Tensor, Tensor] {
    const h = add(this.norm.forward(this.map.forward(table)), this.words.forward(word));
    const y = this.out.forward(relu(h));
    return [y, h];
  }
}

const N = 22;
const table = { data: randomData([N, 6], 1), shape: [N, 6] };
/** Linear in the table, so that it can be learned. */
const sums = {
  data: Float32Array.from({ length: 2 * N }, (_, i) => {
    const row = table.data.subarray(6 * Math.floor(i / 2), 6 * Math.floor(i / 2) + 6);
    return i % 2 ? row[0]! - row[3]! : row[1]! + row[5]!;
  }),
  shape: [N, 2],
};
const draw = new Generator(3);
const words = { data: Int32Array.from({ length: N }, () => draw.integer(7)) };
const text = { data: Int32Array.from({ length: 5 * N }, (_, i) => (i * i + i) % 7), shape: [N, 5] };
const next = { data: text.data.map((t) => (t + 3) % 7), shape: [N, 5] };
const pictures = { data: randomData([N, 6, 6, 1], 2), shape: [N, 6, 6, 1] };
const bright = { data: pictures.data.map((v) => (v > 0 ? 1 : 0)), shape: [N, 6, 6, 1] };

const squares = (y: Tensor, { targets }: { targets: Tensor }) => mseLoss(y, targets);
const closeness = (y: Tensor, { targets }: { targets: Tensor }) => neg(mseLoss(y, targets));

interface Case {
  make: () => Network;
  sample: () => Parameters<typeof protect>[1]["sample"];
  set: AnySet;
  options: TrainerOptions<never, never, never>;
}

const CASES: Record<string, Case> = {
  "table regression": {
    make: () => new Table(),
    sample: () => [2, 6],
    set: arrays({ inputs: table, targets: sums }),
    options: { loss: squares, metrics: { closeness } },
  },
  "masks, of a network that gives an object": {
    make: () => new Masks(),
    sample: () => [2, 6, 6, 1],
    set: arrays({ inputs: pictures, targets: { mask: bright } }),
    options: {
      loss: (y: ReturnType<Masks["forward"]>, { targets }: { targets: { mask: Tensor } }) =>
        add(binaryCrossEntropyWithLogits(y.mask, targets.mask), mean(y.inside[0]!)),
    },
  },
  "sequences of tokens": {
    make: () => new Tokens(),
    sample: () => Tensor.from(new Int32Array(10), [2, 5]),
    set: arrays({ inputs: text, targets: next }),
    options: {
      loss: (y: Tensor, { targets }: { targets: Tensor }) =>
        crossEntropy(reshape(y, [-1, 7]), reshape(targets, [targets.size])),
    },
  },
  "several inputs and targets": {
    make: () => new Pair() as never,
    sample: () => ({ table: [2, 6], word: Tensor.from(new Int32Array(2), [2]) }),
    set: arrays({ inputs: { table, word: words }, targets: [sums, words] }),
    options: {
      loss: ([y]: [Tensor, Tensor], { targets }: { targets: [Tensor, Tensor] }) => mseLoss(y, targets[0]),
      metrics: {
        closeness: ([y]: [Tensor, Tensor], { targets }: { targets: [Tensor, Tensor] }) => neg(mseLoss(y, targets[0])),
        height: ([, h]: [Tensor, Tensor]) => mean(h),
      },
    },
  },
};

function owned({ make, sample }: Case): Protected {
  manualSeed(5);
  return protect(make() as never, {
    scheme: "pan",
    at: "norm",
    signature: "PT",
    sample: sample(),
    random: new Generator(8),
  });
}

function plain({ make }: Case): Network {
  manualSeed(5);
  return make();
}

function run(model: Network, options: TrainerOptions<never, never, never>) {
  const optimizer = new Adam(model.parameters(), { lr: 0.02 });
  const trainer = new Trainer(model, optimizer, { batchSize: 5, seed: 2, readEvery: 1, ...options });
  const dispose = () => {
    optimizer.dispose();
    model.dispose();
  };
  return { model, trainer, dispose };
}

async function outcome(model: Network, set: AnySet, options: TrainerOptions<never, never, never>, epochs = 3) {
  const { trainer, dispose } = run(model, options);
  for await (const _ of trainer.fit(set, { epochs, test: set }));
  const records = trainer.history.epochs.map(({ seconds: _, ...rest }) => rest);
  const out = { weights: await stateBytes(model), steps: trainer.history.steps, records };
  dispose();
  return out;
}

beforeAll(async () => void (await gpu()));

describe.each(Object.entries(CASES))("%s", (_, one) => {
  const first = Object.keys(one.options.metrics ?? { loss: 0 })[0]!;

  it.each([
    ["with passports", owned],
    ["without", plain],
  ])("is learned %s, and replayed steps give the same bits as steps that are run", async (_, make) => {
    const replayed = await outcome(make(one), one.set, one.options, 6);
    const written = await outcome(make(one), one.set, { ...one.options, replay: false }, 6);
    expect(replayed).toEqual(written);
    const { records } = replayed;
    expect(records.at(-1)!.loss).toBeLessThan(0.8 * records[0]!.loss);
    const branches = make === owned ? ["public", "private"] : ["public"];
    for (const { metrics, ...record } of records) {
      expect(Object.keys(metrics![first]!)).toEqual(branches);
      // Accuracies are those of the first metric, and a loss is none.
      for (const b of ["public", "private"] as const)
        expect(record[b]).toBe(one.options.metrics ? metrics![first]![b] : undefined);
    }
  });

  it("goes on to the same bits after a stop", async () => {
    const whole = await outcome(owned(one), one.set, one.options);
    const store = memoryStore();
    const start = run(owned(one), {
      ...one.options,
      checkpoints: store,
      onProgress: ({ step }) => {
        if (step === 6) start.trainer.stop();
      },
    });
    for await (const _ of start.trainer.fit(one.set, { epochs: 3, test: one.set }));
    expect(start.trainer.interrupted).toBe(true);
    start.dispose();
    const rest = run(owned(one), { ...one.options, checkpoints: store });
    for await (const _ of rest.trainer.fit(one.set, { epochs: 3, test: one.set, resume: true }));
    expect(await stateBytes(rest.model)).toEqual(whole.weights);
    expect(rest.trainer.history.epochs.map(({ seconds: _, ...e }) => e)).toEqual(whole.records);
    rest.dispose();
  });
});

describe("metrics", () => {
  const { set, options } = CASES["table regression"]!;

  it("are means over the test set, a smaller last batch by its size", async () => {
    const model = plain(CASES["table regression"]!).eval() as Table;
    const y = scope(() => noGrad(() => model.forward(Tensor.from(table.data, table.shape))));
    const found = await y.data();
    const expected = found.reduce((sum, v, i) => sum + (v - sums.data[i]!) ** 2, 0) / found.length;
    const measured = await evaluate(model, set, { batchSize: 9, loss: squares, metrics: { closeness } });
    expect(measured["loss"]!.public).toBeCloseTo(expected, 5);
    expect(measured["closeness"]!.public).toBeCloseTo(-expected, 5);
    expect(model.training).toBe(false);
    model.dispose();
  });

  it("decide the best epoch and the early stop, negative ones too", async () => {
    const best = memoryStore();
    const model = plain(CASES["table regression"]!);
    const { trainer, dispose } = run(model, { ...options, best, earlyStop: { patience: 2, minDelta: 1e6 } });
    const records = [];
    for await (const record of trainer.fit(set, { epochs: 9, test: set })) records.push(record);
    expect(records.length).toBe(3);
    expect(trainer.stalled).toBe(true);
    const highest = Math.max(...records.map((e) => e.public!));
    expect(highest).toBeLessThan(0);
    expect(bestEpoch(trainer.history)!.public).toBe(highest);
    expect((await trainer.restoreBest())!.public).toBe(highest);
    expect(epochsCsv(trainer.history)).toContain("metrics.closeness.public");
    dispose();
  });

  it("lie in checkpoints, and what is none is refused there", async () => {
    const { trainer, dispose } = run(plain(CASES["table regression"]!), options);
    for await (const _ of trainer.fit(set, { epochs: 1, test: set }));
    const { history } = trainer;
    const whole = (epochs: typeof history.epochs) =>
      encodeCheckpoint({
        fingerprint: "",
        epoch: 1,
        batch: 0,
        history: { steps: [], epochs },
        model: new Map(),
        optimizer: {},
      });
    expect((await decodeCheckpoint(await whole(history.epochs))).history.epochs).toEqual(history.epochs);
    const [e] = history.epochs as [(typeof history.epochs)[0]];
    const { metrics: _, ...none } = e;
    // Without metrics these are accuracies.
    await expect(whole([none])).rejects.toThrow(/public must be a number from 0 to 1/);
    for (const metrics of [{ a: {} }, { "a.b": { public: 1 } }, { a: { open: 1 } }, { a: { public: Number.NaN } }])
      await expect(whole([{ ...e, metrics: metrics as never }])).rejects.toThrow(ArgumentError);
    await expect(whole([{ ...e, metrics: {} }])).resolves.toBeInstanceOf(Uint8Array);
    dispose();
  });

  it("of another name belong to another run", async () => {
    const checkpoints = memoryStore();
    const start = run(plain(CASES["table regression"]!), { ...options, checkpoints });
    for await (const _ of start.trainer.fit(set, { epochs: 1 }));
    expect(start.trainer.history.epochs[0]!.metrics).toEqual({});
    start.dispose();
    const other = run(plain(CASES["table regression"]!), { loss: squares, metrics: { fit: closeness }, checkpoints });
    await expect(other.trainer.fit(set, { epochs: 2, resume: true }).next()).rejects.toThrow(CheckpointFormatError);
    other.dispose();
  });
});

describe("batches", () => {
  it("in parts train as whole ones", async () => {
    const one = CASES["sequences of tokens"]!;
    const options = { ...one.options, batchSize: 6 };
    const whole = await outcome(owned(one), one.set, options, 2);
    const parts = await outcome(owned(one), one.set, { ...options, accumulate: 3 }, 2);
    parts.steps.forEach((step, i) => {
      expect(step.loss).toBeCloseTo(whole.steps[i]!.loss, 4);
    });
    expect(parts.steps.length).toBe(6);
  });

  it("of images are mixed, with soft targets, to the same bits when replayed", async () => {
    const set = tinySet(24, 1);
    const make = () => buildNetwork(TINY_PLAIN, { seed: 4 });
    const options = { batchTransform: mixup({ classes: 3 }), batchSize: 6 };
    const replayed = await outcome(make(), set, options, 2);
    expect(await outcome(make(), set, { ...options, replay: false }, 2)).toEqual(replayed);
    const bare = await outcome(make(), set, { batchSize: 6 }, 2);
    expect(replayed.steps).not.toEqual(bare.steps);
    expect(replayed.records[0]!.public).toBeGreaterThanOrEqual(0);
    expect(replayed.records[0]!.metrics).toBeUndefined();
  });

  it("are joined by triggers of their kind, and by no others", async () => {
    const one = CASES["several inputs and targets"]!;
    const triggers = { set: one.set as never, batchSize: 3 };
    const sizes: number[] = [];
    const loss = (y: never, batch: never) => {
      sizes.push((batch as { size: number }).size);
      return one.options.loss!(y, batch);
    };
    const { records } = await outcome(plain(one), one.set, { ...one.options, loss: loss as never, triggers }, 1);
    expect(new Set(sizes)).toEqual(new Set([8]));
    expect(records[0]!.triggers!.public).toBe(records[0]!.metrics!["closeness"]!.public);
    const others = { set: arrays({ inputs: { table, word: table }, targets: [sums, words] }) as never };
    const wrong = run(plain(one), { ...one.options, triggers: others });
    await expect(wrong.trainer.fit(one.set, { epochs: 1 }).next()).rejects.toThrow(/triggers: inputs.word of i32/);
    wrong.dispose();
    const mixed = run(buildNetwork(TINY_PLAIN, { seed: 4 }), {
      batchTransform: mixup({ classes: 3 }),
      triggers: { set: tinySet(4, 2) },
    });
    await expect(mixed.trainer.fit(tinySet(24, 1), { epochs: 1 }).next()).rejects.toThrow(/triggers: targets of f32/);
    mixed.dispose();
  });

  it("with a class per sample need no loss of one's own", async () => {
    const set = arrays({ inputs: table, targets: { data: words.data.map((w) => w % 2) } });
    const one = CASES["table regression"]!;
    const { records } = await outcome(plain(one), set, {}, 3);
    for (const { public: share } of records) expect(share! * N).toBeCloseTo(Math.round(share! * N), 4);
  });
});

describe("a trainer refuses", () => {
  const one = CASES["table regression"]!;
  const refused = async (options: object, fit: object, error: unknown, set = one.set) => {
    const model = plain(one);
    const optimizer = new Adam(model.parameters());
    await expect(
      (async () => {
        const trainer = new Trainer(model, optimizer, { batchSize: 5, ...options });
        for await (const _ of trainer.fit(set, { epochs: 1, ...fit }));
      })(),
    ).rejects.toThrow(error as never);
    optimizer.dispose();
    model.dispose();
  };

  it.each<[string, object, object, unknown]>([
    ["a loss that is no function", { loss: 3 }, {}, ArgumentError],
    ["a loss of several numbers", { loss: (y: Tensor) => y }, {}, ShapeError],
    ["a loss of another type", { loss: () => Tensor.from(Int32Array.of(1), [1]) }, {}, ShapeError],
    ["a loss that is a number", { loss: () => 1 }, {}, /loss: a tensor of one element expected, found 1/],
    ["metrics that are none", { metrics: {} }, {}, ArgumentError],
    ["a metric under a number", { metrics: { 1: closeness } }, {}, ArgumentError],
    ["a metric that is no function", { metrics: { a: 1 } }, {}, ArgumentError],
    ["a metric of several numbers", { loss: squares, metrics: { a: (y: Tensor) => y } }, { test: one.set }, ShapeError],
    [
      "a metric that is not a number",
      { loss: squares, metrics: { a: (y: Tensor) => Tensor.full([], Number.NaN, "f32", y.device) } },
      { test: one.set },
      NanLossError,
    ],
    ["the best by a loss", { loss: squares, best: memoryStore() }, { test: one.set }, /give `metrics`/],
    ["an early stop by a loss", { loss: squares, earlyStop: { patience: 1 } }, { test: one.set }, /give `metrics`/],
    ["a table without a loss", {}, {}, /give `loss` a function/],
    ["a test without classes or metrics", { batchTransform: (b: object) => b }, { test: one.set }, /give `metrics`/],
    ["transforms of images", { loss: squares, transform: [{ kind: "points" }] }, {}, ArgumentError],
    ["a batchTransform that is none", { batchTransform: 1 }, {}, ArgumentError],
  ])("%s", async (_, options, fit, error) => {
    await refused(options, fit, error);
  });

  it("accuracies of what has no class", async () => {
    const model = plain(one);
    await expect(evaluate(model, one.set)).rejects.toThrow(/give `metrics` a function/);
    expect(deviceOf(model)).toBeDefined();
    model.dispose();
    vi.restoreAllMocks();
  });
});
