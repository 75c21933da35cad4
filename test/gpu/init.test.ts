import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AdapterNotFoundError, ArgumentError, GpuError } from "../../src/errors";
import type * as InitModule from "../../src/gpu/init";
import { dawn } from "../../src/node/dawn";

/** A copy of the module with a current device of its own: the other tests' device stays the current one. */
async function freshModule(): Promise<typeof InitModule> {
  const path = `../../src/gpu/init?copy=${copies++}`;
  return (await import(/* @vite-ignore */ path)) as typeof InitModule;
}
let copies = 0;

let gpu: GPU;
let m: typeof InitModule;
beforeEach(async () => {
  gpu = await dawn();
  m = await freshModule();
  vi.stubGlobal("navigator", undefined);
});
afterEach(() => vi.unstubAllGlobals());

describe("init", () => {
  it("says what to do without WebGPU", async () => {
    await expect(m.init()).rejects.toThrow(AdapterNotFoundError);
    await expect(m.init()).rejects.toThrow(/navigator\.gpu.*dawn\(\)/);
    vi.stubGlobal("navigator", {});
    await expect(m.init()).rejects.toThrow(AdapterNotFoundError);
    expect(() => m.device()).toThrow(ArgumentError);
  });

  it("asks for a fast adapter, then for the fallback, then gives up", async () => {
    const asked: unknown[] = [];
    const none = { requestAdapter: async (o: unknown) => void asked.push(o) } as unknown as GPU;
    await expect(m.init({ gpu: none })).rejects.toThrow(/offers no adapter/);
    expect(asked).toEqual([{ powerPreference: "high-performance" }, { forceFallbackAdapter: true }]);
    const second = {
      requestAdapter: async (o: GPURequestAdapterOptions) => (o.forceFallbackAdapter ? gpu.requestAdapter() : null),
    } as GPU;
    expect((await m.init({ gpu: second })).name).not.toBe("");
  });

  it("takes what is given before what the browser has", async () => {
    const browser = { requestAdapter: vi.fn(() => gpu.requestAdapter()) };
    vi.stubGlobal("navigator", { gpu: browser });
    const given = await (await gpu.requestAdapter())!.requestDevice();
    expect((await m.init({ device: given })).gpu).toBe(given);
    const adapter = (await gpu.requestAdapter())!;
    const requested = vi.spyOn(adapter, "requestDevice");
    await m.init({ adapter });
    expect(requested).toHaveBeenCalledTimes(1);
    await m.init({ gpu });
    expect(browser.requestAdapter).not.toHaveBeenCalled();
    m.device().destroy();
    await m.init();
    expect(browser.requestAdapter).toHaveBeenCalledTimes(1);
  });

  it("requests the adapter's own limits and features", async () => {
    const adapter = (await gpu.requestAdapter())!;
    const d = await m.init({ adapter });
    for (const name of [
      "maxBufferSize",
      "maxStorageBufferBindingSize",
      "maxStorageBuffersPerShaderStage",
      "maxComputeInvocationsPerWorkgroup",
      "maxComputeWorkgroupSizeX",
      "maxComputeWorkgroupStorageSize",
      "maxComputeWorkgroupsPerDimension",
    ] as const) {
      expect([name, d.gpu.limits[name]]).toEqual([name, adapter.limits[name]]);
    }
    for (const name of ["subgroups", "timestamp-query"] as const) {
      expect(d.gpu.features.has(name)).toBe(adapter.features.has(name));
    }
    expect(d.caps.maxStorageBuffers).toBe(adapter.limits.maxStorageBuffersPerShaderStage);
    expect((await m.init({ gpu, subgroups: false })).caps.subgroupSize).toBe(0);
  });

  it("returns the living device to everybody who asks without options", async () => {
    const d = await m.init({ gpu });
    expect(await m.init()).toBe(d);
    expect(m.device()).toBe(d);
    d.destroy();
    vi.stubGlobal("navigator", { gpu });
    const [a, b] = await Promise.all([m.init(), m.init()]);
    expect(a).not.toBe(d);
    expect(b).toBe(a);
    expect(m.device()).toBe(a);
  });

  it("recovers from a failed attempt", async () => {
    await expect(m.init()).rejects.toThrow(AdapterNotFoundError);
    vi.stubGlobal("navigator", { gpu });
    expect(await m.init()).toBe(m.device());
  });

  it("says that an adapter is used up", async () => {
    const adapter = (await gpu.requestAdapter())!;
    await m.init({ adapter });
    await expect(m.init({ adapter })).rejects.toThrow(AdapterNotFoundError);
  });

  it("does not swallow an error that is waiting to be told", async () => {
    const d = await m.init({ gpu });
    d.gpu.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE });
    expect(await m.init()).toBe(d);
    await expect(d.sync()).rejects.toThrow(GpuError);
  });
});
