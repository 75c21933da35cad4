import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it, vi } from "vitest";
import { AdapterNotFoundError, ArgumentError } from "../../src/errors";
import { classifyAdapter } from "../../src/gpu/adapter";
import { findAdapter, type Machine } from "../../src/node/adapter-search";
import { dawn, describeAdapter } from "../../src/node/dawn";

const bookworm = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n';
const noPackage = "it is not unpacked, and @sparticuz/chromium is not installed";

type Info = Parameters<typeof classifyAdapter>[0];
const info = (fields: Partial<Info>): Info => ({
  vendor: "",
  architecture: "",
  device: "",
  description: "",
  ...fields,
});
const lavapipe = info({
  vendor: "mesa",
  device: "llvmpipe-llvm-15",
  description: "Mesa 25.0.7",
  isFallbackAdapter: true,
});
const swiftshader = info({ vendor: "google", architecture: "swiftshader", isFallbackAdapter: true });
const card = info({ vendor: "nvidia", architecture: "ampere", isFallbackAdapter: false });

/** An instance that offers these adapters, the first that suits a request. */
function instance(...infos: Info[]): GPU {
  const requestAdapter = async (options?: GPURequestAdapterOptions) => {
    const found = infos.find((one) => !options?.forceFallbackAdapter || one.isFallbackAdapter);
    return found ? { info: found } : null;
  };
  return { requestAdapter } as unknown as GPU;
}

/** A bare Debian 12, changed as a test needs. */
function machine(changes: Partial<Machine> = {}): Machine {
  return {
    platform: "linux",
    arch: "x64",
    osRelease: bookworm,
    root: false,
    clone: false,
    env: {},
    mainThread: true,
    loadLibrary: () => false,
    driverManifests: () => [],
    swiftShader: () => Promise.reject(new Error(noPackage)),
    loadDawn: async () => () => instance(),
    ...changes,
  };
}

const withDrivers = (name: string, ...infos: Info[]): Partial<Machine> => ({
  loadLibrary: () => true,
  driverManifests: () => [`/usr/share/vulkan/icd.d/${name}`],
  loadDawn: async () => () => instance(...infos),
});

/** What `dawn()` gives in a worker thread: the kind of its adapter, or its error. */
function inWorker(adapter: string): Promise<{ kind?: string; error?: string }> {
  const module = new URL("../../src/node/dawn.ts", import.meta.url).href;
  const code = `
    const { parentPort } = require("node:worker_threads");
    const open = async () => {
      (await import("tsx/esm/api")).register();
      const { dawn, describeAdapter } = await import(${JSON.stringify(module)});
      const gpu = await dawn({ adapter: ${JSON.stringify(adapter)} });
      return { kind: describeAdapter(await gpu.requestAdapter()).kind };
    };
    open().catch((e) => ({ error: String(e) })).then((answer) => parentPort.postMessage(answer));`;
  return new Promise((resolve, reject) => {
    const worker = new Worker(code, { eval: true, execArgv: [] });
    worker.once("error", reject);
    worker.once("message", (answer) => void worker.terminate().then(() => resolve(answer)));
  });
}

async function failure(choice: Parameters<typeof findAdapter>[0], on: Machine): Promise<string> {
  const error = await findAdapter(choice, on).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AdapterNotFoundError);
  return (error as Error).message;
}

describe("classifyAdapter", () => {
  it("tells the classes apart, also from the little a browser shows", () => {
    expect(classifyAdapter(card)).toBe("hardware");
    expect(classifyAdapter(lavapipe)).toBe("lavapipe");
    expect(classifyAdapter(info({ vendor: "mesa", isFallbackAdapter: true }))).toBe("lavapipe");
    expect(classifyAdapter(info({ vendor: "google", architecture: "swiftshader" }))).toBe("swiftshader");
    expect(classifyAdapter(info({ description: "Microsoft Basic Render Driver" }))).toBe("software");
    expect(classifyAdapter(info({ vendor: "other", isFallbackAdapter: true }))).toBe("software");
    expect(classifyAdapter(info({ vendor: "intel", description: "Intel (Mesa 25.0)" }))).toBe("hardware");
  });
});

describe("findAdapter", () => {
  it("prefers hardware, then the system's software adapter, then the embedded one", async () => {
    const embedded: Partial<Machine> = {
      loadLibrary: () => true,
      swiftShader: async () => "/ss",
      loadDawn: async () => () => instance(swiftshader),
    };
    expect((await findAdapter("auto", machine(withDrivers("nvidia_icd.json", card, lavapipe)))).kind).toBe("hardware");
    expect((await findAdapter("auto", machine(withDrivers("lvp_icd.json", lavapipe)))).kind).toBe("lavapipe");
    expect((await findAdapter("lavapipe", machine(withDrivers("all.json", card, lavapipe)))).kind).toBe("lavapipe");
    expect((await findAdapter("auto", machine(embedded))).kind).toBe("swiftshader");
  });

  it("points the loader at the embedded driver, and a later search takes that back", async () => {
    const env: NodeJS.ProcessEnv = {};
    const loadLibrary = (path: string) => path === "/ss/libvulkan.so.1";
    const loadDawn = async () => () => instance(...(env["VK_DRIVER_FILES"] ? [swiftshader] : []));
    const on = machine({ env, loadLibrary, loadDawn, swiftShader: async () => "/ss" });
    await findAdapter("swiftshader", on);
    expect(env["VK_DRIVER_FILES"]).toBe("/ss/vk_swiftshader_icd.json");
    await failure("hardware", on);
    expect(env["VK_DRIVER_FILES"]).toBeUndefined();
  });

  it("leaves drivers that the user named alone", async () => {
    const env: NodeJS.ProcessEnv = { VK_DRIVER_FILES: "/mine.json" };
    await findAdapter("auto", machine({ env, ...withDrivers("mine.json", card) }));
    expect(env).toEqual({ VK_DRIVER_FILES: "/mine.json" });
  });

  it("takes the embedded loader for installed drivers that lack one", async () => {
    const on = withDrivers("nvidia_icd.json", card);
    const loadLibrary = (path: string) => path === "/ss/libvulkan.so.1";
    expect((await findAdapter("auto", machine({ ...on, loadLibrary, swiftShader: async () => "/ss" }))).kind).toBe(
      "hardware",
    );
    expect(await failure("hardware", machine({ ...on, loadLibrary }))).toContain("no Vulkan loader (libvulkan.so.1)");
  });

  it("lists on a bare Debian 12 what was tried and what helps, without starting Dawn (which would print)", async () => {
    const create = vi.fn(() => instance());
    const message = await failure("auto", machine({ loadDawn: async () => create }));
    expect(create).not.toHaveBeenCalled();
    expect(message).toContain("hardware adapter: neither a Vulkan loader (libvulkan.so.1) nor a driver is installed");
    expect(message).toContain("(Mesa lavapipe): neither");
    expect(message).toContain(`embedded SwiftShader: ${noPackage}`);
    expect(message).toContain("npm install --save-dev @sparticuz/chromium@147.0.0");
    expect(message).toContain("sudo apt-get install -y -t bookworm-backports mesa-vulkan-drivers");
    expect(message.indexOf("hardware adapter:")).toBeLessThan(message.indexOf("embedded SwiftShader:"));
  });

  it("names the obstacle: a loader without driver, drivers that Dawn refuses", async () => {
    expect(await failure("auto", machine({ loadLibrary: () => true }))).toContain("is installed, but no driver for it");
    const refused = await failure("lavapipe", machine(withDrivers("lvp_icd.x86_64.json")));
    expect(refused).toContain("lvp_icd.x86_64.json");
    expect(refused).toContain("Dawn refuses Mesa 22.3");
    expect(refused).not.toContain("sparticuz");
  });

  it.each([
    ["a clone", { clone: true }, "npm run setup"],
    ["root", { root: true }, "&& apt-get install -y -t bookworm-backports mesa-vulkan-drivers"],
    [
      "Ubuntu 24.04",
      { osRelease: 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n' },
      "sudo apt-get install -y mesa-vulkan",
    ],
    ["Fedora", { osRelease: "ID=fedora\nVERSION_ID=42\n" }, "sudo dnf install -y mesa-vulkan-drivers"],
    ["Rocky", { osRelease: 'ID="rocky"\nID_LIKE="rhel centos fedora"\n' }, "sudo dnf install"],
    ["Arch", { osRelease: "ID=arch\n" }, "vulkan-swrast"],
    ["macOS", { platform: "darwin" as const }, "Metal"],
    ["Windows", { platform: "win32" as const }, "Direct3D 12"],
  ])("gives the command for %s", async (_, changes, expected) => {
    expect(await failure("auto", machine(changes))).toContain(expected);
  });

  it("asks for the `webgpu` package when that is what lacks, and says when its binary does not load", async () => {
    const drivers = withDrivers("nvidia_icd.json", card);
    const missing = new Error("Cannot find package 'webgpu' imported from /app/node.js");
    const message = await failure("auto", machine({ ...drivers, loadDawn: () => Promise.reject(missing) }));
    expect(message).toContain("npm install webgpu");
    expect(message).not.toContain("mesa");
    const broken = new Error("GLIBC_2.34 not found");
    expect(await failure("auto", machine({ ...drivers, loadDawn: () => Promise.reject(broken) }))).toContain(
      "GLIBC_2.34",
    );
  });

  it("explains the worker thread's environment", async () => {
    const on = machine({ mainThread: false, loadLibrary: () => true, swiftShader: async () => "/ss" });
    expect(await failure("swiftshader", on)).toContain("SHARE_ENV");
  });

  const systems: Record<string, Info[]> = {
    "no driver": [],
    "a card": [card],
    "a card and lavapipe": [card, lavapipe],
    lavapipe: [lavapipe],
    "another software adapter": [info({ description: "Software Rasterizer", isFallbackAdapter: true })],
    "SwiftShader, set before the process started": [swiftshader],
  };
  const choices = ["auto", "hardware", "lavapipe", "swiftshader"] as const;
  const threads = ["the main thread", "a worker", "a worker that shares its environment"] as const;
  it.each(
    Object.keys(systems).flatMap((system) =>
      threads.flatMap((thread) =>
        [true, false].flatMap((embedded) => choices.map((choice) => ({ choice, system, thread, embedded }))),
      ),
    ),
  )("$choice with $system on $thread (SwiftShader there: $embedded) is that adapter or refused", async (row) => {
    const { choice, system, thread, embedded } = row;
    const env: NodeJS.ProcessEnv = {};
    // What native code sees: nothing of what a worker sets in its own copy.
    const drivers = () =>
      env["VK_DRIVER_FILES"] === "/ss/vk_swiftshader_icd.json" && thread !== "a worker"
        ? [swiftshader]
        : systems[system]!;
    const on = machine({
      env,
      mainThread: thread === "the main thread",
      loadLibrary: () => true,
      driverManifests: () => systems[system]!.map((_, i) => `/usr/share/vulkan/icd.d/${i}.json`),
      swiftShader: embedded ? async () => "/ss" : () => Promise.reject(new Error(noPackage)),
      loadDawn: async () => () => instance(...drivers()),
    });
    const found = await findAdapter(choice, on).catch((error: unknown) => error);
    if (found instanceof Error) {
      expect(found).toBeInstanceOf(AdapterNotFoundError);
      expect(env).toEqual({});
      if (choice === "swiftshader" && embedded && thread === "a worker")
        expect(found.message).toContain("main thread first");
      return;
    }
    const { gpu, kind, request } = found as Awaited<ReturnType<typeof findAdapter>>;
    if (choice !== "auto") expect(kind).toBe(choice);
    expect(classifyAdapter((await gpu.requestAdapter(request))!.info)).toBe(kind);
  });
});

describe("dawn", () => {
  const before = process.env["PAN_ADAPTER"];
  afterEach(() => {
    if (before === undefined) delete process.env["PAN_ADAPTER"];
    else process.env["PAN_ADAPTER"] = before;
  });

  it("refuses a name that is no adapter, from the environment and from the option", async () => {
    process.env["PAN_ADAPTER"] = "nonsense";
    await expect(dawn()).rejects.toThrow(ArgumentError);
    await expect(dawn()).rejects.toThrow(/PAN_ADAPTER.*hardware.*"nonsense"/);
    await expect(dawn({ adapter: "gpu" as "hardware" })).rejects.toThrow(/`adapter`.*"gpu"/);
    process.env["PAN_ADAPTER"] = "";
    await expect(dawn()).rejects.toThrow(/PAN_ADAPTER.*got "".*Unset it/);
  });

  it.each<[string, unknown]>([
    ["adapter", ""],
    ["adapter", null],
    ["adapter", 3],
    ["adapter", 10n],
    ["adapter", Symbol("swiftshader")],
    ["adapter", ["swiftshader"]],
    ["adapter", "x".repeat(10_000)],
    ["adapter", "Hardware"],
    ["adapter", "__proto__"],
    ["directory", ""],
    ["directory", 3],
    ["directory", null],
    ["features", "disable_robustness"],
    ["features", [1]],
    ["features", ["a,b"]],
    ["features", null],
    ["adaptor", "swiftshader"],
  ])("refuses the option %s of a value that is none", async (name, value) => {
    const error = await dawn({ [name]: value }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toContain(name);
    expect((error as Error).message.length).toBeLessThan(300);
  });

  it.each([
    null,
    3,
    "swiftshader",
    [],
    undefined,
  ])("refuses %s in the place of options, if it is any", async (given) => {
    const opened = dawn(given as never);
    if (given === undefined) await opened;
    else await expect(opened).rejects.toThrow(ArgumentError);
  });

  it("gives no other adapter than it found, whatever it is asked for", async () => {
    const gpu = await dawn();
    const kind = classifyAdapter((await gpu.requestAdapter())!.info);
    for (const options of [
      { forceFallbackAdapter: true },
      { powerPreference: "low-power" },
      { featureLevel: "compatibility" },
    ] as GPURequestAdapterOptions[]) {
      const adapter = await gpu.requestAdapter(options).catch((e: unknown) => e);
      if (adapter instanceof Error) expect(adapter).toBeInstanceOf(AdapterNotFoundError);
      else if (adapter) expect(classifyAdapter((adapter as GPUAdapter).info)).toBe(kind);
    }
  });

  it("gives the adapter that is forced on it in a worker thread, or refuses", async () => {
    // As a process that has opened nothing: its workers' loader sees the drivers that are
    // installed.
    const names = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "PAN_CHOSEN_DRIVER"];
    const saved = names.map((name) => [name, process.env[name]] as const);
    for (const name of names) delete process.env[name];
    try {
      for (const adapter of ["swiftshader", "lavapipe", "hardware"] as const) {
        const { kind, error } = await inWorker(adapter);
        if (kind !== undefined) expect(kind).toBe(adapter);
        else expect(error).toMatch(/^AdapterNotFoundError: .*/);
        if (error !== undefined && adapter === "swiftshader") expect(error).toContain("main thread first");
      }
    } finally {
      for (const [name, value] of saved) if (value !== undefined) process.env[name] = value;
    }
  });

  it("computes on a real adapter, and gives the same instance again", async () => {
    const gpu = await dawn();
    expect(await dawn({ adapter: "auto" })).toBe(gpu);
    const adapter = await gpu.requestAdapter();
    expect(adapter).not.toBeNull();
    const described = describeAdapter(adapter!);
    expect(["hardware", "lavapipe", "swiftshader", "software"]).toContain(described.kind);
    expect(described.name).not.toBe("");

    const device = await adapter!.requestDevice();
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const data = device.createBuffer({ size: 16, usage });
    const read = device.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    device.queue.writeBuffer(data, 0, new Uint32Array([1, 2, 3, 4]));
    const code = `@group(0) @binding(0) var<storage, read_write> x: array<u32>;
      @compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) { x[i] = x[i] * 10u + i; }`;
    const compute = { module: device.createShaderModule({ code }) };
    const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute });
    const layout = pipeline.getBindGroupLayout(0);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: data } }] }));
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(data, 0, read, 0, 16);
    device.queue.submit([encoder.finish()]);
    await read.mapAsync(GPUMapMode.READ);
    expect([...new Uint32Array(read.getMappedRange())]).toEqual([10, 21, 32, 43]);
    device.destroy();
  });
});
