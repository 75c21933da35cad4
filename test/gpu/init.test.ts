import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AdapterNotFoundError, ArgumentError, DeviceLostError, GpuError } from "../../src/errors";
import type * as InitModule from "../../src/gpu/init";
import { dawn } from "../../src/node/dawn";

/**
 * A copy of the module with a current device of its own: the other tests' device stays the current
 * one.
 */
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

  it.each<[string, unknown, RegExp]>([
    ["poolBytes", -1, /number of at least 0, found -1/],
    ["poolBytes", Number.NaN, /NaN/],
    ["poolBytes", "512", /"512"/],
    ["poolBytes", null, /null/],
    ["precision", "f64", /f32, f16.*f64/],
    ["precision", Symbol("f16"), /symbol/],
    ["precision", null, /null/],
    ["tiling", "tiles", /workgroup.*tiles/],
    ["tiling", 3, /found 3/],
    ["winograd", "yes", /true, false or "auto".*yes/],
    ["winograd", {}, /winograd/],
    ["subgroups", "no", /true or false, found "no"/],
    ["subgroups", 0, /true or false, found 0/],
    ["immediates", null, /true or false, found null/],
    ["device", null, /a GPUDevice, found null/],
    ["device", {}, /a GPUDevice/],
    ["device", "gpu", /a GPUDevice/],
    ["adapter", {}, /a GPUAdapter/],
    ["adapter", 0, /a GPUAdapter, found 0/],
    ["gpu", {}, /a GPU/],
    ["gpu", null, /a GPU.*found null/],
    ["gpu", false, /a GPU/],
    ["poolbytes", 5, /no option "poolbytes".*poolBytes/],
  ])("refuses the option %s of a value that is none", async (name, value, expected) => {
    const living = await m.init({ gpu });
    for (const rest of name === "gpu" ? [{}] : [{ gpu }, {}]) {
      const error = await m.init({ ...rest, [name]: value }).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(ArgumentError);
      expect((error as Error).message).toMatch(expected);
      expect((error as Error).message.length).toBeLessThan(400);
    }
    expect(m.device()).toBe(living);
    living.destroy();
    const long = await m.init({ ["x".repeat(5000)]: 5 } as never).catch((e: unknown) => e);
    expect((long as Error).message.length).toBeLessThan(400);
  });

  it("checks every option that there is", async () => {
    // One that is in the types and not in the table, or the other way round, does not compile; and
    // these are they.
    const every: Required<InitModule.InitOptions> = {
      gpu,
      adapter: (await gpu.requestAdapter())!,
      device: await (await gpu.requestAdapter())!.requestDevice(),
      immediates: true,
      subgroups: true,
      poolBytes: Number.POSITIVE_INFINITY,
      tiling: "auto",
      precision: "f32",
      winograd: "auto",
      leakWarning: true,
    };
    (await m.init(every)).destroy();
    for (const name of Object.keys(every)) {
      const bad = m.init({ gpu, [name]: () => 3 });
      await expect(bad, name).rejects.toThrow(ArgumentError);
    }
  });

  it.each([null, "gpu", 3, []])("refuses %s in the place of options", async (options) => {
    await expect(m.init(options as never)).rejects.toThrow(ArgumentError);
  });

  it("opens a device as it is asked for, beside one that is otherwise", async () => {
    const living = await m.init({ gpu });
    vi.stubGlobal("navigator", { gpu });
    const other = await m.init({ poolBytes: 0, subgroups: false });
    expect(other).not.toBe(living);
    expect(other.caps.subgroupSize).toBe(0);
    expect(await m.init({})).toBe(other);
    expect(await m.init({ poolBytes: undefined } as never)).toBe(other);
    for (const d of [living, other]) d.destroy();
  });

  it("refuses a device that is gone, one that is not one, and a GPU that gives something else", async () => {
    const gone = await (await gpu.requestAdapter())!.requestDevice();
    gone.destroy();
    await expect(m.init({ device: gone })).rejects.toThrow(DeviceLostError);
    await expect(m.init({ device: gone })).rejects.toThrow(/is gone.*destroyed/);
    const odd = { requestAdapter: async () => ({}) } as unknown as GPU;
    await expect(m.init({ gpu: odd })).rejects.toThrow(ArgumentError);
  });

  it("does not swallow an error that is waiting to be told", async () => {
    const d = await m.init({ gpu });
    d.gpu.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE });
    expect(await m.init()).toBe(d);
    await expect(d.sync()).rejects.toThrow(GpuError);
  });
});
