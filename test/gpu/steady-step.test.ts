import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Device } from "../../src/gpu/device";
import { BatchNorm, Conv2d, Dropout, Flatten, type Layer, Linear, MaxPool2d, ReLU, Sequential } from "../../src/nn";
import { SGD } from "../../src/optim/sgd";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { Generator } from "../../src/tensor/random";
import type { Shape } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { gpu, randomData } from "../support/gpu";

let d: Device;
beforeAll(async () => {
  d = await gpu();
});
afterEach(() => vi.restoreAllMocks());

/** A training step as users write it: fresh data every time, the loss handed back. */
function trainer(net: Layer, shape: Shape, classes: number) {
  const sgd = new SGD(net.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 5e-4 });
  const random = new Generator(3);
  const images = [1, 2, 3].map((seed) => randomData(shape, seed));
  const step = (k: number): Tensor =>
    scope(() => {
      const x = Tensor.from(images[k % 3]!, shape);
      const labels = Tensor.from(
        Int32Array.from({ length: shape[0]! }, () => random.integer(classes)),
        [shape[0]!],
      );
      sgd.lr = 0.05 / (1 + k / 10_000);
      sgd.prepare();
      sgd.zeroGrad();
      const loss = crossEntropy(net.forward(x), labels);
      loss.backward();
      sgd.step();
      return loss;
    });
  const dispose = () => {
    sgd.dispose();
    net.dispose();
  };
  return { step, dispose };
}

/** Counts what is really asked of WebGPU, beside the package's own counters. */
function watch() {
  const calls = ["createBuffer", "createBindGroup", "createComputePipelineAsync", "createShaderModule"] as const;
  const spies = calls.map((name) => vi.spyOn(d.gpu, name as "createBuffer"));
  const submit = vi.spyOn(d.gpu.queue, "submit");
  return () => ({
    ...Object.fromEntries(calls.map((name, i) => [name, spies[i]!.mock.calls.length])),
    submit: submit.mock.calls.length,
  });
}

describe("a training step in steady state", () => {
  it("creates nothing, compiles nothing and submits once", async () => {
    const random = new Generator(1);
    const dropout = new Dropout(0.2, { random });
    const net = new Sequential(
      new Conv2d(3, 8, 3, { padding: 1, bias: false, random }),
      new BatchNorm(8, { relu: true }),
      new MaxPool2d(2),
      new Conv2d(8, 8, 3, { padding: 1, random }),
      new BatchNorm(8),
      new ReLU(),
      new Flatten(),
      dropout,
      new Linear(8 * 4 * 3, 5, { random }),
    );
    const { step, dispose } = trainer(net, [6, 8, 6, 3], 5);
    const losses: Promise<Float32Array>[] = [];
    const whole = (k: number) => {
      dropout.stream.nextStep();
      const loss = step(k);
      losses.push(loss.data({ withStep: true }));
      loss.dispose();
      d.flush();
    };
    const run = async (from: number, to: number) => {
      for (let k = from; k < to; k++) {
        whole(k);
        // As a trainer does: losses are read while later steps are recorded.
        if (k % 4 === 0) await losses.at(-1);
      }
    };
    // Buffers of one size change places from step to step: here each has had every place after 30.
    await run(0, 40);
    await d.sync();
    const counted = watch();
    const [before, counters, stats] = [memory(), { ...d.counters }, { ...d.poolStats }];
    await run(40, 60);
    await Promise.all(losses);
    expect(counted()).toEqual({
      createBuffer: 0,
      createBindGroup: 0,
      createComputePipelineAsync: 0,
      createShaderModule: 0,
      submit: 20,
    });
    expect(memory()).toEqual(before);
    expect(d.poolStats).toEqual(stats);
    expect(d.counters).toMatchObject({ pipelines: counters.pipelines, submits: counters.submits + 20 });
    const perStep = (d.counters.dispatches - counters.dispatches) / 20;
    expect(Number.isInteger(perStep), `${perStep} dispatches a step`).toBe(true);
    // Each reading is of its own step: masks differ, and with them the losses, about those of
    // guessing.
    const read = (await Promise.all(losses)).map((l) => l[0]!);
    expect(new Set(read).size).toBe(60);
    for (const l of read) expect(Math.abs(l - Math.log(5))).toBeLessThan(2);
    dispose();
    dropout.stream.dispose();
  });

  it("leaves memory where it was after 2,000 of them", async () => {
    const random = new Generator(2);
    const net = new Sequential(new Linear(6, 8, { random }), new ReLU(), new Linear(8, 3, { random }));
    const { step, dispose } = trainer(net, [5, 6], 3);
    const run = async (from: number, to: number) => {
      for (let k = from; k < to; k++) {
        step(k).dispose();
        d.flush();
        if (k % 50 === 49) await d.sync();
      }
      await d.sync();
    };
    await run(0, 400);
    const counted = watch();
    const [before, rss] = [memory(), process.memoryUsage().rss];
    await run(400, 2000);
    expect(memory()).toEqual(before);
    expect(counted()).toMatchObject({
      createBuffer: 0,
      createBindGroup: 0,
      createComputePipelineAsync: 0,
      submit: 1600,
    });
    vi.restoreAllMocks();
    const grown = process.memoryUsage().rss - rss;
    expect(grown, `${(grown / 2 ** 20).toFixed(1)} MiB more`).toBeLessThan(64 * 2 ** 20);
    dispose();
  });
});
