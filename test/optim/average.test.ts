/**
 * Moving averages of weights two ways: against plain JavaScript, and against PyTorch. Finite
 * differences do not apply: an average has no gradient.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, LifetimeError, StateDictError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import type { StateDict } from "../../src/io/host-tensor";
import { ConvNet } from "../../src/models";
import { BatchNorm, type Layer, Linear, Module, parameter, Sequential } from "../../src/nn";
import { ExponentialMovingAverage, SGD } from "../../src/optim";
import { mean } from "../../src/tensor/ops/reduce";
import { Generator } from "../../src/tensor/random";
import { recordStep } from "../../src/tensor/recorded";
import { keep, memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { Trainer, type TrainerOptions } from "../../src/train";
import { Golden } from "../support/golden";
import { expectClose, gpu, randomData, randomTensor } from "../support/gpu";
import { memoryStore, TINY_PLAIN, tinySet } from "../support/tiny";

let device: Device;
beforeAll(async () => {
  device = await gpu();
});

/** A module of bare parameters. */
class Parameters extends Module {
  readonly list: Tensor[];
  constructor(sizes: readonly number[]) {
    super();
    this.list = sizes.map((n, i) => parameter(Tensor.from(randomData([n], i), [n])));
  }
}

const read = (tensors: readonly Tensor[]): Promise<number[][]> =>
  Promise.all(tensors.map(async (t) => [...(await t.data())]));
const weightsOf = (net: Module) => read(net.namedTensors().map(([, t]) => t));
const net = () => {
  const random = new Generator(2);
  return new Sequential(new Linear(5, 3, { random }), new BatchNorm(3), new Linear(3, 2, { bias: false, random }));
};

it("follows the formula, for many tensors of all sizes", async () => {
  const sizes = [1, 7, 4, 1500, 0, 3, 2, 9, 16, 5, 1, 1, 8, 13, 1030, 6];
  const module = new Parameters(sizes);
  const ema = new ExponentialMovingAverage(module, { decay: 0.75 });
  const wanted = sizes.map((n) => new Float64Array(n));
  for (let step = 0; step < 4; step++) {
    for (const [i, t] of module.list.entries()) {
      const w = randomData(t.shape, 100 * step + i);
      t.write(w);
      for (const [k, x] of w.entries()) wanted[i]![k] = step === 0 ? x : 0.75 * wanted[i]![k]! + 0.25 * x;
    }
    ema.update();
  }
  expect(ema.updates).toBe(4);
  const found = await ema.averaged(() => read(module.list));
  for (const [i, a] of found.entries()) expectClose(a, wanted[i]!, { what: `tensor ${i}` });
});

describe("against PyTorch's AveragedModel", () => {
  const golden = new Golden("averaged");
  const { decay, steps } = { decay: golden.meta("decay") as number, steps: golden.meta("steps") as number };
  const stateOf = (prefix: string): StateDict =>
    new Map(
      [...golden.file.tensors].flatMap(([key, t]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), t]] : [])),
    );

  it.each(["plain", "buffers"])("%s", async (kind) => {
    const model = net();
    const ema = new ExponentialMovingAverage(model, { decay, useBuffers: kind === "buffers" });
    for (let step = 0; step < steps; step++) {
      model.loadStateDict(stateOf(`weights.${step}.`), { strict: false });
      ema.update();
      const found = await ema.averaged(() => model.stateDict());
      for (const [name, { data }] of stateOf(`${kind}.${step}.`))
        expectClose(found.get(name)!.data as Float32Array, data as Float32Array, { what: name });
      // What is not averaged is the network's own.
      const own = stateOf(`weights.${step}.`).get("1.running_mean")!;
      if (kind === "plain")
        expect([...(found.get("1.running_mean")!.data as Float32Array)]).toEqual([...(own.data as Float32Array)]);
    }
  });

  it("takes PyTorch's state as it is, and gives it", async () => {
    const ema = new ExponentialMovingAverage(net(), { decay });
    const state = stateOf("state.");
    ema.loadStateDict(state);
    expect(ema.updates).toBe(steps);
    const found = await ema.stateDict();
    expect(found.get("n_averaged")).toEqual({ dtype: "I64", shape: [], data: BigInt64Array.of(BigInt(steps)) });
    for (const [name, { shape, data }] of found) {
      expect(shape, name).toEqual(state.get(name)!.shape);
      expect([...(data as Float32Array)], name).toEqual([...(state.get(name)!.data as Float32Array)]);
    }
  });
});

describe("averaged", () => {
  it("lends the averages and puts the weights back bit for bit, however its function ends", async () => {
    const model = net();
    const ema = new ExponentialMovingAverage(model, { decay: 0.5 });
    const begin = await weightsOf(model);
    ema.update();
    model.parameters()[0]!.write(randomData([5, 3], 9));
    const trained = await weightsOf(model);
    expect(trained).not.toEqual(begin);
    expect(await ema.averaged(() => weightsOf(model))).toEqual(begin);
    expect(await weightsOf(model)).toEqual(trained);
    await ema.averaged(async () => {
      await device.sync();
      expect(await weightsOf(model)).toEqual(begin);
      expect(() => ema.averaged(() => 1)).toThrow(ArgumentError);
      expect(() => ema.update()).toThrow(/wait until averaged\(\) ends/);
      await expect(ema.stateDict()).rejects.toThrow(ArgumentError);
    });
    const failure = () => {
      throw new Error("planted");
    };
    expect(() => ema.averaged(failure)).toThrow("planted");
    await expect(ema.averaged(async () => failure())).rejects.toThrow("planted");
    expect(await weightsOf(model)).toEqual(trained);
    expect(ema.averaged(() => 7)).toBe(7);
    expect(await ema.averaged(() => weightsOf(model))).toEqual(begin);
  });

  it("before the first update lends the weights as they were", async () => {
    const model = net();
    const begin = await weightsOf(model);
    const ema = new ExponentialMovingAverage(model);
    model.parameters()[0]!.write(randomData([5, 3], 9));
    expect(await ema.averaged(() => weightsOf(model))).toEqual(begin);
  });
});

describe("in training", () => {
  /** A step of a network whose weights move. */
  function training(model: Layer) {
    const optimizer = new SGD(model, { lr: 0.1 });
    const ema = new ExponentialMovingAverage(model, { decay: 0.9, useBuffers: true });
    const x = keep(randomTensor([4, 5], 3));
    const body = () => {
      optimizer.zeroGrad();
      mean(model.forward(x)).backward();
      optimizer.step();
      ema.update();
    };
    const prepare = () => {
      optimizer.prepare();
      ema.prepare();
    };
    return { ema, body, prepare };
  }

  it("is replayed as it is run, from the first step on, and refused while averages are lent", async () => {
    const run = async (replayed: boolean) => {
      const model = net();
      const { ema, body, prepare } = training(model);
      prepare();
      const step = recordStep(body);
      for (let i = 0; i < 4; i++) replayed ? step.replay() : scope(body);
      expect(() => ema.averaged(() => step.replay())).toThrow(LifetimeError);
      expect(ema.updates).toBe(5);
      return ema.averaged(() => weightsOf(model));
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it("allocates nothing once it runs", async () => {
    const { body } = training(net());
    const step = () => {
      scope(body);
      device.flush();
    };
    for (let i = 0; i < 3; i++) step();
    await device.sync();
    const before = memory();
    for (let i = 0; i < 3; i++) step();
    expect(memory()).toEqual(before);
  });

  it("resumes to the same bits", async () => {
    const half = net();
    const first = training(half);
    for (let i = 0; i < 2; i++) scope(first.body);
    const [weights, averages] = [await half.stateDict(), await first.ema.stateDict()];
    for (let i = 0; i < 2; i++) scope(first.body);
    const resumed = net();
    const second = training(resumed);
    resumed.loadStateDict(weights);
    second.ema.loadStateDict(averages);
    for (let i = 0; i < 2; i++) scope(second.body);
    expect(await second.ema.stateDict()).toEqual(await first.ema.stateDict());
  });
});

describe("behind an optimiser's steps", () => {
  const settings = { batchSize: 6, seed: 4 };
  const made = () => {
    const model = new ConvNet(TINY_PLAIN, { seed: 1 });
    const ema = new ExponentialMovingAverage(model, { decay: 0.8 });
    return { model, ema, optimizer: new SGD(model, { lr: 0.05, momentum: 0.9 }).withAverage(ema) };
  };
  const set = tinySet(30, 1);
  /** A network after so many epochs of five steps. */
  const trained = async (epochs: number, options: TrainerOptions = {}, resume = false) => {
    const { model, ema, optimizer } = made();
    const trainer = new Trainer(model, optimizer, { ...settings, ...options });
    for await (const _ of trainer.fit(set, { epochs, resume }));
    return ema;
  };

  it("is what update() would make of them", async () => {
    const [a, b] = [net(), net()];
    const [ours, theirs] = [a, b].map((m) => new ExponentialMovingAverage(m, { decay: 0.8 }));
    const sgds = [new SGD(a, { lr: 0.1 }).withAverage(ours!), new SGD(b, { lr: 0.1 })];
    for (let i = 0; i < 3; i++) {
      for (const [k, m] of [a, b].entries()) {
        scope(() => mean(m.forward(randomTensor([4, 5], i))).backward());
        sgds[k]!.step();
        sgds[k]!.zeroGrad();
      }
      theirs!.update();
    }
    expect(await ours!.stateDict()).toEqual(await theirs!.stateDict());
    const w = await weightsOf(a);
    expect(() => ours!.averaged(() => sgds[0]!.step())).toThrow(/^step: /);
    expect(await weightsOf(a)).toEqual(w);
    expect(() => sgds[0]!.withAverage({} as never)).toThrow(ArgumentError);
  });

  it("goes with a trainer's replayed steps and with its checkpoints, to the same bits", async () => {
    const straight = await trained(2);
    expect(straight.updates).toBe(10);
    const wanted = await straight.stateDict();
    expect(await (await trained(2, { replay: false })).stateDict()).toEqual(wanted);
    const checkpoints = memoryStore();
    await trained(1, { checkpoints });
    expect(await (await trained(2, { checkpoints }, true)).stateDict()).toEqual(wanted);
    // A run without the average is another one.
    const without = new SGD(made().model, { lr: 0.05, momentum: 0.9 });
    expect(() => without.loadStateDict({ "average.updates": Float32Array.of(1) })).toThrow(StateDictError);
  });
});

it("frees what it holds", () => {
  const model = net();
  const before = memory().bytes;
  const ema = new ExponentialMovingAverage(model);
  expect(memory().bytes).toBeGreaterThan(before);
  ema.dispose();
  expect(memory().bytes).toBe(before);
});

it("refuses what does not fit", async () => {
  const model = net();
  for (const decay of [-0.1, 1.1, Number.NaN, "0.9"])
    expect(() => new ExponentialMovingAverage(model, { decay: decay as number })).toThrow(
      /decay is a number from 0 to 1/,
    );
  expect(() => new ExponentialMovingAverage(new Sequential())).toThrow(/no parameters/);
  expect(() => new ExponentialMovingAverage(model.parameters() as never)).toThrow(ArgumentError);
  const ema = new ExponentialMovingAverage(model);
  const state = await ema.stateDict();
  const changed = (change: (s: StateDict) => void) => {
    const copy = new Map(state);
    change(copy);
    return () => ema.loadStateDict(copy);
  };
  expect(changed((s) => s.delete("n_averaged"))).toThrow(/missing n_averaged/);
  expect(changed((s) => s.set("module.9.weight", s.get("module.0.weight")!))).toThrow(/unexpected module.9.weight/);
  expect(changed((s) => s.set("module.0.weight", s.get("module.0.bias")!))).toThrow(StateDictError);
  expect(() => ema.loadStateDict({} as never)).toThrow(ArgumentError);
  expect(await ema.stateDict()).toEqual(state);
});
