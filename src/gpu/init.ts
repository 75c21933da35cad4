import { AdapterNotFoundError, ArgumentError } from "../errors";
import { Device } from "./device";
import { checkOptions, demandAdapter, demandLiving, type InitOptions } from "./options";

export type { InitOptions } from "./options";

let current: Device | null = null;
/** Calls that have no device yet. */
const opening = new Map<InitOptions, Promise<Device>>();
/** Calls so far, and the one that `current` is of. */
let calls = 0;
let latest = 0;

/**
 * Acquires a GPU device and makes it the one that new tensors live on. Takes, in this order: the
 * device or adapter given, a hardware adapter, a software adapter. Called again without options
 * while a device lives, it returns that one; calls at the same time with equal options share one.
 * Otherwise each call opens a device of its own: what lives on an earlier one stays there and goes
 * on working, since operations run where their operands are.
 *
 * @example
 * await init();                          // browser
 * await init({ gpu: await dawn() });     // Node, with dawn from "@pan/core/node"
 *
 * @throws AdapterNotFoundError when there is no WebGPU, no adapter, or the adapter gives no device.
 * @throws ArgumentError for an option that there is not, or that is not what it should be.
 * @throws DeviceLostError for a device that is gone already.
 * @throws GpuError for a precision that the device cannot compute with.
 */
export async function init(options: InitOptions = {}): Promise<Device> {
  if (!checkOptions(options) && current && !current.isLost) return current;
  for (const [others, device] of opening) if (isSame(others, options)) return device;
  const call = ++calls;
  const device = open(options)
    .then((opened) => {
      // Of calls at the same time the last one decides, whichever was quickest.
      if (call > latest) [current, latest] = [opened, call];
      return opened;
    })
    .finally(() => opening.delete(options));
  opening.set(options, device);
  return device;
}

function isSame(a: InitOptions, b: InitOptions): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof InitOptions>;
  return [...names].every((name) => a[name] === b[name]);
}

async function open(options: InitOptions): Promise<Device> {
  if (options.device) {
    await demandLiving(options.device);
    const info = (options.device as GPUDevice & { adapterInfo?: GPUAdapterInfo }).adapterInfo ?? options.adapter?.info;
    return new Device(
      options.device,
      info ?? ({ vendor: "", architecture: "", device: "", description: "" } as GPUAdapterInfo),
      options,
    );
  }
  const adapter = options.adapter ?? (await requestAdapter(options.gpu));
  const optional = ["subgroups", "timestamp-query", "shader-f16"] as GPUFeatureName[];
  const device = await adapter
    .requestDevice({
      label: "@pan/core",
      requiredFeatures: optional.filter((f) => adapter.features.has(f)),
      requiredLimits: ownLimits(adapter),
    })
    .catch((cause: Error) => {
      throw new AdapterNotFoundError(
        `the adapter gave no device: ${cause.message}. An adapter makes one device only: request another from its GPU, or call init() without one`,
        { cause },
      );
    });
  await demandLiving(device);
  return new Device(device, adapter.info, options);
}

/** The device that {@link init} acquired. @throws ArgumentError before init. */
export function device(): Device {
  if (!current)
    throw new ArgumentError(
      "no GPU device yet: call `await init()` (in Node `await init({ gpu: await dawn() })`) first",
    );
  return current;
}

async function requestAdapter(gpu?: GPU): Promise<GPUAdapter> {
  const source = gpu ?? (globalThis.navigator as Navigator | undefined)?.gpu;
  if (!source) {
    throw new AdapterNotFoundError(
      'this JavaScript has no WebGPU (`navigator.gpu` is missing). In Node: npm install webgpu, then `await init({ gpu: await dawn() })` with dawn from "@pan/core/node". In a browser: use a current one, over https or localhost',
    );
  }
  const found =
    (await source.requestAdapter({ powerPreference: "high-performance" })) ??
    (await source.requestAdapter({ forceFallbackAdapter: true }));
  if (found) return demandAdapter(found);
  throw new AdapterNotFoundError(
    'WebGPU is here, but it offers no adapter: tried a high-performance one and the software fallback. In Chrome open chrome://gpu to see why (headless without a GPU: --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader); in Node use dawn() from "@pan/core/node", which says more',
  );
}

/** WebGPU grants low default limits unless more is asked for: ask for what the adapter has. */
function ownLimits(adapter: GPUAdapter): Record<string, number> {
  const wanted = [
    "maxBufferSize",
    "maxStorageBufferBindingSize",
    "maxStorageBuffersPerShaderStage",
    "maxComputeInvocationsPerWorkgroup",
    "maxComputeWorkgroupSizeX",
    "maxComputeWorkgroupStorageSize",
    "maxComputeWorkgroupsPerDimension",
    "maxImmediateSize",
  ];
  const limits = adapter.limits as unknown as Record<string, number | undefined>;
  return Object.fromEntries(wanted.flatMap((name) => (typeof limits[name] === "number" ? [[name, limits[name]]] : [])));
}

/**
 * Runs `body` with `d` for what {@link device} gives: what it makes lies beside tensors that are
 * there.
 */
export function onDevice<T>(d: Device, body: () => T): T {
  const before = current;
  current = d;
  try {
    return body();
  } finally {
    current = before;
  }
}
