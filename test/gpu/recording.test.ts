import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { fillKernel } from "../../shaders/elementwise.wgsl";
import { LifetimeError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import { BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Sequential } from "../../src/nn";
import { Adam } from "../../src/optim/adam";
import { SGD } from "../../src/optim/sgd";
import { mul } from "../../src/tensor/ops/elementwise";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { accumulateAt } from "../../src/tensor/ops/metrics";
import { RandomStream } from "../../src/tensor/ops/random";
import { Generator } from "../../src/tensor/random";
import { type RecordedStep, recordStep } from "../../src/tensor/recorded";
import { keep, memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { gpu, randomData } from "../support/gpu";
import { ownDevice } from "../support/own-device";

let d: Device;
const made: { dispose(): void }[] = [];
beforeAll(async () => {
  d = await gpu();
});
afterEach(() => {
  for (const each of made.splice(0)) each.dispose();
});

/**
 * A small network with everything that varies from step to step: batches, dropout, running
 * statistics, Adam's counts and rates.
 */
function training() {
  const random = new Generator(7);
  const dropout = new Dropout(0.3, { random: new Generator(5) });
  const net = new Sequential(
    new Conv2d(3, 8, 3, { padding: 1, random }),
    new BatchNorm(8, { relu: true }),
    new MaxPool2d(2),
    new Flatten(),
    dropout,
    new Linear(8 * 16, 5, { random }),
  );
  const adam = new Adam(net.parameters(), { lr: 0.01 });
  const x = keep(Tensor.full([6, 8, 8, 3], 0));
  const y = keep(Tensor.full([6], 0, "i32"));
  made.push(net, adam, x, y);
  const body = () => {
    adam.zeroGrad();
    const loss = crossEntropy(net.forward(x), y);
    loss.backward();
    adam.step();
    return loss;
  };
  /** Before a step: its batch, its dropout, its learning rate. */
  const prepare = (k: number) => {
    x.write(randomData([6, 8, 8, 3], 10 + k));
    y.write(Int32Array.from({ length: 6 }, (_, i) => (i * (k + 1)) % 5));
    if (k) dropout.stream.nextStep();
    adam.lr = 0.01 / (1 + k);
    adam.prepare();
  };
  return { net, body, prepare };
}

const state = async (net: Sequential) =>
  Object.fromEntries([...(await net.stateDict())].map(([name, { data }]) => [name, Array.from(data, Number)]));

describe("a recorded step", () => {
  it("trains to the same bits as one that is run anew every time", async () => {
    const [fresh, recorded] = [training(), training()];
    const losses: number[][] = [[], []];
    let step: RecordedStep<Tensor> | null = null;
    for (let k = 0; k < 6; k++) {
      fresh.prepare(k);
      const loss = scope(fresh.body);
      losses[0]!.push(await loss.item());
      loss.dispose();
      recorded.prepare(k);
      if (step) step.replay();
      else step = recordStep(recorded.body);
      losses[1]!.push(await step.result.item());
    }
    made.push(step!, step!.result);
    expect(new Set(losses[0]).size).toBe(6);
    expect(losses[1]).toEqual(losses[0]);
    const [a, b] = [await state(fresh.net), await state(recorded.net)];
    expect(a["1.num_batches_tracked"]).toEqual([6]);
    expect(b).toEqual(a);
  });

  it("is one submit of the same dispatches, and makes nothing", async () => {
    const { body, prepare } = training();
    prepare(0);
    scope(body).dispose();
    const step = recordStep(body);
    made.push(step, step.result);
    await d.sync();
    const before = { ...d.counters, ...memory() };
    step.replay();
    d.flush();
    const after = { ...d.counters, ...memory() };
    expect(after.dispatches - before.dispatches).toBe(step.commands);
    expect(after.submits - before.submits).toBe(1);
    for (const name of ["tensors", "storages", "bytes", "buffersCreated", "pipelines"] as const)
      expect(after[name]).toBe(before[name]);
  });

  it("shares its memory with nobody while it lives, and gives it back", async () => {
    const own = await ownDevice();
    const x = keep(Tensor.from(Float32Array.of(1, 2, 3, 4), [4], own));
    const y = keep(Tensor.empty([4], "f32", own));
    const used = () => own.poolStats.bytes - own.poolStats.freeBytes;
    const before = used();
    // y = x through memory that the step frees at once.
    const step = recordStep(() => {
      const inner = Tensor.empty([4], "f32", own);
      own.copy(x.buffer, inner.buffer, 16);
      own.copy(inner.buffer, y.buffer, 16);
    }, own);
    const strangers = [1, 2, 3].map((v) => {
      const t = keep(Tensor.empty([4], "f32", own));
      own.run(fillKernel, null, { y: t.buffer }, { n: 4, bits: v });
      return t;
    });
    x.write(Float32Array.of(5, 6, 7, 8));
    step.replay();
    expect(Array.from(await y.data())).toEqual([5, 6, 7, 8]);
    for (const [i, t] of strangers.entries())
      expect(Array.from(new Uint32Array((await t.data()).buffer))).toEqual(Array(4).fill(i + 1));
    for (const t of strangers) t.dispose();
    expect(used()).toBe(before + 256);
    // Memory of a tensor that somebody disposes stays the step's.
    y.dispose();
    expect(used()).toBe(before + 256);
    step.dispose();
    expect(used()).toBe(before - 256);
    expect(() => step.replay()).toThrow(LifetimeError);
    step.dispose();
    own.destroy();
  });

  it("names what it does: equal for equal steps, whatever memory they use", () => {
    const x = keep(Tensor.full([8], 1));
    const trace = (value: number) => {
      const step = recordStep(() => void Tensor.full([8], 0).fill(value));
      made.push(step);
      return step.trace();
    };
    made.push(x);
    expect(trace(1)).toBe(trace(1));
    expect(trace(2)).not.toBe(trace(1));
  });

  it("refuses uploads and recordings inside, and an error leaves nothing behind", async () => {
    const x = keep(Tensor.full([4], 1));
    made.push(x);
    expect(() => recordStep(() => Tensor.from(Float32Array.of(1), [1]))).toThrow(/uploaded while a step was recorded/);
    expect(() => recordStep(() => x.write(new Float32Array(4)))).toThrow(LifetimeError);
    const { recording } = d.record(() => x.write(new Float32Array(4)));
    expect(() => recording.replay()).toThrow(/make its tensors before/);
    recording.dispose();
    expect(() => recordStep(() => recordStep(() => x.fill(2)))).toThrow(/do not nest/);
    expect(() => recordStep(async () => x.fill(3))).toThrow(/synchronous/);
    const step = recordStep(() => void x.fill(4));
    made.push(step);
    x.fill(5);
    step.replay();
    expect(Array.from(await x.data())).toEqual([4, 4, 4, 4]);
  });

  it("goes through the uniform buffer too, past its slots", async () => {
    const own = await ownDevice({ immediates: false });
    const t = keep(Tensor.empty([4], "f32", own));
    const fill = (v: number) => own.run(fillKernel, null, { y: t.buffer }, { n: 4, bits: v });
    const step = recordStep(() => {
      for (let i = 0; i < 1500; i++) fill(i);
    }, own);
    fill(7);
    step.replay();
    await own.sync();
    expect(own.counters.submits).toBe(2);
    expect(Array.from(new Uint32Array((await t.data()).buffer))).toEqual(Array(4).fill(1499));
    step.dispose();
    own.destroy();
  });
});

describe("while kernels are compiled", () => {
  it("batches and uploads keep their order", async () => {
    const own = await ownDevice();
    const t = keep(Tensor.from(Float32Array.of(1, 1, 1, 1), [4], own));
    const copies = [2, 3, 4].map(() => keep(Tensor.empty([4], "f32", own)));
    // The first batch waits for its kernel; the writes and copies behind it must not overtake it.
    own.run(fillKernel, null, { y: t.buffer }, { n: 4, bits: 0 });
    own.flush();
    expect(own.counters.submits).toBe(0);
    const data = new Float32Array(4);
    for (const [i, c] of copies.entries()) {
      data.fill(i + 2);
      t.write(data);
      own.copy(t.buffer, c.buffer, 16);
    }
    data.fill(9);
    for (const [i, c] of copies.entries()) expect(Array.from(await c.data())).toEqual(Array(4).fill(i + 2));
    expect(own.counters.submits).toBeGreaterThan(1);
    own.destroy();
  });
});

describe("random numbers of a recorded step", () => {
  it("are others with each replay", async () => {
    const stream = new RandomStream(3);
    const step = recordStep(() => stream.uniform([4]));
    made.push(stream, step, step.result);
    const first = await step.result.data();
    step.replay();
    expect(await step.result.data()).not.toEqual(first);
    expect(stream.state()).toMatchObject({ step: 1, draw: 1 });
    stream.nextStep();
    step.replay();
    expect(stream.state()).toMatchObject({ step: 2, draw: 1 });
    // What is drawn beside it goes on behind it.
    const second = await step.result.data();
    const beside = stream.uniform([4]);
    expect(await beside.data()).not.toEqual(second);
    beside.dispose();
  });
});

describe("gradients of a recorded step", () => {
  /** One weight, whose gradient is the input: sums show what was added to what. */
  function sums() {
    const w = keep(Tensor.full([], 1));
    w.requiresGrad = true;
    const x = keep(Tensor.full([], 1));
    made.push(w, x);
    return { w, x, backward: () => mul(w, x).backward(), grad: async () => w.grad && (await w.grad.item()) };
  }
  const record = (body: () => void) => {
    const step = recordStep(body);
    made.push(step);
    return step;
  };

  it("are added up, whether there was one before or not", async () => {
    for (const first of [null, 1000]) {
      const { w, x, backward, grad } = sums();
      if (first !== null) {
        x.write([first]);
        backward();
      }
      x.write([1]);
      const step = record(backward);
      for (const value of [10, 100]) {
        x.write([value]);
        step.replay();
      }
      expect(await grad()).toBe((first ?? 0) + 111);
      // From outside: added to, too.
      x.write([5000]);
      backward();
      x.write([2]);
      step.replay();
      expect(await grad()).toBe((first ?? 0) + 5113);
      w.zeroGrad();
      step.replay();
      expect(await grad()).toBe(2);
    }
  });

  it("may be zeroed inside, at the start or at the end", async () => {
    const { w, x, backward, grad } = sums();
    const start = record(() => {
      w.zeroGrad();
      backward();
    });
    const seen = keep(Tensor.full([], 0));
    made.push(seen);
    const end = record(() => {
      backward();
      accumulateAt(seen.view([1]), 0, w.grad!);
      w.zeroGrad();
    });
    expect(w.grad).toBeNull();
    for (const value of [10, 100]) {
      x.write([value]);
      start.replay();
      expect(await grad()).toBe(value);
    }
    end.replay(); // 1 + 1 when it was recorded; now 100 and the 100 that it finds
    expect(await seen.item()).toBe(202);
    expect(w.grad).toBeNull();
    end.replay();
    expect(await seen.item()).toBe(302);
  });

  it("train, wherever zeroGrad and step stand", async () => {
    const run = async (where: "inside" | "outside" | "eager") => {
      const { w, x, backward } = sums();
      const sgd = new SGD([w], { lr: 0.5, momentum: 0.9 });
      made.push(sgd);
      let step: RecordedStep<void> | null = null;
      for (let k = 0; k < 4; k++) {
        x.write([k + 1]);
        const whole = () => {
          sgd.zeroGrad();
          backward();
          sgd.step();
        };
        if (where === "eager") whole();
        else if (where === "inside") {
          sgd.prepare();
          if (step) step.replay();
          else step = record(whole);
        } else {
          sgd.zeroGrad();
          if (step) step.replay();
          else step = record(backward);
          sgd.step();
        }
      }
      return w.item();
    };
    const right = await run("eager");
    expect(right).not.toBe(1);
    expect(await run("inside")).toBe(right);
    expect(await run("outside")).toBe(right);
  });

  it("are applied with the learning rate of the day", async () => {
    const { w, x, backward } = sums();
    const sgd = new SGD([w], { lr: 0.5 });
    made.push(sgd);
    sgd.prepare();
    const step = record(() => {
      sgd.zeroGrad();
      backward();
      sgd.step();
    });
    expect(await w.item()).toBe(0.5);
    sgd.lr = 0.25;
    x.write([2]);
    step.replay();
    expect(await w.item()).toBe(0);
  });

  it("of a leaf that is gone are refused", () => {
    const { w, backward } = sums();
    const step = record(backward);
    w.dispose();
    expect(() => step.replay()).toThrow(LifetimeError);
  });

  it("leave nothing behind", () => {
    const { w, backward } = sums();
    const before = memory();
    recordStep(backward).dispose();
    w.zeroGrad();
    expect(() =>
      recordStep(() => {
        backward();
        throw new Error("mine");
      }),
    ).toThrow("mine");
    w.zeroGrad();
    const after = memory();
    for (const name of ["tensors", "storages", "bytes"] as const) expect(after[name], name).toBe(before[name]);
  });

  it("a step that reads, or replays another, is refused", async () => {
    const { x } = sums();
    expect(() => recordStep(() => void x.item().catch(() => 0))).toThrow(/read back while a step was recorded/);
    expect(() => recordStep(() => 1)).toThrow(/nothing to do/);
    const inner = record(() => void x.fill(2));
    expect(() => recordStep(() => inner.replay())).toThrow(/do not nest/);
  });
});
