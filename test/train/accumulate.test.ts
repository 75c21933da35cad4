/** Steps that take their batch in parts: the same step as in one, in less memory. */

import { beforeAll, describe, expect, it, vi } from "vitest";
import { type ImageSet, subset } from "../../src/data/sample-set";
import { normalize } from "../../src/data/transforms";
import { ArgumentError, CheckpointFormatError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import { buildNetwork } from "../../src/models";
import type { ConvNetConfig } from "../../src/models/described/convnet";
import { SGD } from "../../src/optim/sgd";
import { affine } from "../../src/tensor/ops/elementwise";
import { sumSquares } from "../../src/tensor/ops/reduce";
import { memory } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { decodeCheckpoint } from "../../src/train/checkpoint";
import type { Loss } from "../../src/train/losses";
import type { TrainerOptions } from "../../src/train/options";
import { trainStep } from "../../src/train/step";
import { Trainer } from "../../src/train/trainer";
import { expectClose, gpu, randomData } from "../support/gpu";
import { convNet, pointNet } from "../support/networks";
import { memoryStore, stateBytes, TINY, tinySet } from "../support/tiny";

let device: Device;
beforeAll(async () => {
  device = await gpu();
});

/** No statistics of the batch: parts add up to the whole. */
const GN: ConvNetConfig = { ...TINY, scheme: "v2", norm: "gn" };
const images = tinySet(48, 1);
const transform = [normalize([0.5, 0.5, 0.5], [0.25, 0.25, 0.25])];
const halfSquares = (model: unknown): Tensor => affine(sumSquares(convNet(model).classifier.weight), 0.05);

function run(options: TrainerOptions = {}, config: ConvNetConfig = GN, seed = 4) {
  const model = buildNetwork(config, { seed });
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9, weightDecay: 5e-4 });
  const fixed = { batchSize: 12, seed: 5, transform, testTransform: transform, readEvery: 2 };
  const trainer = new Trainer(model, optimizer, { ...fixed, ...options });
  const train = async (epochs: number, set = images, resume = false) => {
    for await (const _ of trainer.fit(set, { epochs, resume }));
  };
  const dispose = () => {
    vi.restoreAllMocks();
    optimizer.dispose();
    model.dispose();
  };
  return { model, optimizer, trainer, train, dispose };
}

const wrong = (n: number): ImageSet => {
  const set = tinySet(n, 3);
  return { ...set, labels: set.labels.map((l) => (l + 1) % 3) };
};

/** Weights after some steps, gradients of the last, and the losses on the way. */
async function outcome(options: TrainerOptions, set = images) {
  const { model, trainer, train, dispose } = run(options);
  await train(1, set);
  const read = (tensors: readonly (Tensor | null)[]) => Promise.all(tensors.map((t) => t?.data()));
  const [weights, gradients] = [await read(model.parameters()), await read(model.parameters().map((p) => p.grad))];
  dispose();
  return { weights, gradients, steps: trainer.history.steps };
}

describe("a step in parts", () => {
  it("gives each loss a weight, and those of a name add up to 1", () => {
    const { model, optimizer, dispose } = run();
    const weights = new Map<Loss, number[]>();
    const part = (i: number) => () => ({ x: Tensor.full([4, 8, 8, 3], i), y: Tensor.full([4], 0, "i32") });
    trainStep(model, optimizer, [part(0), part(1), part(2), part(3)], {
      regularizer: halfSquares,
      onLoss: (name, _, weight) => void weights.set(name, [...(weights.get(name) ?? []), weight]),
    });
    const quarters = [0.25, 0.25, 0.25, 0.25];
    expect(Object.fromEntries(weights)).toEqual({
      ...{ publicLoss: quarters, privateLoss: quarters, signLoss: quarters },
      regularizerLoss: [1],
    });
    dispose();
  });

  it.each<[string, TrainerOptions]>([
    ["two", { accumulate: 2 }],
    [
      "three, with triggers and a regularizer",
      { accumulate: 3, triggers: { set: wrong(8), batchSize: 3 }, regularizer: halfSquares },
    ],
    ["six, one branch a step", { accumulate: 6, mode: { alternating: 0.5 } }],
  ])("%s: is the step of the whole batch", async (_, options) => {
    const [whole, parts] = [await outcome({ ...options, accumulate: 1 }), await outcome(options)];
    expect(parts.gradients.some((g) => g?.some((v) => Math.abs(v) > 1e-3))).toBe(true);
    for (const key of ["weights", "gradients"] as const)
      for (const [i, values] of whole[key].entries()) {
        expect(parts[key][i] === undefined, `${key} of parameter ${i}`).toBe(values === undefined);
        if (values) expectClose(parts[key][i]!, values, { rtol: 2e-3, atol: 2e-5, what: `${key} ${i}` });
      }
    expect(parts.steps.map((s) => s.step)).toEqual([2, 4]);
    for (const [i, step] of whole.steps.entries()) {
      const [a, b] = [Object.entries(parts.steps[i]!), Object.entries(step)];
      expect(a.map(([name]) => name)).toEqual(b.map(([name]) => name));
      expectClose(
        a.map(([, v]) => v),
        b.map(([, v]) => v),
        { rtol: 1e-3, atol: 1e-4, what: `losses ${i}` },
      );
    }
  });

  it("one step of two parts leaves the gradient of the whole batch's mean, to rounding", async () => {
    const set = subset(images, 0, 12);
    const [whole, parts] = [await outcome({}, set), await outcome({ accumulate: 2 }, set)];
    for (const [i, g] of whole.gradients.entries())
      if (g) expectClose(parts.gradients[i]!, g, { rtol: 1e-4, atol: 1e-6, what: `gradient ${i}` });
    for (const [i, w] of whole.weights.entries())
      expectClose(parts.weights[i]!, w!, { rtol: 1e-5, atol: 1e-6, what: `parameter ${i}` });
  });

  it("is a pass and a submit a part, of images and triggers, and one optimiser step", async () => {
    const sizes: (readonly number[])[] = [];
    const regularizer = vi.fn(halfSquares);
    const { model, optimizer, train, dispose } = run({
      accumulate: 4,
      triggers: { set: wrong(8), batchSize: 8 },
      regularizer,
    });
    const pass = model.trainingPass.bind(model);
    vi.spyOn(model, "trainingPass").mockImplementation((x, o) => {
      sizes.push(x.shape);
      return pass(x, o);
    });
    const submits: number[] = [];
    const own = optimizer.step.bind(optimizer);
    const step = vi.spyOn(optimizer, "step").mockImplementation(() => {
      own();
      submits.push(device.counters.submits);
    });
    const begin = vi.spyOn(model, "beginStep");
    await train(1, subset(images, 0, 24));
    expect(sizes).toEqual(Array.from({ length: 8 }, () => [5, 8, 8, 3]));
    expect(begin.mock.calls).toEqual([
      [5, 0],
      [5, 1],
    ]);
    for (const f of [step, regularizer]) expect(f).toHaveBeenCalledTimes(2);
    expect(submits[1]! - submits[0]!).toBe(4);
    dispose();
  });

  it("draws other random numbers in each part", async () => {
    const model = pointNet({ classes: 4, points: 16, width: 0.0625, dropout: 0.5, seed: 1 });
    const optimizer = new SGD(model.parameters(), { lr: 0, momentum: 0 });
    const same = randomData([4, 16, 3], 1);
    const upload = () => ({ x: Tensor.from(same, [4, 16, 3]), y: Tensor.from(Int32Array.of(0, 1, 2, 3), [4]) });
    const losses: Promise<Float32Array>[] = [];
    const onLoss = (_: Loss, value: Tensor) => void losses.push(value.data({ withStep: true }));
    for (const parts of [[upload, upload], [upload]])
      trainStep(model, optimizer, parts, { draws: { seed: 3, step: 7 }, onLoss });
    device.flush();
    const [first, second, again] = (await Promise.all(losses)).map((l) => l[0]);
    expect(second).not.toBe(first);
    expect(again).toBe(first);
    optimizer.dispose();
    model.dispose();
  });

  it("takes the memory of a part, and leaves none behind", async () => {
    const before = memory();
    const wide: ConvNetConfig = {
      classes: 3,
      input: [8, 8, 3],
      layers: [{ channels: 64, kernel: 3, padding: 1 }, "pool"],
      scheme: "plain",
      norm: "gn",
    };
    const peaks: number[] = [];
    for (const accumulate of [1, 4]) {
      // Other suites may have left something on the device.
      device.pool.resetPeak();
      const others = device.poolStats.peakUsed;
      const { train, dispose } = run({ batchSize: 48, accumulate }, wide);
      await train(2);
      peaks.push(device.poolStats.peakUsed - others);
      dispose();
    }
    const [whole, part] = peaks as [number, number];
    expect(whole).toBeGreaterThan(48 * 8 * 8 * 64 * 4);
    expect(part).toBeLessThan(0.4 * whole);
    const { tensors, storages, bytes } = memory();
    expect({ tensors, storages, bytes }).toEqual({
      tensors: before.tensors,
      storages: before.storages,
      bytes: before.bytes,
    });
  });
});

describe("a run in parts", () => {
  it("goes on after a stop to the same bits", async () => {
    const options: TrainerOptions = { accumulate: 3, readEvery: 1 };
    const whole = run(options, TINY);
    await whole.train(2);
    const checkpoints = memoryStore();
    const first = run({ ...options, checkpoints, onProgress: ({ step }) => step >= 5 && first.trainer.stop() }, TINY);
    await first.train(2);
    // In the middle of the second epoch's four steps.
    const { epoch, batch } = await decodeCheckpoint(checkpoints.bytes!);
    expect(epoch).toBe(1);
    expect([1, 2, 3]).toContain(batch);
    const second = run({ ...options, checkpoints }, TINY, 99);
    await second.train(2, images, true);
    expect(await stateBytes(second.model)).toEqual(await stateBytes(whole.model));
    expect(second.trainer.history.steps).toEqual(whole.trainer.history.steps);
    for (const r of [whole, first, second]) r.dispose();
  });

  it("is not gone on with in other parts, and one without parts has the fingerprint it always had", async () => {
    const checkpoints = memoryStore();
    const plain = run({ checkpoints });
    await plain.train(1);
    expect(JSON.parse((await decodeCheckpoint(checkpoints.bytes!)).fingerprint)).not.toHaveProperty("accumulate");
    const parts = run({ accumulate: 2, checkpoints });
    await expect(parts.train(2, images, true)).rejects.toThrow(CheckpointFormatError);
    const explicit = run({ accumulate: 1, checkpoints });
    await explicit.train(2, images, true);
    for (const r of [plain, parts, explicit]) r.dispose();
  });
});

describe("parts that do not divide are refused", () => {
  const set = wrong(5);
  it.each<[string, TrainerOptions, RegExp]>([
    ["none", { accumulate: 0 }, /accumulate: a whole number from 1 expected, found 0/],
    ["half a one", { accumulate: 1.5 }, /found 1.5/],
    ["no number", { accumulate: Number.NaN }, /found NaN/],
    ["no divisor", { accumulate: 5 }, /a divisor of batchSize expected, found 5 parts for a batch of 12/],
    ["more than images", { accumulate: 24 }, /24 parts/],
    ["no divisor of the triggers", { accumulate: 3, triggers: { set } }, /found 2 triggers a batch for 3 parts/],
    // Five are all there are.
    ["too few triggers", { accumulate: 4, triggers: { set, batchSize: 8 } }, /found 5 triggers.*the set has 5/],
  ])("%s", (_, options, message) => {
    const { model, optimizer, dispose } = run();
    const make = () => new Trainer(model, optimizer, { batchSize: 12, ...options });
    expect(make).toThrow(ArgumentError);
    expect(make).toThrow(message);
    dispose();
  });

  it("no parts at all", () => {
    const { model, optimizer, dispose } = run();
    expect(() => trainStep(model, optimizer, [])).toThrow(ArgumentError);
    dispose();
  });
});
