import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { SampleSet } from "../../src/data/sample-set";
import type { Device } from "../../src/gpu/device";
import { buildNetwork } from "../../src/models";
import { Flatten } from "../../src/nn/layers";
import { Linear } from "../../src/nn/linear";
import { Module } from "../../src/nn/module";
import { manualSeed } from "../../src/nn/random";
import { Adam } from "../../src/optim/adam";
import { SGD } from "../../src/optim/sgd";
import { add, mul } from "../../src/tensor/ops/elementwise";
import { dropout, RandomStream } from "../../src/tensor/ops/random";
import { memory } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import type { TrainerOptions } from "../../src/train/options";
import { Trainer } from "../../src/train/trainer";
import { TINY_CLOUD, tinyClouds } from "../support/clouds";
import { gpu } from "../support/gpu";
import type { Network } from "../support/networks";
import { memoryStore, stateBytes, TINY, TINY_PLAIN, tinySet } from "../support/tiny";

let d: Device;
beforeAll(async () => {
  d = await gpu();
});
afterEach(() => vi.restoreAllMocks());

const images = tinySet(60, 1);
const clouds = tinyClouds(40, 1);

function run(make: () => Network, options: TrainerOptions) {
  const model = make();
  const optimizer = new Adam(model.parameters(), { lr: 0.005 });
  const schedule = (epoch: number) => 1 / (1 + epoch);
  const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5, readEvery: 2, schedule, ...options });
  const passes = vi.spyOn(model, "trainingPass");
  const dispose = () => {
    optimizer.dispose();
    model.dispose();
  };
  return { model, optimizer, trainer, passes, dispose };
}

/** Weights, losses and epochs of a training. */
async function outcome(make: () => Network, set: SampleSet, options: TrainerOptions) {
  const { model, trainer, passes, dispose } = run(make, options);
  for await (const _ of trainer.fit(set, { epochs: 3, test: set }));
  const out = {
    weights: await stateBytes(model),
    steps: trainer.history.steps,
    epochs: trainer.history.epochs.map(({ seconds: _, ...rest }) => rest),
  };
  dispose();
  return { ...out, passes: passes.mock.calls.length };
}

const conv = () => buildNetwork(TINY, { seed: 4 });
const plain = () => buildNetwork(TINY_PLAIN, { seed: 4 });
const v3 = () => buildNetwork({ ...TINY, scheme: "v3" }, { seed: 4 });
const pointnet = () => buildNetwork({ ...TINY_CLOUD, dropout: 0.4 }, { seed: 4 });
const triggers = { set: tinySet(5, 3) };

/**
 * A network that is scaled by what lies in its properties; an object of a class counts its passes.
 */
class Scaled extends Module {
  readonly passes = new (class Passes {
    count = 0;
  })();
  readonly inObject: { deep: { scale: number }; scale?: number } = { deep: { scale: 1 } };
  readonly inLists = [[1]];
  readonly inMap = new Map([["scale", 1]]);
  readonly flat = new Flatten();
  readonly map = new Linear(192, 3);
  forward(x: Tensor): Tensor {
    this.passes.count++;
    const { deep, scale = 1 } = this.inObject;
    const all = [deep.scale, scale, ...this.inLists[0]!, this.inMap.get("scale")!];
    return mul(
      this.map.forward(this.flat.forward(x)),
      all.reduce((a, b) => a * b),
    );
  }
}

describe("replayed steps", () => {
  it.each<[string, () => Network, SampleSet, TrainerOptions, number]>([
    // Two steps of the first epoch and one of each later one run in JavaScript; the very first with
    // passports also works out their means, and is like no other.
    ["one branch", plain, images, {}, 2 + 1 + 1],
    ["two branches", conv, images, {}, 3 + 1 + 1],
    ["triggers", v3, images, { triggers }, 3 + 1 + 1],
    // The two kinds of step take turns: 5 of an epoch are 3 and 2.
    ["branches in turn", conv, images, { mode: { alternating: 0.5 } }, 4 + 2 + 2],
    ["clouds, with dropout", pointnet, clouds, {}, 3 + 1 + 1],
  ])("train %s to the same bits as steps that are run", async (_, make, set, options, passes) => {
    const replayed = await outcome(make, set, options);
    const written = await outcome(make, set, { ...options, replay: false });
    expect(replayed.passes).toBe(passes);
    expect(written.passes).toBe(3 * Math.floor(set.length / 12));
    expect(replayed.steps).toEqual(written.steps);
    expect(replayed.epochs).toEqual(written.epochs);
    expect(replayed.weights).toEqual(written.weights);
  });

  it("go on to the same bits after a stop in the middle of an epoch", async () => {
    const whole = await outcome(conv, images, {});
    const store = memoryStore();
    const first = run(conv, {
      checkpoints: store,
      readEvery: 1,
      onProgress: ({ step }) => {
        if (step >= 6) first.trainer.stop();
      },
    });
    for await (const _ of first.trainer.fit(images, { epochs: 3 }));
    expect(first.trainer.interrupted).toBe(true);
    first.dispose();
    const second = run(() => buildNetwork(TINY, { seed: 9 }), { checkpoints: store });
    for await (const _ of second.trainer.fit(images, { epochs: 3, test: images, resume: true }));
    expect(await stateBytes(second.model)).toEqual(whole.weights);
    second.dispose();
  });

  it.each([true, false])("draw the same after a stop from a module's own streams: replayed %s", async (replay) => {
    class Noisy extends Module {
      readonly streams = { noise: new RandomStream(1), mask: [new RandomStream(2)] };
      readonly flat = new Flatten();
      readonly map = new Linear(192, 3);
      forward(x: Tensor): Tensor {
        const { noise, mask } = this.streams;
        const flat = this.flat.forward(x);
        return this.map.forward(dropout(add(flat, noise.normal(flat.shape)), 0.5, mask[0]!));
      }
    }
    const trained = async (epochs: readonly number[]) => {
      const checkpoints = memoryStore();
      let weights: Uint8Array | null = null;
      for (const last of epochs) {
        manualSeed(1);
        const net = new Noisy();
        const optimizer = new SGD(net, { lr: 0.1 });
        const trainer = new Trainer(net, optimizer, { batchSize: 12, seed: 5, replay, checkpoints });
        for await (const _ of trainer.fit(images, { epochs: last, resume: true }));
        weights = await stateBytes(net);
        optimizer.dispose();
        net.dispose();
      }
      return weights;
    };
    expect(await trained([1, 3])).toEqual(await trained([3]));
  });

  it("are one submit each, and leave no memory behind", async () => {
    const before = { tensors: memory().tensors, bytes: memory().bytes };
    const { trainer, dispose } = run(conv, { readEvery: 5 });
    const submit = vi.spyOn(d.gpu.queue, "submit");
    const submits: number[] = [];
    const used: number[] = [];
    for await (const _ of trainer.fit(images, { epochs: 5 })) {
      submits.push(submit.mock.calls.length);
      used.push(d.poolStats.bytes - d.poolStats.freeBytes);
    }
    // Five steps, and four for the reading of losses and signs and what an epoch sets up.
    expect(submits[4]! - submits[3]!).toBe(submits[3]! - submits[2]!);
    expect(submits[4]! - submits[3]!).toBe(9);
    expect(used[4]).toBe(used[1]);
    dispose();
    expect({ tensors: memory().tensors, bytes: memory().bytes }).toEqual(before);
  });

  it.each<[string, (net: Scaled, value: number) => void]>([
    ["an object", (net, value) => void (net.inObject.deep.scale = value)],
    ["a list", (net, value) => void (net.inLists[0]![0] = value)],
    ["a longer list", (net, value) => void net.inLists[0]!.push(value)],
    ["a map", (net, value) => void net.inMap.set("scale", value)],
    ["a new entry", (net, value) => void Object.assign(net.inObject, { scale: value })],
  ])("see what a callback changes in %s of a module", async (_, change) => {
    const losses = async (replay: boolean) => {
      manualSeed(1);
      const net = new Scaled();
      const optimizer = new SGD(net, { lr: 0.1 });
      // Asked before each step: readings come when they come.
      let changed = false;
      const schedule = (epoch: number) => {
        if (epoch >= 0.5 && !changed) change(net, 3);
        changed ||= epoch >= 0.5;
        return 1;
      };
      const trainer = new Trainer(net, optimizer, { batchSize: 6, readEvery: 1, replay, schedule });
      for await (const _ of trainer.fit(images, { epochs: 1 }));
      optimizer.dispose();
      net.dispose();
      return { losses: trainer.history.steps.map((s) => s.loss), passes: net.passes.count };
    };
    const [replayed, run] = [await losses(true), await losses(false)];
    expect(replayed.losses).toEqual(run.losses);
    expect(run.passes).toBe(10);
    expect(replayed.passes).toBeLessThan(8);
  });

  it("are not tried where a step uploads something, or gives other commands every time", async () => {
    const uploading = plain();
    const pass = uploading.trainingPass.bind(uploading);
    let runs = 0;
    vi.spyOn(uploading, "trainingPass").mockImplementation((x, o) => {
      runs++;
      Tensor.from(Float32Array.of(runs), [1]);
      return pass(x, o);
    });
    const changing = plain();
    const other = changing.trainingPass.bind(changing);
    vi.spyOn(changing, "trainingPass").mockImplementation((x, o) => {
      Tensor.full([1], ++runs);
      return other(x, o);
    });
    for (const model of [uploading, changing]) {
      runs = 0;
      const { trainer, dispose } = run(() => model, {});
      for await (const _ of trainer.fit(images, { epochs: 2 }));
      expect(runs).toBe(10);
      dispose();
    }
  });
});
