/**
 * What Vulkan there is on this machine: the loader, the installed drivers, and the SwiftShader
 * software driver that travels inside the npm package `@sparticuz/chromium`. Plain JavaScript,
 * because scripts/setup.mjs uses it before any TypeScript tooling is installed; types in
 * vulkan.d.mts.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";
import { makeResident } from "./native.mjs";

const decompress = promisify(brotliDecompress);

export const LOADER = "libvulkan.so.1";
export const SWIFTSHADER_MANIFEST = "vk_swiftshader_icd.json";
const SWIFTSHADER_DRIVER = "libvk_swiftshader.so";
const SWIFTSHADER_FILES = [SWIFTSHADER_DRIVER, LOADER, SWIFTSHADER_MANIFEST];
const ARCHIVE = join("node_modules", "@sparticuz", "chromium", "bin", "swiftshader.tar.br");

// Kept process-wide, not per module instance: once the embedded loader is resident, asking for the
// bare name finds it too, and only the first answer says whether the system has a loader of its
// own.
const loadedKey = Symbol.for("@pan/core.loaded-libraries");
globalThis[loadedKey] ??= new Map();
const loaded = globalThis[loadedKey];

export function loadLibrary(path) {
  const known = loaded.get(path);
  if (known !== undefined) return known;
  const success = makeResident(path, "vkGetInstanceProcAddr");
  loaded.set(path, success);
  return success;
}

export function driverManifests(env = process.env) {
  const explicit = env.VK_DRIVER_FILES ?? env.VK_ICD_FILENAMES;
  const places = explicit ? explicit.split(delimiter) : defaultManifestPlaces(env);
  return places.filter(Boolean).flatMap(manifestsAt);
}

/**
 * The folders that the Vulkan loader searches on Linux (LoaderDriverInterface.md of Vulkan-Loader).
 */
function defaultManifestPlaces(env) {
  const home = env.HOME ?? homedir();
  const roots = [
    env.XDG_CONFIG_HOME ?? join(home, ".config"),
    ...(env.XDG_CONFIG_DIRS ?? "/etc/xdg").split(delimiter),
    "/usr/local/etc",
    "/etc",
    env.XDG_DATA_HOME ?? join(home, ".local", "share"),
    ...(env.XDG_DATA_DIRS ?? "/usr/local/share:/usr/share").split(delimiter),
  ];
  const added = (env.VK_ADD_DRIVER_FILES ?? "").split(delimiter);
  return [...added, ...new Set(roots.filter(Boolean).map((root) => join(root, "vulkan", "icd.d")))];
}

function manifestsAt(place) {
  try {
    if (!statSync(place).isDirectory()) return [place];
    return readdirSync(place)
      .filter((name) => name.endsWith(".json"))
      .map((name) => join(place, name));
  } catch {
    return []; // Not there, or not ours to read: the loader passes over it as well.
  }
}

export function isSwiftShader(directory) {
  return SWIFTSHADER_FILES.every((name) => (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0) > 0);
}

export function findUpwards(start, relative) {
  for (let directory = resolve(start); ; directory = dirname(directory)) {
    const path = join(directory, relative);
    if (existsSync(path)) return path;
    if (dirname(directory) === directory) return null;
  }
}

export function findArchive(starts) {
  for (const start of starts) {
    const path = findUpwards(start, ARCHIVE);
    if (path !== null) return path;
  }
  return null;
}

export async function unpackSwiftShader(archive, directory) {
  const parent = dirname(resolve(directory));
  await mkdir(parent, { recursive: true });
  const scratch = await mkdtemp(join(parent, `.${basename(directory)}-`));
  try {
    // tar-fs is a dependency of the package that holds the archive, so it is resolved from there.
    const { extract } = createRequire(archive)("tar-fs");
    const content = join(scratch, "content");
    const ignore = (path) => !SWIFTSHADER_FILES.includes(basename(path));
    // In memory (15 MB): a decompressor in the stream would report a damaged archive once more than
    // there are listeners.
    const tar = await decompress(await readFile(archive), { maxOutputLength: 2 ** 28 });
    await pipeline(Readable.from([tar]), extract(content, { ignore, chown: false }));
    checkContent(content);
    await publish(content, directory, scratch);
  } catch (error) {
    throw new Error(`${archive} could not be unpacked into ${directory}: ${error.message}`, { cause: error });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function checkContent(directory) {
  for (const name of SWIFTSHADER_FILES) {
    const path = join(directory, name);
    if (!existsSync(path)) throw new Error(`the archive holds no ${name}; reinstall @sparticuz/chromium`);
    if (!name.endsWith(".json") && !isElf64(readFileSync(path))) {
      throw new Error(`${name} in the archive is damaged; reinstall @sparticuz/chromium`);
    }
  }
  const manifest = JSON.parse(readFileSync(join(directory, SWIFTSHADER_MANIFEST), "utf8"));
  if (manifest?.ICD?.library_path !== `./${SWIFTSHADER_DRIVER}`) {
    throw new Error(`${SWIFTSHADER_MANIFEST} does not name ./${SWIFTSHADER_DRIVER}; expected @sparticuz/chromium 147`);
  }
}

/**
 * An x86-64 ELF file whose section table, the last thing in it, is there: a file cut short fails.
 */
function isElf64(bytes) {
  if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes.readUInt16LE(18) !== 62) return false;
  return bytes.readBigUInt64LE(40) + BigInt(bytes.readUInt16LE(58) * bytes.readUInt16LE(60)) <= BigInt(bytes.length);
}

/** Puts a finished folder in place by renames alone, so that nobody ever sees half of one. */
async function publish(content, directory, scratch) {
  try {
    if (!isSwiftShader(directory) && existsSync(directory)) {
      const foreign = readdirSync(directory).find((name) => !SWIFTSHADER_FILES.includes(name));
      if (foreign !== undefined)
        throw new Error(`the folder holds other files (${foreign}); name one that is empty or new`);
      await rename(directory, join(scratch, "replaced"));
    }
    await rename(content, directory);
  } catch (error) {
    // Another process may have been quicker; its copy is as good as ours.
    if (!isSwiftShader(directory)) throw error;
  }
}
