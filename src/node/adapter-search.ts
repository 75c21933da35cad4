/**
 * The search for an adapter, on a {@link Machine} that is handed in: the real one in `dawn()`, an
 * invented one in tests.
 */
import { join } from "node:path";
import type { AdapterNotFoundError } from "../errors";
import type { AdapterClass } from "../gpu/adapter";
import { classifyAdapter } from "../gpu/adapter";
import type { AdapterChoice, FailedAttempt, HelpContext } from "./adapter-help";
import { adapterHelp, adapterNotFound, INSTALL_WEBGPU } from "./adapter-help";
import { LOADER, SWIFTSHADER_MANIFEST } from "./vulkan.mjs";

/** Everything the search asks of the machine. */
export interface Machine extends HelpContext {
  readonly env: NodeJS.ProcessEnv;
  /** Makes a shared library resident; whether that worked. */
  loadLibrary(path: string): boolean;
  /** Manifests of the installed Vulkan drivers. */
  driverManifests(): string[];
  /**
   * Folder of the embedded SwiftShader, unpacked if need be; rejects with the reason when there is
   * none.
   */
  swiftShader(): Promise<string>;
  /**
   * Loads the `webgpu` package, rejects when it cannot be. What it gives makes Dawn instances, each
   * of which looks at `env` anew.
   */
  loadDawn(): Promise<() => GPU>;
}

/** The instance an adapter was found in, and how to ask it for that adapter. */
export interface FoundAdapter {
  readonly gpu: GPU;
  readonly kind: AdapterClass;
  readonly request: GPURequestAdapterOptions;
}

const LABELS = {
  hardware: "hardware adapter",
  lavapipe: "system software adapter (Mesa lavapipe)",
  swiftshader: "embedded SwiftShader",
};

/**
 * Finds the chosen adapter.
 *
 * @throws AdapterNotFoundError listing each adapter tried, why it is not to be had, and what to
 * type.
 */
export async function findAdapter(choice: AdapterChoice, machine: Machine): Promise<FoundAdapter> {
  const createGpu = await machine.loadDawn().catch((error: unknown) => {
    throw bindingFailure(error, machine);
  });
  const failed: FailedAttempt[] = [];
  const found =
    (choice === "swiftshader" ? null : await trySystem(choice, machine, createGpu, failed)) ??
    (choice === "auto" || choice === "swiftshader" ? await trySwiftShader(machine, createGpu, failed) : null);
  if (found !== null) return found;
  throw adapterNotFound(failed, adapterHelp(choice, machine));
}

/** The error for a Dawn binding that cannot be loaded, without which there is no adapter at all. */
function bindingFailure(error: unknown, { platform, arch }: Machine): AdapterNotFoundError {
  const adapter = "Dawn, the `webgpu` package";
  const message = error instanceof Error ? error.message : String(error);
  if (/cannot find (package|module) ['"]webgpu['"]/i.test(message)) {
    return adapterNotFound([{ adapter, reason: "it is not installed" }], [INSTALL_WEBGPU]);
  }
  const reason = `its binary for ${platform}-${arch} does not load: ${message.split("\n")[0]}`;
  return adapterNotFound(
    [{ adapter, reason }],
    [`${INSTALL_WEBGPU}@latest (binaries for Linux with glibc, macOS, Windows)`],
  );
}

async function trySystem(
  choice: "auto" | "hardware" | "lavapipe",
  machine: Machine,
  createGpu: () => GPU,
  failed: FailedAttempt[],
): Promise<FoundAdapter | null> {
  const kinds = choice === "auto" ? (["hardware", "lavapipe"] as const) : [choice];
  const fail = (kind: "hardware" | "lavapipe", reason: string) => failed.push({ adapter: LABELS[kind], reason });

  useInstalledDrivers(machine.env);
  const obstacle = await vulkanObstacle(machine);
  if (obstacle !== null) {
    for (const kind of kinds) fail(kind, obstacle);
    return null;
  }
  const gpu = createGpu();
  for (const kind of kinds) {
    const forceFallbackAdapter = kind === "lavapipe";
    const request: GPURequestAdapterOptions = { powerPreference: "high-performance", forceFallbackAdapter };
    // Asked for a fallback adapter before it has looked at what there is, Dawn finds none.
    if (forceFallbackAdapter) await gpu.requestAdapter();
    const adapter = await gpu.requestAdapter(request);
    const found = adapter && classifyAdapter(adapter.info);
    // Left to choose, any software adapter of the system will do, not lavapipe alone.
    const suits = found === kind || (choice === "auto" && kind === "lavapipe");
    if (found !== null && suits) return { gpu, kind: found, request };
    fail(kind, adapter === null ? refusal(machine) : `the system offers ${nameOf(adapter)} instead`);
  }
  return null;
}

/**
 * Why asking Dawn for a system adapter is no use (and would print warnings), or null where it may
 * work.
 */
async function vulkanObstacle(machine: Machine): Promise<string | null> {
  if (machine.platform !== "linux") return null; // Metal and Direct3D come with the system.
  const drivers = machine.driverManifests();
  const loader = machine.loadLibrary(LOADER);
  if (drivers.length === 0) {
    return loader
      ? `the Vulkan loader (${LOADER}) is installed, but no driver for it`
      : `neither a Vulkan loader (${LOADER}) nor a driver is installed`;
  }
  if (loader) return null;
  // Images made for GPU servers often hold the card's driver and no loader: the embedded one serves
  // as well.
  const directory = await machine.swiftShader().catch(() => null);
  if (directory !== null && machine.loadLibrary(join(directory, LOADER))) return null;
  return `drivers are installed (${drivers.join(", ")}), but no Vulkan loader (${LOADER})`;
}

function refusal(machine: Machine): string {
  if (machine.platform !== "linux") return "Dawn finds none";
  const drivers = machine.driverManifests();
  const mesa = drivers.some((path) => /(^|\/)lvp_icd/.test(path));
  const hint = mesa ? "; if this is Mesa's, it is too old: Dawn refuses Mesa 22.3 and takes 25.0" : "";
  return `Dawn found none behind the installed drivers (${drivers.join(", ")})${hint}`;
}

async function trySwiftShader(
  machine: Machine,
  createGpu: () => GPU,
  failed: FailedAttempt[],
): Promise<FoundAdapter | null> {
  const fail = (reason: string) => {
    failed.push({ adapter: LABELS.swiftshader, reason });
    return null;
  };
  if (machine.platform !== "linux" || machine.arch !== "x64") {
    return fail(`it is built for Linux on x86-64, and this is ${machine.platform} on ${machine.arch}`);
  }
  let directory: string;
  try {
    directory = await machine.swiftShader();
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
  // The system's own loader first: Dawn asks for the bare name and would get it anyway.
  if (!machine.loadLibrary(LOADER) && !machine.loadLibrary(join(directory, LOADER))) {
    return fail(`${join(directory, LOADER)} does not load`);
  }
  useDriver(machine.env, join(directory, SWIFTSHADER_MANIFEST));
  const gpu = createGpu();
  const request = {};
  const adapter = await gpu.requestAdapter(request);
  const kind = adapter && classifyAdapter(adapter.info);
  // Not what else the loader may have found: the choice does not reach it from a worker thread, nor
  // past its own filters.
  if (kind === "swiftshader") return { gpu, kind, request };
  useInstalledDrivers(machine.env);
  const instead = adapter === null ? "no adapter" : `${nameOf(adapter)} instead`;
  return fail(
    machine.mainThread
      ? `the driver in ${directory} was named to the Vulkan loader, and there is ${instead}`
      : `a worker thread cannot choose drivers, and there is ${instead}`,
  );
}

const nameOf = ({ info }: GPUAdapter): string => info.description || info.device || classifyAdapter(info);

// The loader takes its drivers from the environment. The choice stays set after success, so that
// workers and child processes get the same adapter; the third variable marks it as ours, for a
// later search to undo.
const CHOSEN = "PAN_CHOSEN_DRIVER";
// The second is the older loaders' name of the first.
const DRIVER_VARIABLES = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"];

function useDriver(env: NodeJS.ProcessEnv, manifest: string): void {
  for (const name of [...DRIVER_VARIABLES, CHOSEN]) env[name] = manifest;
}

function useInstalledDrivers(env: NodeJS.ProcessEnv): void {
  for (const name of DRIVER_VARIABLES) if (env[name] !== undefined && env[name] === env[CHOSEN]) delete env[name];
  delete env[CHOSEN];
}
