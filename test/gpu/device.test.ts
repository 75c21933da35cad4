import { beforeAll, describe, expect, it } from "vitest";
import { accumulateKernel, fillKernel, unaryKernel } from "../../shaders/elementwise.wgsl";
import { GpuError, LimitError } from "../../src/errors";
import { Device } from "../../src/gpu/device";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../../src/gpu/kernel";
import { dawn } from "../../src/node/dawn";
import { affine, relu, square } from "../../src/tensor/ops/elementwise";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";
import { ownDevice } from "../support/own-device";

let d: Device;
beforeAll(async () => {
  d = await gpu();
});

const tensor = (...values: number[]) => Tensor.from(Float32Array.from(values), [values.length]);
const numbers = async (t: Tensor) => Array.from(await t.data());

/** y[i] += 1, one workgroup an element. */
const countKernel = defineKernel({
  name: "test-count",
  key: () => "",
  bindings: { y: { access: "write", type: "u32" } },
  params: { n: "u32" },
  body: (_: null) => `
${linearMain(1)} {
  ${linearIndex("p.n", 1)}
  y[index] = y[index] + 1u + index;
}`,
  workgroups: (_, p) => linearGrid(p.n, 1),
});

// biome-ignore format: one line of letters
const NAMES = ["a", "b", "c", "d", "e", "f", "g", "h", "k", "l", "m", "n", "o", "q", "r", "s", "t", "v", "w", "z"] as const;
type Name = (typeof NAMES)[number];

/** More parameters than immediates hold, of all types. */
const manyKernel = defineKernel({
  name: "test-many",
  key: () => "",
  bindings: { y: { access: "write" } },
  params: { ...(Object.fromEntries(NAMES.map((n) => [n, "f32"])) as Record<Name, "f32">), i: "i32", u: "u32" },
  body: (_: null) => `
${linearMain()} {
  ${linearIndex("p.u")}
  y[index] = ${NAMES.map((n, k) => `${k + 1}.0 * p.${n}`).join(" + ")} + f32(p.i);
}`,
  workgroups: (_, p) => linearGrid(p.u),
});

describe("order", () => {
  it("of writes: what was recorded before sees the old values, what comes after the new ones", async () => {
    const x = tensor(1, 2);
    const before = square(x);
    x.write(Float32Array.of(3, 4));
    const after = square(x);
    x.fill(9);
    expect(await Promise.all([before, after, x].map(numbers))).toEqual([
      [1, 4],
      [9, 16],
      [9, 9],
    ]);
  });

  it("of uploads: a new tensor does not take memory that recorded commands still read", async () => {
    for (let i = 0; i < 3; i++) {
      const x = tensor(1, 2, 3);
      const { submits } = d.counters;
      const y = affine(x, 2);
      x.dispose();
      const z = tensor(7, 8, 9);
      expect(d.counters.submits).toBe(submits);
      expect(await Promise.all([y, z].map(numbers))).toEqual([
        [2, 4, 6],
        [7, 8, 9],
      ]);
      y.dispose();
      z.dispose();
    }
  });

  it("of copies", async () => {
    const [x, y] = [tensor(1, 2), tensor(3, 4)];
    d.copy(x.buffer, y.buffer, 8);
    x.fill(5);
    d.copy(x.buffer, y.buffer, 4);
    expect(await numbers(y)).toEqual([5, 2]);
  });

  it("of reads: each has the values of its own moment", async () => {
    const x = tensor(1);
    const first = x.data();
    x.fill(2);
    const second = x.data({ withStep: true });
    x.fill(3);
    const third = x.data();
    expect((await Promise.all([first, second, third])).map((v) => v[0])).toEqual([1, 2, 3]);
  });
});

describe("submits", () => {
  it("come only when asked for", async () => {
    await d.sync();
    const { submits, dispatches, bytesUploaded, bytesRead } = d.counters;
    const x = tensor(1, 2);
    const y = relu(square(x));
    const late = y.data({ withStep: true });
    expect(d.counters).toMatchObject({ submits, dispatches: dispatches + 2, bytesUploaded: bytesUploaded + 8 });
    d.flush();
    d.flush();
    expect(Array.from(await late)).toEqual([1, 4]);
    expect(d.counters).toMatchObject({ submits: submits + 1, bytesRead: bytesRead + 8 });
    await y.data();
    expect(d.counters.submits).toBe(submits + 2);
  });

  it("are not needed for a write to memory that no recorded command uses", async () => {
    const [x, other] = [tensor(1), tensor(2)];
    // Of a result that needs new memory, the submit waits until it is known that there is some.
    square(x).dispose();
    await d.sync();
    const { submits } = d.counters;
    const y = square(x);
    other.write(Float32Array.of(5));
    expect(d.counters.submits).toBe(submits);
    x.write(Float32Array.of(3));
    expect(d.counters.submits).toBe(submits + 1);
    expect(await numbers(y)).toEqual([1]);
  });

  it("are not made for nothing: empty tensors dispatch nothing", async () => {
    await d.sync();
    const before = { ...d.counters };
    const y = square(Tensor.from(new Float32Array(0), [0, 3]).fill(1));
    expect(await numbers(y)).toEqual([]);
    await d.sync();
    expect(d.counters).toEqual(before);
  });
});

describe("sizes", () => {
  it("are right past 65,535 workgroups", async () => {
    const n = 70_001;
    const t = Tensor.full([n], 0, "u32");
    d.run(countKernel, null, { y: t.buffer }, { n });
    const data = await t.data();
    expect(data.findIndex((v, i) => v !== i + 1)).toBe(-1);
    t.dispose();
  });

  it("are refused where they cannot be", () => {
    const most = d.gpu.limits.maxComputeWorkgroupsPerDimension;
    const straight = { ...countKernel, name: "test-straight", workgroups: () => [1, most + 1, 1] as const };
    const t = tensor(0);
    expect(() => d.run(straight, null, { y: t.buffer }, { n: 1 })).toThrow(LimitError);
    expect(() => d.run(straight, null, { y: t.buffer }, { n: 1 })).toThrow(/test-straight/);
    t.dispose();
  });

  it("of tensors are refused beyond what the device binds, and nothing is counted", () => {
    const before = memory();
    const room = Math.min(d.gpu.limits.maxBufferSize, d.gpu.limits.maxStorageBufferBindingSize);
    expect(() => Tensor.empty([room / 4 + 1])).toThrow(LimitError);
    expect(() => Tensor.full([2 ** 20, 2 ** 20], 1)).toThrow(/smaller batch/);
    expect(memory()).toEqual(before);
  });
});

describe("parameters", () => {
  const run = async (device: Device) => {
    const y = Tensor.from(new Float32Array(5), [5], device);
    const z = Tensor.from(new Float32Array(5), [5], device);
    const values = Object.fromEntries(NAMES.map((n, k) => [n, k - 7.5])) as Record<Name, number>;
    device.run(manyKernel, null, { y: y.buffer }, { ...values, i: -3, u: 4 });
    device.run(accumulateKernel, null, { x: y.buffer, y: z.buffer }, { n4: 2, a: -0.5 });
    device.run(manyKernel, null, { y: y.buffer }, { ...values, a: 1e6, i: 0, u: 1 });
    const out = [await numbers(y), await numbers(z)];
    y.dispose();
    z.dispose();
    return out;
  };

  it("more than immediates hold go through the uniform buffer, beside immediates", async () => {
    const sum = NAMES.reduce((s, _, k) => s + (k + 1) * (k - 7.5), 0) - 3;
    const again = sum + 3 + 7.5 + 1e6;
    expect(await run(d)).toEqual([
      [again, sum, sum, sum, 0],
      [-sum / 2, -sum / 2, -sum / 2, -sum / 2, 0],
    ]);
  });

  it("give the same numbers without immediates", async () => {
    const own = await ownDevice({ immediates: false });
    expect(await run(own)).toEqual(await run(d));
    own.destroy();
  });

  it("of more dispatches than the uniform buffer holds are all right, in two submits", async () => {
    const steps = 2100;
    const chain = async (device: Device) => {
      const pair = [1, 2].map(() => Tensor.from(Float32Array.of(1, 2, 3, 4), [4], device));
      await device.sync();
      const { submits } = device.counters;
      for (let i = 0; i < steps; i++) {
        const [x, y] = [pair[i % 2]!, pair[1 - (i % 2)]!];
        device.run(unaryKernel, "affine", { x: x.buffer, y: y.buffer }, { n4: 1, a: 0.75, b: i % 97 });
      }
      const out = await numbers(pair[steps % 2]!);
      for (const t of pair) t.dispose();
      return { out, submits: device.counters.submits - submits };
    };
    const own = await ownDevice({ immediates: false });
    const ring = await chain(own);
    own.destroy();
    let wanted = [1, 2, 3, 4].map(Math.fround);
    for (let i = 0; i < steps; i++) wanted = wanted.map((v) => 0.75 * v + (i % 97));
    ring.out.forEach((v, i) => {
      expect(v).toBeCloseTo(wanted[i]!, 3);
    });
    expect(ring.submits).toBe(2);
    expect((await chain(d)).out).toEqual(ring.out);
  });
});

describe("profile", () => {
  it("gives the time of every kernel, longest first", async (context) => {
    if (!d.gpu.features.has("timestamp-query")) return context.skip(`${d.name} has no timestamp-query`);
    const { submits } = d.counters;
    const started = performance.now();
    const times = await d.profile(() => {
      scope(() => {
        const x = Tensor.full([40_000], 2);
        relu(relu(square(x)));
      });
    });
    const wall = performance.now() - started;
    const counts = Object.fromEntries(times.map((t) => [t.kernel, t.dispatches]));
    expect(counts).toEqual({ fill: 1, "unary<relu>": 2, "unary<square>": 1 });
    const ms = times.map((t) => t.milliseconds);
    expect(ms).toEqual([...ms].sort((a, b) => b - a));
    expect(ms[0]).toBeGreaterThan(0);
    expect(ms.at(-1)).toBeGreaterThanOrEqual(0);
    expect(ms.reduce((a, b) => a + b)).toBeLessThan(wall);
    expect(d.counters.submits).toBe(submits + 1);
  });

  it("is over when its body throws", async (context) => {
    if (!d.gpu.features.has("timestamp-query")) return context.skip(`${d.name} has no timestamp-query`);
    const body = () => {
      tensor(1).fill(3);
      throw new Error("stop");
    };
    await expect(d.profile(body)).rejects.toThrow("stop");
    expect(await numbers(square(tensor(3)))).toEqual([9]);
  });

  it("says that it needs timestamps", async () => {
    const adapter = (await (await dawn()).requestAdapter())!;
    const plain = new Device(await adapter.requestDevice(), adapter.info);
    await expect(plain.profile(() => undefined)).rejects.toThrow(GpuError);
    plain.destroy();
  });
});

it("keeps kernels apart by specification and compiles each once", () => {
  const t = tensor(1);
  square(t);
  const { pipelines } = d.counters;
  for (let i = 0; i < 3; i++) square(t);
  d.run(fillKernel, null, { y: t.buffer }, { n: 1, bits: 0 });
  expect(d.counters.pipelines).toBe(pipelines);
});
