import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { unaryKernel } from "../../shaders/elementwise.wgsl";
import { DeviceLostError, GpuError, LimitError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import { init } from "../../src/gpu/init";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../../src/gpu/kernel";
import { sizeClass } from "../../src/gpu/pool";
import { BatchNorm, Linear, ReLU, Sequential } from "../../src/nn";
import { dawn } from "../../src/node/dawn";
import { Adam } from "../../src/optim/adam";
import { affine, square } from "../../src/tensor/ops/elementwise";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { Generator } from "../../src/tensor/random";
import { recordStep } from "../../src/tensor/recorded";
import { keep, memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { randomData } from "../support/gpu";
import { ownDevice } from "../support/own-device";

/** How WebGPU says that there is no memory: at once, or late and with a buffer that is none. */
type Way = "throws" | "late";
const WAYS = ["throws", "late"] as const;

/** Counts the buffers that are asked of a device, and has it refuse some, `tries` times each. */
class Scarcity {
  asked = 0;
  way: Way = "throws";
  tries = Number.POSITIVE_INFINITY;
  /** Which it refuses. */
  refuses: (ask: number, descriptor: GPUBufferDescriptor) => boolean = () => false;
  private readonly asks = new Map<GPUBufferDescriptor, { ask: number; tries: number }>();

  constructor(gpu: GPUDevice) {
    const create = gpu.createBuffer.bind(gpu);
    gpu.createBuffer = (descriptor) => {
      // A second try is the same ask.
      const known = this.asks.get(descriptor) ?? { ask: ++this.asked, tries: 0 };
      this.asks.set(descriptor, known);
      if (!this.refuses(known.ask, descriptor) || ++known.tries > this.tries) return create(descriptor);
      if (this.way === "throws") throw new RangeError("createBuffer failed to allocate a buffer");
      return create({ ...descriptor, size: 2 ** 50 });
    };
  }

  end(): void {
    this.refuses = () => false;
    this.tries = Number.POSITIVE_INFINITY;
    this.asked = 0;
    this.asks.clear();
  }
}

let d: Device;
let scarcity: Scarcity;
beforeAll(async () => {
  d = await init({ gpu: await dawn() });
  scarcity = new Scarcity(d.gpu);
});
beforeEach(afresh);
afterAll(() => d.destroy());

/** Nothing waits: every buffer is asked for again. */
async function afresh(): Promise<void> {
  await d.sync();
  d.pool.trim(0);
  (d as unknown as { readback: { trim(): number } }).readback.trim();
  scarcity.end();
}

/** Everything that anybody is told because of `body`, while it runs and afterwards. */
async function told(body: () => Promise<unknown>): Promise<Error[]> {
  const found: Error[] = [];
  const note = (e: unknown) => void found.push(e as Error);
  await body().catch(note);
  for (let i = 0; i < 3; i++) await d.sync().catch(note);
  return found;
}

/** One LimitError, once, that names what there was no memory for, and no kernel. */
function expectRefusal(found: readonly Error[], what: string): void {
  const all = found.map((e) => `${e.constructor.name} ${e.message}`).join("\n");
  expect(found.length, `${what}\n${all}`).toBe(1);
  expect(found[0], `${what}\n${all}`).toBeInstanceOf(LimitError);
  expect(all, what).toMatch(/no memory for (a tensor of|reading) \d+ bytes/);
  expect(all, what).toMatch(/smaller batch.*accumulate.*dispose/);
  expect(all, what).not.toMatch(/kernel|unary|gemm|submit/i);
}

const counts = () => {
  const { tensors, storages, bytes } = memory();
  return { tensors, storages, bytes };
};

/** y[i] += 1. */
const countKernel = defineKernel({
  name: "test-count-f32",
  key: () => "",
  bindings: { y: { access: "write" } },
  params: { n: "u32" },
  body: (_: null) => `${linearMain()} { ${linearIndex("p.n")} y[index] += 1.0; }`,
  workgroups: (_, p) => linearGrid(p.n),
});

/** A network, its optimiser, and steps that read their loss. */
function training() {
  const random = new Generator(7);
  const net = new Sequential(
    new Linear(300, 40, { random }),
    new BatchNorm(40),
    new ReLU(),
    new Linear(40, 3, { random }),
  );
  const adam = new Adam(net.parameters(), { lr: 0.05 });
  const loss = () =>
    scope(() => {
      const x = Tensor.from(randomData([20, 300], 5), [20, 300]);
      const labels = Int32Array.from({ length: 20 }, (_, i) => i % 3);
      const y = Tensor.from(labels, [20]);
      adam.zeroGrad();
      const out = crossEntropy(net.forward(x), y);
      out.backward();
      adam.step();
      return out;
    });
  const step = async (): Promise<number> => {
    let out: Tensor | null = null;
    try {
      out = loss();
      return await out.item();
    } finally {
      out?.dispose();
      adam.zeroGrad();
    }
  };
  const weights = async () => Promise.all(net.parameters().map(async (p) => Array.from(await p.data())));
  const dispose = () => {
    adam.zeroGrad();
    adam.dispose();
    net.dispose();
  };
  /** Running statistics too; the host's count of batches is not the device's. */
  const state = async () => {
    const all = [...(await net.stateDict())].filter(([name]) => !name.includes("tracked"));
    return all.map(([, { data }]) => Array.from(data, Number));
  };
  return { step, weights, state, dispose };
}

describe.each(WAYS)("memory that is refused (%s)", (way) => {
  it("for anything of a network and its first step is one LimitError, and the same works afterwards", async () => {
    const whole = training();
    const losses = [await whole.step(), await whole.step()];
    const wanted = await whole.weights();
    whole.dispose();
    await afresh();
    // Buffers of the weights, of the step, and to read the loss.
    const counted = training();
    await counted.step();
    counted.dispose();
    const count = scarcity.asked;
    expect(count).toBeGreaterThan(20);
    for (let k = 1; k <= count; k++) {
      await afresh();
      scarcity.way = way;
      scarcity.refuses = (ask) => ask === k;
      const made: ReturnType<typeof training>[] = [];
      const found = await told(async () => {
        made.push(training());
        await made[0]!.step();
      });
      expectRefusal(found, `buffer ${k} of ${count}`);
      scarcity.end();
      for (const t of made) t.dispose();
      const again = training();
      expect([await again.step(), await again.step()], `after buffer ${k}`).toEqual(losses);
      expect(await again.weights(), `after buffer ${k}`).toEqual(wanted);
      again.dispose();
    }
  });

  it("in a step of a network that is there leaves it as it was, and is no more in the statistics", async () => {
    // Weights and moments are still being filled when the step is given.
    for (const settled of [true, false]) {
      const reference = training();
      const wanted = [await reference.step(), await reference.step()];
      const state = await reference.state();
      reference.dispose();
      await afresh();
      for (let k = 1; ; k++) {
        await afresh();
        const before = counts();
        const t = training();
        if (settled) await d.sync();
        const there = counts();
        const { asked } = scarcity;
        scarcity.way = way;
        scarcity.refuses = (ask) => ask === asked + k;
        const found = await told(() => t.step());
        if (scarcity.asked < asked + k) {
          scarcity.end();
          t.dispose();
          break;
        }
        const what = `buffer ${k} of a step${settled ? "" : ", given with the network"}`;
        expectRefusal(found, what);
        scarcity.end();
        expect(counts(), what).toEqual(there);
        expect([await t.step(), await t.step()], what).toEqual(wanted);
        expect(await t.state(), what).toEqual(state);
        t.dispose();
        await afresh();
        expect(counts(), what).toEqual(before);
        const alive = before.storages === 0 ? { buffers: 0, bytes: 0, freeBytes: 0 } : {};
        expect(d.poolStats, what).toMatchObject(alive);
      }
    }
  });
});

const tensor = (...values: number[]) => Tensor.from(Float32Array.from(values), [values.length]);
const numbers = async (t: Tensor) => Array.from(await t.data());

/** Has the next buffers of more than `bytes` refused. */
function refuseBeyond(bytes: number, way: Way): void {
  scarcity.way = way;
  scarcity.refuses = (_, { size }) => size > bytes;
}

describe.each(WAYS)("memory that is refused (%s)", (way) => {
  it("is tried once more when waiting buffers were destroyed, and nobody learns of it", async () => {
    const waiting = Tensor.full([20_000], 1);
    const x = tensor(1, 2, 3);
    await d.sync();
    waiting.dispose();
    const { bytes, freeBytes } = d.poolStats;
    expect(freeBytes).toBeGreaterThanOrEqual(80_000);
    scarcity.way = way;
    scarcity.tries = 1;
    const next = scarcity.asked + 1;
    scarcity.refuses = (ask) => ask === next;
    const y = Tensor.full([10_000], 3);
    const z = affine(y, 2, 1);
    const data = await z.data();
    expect([data.length, data[0], data[9999]]).toEqual([10_000, 7, 7]);
    expect(await numbers(square(x))).toEqual([1, 4, 9]);
    expect(d.poolStats.bytes).toBeLessThanOrEqual(bytes - sizeClass(80_000) + 2 * sizeClass(40_000) + 512);
    for (const t of [x, y, z]) t.dispose();
  });

  it("leaves what does not hang on it, and refuses what does, whoever uses it", async () => {
    const old = Tensor.full([4], 2);
    await d.sync();
    const fresh = square(old);
    const before = { ...d.poolStats };
    refuseBeyond(30_000, way);
    const lost: Tensor[] = [];
    const found = await told(async () => {
      const big = Tensor.full([10_000], 3);
      lost.push(big);
      lost.push(square(big));
      old.fill(9);
      await old.data();
    });
    expectRefusal(found, "a large tensor");
    expect(found[0]!.message).toContain("40000 bytes");
    expect(d.poolStats).toMatchObject({ buffers: before.buffers, bytes: before.bytes, created: before.created });
    expect(d.poolStats.peakBytes).toBe(before.peakBytes);
    scarcity.end();
    // What was there is as it was, what came of it too.
    expect(await numbers(old)).toEqual([2, 2, 2, 2]);
    expect(await numbers(fresh)).toEqual([4, 4, 4, 4]);
    for (const t of lost) {
      await expect(t.data()).rejects.toThrow(LimitError);
      expect(() => square(t)).toThrow(LimitError);
      expect(() => d.copy(t.buffer, old.buffer, 16)).toThrow(LimitError);
    }
    expect(await told(async () => undefined)).toEqual([]);
    for (const t of lost) t.dispose();
    const again = Tensor.full([10_000], 3);
    expect((await square(again).data())[9999]).toBe(9);
  });

  it("does not undo what was submitted before", async () => {
    const x = tensor(1, 2);
    await d.sync();
    x.fill(3);
    // Waits for its turn, as y is new memory; and is done, as is what is read with it.
    const y = Tensor.full([3000], 2);
    const read = x.data({ withStep: true }).catch((e: unknown) => e as Error);
    d.flush();
    x.fill(4);
    refuseBeyond(30_000, way);
    const lost: Tensor[] = [];
    const found = await told(async () => {
      lost.push(Tensor.full([10_000], 3));
    });
    expectRefusal(found, "a large tensor");
    scarcity.end();
    expect(await read).toEqual(way === "throws" ? Float32Array.of(3, 3) : found[0]);
    expect(await numbers(x)).toEqual([3, 3]);
    expect((await y.data())[2999]).toBe(2);
    for (const t of [x, y, ...lost]) t.dispose();
  });

  it("for the sizes of kernels is found anew at the next dispatch", async () => {
    const own = await ownDevice({ immediates: false });
    const scarce = new Scarcity(own.gpu);
    const x = Tensor.from(Float32Array.of(1, 2, 3, 4), [4], own);
    const y = Tensor.from(new Float32Array(4), [4], own);
    await own.sync();
    scarce.way = way;
    scarce.refuses = () => true;
    const run = () => own.run(unaryKernel, "affine", { x: x.buffer, y: y.buffer }, { n4: 1, a: 2, b: 1 });
    const attempt = async () => {
      run();
      await own.sync();
    };
    await expect(attempt()).rejects.toThrow(/no memory for the sizes that kernels take/);
    await own.sync();
    scarce.end();
    expect(await numbers(y)).toEqual([0, 0, 0, 0]);
    await attempt();
    expect(await numbers(y)).toEqual([3, 5, 7, 9]);
    own.destroy();
  });

  it("while a step is recorded: it is recorded again", async () => {
    const x = keep(Tensor.from(new Float32Array(10_000).fill(2), [10_000]));
    await d.sync();
    const body = () => affine(square(x), 3, 1);
    refuseBeyond(30_000, way);
    const made: { dispose(): void }[] = [];
    const found = await told(async () => {
      const step = recordStep(body);
      made.push(step, step.result);
      await step.result.data();
    });
    expectRefusal(found, "a recorded step");
    if (way === "late") expect(() => (made[0] as ReturnType<typeof recordStep>).replay()).toThrow(LimitError);
    for (const each of made) each.dispose();
    scarcity.end();
    const step = recordStep(body);
    expect((await step.result.data())[0]).toBe(13);
    refuseBeyond(0, way);
    x.write(new Float32Array(10_000).fill(3));
    step.replay();
    // A replay asks for no memory but to read into.
    await d.sync();
    scarcity.end();
    expect((await step.result.data())[9999]).toBe(28);
    step.dispose();
    step.result.dispose();
    x.dispose();
  });
});

describe("a device", () => {
  it("that is lost while it is not known yet whether there is memory says that it is lost", async () => {
    const own = await ownDevice();
    const t = Tensor.from(new Float32Array(5000), [5000], own);
    const waiting = [t.data(), own.sync(), t.data({ withStep: true })].map((p) => p.catch((e: unknown) => e));
    own.destroy();
    for (const e of await Promise.all(waiting)) expect(e).toBeInstanceOf(DeviceLostError);
    expect(() => t.fill(1)).toThrow(DeviceLostError);
  });

  it("whose memory cannot be mapped says so, and reads the next time", async () => {
    const t = tensor(1, 2);
    expect(await numbers(t)).toEqual([1, 2]);
    const map = vi.spyOn(GPUBuffer.prototype, "mapAsync").mockRejectedValueOnce(new Error("no mapping"));
    const found = await told(() => t.data());
    map.mockRestore();
    expect(found.map(String)).toEqual([expect.stringMatching(/GpuError: reading 8 bytes back failed.*no mapping/)]);
    expect(await numbers(t)).toEqual([1, 2]);
    t.dispose();
  });

  it("that runs out of memory for anything else blames no kernel", async () => {
    const own = await ownDevice();
    const t = Tensor.from(Float32Array.of(1, 2), [2], own);
    await own.sync();
    const event = Object.assign(new Event("uncapturederror"), { error: new GPUOutOfMemoryError("of memory") });
    t.fill(3);
    own.flush();
    own.gpu.dispatchEvent(event);
    await expect(own.sync()).rejects.toThrow(LimitError);
    await own.sync();
    own.destroy();
  });

  it("refuses what a batch with a faulty kernel was to fill, and keeps what was there", async () => {
    const faulty = defineKernel({
      name: "test-faulty",
      key: () => "",
      bindings: { y: { access: "write" } },
      params: { n: "u32" },
      body: (_: null) => `${linearMain()} { ${linearIndex("p.n")} y[index] = nowhere; }`,
      workgroups: (_, p) => linearGrid(p.n),
    });
    const old = tensor(1, 2, 3, 4);
    const table = square(old);
    const result = Tensor.empty([4]);
    d.run(faulty, null, { y: result.buffer }, { n: 4 });
    const next = affine(result, 2, 1);
    old.fill(7);
    const found = await told(() => next.data());
    expect(found.map((e) => e.constructor.name)).toEqual(["GpuError"]);
    expect(found[0]!.message).toContain("test-faulty");
    expect(await numbers(old)).toEqual([1, 2, 3, 4]);
    expect(await numbers(table)).toEqual([1, 4, 9, 16]);
    for (const t of [result, next]) await expect(t.data()).rejects.toThrow(GpuError);
    for (const t of [result, next]) t.dispose();
    expect(await numbers(affine(old, 2, 1))).toEqual([3, 5, 7, 9]);
  });

  it("compiles a kernel again that it had no room for", async () => {
    const t = tensor(1, 2, 3, 4);
    await d.sync();
    const own = defineKernel({ ...countKernel, name: "test-room" });
    const refuse = vi.spyOn(d.gpu, "createComputePipelineAsync");
    refuse.mockRejectedValueOnce(new GPUPipelineError("out of memory", { reason: "internal" }));
    d.run(own, null, { y: t.buffer }, { n: 4 });
    const found = await told(() => t.data());
    refuse.mockRestore();
    expect(found.map(String)).toEqual([expect.stringMatching(/GpuError.*test-room.*out of memory/)]);
    expect(await numbers(t)).toEqual([1, 2, 3, 4]);
    d.run(own, null, { y: t.buffer }, { n: 4 });
    expect(await numbers(t)).toEqual([2, 3, 4, 5]);
    t.dispose();
  });
});
