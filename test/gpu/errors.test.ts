import { beforeAll, describe, expect, it } from "vitest";
import { accumulateKernel, fillKernel } from "../../shaders/elementwise.wgsl";
import { ArgumentError, DeviceLostError, GpuError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../../src/gpu/kernel";
import { Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";
import { ownDevice } from "../support/own-device";

const kernel = (name: string, body: string) =>
  defineKernel({
    name,
    key: () => "",
    bindings: { y: { access: "write" } },
    params: { n: "u32" },
    body: (_: null) => body,
    workgroups: (_, p) => linearGrid(p.n),
  });

const unparsable = kernel("test-unparsable", "fn main( {");
const unresolved = kernel("test-unresolved", `${linearMain()} { ${linearIndex("p.n")} y[index] = nowhere; }`);

const tensorOn = (d: Device, ...values: number[]) => Tensor.from(Float32Array.from(values), [values.length], d);
const failure = async (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (e: unknown) => e,
  );

beforeAll(gpu);

describe("what WebGPU refuses", () => {
  it("is thrown by the next call that waits, once, with the kernel's name; the device goes on", async () => {
    const d = await ownDevice();
    const t = tensorOn(d, 1, 2);
    for (const bad of [unparsable, unresolved, unresolved]) {
      d.run(bad, null, { y: t.buffer }, { n: 2 });
      const error = await failure(t.data());
      expect(error).toBeInstanceOf(GpuError);
      expect((error as Error).message).toContain(`of kernel ${bad.name}`);
      expect(Array.from(await t.data())).toEqual([1, 2]);
    }
    d.run(unparsable, null, { y: t.buffer }, { n: 2 });
    expect(() => d.flush()).toThrow(GpuError);
    await d.sync();
    d.destroy();
  });

  it("fails every read of the batch, not only the first", async () => {
    const d = await ownDevice();
    const t = tensorOn(d, 1, 2);
    const early = [t.data({ withStep: true }), t.data({ withStep: true })].map(failure);
    d.run(unresolved, null, { y: t.buffer }, { n: 2 });
    const late = failure(t.data());
    for (const e of await Promise.all([...early, late])) expect(e).toBeInstanceOf(GpuError);
    expect(Array.from(await t.data())).toEqual([1, 2]);
    d.destroy();
  });

  it("may be a destroyed buffer", async () => {
    const d = await ownDevice();
    const t = tensorOn(d, 1, 2);
    await d.sync();
    t.buffer.buffer.destroy();
    d.run(fillKernel, null, { y: t.buffer }, { n: 2, bits: 0 });
    const error = await failure(d.sync());
    expect(error).toBeInstanceOf(GpuError);
    expect((error as Error).message).toMatch(/fill.*destroyed/s);
    await d.sync();
    d.destroy();
  });

  it("may be one buffer bound for reading and writing", async () => {
    const d = await ownDevice();
    const t = tensorOn(d, 1, 2, 3, 4);
    d.run(accumulateKernel, null, { x: t.buffer, y: t.buffer }, { n4: 1, a: 1 });
    await expect(d.sync()).rejects.toThrow(/accumulate/);
    expect(Array.from(await t.data())).toEqual([1, 2, 3, 4]);
    d.destroy();
  });

  it("may be a buffer of another device, never taken for one of this", async () => {
    const [a, b] = [await ownDevice(), await ownDevice()];
    const [mine, other] = [tensorOn(a, 1, 2), tensorOn(b, 1, 2)];
    a.run(fillKernel, null, { y: mine.buffer }, { n: 2, bits: 0 });
    await a.sync();
    expect(() => a.run(fillKernel, null, { y: other.buffer }, { n: 2, bits: 1 })).toThrow(ArgumentError);
    expect(() => a.copy(mine.buffer, other.buffer, 8)).toThrow(/another device/);
    expect(() => a.write(other.buffer, Float32Array.of(9, 9))).toThrow(ArgumentError);
    await expect(a.read(other.buffer, 8)).rejects.toThrow(ArgumentError);
    await a.sync();
    expect(Array.from(await mine.data())).toEqual([0, 0]);
    expect(Array.from(await other.data())).toEqual([1, 2]);
    a.destroy();
    b.destroy();
  });
});

describe("a lost device", () => {
  it("ends every call and everybody who waits, destroyed by its owner", async () => {
    const d = await ownDevice();
    const t = tensorOn(d, 1, 2);
    const waiting = [t.data(), t.data({ withStep: true }), d.sync(), t.data({ withStep: true })].map(failure);
    d.destroy();
    for (const e of await Promise.all(waiting)) expect(e).toBeInstanceOf(DeviceLostError);
    expect(() => t.fill(1)).toThrow(DeviceLostError);
    expect(() => t.write(Float32Array.of(1, 2))).toThrow(DeviceLostError);
    expect(() => d.flush()).toThrow(/was destroyed: call init\(\)/);
    await expect(t.data()).rejects.toThrow(DeviceLostError);
    await expect(d.sync()).rejects.toThrow(DeviceLostError);
    await expect(d.profile(() => undefined)).rejects.toThrow();
    expect(d.isLost).toBe(true);
    d.destroy();
    t.dispose();
  });

  it("ends them too when it goes by itself", async () => {
    const d = await ownDevice();
    const t = tensorOn(d, 1, 2);
    const waiting = [t.data({ withStep: true }), t.data(), t.data({ withStep: true })].map(failure);
    d.gpu.destroy();
    for (const e of await Promise.all(waiting)) expect(e).toBeInstanceOf(DeviceLostError);
    expect(d.isLost).toBe(true);
    expect(() => t.fill(1)).toThrow(/resume from the last checkpoint/);
    // It stays lost, however often one asks.
    expect(() => t.fill(1)).toThrow(DeviceLostError);
    t.dispose();
  });
});
