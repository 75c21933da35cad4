/**
 * WebGPU for Node: Dawn through the optional `webgpu` package, on the best adapter this machine
 * has.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import { objectOf } from "../demand";
import { AdapterNotFoundError, ArgumentError } from "../errors";
import { type AdapterClass, classifyAdapter } from "../gpu/adapter";
import type { WebGpu, WebGpuAdapter } from "../gpu/webgpu";
import { shown } from "../io/shown";
import type { AdapterChoice } from "./adapter-help";
import type { FoundAdapter, Machine } from "./adapter-search";
import { findAdapter } from "./adapter-search";
import { nativeEnvironment } from "./native.mjs";
import { waitPatiently } from "./patience";
import { driverManifests, findArchive, findUpwards, isSwiftShader, loadLibrary, unpackSwiftShader } from "./vulkan.mjs";

export type { AdapterChoice } from "./adapter-help";

/** Options of {@link dawn}. */
export interface DawnOptions {
  /**
   * Which adapter to take. Default `"auto"`: the environment variable `PAN_ADAPTER` where set, else
   * the best there is.
   */
  readonly adapter?: AdapterChoice;
  /**
   * Folder that holds SwiftShader (`libvk_swiftshader.so`, `libvulkan.so.1`,
   * `vk_swiftshader_icd.json`), or into which it is unpacked. Default: the environment variable
   * `PAN_SWIFTSHADER`, else `.adapter/swiftshader` in a folder above.
   */
  readonly directory?: string;
  /** Dawn features to enable besides, such as `"disable_robustness"`. */
  readonly features?: readonly string[];
}

const CHOICES: readonly AdapterChoice[] = ["auto", "hardware", "lavapipe", "swiftshader"];
const UNPACKED = join(".adapter", "swiftshader");

// On globalThis: a second copy of this module (CommonJS beside ESM, a test runner's fresh import)
// must share and hold the same instances.
const key = Symbol.for("@pan/core.dawn");
const shared = globalThis as { [key]?: { opened: Map<string, Promise<WebGpu>>; last: Promise<unknown> } };

/**
 * Opens WebGPU in Node, Bun and Deno (`deno run -A`). Tries, in this order: a hardware adapter; the
 * system's software adapter (Mesa lavapipe); the SwiftShader inside the npm package
 * `@sparticuz/chromium`, unpacked on first use, which needs no root rights and no system package
 * (Linux on x86-64).
 *
 *     await init({ gpu: await dawn() });
 *
 * Registers the WebGPU globals (`GPUBufferUsage`, `GPUMapMode`, …), which Node lacks. Timestamp
 * queries are not rounded. Calls with equal options share one instance, which lives as long as the
 * process: Dawn aborts when it is collected under a living device. The binding asks for news in
 * every turn of the event loop while anything is awaited; its classes' waiting methods are wrapped,
 * so that it asks every millisecond where a wait is longer and leaves a core to others.
 *
 * Environment: `PAN_ADAPTER` (`hardware`, `lavapipe`, `swiftshader` or `auto`) forces an adapter on
 * programs that leave the choice to `"auto"`; `PAN_SWIFTSHADER` names SwiftShader's folder. When
 * SwiftShader is chosen, `VK_DRIVER_FILES` is set for this process. A worker thread's environment
 * is a copy that native code does not see: there, call `dawn()` on the main thread first, or start
 * the worker with `env: SHARE_ENV`; a worker that gets another adapter than it forces is refused.
 *
 * @returns a `GPU` whose `requestAdapter()` gives the chosen adapter, a new one per call (an
 * adapter is single-use).
 * @throws ArgumentError for an adapter name that is not one of the four, or another option that is
 * not understood.
 * @throws AdapterNotFoundError when nothing works: each thing tried, why it failed, the command
 * that helps here.
 */
export async function dawn(options: DawnOptions = {}): Promise<WebGpu> {
  checkOptions(options);
  const choice = resolveChoice(options.adapter);
  shared[key] ??= { opened: new Map(), last: Promise.resolve() };
  const state = shared[key];
  const id = JSON.stringify([choice, options.directory ?? process.env["PAN_SWIFTSHADER"], options.features]);
  const known = state.opened.get(id);
  if (known) return known;
  // One search at a time: a search speaks to the Vulkan loader through the environment.
  const opening = state.last.then(async () => asGpu(await findAdapter(choice, thisMachine(options))));
  state.opened.set(id, opening);
  state.last = opening.catch(() => state.opened.delete(id));
  return opening;
}

/**
 * Class of an adapter and a name to print, such as `llvmpipe (Mesa 25.0.7)`.
 * @throws ArgumentError for what is no adapter.
 */
export function describeAdapter(adapter: Pick<WebGpuAdapter, "info">): { kind: AdapterClass; name: string } {
  const { info } = objectOf("describeAdapter", "an adapter", adapter);
  objectOf("describeAdapter", "an adapter with its info", info);
  const device = (info.device || info.architecture || info.vendor || "unnamed adapter").replace(/-+$/, "");
  return { kind: classifyAdapter(info), name: info.description ? `${device} (${info.description})` : device };
}

function checkOptions(options: DawnOptions): void {
  const names = ["adapter", "directory", "features"];
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new ArgumentError(`dawn() takes an object of options (${names.join(", ")}), found ${shown(options)}`);
  const foreign = Object.keys(options).find((name) => !names.includes(name));
  if (foreign !== undefined)
    throw new ArgumentError(`dawn() has no option ${shown(foreign)}: its options are ${names.join(", ")}`);
  const { directory, features } = options;
  if (directory !== undefined && (typeof directory !== "string" || directory === ""))
    throw new ArgumentError(`Expected the option \`directory\` to be a path; got ${shown(directory)}.`);
  // Dawn takes names separated by commas: one that holds a comma would be two.
  const isName = (name: unknown) => typeof name === "string" && /^\w+$/.test(name);
  if (features !== undefined && !(Array.isArray(features) && features.every(isName)))
    throw new ArgumentError(
      `Expected the option \`features\` to be a list of Dawn's names, such as "disable_robustness"; got ${shown(features)}.`,
    );
}

function resolveChoice(option: AdapterChoice | undefined): AdapterChoice {
  const explicit = option !== undefined && option !== "auto";
  const choice = explicit ? option : (process.env["PAN_ADAPTER"] ?? "auto");
  const known = CHOICES.find((name) => name === choice);
  if (known !== undefined) return known;
  const source = explicit ? "the option `adapter`" : "the environment variable PAN_ADAPTER";
  const unset = choice === "" && !explicit ? " Unset it to leave the choice open." : "";
  throw new ArgumentError(`Expected ${source} to be one of ${CHOICES.join(", ")}; got ${shown(choice)}.${unset}`);
}

/** The instance as a `GPU` that gives the adapter that was found, whatever else it could give. */
function asGpu({ gpu, kind, request }: FoundAdapter): WebGpu {
  const chosen = {
    requestAdapter: async (options?: GPURequestAdapterOptions) => {
      const adapter = await gpu.requestAdapter({ ...options, ...request });
      if (adapter === null || classifyAdapter(adapter.info) === kind) return adapter;
      throw new AdapterNotFoundError(
        `dawn() found an adapter of the kind ${kind}, and with these options requestAdapter() gives ${describeAdapter(adapter).name} instead: call it without options`,
      );
    },
    getPreferredCanvasFormat: () => gpu.getPreferredCanvasFormat(),
    wgslLanguageFeatures: gpu.wgslLanguageFeatures ?? new Set<string>(),
  };
  return chosen as WebGpu;
}

/** The machine this process runs on. */
function thisMachine({ directory, features = [] }: DawnOptions): Machine {
  const release = "/etc/os-release";
  return {
    platform: process.platform,
    arch: process.arch,
    osRelease: existsSync(release) ? readFileSync(release, "utf8") : "",
    root: process.getuid?.() === 0,
    clone: existsSync(join(dirname(findUpwards(packageDirectory(), "package.json") ?? "."), "scripts", "setup.mjs")),
    env: nativeEnvironment(),
    mainThread: isMainThread,
    loadLibrary,
    driverManifests: () => driverManifests(),
    swiftShader: () => provideSwiftShader(directory ?? process.env["PAN_SWIFTSHADER"]),
    loadDawn: async () => {
      const { create, globals } = await import("webgpu");
      Object.assign(globalThis, globals);
      waitPatiently(globals);
      const enabled = ["allow_unsafe_apis", ...features].join(",");
      return () => create([`enable-dawn-features=${enabled}`, "disable-dawn-features=timestamp_quantization"]);
    },
  };
}

/**
 * Where SwiftShader lies: the folder asked for, an unpacked one above, else a fresh one unpacked
 * beside the archive.
 */
async function provideSwiftShader(wanted: string | undefined): Promise<string> {
  if (wanted && isSwiftShader(wanted)) return resolve(wanted);
  const starts = [packageDirectory(), process.cwd(), dirname(process.argv[1] ?? ".")];
  if (!wanted) {
    for (const start of starts) {
      const unpacked = findUpwards(start, UNPACKED);
      if (unpacked !== null && isSwiftShader(unpacked)) return unpacked;
    }
  }
  const archive = findArchive(starts);
  if (archive === null) {
    const place = wanted ? `${wanted} does not hold it, and` : "it is not unpacked in .adapter/swiftshader, and";
    throw new Error(`${place} the package that carries it, @sparticuz/chromium, is not installed`);
  }
  // node_modules/.cache is where tools keep what they derive from packages: writable, and ignored
  // by version control.
  const modules = archive.slice(0, archive.lastIndexOf(join("@sparticuz", "chromium")));
  const target = resolve(wanted || join(modules, ".cache", "pan-core", "swiftshader"));
  if (!isSwiftShader(target)) await unpackSwiftShader(archive, target);
  return target;
}

function packageDirectory(): string {
  return typeof __dirname === "string" ? __dirname : dirname(fileURLToPath(import.meta.url));
}
