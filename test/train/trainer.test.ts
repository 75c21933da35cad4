import { beforeAll, describe, expect, it, vi } from "vitest";
import { type ImageSet, imageSet, subset } from "../../src/data/sample-set";
import { normalize, randomCrop, randomHorizontalFlip } from "../../src/data/transforms";
import { ArgumentError, CheckpointFormatError, FormatError, NanLossError, ShapeError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import { device } from "../../src/gpu/init";
import { decodeSafetensors, encodeSafetensors } from "../../src/io/safetensors";
import { buildNetwork } from "../../src/models";
import type { ConvNetConfig } from "../../src/models/described/convnet";
import { ExponentialMovingAverage } from "../../src/optim/average";
import { stepLR } from "../../src/optim/schedules";
import { SGD } from "../../src/optim/sgd";
import { mul } from "../../src/tensor/ops/elementwise";
import { mean } from "../../src/tensor/ops/reduce";
import { memory } from "../../src/tensor/storage";
import type { Tensor } from "../../src/tensor/tensor";
import { decodeCheckpoint, encodeCheckpoint } from "../../src/train/checkpoint";
import type { EpochRecord } from "../../src/train/history";
import type { TrainerOptions } from "../../src/train/options";
import { Trainer } from "../../src/train/trainer";
import { gpu } from "../support/gpu";
import type { Network } from "../support/networks";
import { memoryStore, stateBytes, TINY, TINY_PLAIN, tinySet } from "../support/tiny";

let gpuDevice: Device;
beforeAll(async () => {
  gpuDevice = await gpu();
});

const images = tinySet(60, 1);
const scale = [normalize([0.5, 0.5, 0.5], [0.25, 0.25, 0.25])];

interface Run {
  model: Network;
  optimizer: SGD;
  trainer: Trainer;
  dispose(): void;
}

function run(
  options: TrainerOptions = {},
  { config = TINY, lr = 0.02, seed = 4 }: { config?: ConvNetConfig; lr?: number; seed?: number } = {},
): Run {
  const model = buildNetwork(config, { seed });
  const optimizer = new SGD(model.parameters(), { lr, momentum: 0.9, weightDecay: 5e-4 });
  const trainer = new Trainer(model, optimizer, {
    batchSize: 12,
    seed: 5,
    transform: scale,
    testTransform: scale,
    readEvery: 1,
    ...options,
  });
  const dispose = () => {
    optimizer.dispose();
    model.dispose();
  };
  return { model, optimizer, trainer, dispose };
}

async function all(epochs: AsyncIterable<EpochRecord>): Promise<EpochRecord[]> {
  const out: EpochRecord[] = [];
  for await (const e of epochs) out.push(e);
  return out;
}

const timeless = (epochs: readonly EpochRecord[]) => epochs.map(({ seconds: _, ...rest }) => rest);

describe("training", () => {
  it("lowers the loss, learns the classes in both branches and embeds every signature bit", async () => {
    const { model, trainer, dispose } = run({ readEvery: 2 });
    const epochs = await all(trainer.fit(images, { epochs: 8, test: tinySet(30, 2) }));
    expect(epochs.map((e) => e.epoch)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const [first, last] = [epochs[0]!, epochs[7]!];
    expect(last.loss).toBeLessThan(0.5 * first.loss);
    expect(last).toMatchObject({ bitsMatched: 48, bits: 48 });
    expect(first.bitsMatched).toBeLessThan(48);
    expect(last.public).toBeGreaterThan(0.9);
    expect(last.private).toBeGreaterThan(0.9);
    expect(trainer.interrupted).toBe(false);
    // Five steps an epoch, read after two, two and the one that is left.
    expect(trainer.history.steps.slice(0, 4).map((s) => s.step)).toEqual([2, 4, 5, 7]);
    for (const s of trainer.history.steps) expect(s.loss).toBeCloseTo(s.publicLoss + s.privateLoss + s.signLoss, 6);
    const [a, b, c] = trainer.history.steps.map((s) => s.loss);
    expect(first.loss).toBeCloseTo((2 * a! + 2 * b! + c!) / 5, 6);
    expect(model.training).toBe(true);
    dispose();
  });

  it("trains a plain network by the same loop", async () => {
    const { trainer, dispose } = run({}, { config: TINY_PLAIN });
    const epochs = await all(trainer.fit(images, { epochs: 3, test: images }));
    expect(epochs[2]!.loss).toBeLessThan(epochs[0]!.loss);
    expect(epochs[2]!.public).toBeGreaterThan(0.6);
    expect(epochs[2]).not.toHaveProperty("private");
    expect(epochs[2]).toMatchObject({ bitsMatched: 0, bits: 0 });
    for (const s of trainer.history.steps) expect([s.privateLoss, s.signLoss]).toEqual([0, 0]);
    dispose();
  });

  it("clips gradients to a joint norm before each step, replayed or not, in parts or not", async () => {
    const moved = async (options: TrainerOptions) => {
      const model = buildNetwork(TINY, { seed: 4 });
      const optimizer = new SGD(model.parameters(), { lr: 1 });
      const before = new Map(await model.stateDict());
      const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5, ...options });
      await all(trainer.fit(images, { epochs: 1 }));
      const names = model.namedParameters().map(([name]) => name);
      const after = await model.stateDict();
      const squares = names.map((name) => {
        const [a, b] = [before.get(name)!.data, after.get(name)!.data].map((data) =>
          Float64Array.from(data as Float32Array),
        );
        return a!.reduce((sum, v, i) => sum + (v - b![i]!) ** 2, 0);
      });
      const bytes = await stateBytes(model);
      optimizer.dispose();
      model.dispose();
      return { bytes, norm: Math.sqrt(squares.reduce((x, y) => x + y, 0)) };
    };
    // One step of rate 1 moves the weights by the clipped gradient.
    expect((await moved({ batchSize: 60, clipNorm: 0.01 })).norm).toBeCloseTo(0.01, 4);
    expect((await moved({ batchSize: 60, clipNorm: 0.01, accumulate: 2 })).norm).toBeCloseTo(0.01, 4);
    const [replayed, run] = [await moved({ clipNorm: 0.01 }), await moved({ clipNorm: 0.01, replay: false })];
    expect(replayed).toEqual(run);
    expect(replayed.norm).toBeLessThan(0.0501);
    for (const clipNorm of [0, -1, Number.NaN, "1"])
      await expect(moved({ clipNorm: clipNorm as number })).rejects.toThrow(ArgumentError);
  });

  it("reports progress after each reading", async () => {
    const seen: [number, number, number][] = [];
    const { trainer, dispose } = run({
      readEvery: 3,
      onProgress: ({ step, steps, epoch }) => seen.push([step, steps, epoch]),
    });
    await all(trainer.fit(images, { epochs: 2 }));
    expect(seen).toEqual([
      [3, 10, 1],
      [5, 10, 1],
      [8, 10, 2],
      [10, 10, 2],
    ]);
    dispose();
  });

  it("is one submit a step, and after the first epoch makes no buffer, no pipeline and keeps no tensor", async () => {
    const { trainer, optimizer, dispose } = run({ readEvery: 2, schedule: (epoch) => 1 / (1 + epoch), replay: false });
    const snapshots: { submits: number; dispatches: number }[] = [];
    const step = optimizer.step.bind(optimizer);
    vi.spyOn(optimizer, "step").mockImplementation(() => {
      step();
      const { submits, dispatches } = gpuDevice.counters;
      snapshots.push({ submits, dispatches });
    });
    const ends: object[] = [];
    for await (const _ of trainer.fit(images, { epochs: 4 })) {
      const { tensors, storages, bytes, buffersCreated } = memory();
      ends.push({ tensors, storages, bytes, buffersCreated, pipelines: gpuDevice.counters.pipelines });
    }
    expect(snapshots).toHaveLength(20);
    for (let i = 1; i < 20; i++) {
      if (i % 5 !== 0) expect(snapshots[i]!.submits - snapshots[i - 1]!.submits, `submits before step ${i}`).toBe(1);
    }
    // Between steps of an epoch: the same dispatches, one more where the sums were read and set
    // to 0.
    const perStep = snapshots[1]!.dispatches - snapshots[0]!.dispatches;
    for (let i = 6; i < 20; i++) {
      const extra = i % 5 === 2 || i % 5 === 4 ? 1 : 0;
      if (i % 5 !== 0)
        expect(snapshots[i]!.dispatches - snapshots[i - 1]!.dispatches, `dispatches before step ${i}`).toBe(
          perStep + extra,
        );
    }
    expect(ends[2]).toEqual(ends[1]);
    expect(ends[3]).toEqual(ends[1]);
    expect(ends[1]).toMatchObject({ buffersCreated: (ends[0] as { buffersCreated: number }).buffersCreated });
    dispose();
  });
});

describe("stopping and resuming", () => {
  const settings: TrainerOptions = {
    schedule: stepLR({ stepSize: 1, gamma: 0.5 }),
    transform: [randomCrop({ padding: 1 }), randomHorizontalFlip(), ...scale],
  };

  /** Trains to the end after a stop at the given step, in new objects. */
  async function inTwo(at: number, weights: Uint8Array, history: Run["trainer"]["history"]): Promise<void> {
    const store = memoryStore();
    const first = run({
      ...settings,
      checkpoints: store,
      onProgress: ({ step }) => step >= at && first.trainer.stop(),
    });
    const before = await all(first.trainer.fit(images, { epochs: 3, test: images }));
    expect(first.trainer.interrupted).toBe(true);
    const stopped = await decodeCheckpoint(store.bytes!);
    expect(5 * stopped.epoch + stopped.batch, "steps done").toBeGreaterThanOrEqual(at);
    expect(5 * stopped.epoch + stopped.batch, "steps done").toBeLessThan(15);
    first.dispose();

    const second = run({ ...settings, checkpoints: store }, { seed: 99 });
    const after = await all(second.trainer.fit(images, { epochs: 3, test: images, resume: true }));
    expect([...before, ...after].map((e) => e.epoch)).toEqual([1, 2, 3]);
    expect(await stateBytes(second.model)).toEqual(weights);
    expect(second.trainer.history.steps).toEqual(history.steps);
    expect(timeless(second.trainer.history.epochs)).toEqual(timeless(history.epochs));
    second.dispose();
  }

  it("ends at the same bits and the same history as an uninterrupted run, wherever it is stopped", async () => {
    const whole = run(settings);
    await all(whole.trainer.fit(images, { epochs: 3, test: images }));
    const weights = await stateBytes(whole.model);
    // In the middle of the second epoch, and where the first one ends.
    await inTwo(7, weights, whole.trainer.history);
    await inTwo(5, weights, whole.trainer.history);
    whole.dispose();
  });

  it("goes on from a whole epoch to a higher number of epochs", async () => {
    const store = memoryStore();
    const a = run({ checkpoints: store });
    await all(a.trainer.fit(images, { epochs: 1 }));
    expect(store.saves).toBe(1);
    const b = run({ checkpoints: store }, { seed: 99 });
    expect((await all(b.trainer.fit(images, { epochs: 2, resume: true }))).map((e) => e.epoch)).toEqual([2]);
    await all(a.trainer.fit(images, { epochs: 2 }));
    expect(await stateBytes(b.model)).toEqual(await stateBytes(a.model));
    expect(await all(b.trainer.fit(images, { epochs: 2, resume: true }))).toEqual([]);
    a.dispose();
    b.dispose();
  });

  it("trains on when fit is called again after a stop", async () => {
    let stops = 0;
    const { trainer, dispose } = run({ onProgress: () => stops++ === 0 && trainer.stop() });
    expect(await all(trainer.fit(images, { epochs: 1 }))).toEqual([]);
    expect(trainer.interrupted).toBe(true);
    expect((await all(trainer.fit(images, { epochs: 1 }))).map((e) => e.epoch)).toEqual([1]);
    expect(trainer.interrupted).toBe(false);
    dispose();
  });

  it("refuses to resume where nothing is kept", async () => {
    const { trainer, dispose } = run({});
    await expect(all(trainer.fit(images, { epochs: 1, resume: true }))).rejects.toThrow(/nowhere to resume from/);
    dispose();
  });

  it("starts anew when there is no checkpoint yet", async () => {
    const { trainer, dispose } = run({ checkpoints: memoryStore() });
    expect((await all(trainer.fit(images, { epochs: 1, resume: true }))).map((e) => e.epoch)).toEqual([1]);
    dispose();
  });

  it("refuses a checkpoint of another run, or a damaged one, and changes nothing", async () => {
    const store = memoryStore();
    const owner = run({ checkpoints: store });
    await all(owner.trainer.fit(images, { epochs: 1 }));
    const saved = store.bytes!;
    const refused: [Run, ImageSet][] = [
      [run({ checkpoints: store, seed: 6 }), images],
      [run({ checkpoints: store, batchSize: 10 }), images],
      [run({ checkpoints: store, clipNorm: 1 }), images],
      [run({ checkpoints: store }, { lr: 0.01 }), images],
      [run({ checkpoints: store }, { config: TINY_PLAIN }), images],
      [run({ checkpoints: store }), subset(images, 0, 48)],
    ];
    for (const [other, set] of refused) {
      const before = await stateBytes(other.model);
      await expect(all(other.trainer.fit(set, { epochs: 2, resume: true }))).rejects.toThrow(CheckpointFormatError);
      expect(await stateBytes(other.model)).toEqual(before);
      expect(store.bytes).toBe(saved);
      other.dispose();
    }
    store.bytes = saved.subarray(0, saved.length - 1);
    await expect(all(owner.trainer.fit(images, { epochs: 2, resume: true }))).rejects.toThrow(CheckpointFormatError);
    owner.dispose();
  });

  it("refuses another average of the weights, or none, and changes nothing", async () => {
    const averaged = (decay: number, store?: ReturnType<typeof memoryStore>) => {
      const made = run(store ? { checkpoints: store } : {});
      const average = new ExponentialMovingAverage(made.model.network, { decay });
      made.optimizer.withAverage(average);
      return { ...made, average };
    };
    const store = memoryStore();
    const owner = averaged(0.5, store);
    await all(owner.trainer.fit(images, { epochs: 1 }));
    const others = [averaged(0.999, store), run({ checkpoints: store })];
    for (const other of others) {
      const before = await stateBytes(other.model);
      const resumed = all(other.trainer.fit(images, { epochs: 2, resume: true }));
      await expect(resumed).rejects.toThrow(CheckpointFormatError);
      expect(await stateBytes(other.model)).toEqual(before);
    }
    const same = averaged(0.5, store);
    expect(await all(same.trainer.fit(images, { epochs: 1, resume: true }))).toEqual([]);
    for (const made of [owner, same, ...others]) {
      if ("average" in made) (made.average as ExponentialMovingAverage).dispose();
      made.dispose();
    }
  });

  it("goes on from a checkpoint of before there were digests, and says that nothing vouches for it", async () => {
    const store = memoryStore();
    const owner = run({ checkpoints: store });
    await all(owner.trainer.fit(images, { epochs: 1 }));
    const { tensors, metadata } = decodeSafetensors(store.bytes!);
    for (const name of [...tensors.keys()]) if (name.startsWith("history.")) tensors.delete(name);
    const { fingerprint, progress } = metadata as { fingerprint: string; progress: string };
    const history = JSON.stringify(owner.trainer.history);
    store.bytes = encodeSafetensors(tensors, { format: "pan-checkpoint-1", fingerprint, progress, history });
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const next = run({ checkpoints: store });
    expect(await all(next.trainer.fit(images, { epochs: 1, resume: true }))).toEqual([]);
    expect(next.trainer.history).toEqual(owner.trainer.history);
    expect(await stateBytes(next.model)).toEqual(await stateBytes(owner.model));
    expect(warn.mock.calls).toEqual([[expect.stringMatching(/without a digest/)]]);
    warn.mockRestore();
    owner.dispose();
    next.dispose();
  });

  it("fails with the store's own error when a checkpoint cannot be saved", async () => {
    const full = new Error("disk full");
    const { trainer, dispose } = run({ checkpoints: { save: () => Promise.reject(full), load: async () => null } });
    await expect(all(trainer.fit(images, { epochs: 1 }))).rejects.toBe(full);
    dispose();
  });
});

describe("a loss that is not a number", () => {
  it("ends the run and leaves the checkpoint as it was", async () => {
    const store = memoryStore();
    const kept = Uint8Array.of(1, 2, 3);
    store.bytes = kept;
    const { trainer, dispose } = run({ checkpoints: store, batchSize: 6 }, { lr: 1e9 });
    const error = await all(trainer.fit(images, { epochs: 3 })).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(NanLossError);
    expect((error as Error).message).toMatch(/learning rate/);
    expect(store).toMatchObject({ saves: 0, bytes: kept });
    // The epoch begins anew: none of its steps is in the history.
    expect(trainer.history.steps).toEqual([]);
    dispose();
  });

  it("leaves the epochs before it in the history and in the checkpoint", async () => {
    const store = memoryStore();
    const schedule = (epoch: number) => (epoch < 1 ? 1 : 1e11);
    const options = { checkpoints: store, batchSize: 6, readEvery: 1, schedule };
    const { trainer, dispose } = run(options, { lr: 0.01 });
    await expect(all(trainer.fit(images, { epochs: 3 }))).rejects.toThrow(NanLossError);
    expect(store.saves).toBe(1);
    expect(trainer.history.steps.map((s) => s.step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(trainer.history.steps.every((s) => Number.isFinite(s.loss))).toBe(true);
    dispose();
  });

  it("also when only the last update overflowed", async () => {
    const store = memoryStore();
    const { trainer, dispose } = run({ checkpoints: store, batchSize: 60, schedule: () => 10 }, { lr: 3e38 });
    await expect(all(trainer.fit(images, { epochs: 1 }))).rejects.toThrow(NanLossError);
    // One step: its loss, from the weights before it, was a number. Its epoch never was.
    expect([trainer.history.steps, trainer.history.epochs]).toEqual([[], []]);
    expect(store.saves).toBe(0);
    dispose();
  });

  it("and by a metric after the epoch: the next run trains it anew", async () => {
    let broken = true;
    const metrics = { share: (y: Tensor) => mul(mean(y), broken ? Number.NaN : 1) };
    const { model, trainer, dispose } = run({ metrics } as never, { config: TINY_PLAIN });
    const start = await model.stateDict();
    await expect(all(trainer.fit(images, { epochs: 1, test: images }))).rejects.toThrow(NanLossError);
    expect([trainer.history.steps, trainer.history.epochs]).toEqual([[], []]);
    model.loadStateDict(start);
    broken = false;
    const epochs = await all(trainer.fit(images, { epochs: 1, test: images }));
    expect(epochs.map((e) => e.epoch)).toEqual([1]);
    expect(trainer.history.steps.at(-1)!.step).toBe(5);
    expect(await model.stateDict()).not.toEqual(start);
    dispose();
  });
});

describe("bad input is refused before any step", () => {
  const four = imageSet({
    ...images,
    labels: Uint8Array.from(images.labels, (l, i) => (i === 9 ? 3 : l)),
    classes: ["a", "b", "c", "d"],
  });
  const outside = { ...images, labels: Uint8Array.from(images.labels, (l, i) => (i === 9 ? 3 : l)) };
  const wide = imageSet({ ...images, images: new Uint8Array(60 * 3 * 8 * 9), width: 9 });
  const grey = imageSet({ ...images, images: new Uint8Array(60 * 8 * 8), channels: 1 });

  it.each<[string, ImageSet, { epochs: number; test?: ImageSet }, new (m: string) => Error, RegExp]>([
    ["no epochs", images, { epochs: 0 }, ArgumentError, /epochs/],
    ["half an epoch", images, { epochs: 1.5 }, ArgumentError, /epochs/],
    ["no end of epochs", images, { epochs: Infinity }, ArgumentError, /epochs/],
    [
      "labels beyond the network's classes",
      four,
      { epochs: 1 },
      ArgumentError,
      /a label is 3 and the network has 3 classes/,
    ],
    ["labels beyond the set's own classes", outside, { epochs: 1 }, FormatError, /image 9 has label 3/],
    ["images of another width", wide, { epochs: 1 }, ArgumentError, /takes images of 8×8×3, these are 8×9×3/],
    ["images of one channel", grey, { epochs: 1 }, ShapeError, /channels/],
    ["test images of another width", images, { epochs: 1, test: wide }, ArgumentError, /8×9×3/],
    ["test labels beyond the classes", images, { epochs: 1, test: four }, ArgumentError, /a label is 3/],
    ["fewer images than a batch", subset(images, 0, 11), { epochs: 1 }, ArgumentError, /batch/],
    ["an empty test set", images, { epochs: 1, test: subset(images, 0, 0) }, ArgumentError, /empty/],
  ])("%s", async (_, set, options, type, message) => {
    const { trainer, optimizer, dispose } = run();
    const step = vi.spyOn(optimizer, "step");
    const dispatches = device().counters.dispatches;
    const error = await all(trainer.fit(set, options)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toMatch(message);
    expect(step).not.toHaveBeenCalled();
    expect(device().counters.dispatches).toBe(dispatches);
    dispose();
  });

  it("takes test images that the test transform brings to size", async () => {
    const centre = {
      kind: "geometry" as const,
      place: (rows: { window(a: number, b: number): void }, columns: typeof rows) =>
        [rows, columns].forEach((axis) => axis.window(0, 8)),
    };
    const { trainer, dispose } = run({ testTransform: [centre, ...scale] });
    expect((await all(trainer.fit(images, { epochs: 1, test: wide })))[0]).toHaveProperty("public");
    dispose();
  });

  it.each([0, -1, 2.5, Number.NaN])("readEvery %d", (readEvery) => {
    expect(() => run({ readEvery })).toThrow(ArgumentError);
  });
});

it("saves a checkpoint that holds the whole run", async () => {
  const store = memoryStore();
  const { model, trainer, optimizer, dispose } = run({ checkpoints: store });
  await all(trainer.fit(images, { epochs: 1 }));
  const saved = await decodeCheckpoint(store.bytes!);
  expect(saved).toMatchObject({ epoch: 1, batch: 0, history: trainer.history });
  expect([...saved.model.keys()].sort()).toEqual([...(await model.stateDict()).keys()].sort());
  expect(saved.optimizer).toEqual(await optimizer.stateDict());
  expect(await encodeCheckpoint(saved)).toEqual(store.bytes);
  dispose();
});
