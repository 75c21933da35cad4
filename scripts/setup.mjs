/**
 * Prepares a clone: installs the dependencies, unpacks the embedded software adapter where no
 * graphics card works, and says which adapter will be used. `node scripts/setup.mjs`; harmless to
 * repeat, and quick when nothing is to do. Plain Node with no dependencies of its own, since it
 * runs before they are installed.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import * as vulkan from "../src/node/vulkan.mjs";

export const projectRoot = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/** A step of the set-up that failed, in words for the person at the keyboard. */
export class SetupError extends Error {
  name = "SetupError";
}

/**
 * Runs all steps.
 *
 * @param options.root folder of the clone.
 * @param options.say receives one line a step.
 * @throws SetupError when Node is too old, the installation fails or the adapter cannot be
 * unpacked.
 */
export async function setup({ root = projectRoot, say = console.log } = {}) {
  checkNode(process.versions.node);
  installDependencies(root, say);
  await prepareAdapter(root, say);
}

export function checkNode(version) {
  if (Number.parseInt(version, 10) >= 20) return;
  throw new SetupError(`Node 20 or later is needed, and this is Node ${version}: get one from https://nodejs.org`);
}

/**
 * Whether node_modules holds what package-lock.json asks for, by the record that npm leaves there.
 */
export function isInstalled(root) {
  const packages = (path) => (existsSync(path) ? JSON.parse(readFileSync(path, "utf8")).packages : null);
  const present = packages(join(root, "node_modules", ".package-lock.json"));
  if (present === null) return false;
  const { "": _project, ...wanted } = packages(join(root, "package-lock.json")) ?? {};
  const same = (path) =>
    present[path]?.version === wanted[path].version && present[path].integrity === wanted[path].integrity;
  // Optional packages of other platforms are in the lock and not in the folder.
  const isAsWanted = (path) => same(path) || (wanted[path].optional && !(path in present));
  return Object.keys(wanted).every(isAsWanted) && Object.keys(present).every((path) => path in wanted);
}

function installDependencies(root, say) {
  if (isInstalled(root)) return;
  say("setup: installing the dependencies (npm ci)");
  const npm = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: root,
    stdio: "inherit",
    shell: process.platform === "win32", // npm is a batch file there.
  });
  if (npm.status === 0) return;
  const why = npm.error ? npm.error.message : `exit ${npm.status ?? npm.signal}`;
  throw new SetupError(
    `\`npm ci\` failed in ${root} (${why}); its own words are above. Mend that, then run this again.`,
  );
}

async function prepareAdapter(root, say) {
  // What the program will take: `dawn()` reads the same variable.
  const wanted = process.env.PAN_ADAPTER ?? "auto";
  const isSystem = wanted !== "swiftshader";
  let system = isSystem && usesSystemDrivers() ? await probe({}, wanted) : null;
  if (system !== null && kindOf(system) === "hardware") return say(`setup: adapter ${nameOf(system)}, hardware`);

  let embedded = null;
  if (process.platform === "linux" && process.arch === "x64") {
    const directory = await provideEmbedded(root, say);
    // Drivers without a loader: the embedded one serves as well.
    if (isSystem && system === null && vulkan.driverManifests().length > 0 && loadEmbeddedLoader(directory))
      system = await probe({}, wanted);
    if (system === null && (wanted === "auto" || wanted === "swiftshader")) embedded = await probeEmbedded(directory);
  } else {
    say(`setup: no embedded adapter for ${process.platform} on ${process.arch}, only for Linux on x86-64`);
  }
  const found = system ?? embedded;
  if (found !== null && (wanted === "auto" || kindOf(found) === wanted)) {
    const kind = kindOf(found) === "hardware" ? "hardware" : "software";
    return say(`setup: adapter ${nameOf(found)}, ${kind}${found === embedded ? ", embedded" : ""}`);
  }
  const asked = wanted === "auto" ? "no adapter works yet" : `no adapter of the kind ${wanted} (PAN_ADAPTER) works`;
  say(`setup: ${asked}; the first program that asks for one will say what helps`);
}

/** Kinds as `PAN_ADAPTER` names them. */
const kindOf = ({ isFallbackAdapter, architecture, device, description }) =>
  !isFallbackAdapter
    ? "hardware"
    : /swiftshader/i.test(`${architecture} ${device} ${description}`)
      ? "swiftshader"
      : "lavapipe";

async function provideEmbedded(root, say) {
  const directory = join(root, ".adapter", "swiftshader");
  if (vulkan.isSwiftShader(directory)) return directory;
  const archive = vulkan.findArchive([root]);
  if (archive === null)
    throw new SetupError("@sparticuz/chromium is not in node_modules: run `npm ci`, then this again");
  say(`setup: unpacking the software adapter SwiftShader into ${directory}`);
  try {
    await vulkan.unpackSwiftShader(archive, directory);
  } catch (error) {
    throw new SetupError(`${error.message}. Delete node_modules and run this again.`);
  }
  return directory;
}

/**
 * Whether asking Dawn for a system adapter makes sense; on Linux it prints warnings where there is
 * none.
 */
function usesSystemDrivers() {
  if (process.platform !== "linux") return true;
  return vulkan.driverManifests().length > 0 && vulkan.loadLibrary(vulkan.LOADER);
}

/** The system's own loader first: Dawn asks for the bare name and would get it anyway. */
const loadEmbeddedLoader = (directory) =>
  vulkan.loadLibrary(vulkan.LOADER) || vulkan.loadLibrary(join(directory, vulkan.LOADER));

function probeEmbedded(directory) {
  loadEmbeddedLoader(directory);
  return probe({ VK_DRIVER_FILES: join(directory, vulkan.SWIFTSHADER_MANIFEST) });
}

/** Information on the adapter that Dawn gives under these environment variables, or null. */
async function probe(variables, wanted = "auto") {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  try {
    const { create } = await import("webgpu");
    const gpu = create([]);
    const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
    // Asked for a fallback adapter before it has looked at what there is, Dawn finds none.
    const forced = wanted === "lavapipe" && (await gpu.requestAdapter({ forceFallbackAdapter: true }));
    return (forced || adapter)?.info ?? null;
  } catch (error) {
    throw new SetupError(`Dawn, the \`webgpu\` package, does not load: ${error.message}`);
  } finally {
    for (const name of Object.keys(variables)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}

function nameOf({ vendor, architecture, device, description }) {
  return description || device || `${vendor} ${architecture}`.trim() || "without a name";
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  setup().catch((error) => {
    console.error(error instanceof SetupError ? `setup: ${error.message}` : error);
    process.exitCode = 1;
  });
}
