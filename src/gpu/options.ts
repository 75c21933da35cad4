import { optionsOf, refuse } from "../demand";
import { ArgumentError, DeviceLostError } from "../errors";
import { shown } from "../io/shown";
import type { DeviceOptions } from "./device";
import { checkProductOptions } from "./products";
import type { WebGpu, WebGpuAdapter, WebGpuDevice } from "./webgpu";

/** Where `init` takes its device from, and how it is used. */
export interface InitOptions extends DeviceOptions {
  /** Use this device as it is (its limits are then the caller's business). */
  device?: WebGpuDevice;
  /** Request a device, with the adapter's own limits, from this adapter. */
  adapter?: WebGpuAdapter;
  /**
   * Where to request an adapter; `navigator.gpu` by default. In Node: `await dawn()` from
   * `@pan/core/node`.
   */
  gpu?: WebGpu;
}

type Check = readonly [expected: string, is: (value: unknown) => boolean];

const has = (value: unknown, ...members: readonly string[]): boolean =>
  value !== null && typeof value === "object" && members.every((name) => name in value);
const FLAG: Check = ["true or false", (value) => typeof value === "boolean"];
/** Is checked with the others of its kind. */
const PRODUCT: Check = ["", () => true];

const isAdapter = (value: unknown) => has(value, "requestDevice", "limits", "features");

/**
 * What each option of `init` may be; WebGPU's own objects may be wrapped, so they are known by what
 * they can do.
 */
const OPTIONS: Readonly<Record<keyof InitOptions, Check>> = {
  subgroups: FLAG,
  immediates: FLAG,
  tiling: PRODUCT,
  precision: PRODUCT,
  winograd: PRODUCT,
  leakWarning: FLAG,
  poolBytes: ["a number of at least 0", (value) => typeof value === "number" && value >= 0],
  device: ["a GPUDevice", (value) => has(value, "createBuffer", "queue", "limits", "features", "lost")],
  adapter: ["a GPUAdapter", isAdapter],
  gpu: ["a GPU, as navigator.gpu or `await dawn()`", (value) => has(value, "requestAdapter")],
};

/**
 * Whether any option was given.
 * @throws ArgumentError for one that there is not, or that is not what it should be.
 */
export function checkOptions(options: InitOptions): boolean {
  optionsOf("init", options, Object.keys(OPTIONS) as (keyof InitOptions)[]);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    const [expected, is] = OPTIONS[name as keyof InitOptions];
    if (!is(value)) refuse("init", name, expected, value);
  }
  checkProductOptions(options);
  return given.length > 0;
}

/** @throws ArgumentError when what a GPU gave is no adapter. */
export function demandAdapter(adapter: WebGpuAdapter): WebGpuAdapter {
  if (isAdapter(adapter)) return adapter;
  throw new ArgumentError(`init(): the option gpu gives adapters, as navigator.gpu does, found ${shown(adapter)}`);
}

/** @throws DeviceLostError for a device that is gone already. */
export async function demandLiving(device: WebGpuDevice): Promise<void> {
  // A lost device says so at the first question.
  const question = device.queue.onSubmittedWorkDone().then(
    () => null,
    () => null,
  );
  const lost = await Promise.race([device.lost, question]);
  if (lost)
    throw new DeviceLostError(
      `init() got a device that is gone (${lost.reason}): ${lost.message}. Request another from a new adapter, or call init() without one`,
    );
}
