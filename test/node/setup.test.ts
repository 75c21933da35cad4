import { spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findArchive, isSwiftShader, unpackSwiftShader } from "../../src/node/vulkan.mjs";

const project = resolve(import.meta.dirname, "..", "..");
const archive = findArchive([project]) ?? "";
const embeddable = process.platform === "linux" && process.arch === "x64";
const { checkNode, isInstalled } = (await import(pathToFileURL(join(project, "scripts", "setup.mjs")).href)) as {
  checkNode(version: string): void;
  isInstalled(root: string): boolean;
};

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "pan-setup-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/**
 * A clone in `root`: the scripts and what they import, with the project's own node_modules linked
 * in.
 */
function clone(): void {
  cpSync(join(project, "scripts"), join(root, "scripts"), { recursive: true });
  for (const name of ["native.mjs", "vulkan.mjs"])
    cpSync(join(project, "src", "node", name), join(root, "src", "node", name));
  for (const name of ["package.json", "package-lock.json"]) cpSync(join(project, name), join(root, name));
  symlinkSync(join(project, "node_modules"), join(root, "node_modules"));
}

const node = (...args: string[]) => spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });

describe.runIf(embeddable)("unpackSwiftShader", () => {
  /** An archive of these bytes, in a package tree where the reader finds its tar library. */
  function archiveOf(bytes: Uint8Array): string {
    const path = join(root, "node_modules", "@sparticuz", "chromium", "bin", "swiftshader.tar.br");
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(join(project, "node_modules", "tar-fs"), join(root, "node_modules", "tar-fs"));
    writeFileSync(path, bytes);
    return path;
  }
  const repack = (tar: Uint8Array) => brotliCompressSync(tar, { params: { [constants.BROTLI_PARAM_QUALITY]: 0 } });

  it("fills a fresh folder with the three files and nothing else", async () => {
    const target = join(root, "deep", "swiftshader");
    await unpackSwiftShader(archive, target);
    expect(isSwiftShader(target)).toBe(true);
    expect(readdirSync(target).sort()).toEqual(["libvk_swiftshader.so", "libvulkan.so.1", "vk_swiftshader_icd.json"]);
    expect(readdirSync(dirname(target))).toEqual(["swiftshader"]);
  });

  it("serves two at once", async () => {
    const target = join(root, "swiftshader");
    await Promise.all([unpackSwiftShader(archive, target), unpackSwiftShader(archive, target)]);
    expect(isSwiftShader(target)).toBe(true);
    expect(readdirSync(root)).toEqual(["swiftshader"]);
  });

  it("replaces an incomplete copy, and refuses a folder that holds anything else", async () => {
    const target = join(root, "swiftshader");
    mkdirSync(target);
    writeFileSync(join(target, "libvulkan.so.1"), "");
    await unpackSwiftShader(archive, target);
    expect(isSwiftShader(target)).toBe(true);

    const home = join(root, "home");
    mkdirSync(home);
    writeFileSync(join(home, "thesis.txt"), "precious");
    await expect(unpackSwiftShader(archive, home)).rejects.toThrow(/thesis\.txt/);
    expect(readFileSync(join(home, "thesis.txt"), "utf8")).toBe("precious");
    expect(readdirSync(home)).toEqual(["thesis.txt"]);
  });

  it.each([
    ["cut short", (packed: Buffer) => packed.subarray(0, packed.length >> 1), /unexpected end|Z_BUF/i],
    ["not brotli", () => Buffer.alloc(1000, 0xff), /decompression|ERR_|brotli/i],
    ["with a damaged header", (packed: Buffer) => damage(packed, 0), /header|checksum/i],
    [
      "with a damaged library",
      (packed: Buffer) => damage(packed, "libvk_swiftshader.so"),
      /libvk_swiftshader\.so.*damaged/,
    ],
    [
      "whose content is cut short",
      (packed: Buffer) => repack(brotliDecompressSync(packed).subarray(0, 9e6)),
      /end of data/,
    ],
    ["empty of files", () => repack(Buffer.alloc(1024)), /holds no libvk_swiftshader\.so/],
  ])("refuses an archive %s and leaves nothing behind", async (_, change, reason) => {
    const damaged = archiveOf(change(readFileSync(archive)));
    const parent = join(root, "target");
    await expect(unpackSwiftShader(damaged, join(parent, "swiftshader"))).rejects.toThrow(reason);
    expect(readdirSync(parent)).toEqual([]);
  });

  /** Flips bits in the first header, or in the first bytes of a member. */
  function damage(packed: Buffer, where: 0 | string): Buffer {
    const tar = brotliDecompressSync(packed);
    const at = where === 0 ? 0 : tar.indexOf(where) + 512;
    tar[at] = tar[at]! ^ 0xff;
    return repack(tar);
  }
});

describe("setup", () => {
  it("refuses an old Node in words", () => {
    expect(() => checkNode("18.19.1")).toThrow(/Node 20 or later.*18\.19\.1/);
    expect(() => checkNode("20.0.0")).not.toThrow();
  });

  it("tells from the lock files whether the dependencies are in place", () => {
    const lock = (path: string, packages: object) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), JSON.stringify({ packages }));
    };
    const [a, a2] = [{ version: "1.0.0" }, { version: "2.0.0" }];
    lock("package-lock.json", { "": {}, "node_modules/a": a, "node_modules/b": { version: "1.0.0", optional: true } });
    expect(isInstalled(root)).toBe(false);
    lock("node_modules/.package-lock.json", { "node_modules/a": a });
    expect(isInstalled(root)).toBe(true);
    lock("node_modules/.package-lock.json", { "node_modules/a": a2 });
    expect(isInstalled(root)).toBe(false);
    lock("node_modules/.package-lock.json", { "node_modules/a": a, "node_modules/stray": a });
    expect(isInstalled(root)).toBe(false);
  });

  it("prepares a clone, names the adapter, and does nothing the second time", () => {
    clone();
    const first = node("scripts/setup.mjs");
    expect(first.status, first.stderr).toBe(0);
    expect(first.stdout).toMatch(/^setup: adapter .+/m);
    const unpacked = first.stdout.includes("unpacking");
    expect(isSwiftShader(join(root, ".adapter", "swiftshader"))).toBe(unpacked);
    const second = node("scripts/setup.mjs");
    expect(second.stdout.trim().split("\n")).toHaveLength(1);
    expect(second.stdout).toMatch(/^setup: adapter /);
  });

  it("names the adapter that the program will take, and says when PAN_ADAPTER has none", () => {
    clone();
    const said = (PAN_ADAPTER: string) =>
      spawnSync(process.execPath, ["scripts/setup.mjs"], {
        cwd: root,
        encoding: "utf8",
        env: { ...process.env, PAN_ADAPTER },
      }).stdout;
    if (embeddable) expect(said("swiftshader")).toMatch(/^setup: adapter SwiftShader.*, software, embedded$/m);
    const hardware = said("hardware");
    expect(hardware).toMatch(/adapter .*, hardware$|no adapter of the kind hardware \(PAN_ADAPTER\) works/m);
  });

  it("ends with a clear message when the installation fails", () => {
    clone();
    rmSync(join(root, "node_modules"));
    rmSync(join(root, "package-lock.json"));
    const { status, stderr } = node("scripts/setup.mjs");
    expect(status).toBe(1);
    expect(stderr).toContain("`npm ci` failed");
    expect(existsSync(join(root, ".adapter"))).toBe(false);
  });
});

describe("run", () => {
  function example(source: string): void {
    clone();
    mkdirSync(join(root, "examples"));
    writeFileSync(join(root, "examples", "quickstart.ts"), source);
  }

  it("explains itself and exits 2 for an unknown name", () => {
    clone();
    const { status, stderr } = node("scripts/run.mjs", "quickstrat");
    expect(status).toBe(2);
    expect(stderr).toMatch(/"quickstrat"[\s\S]*Usage:/);
  });

  it("refuses options for a task that takes none, and says so when it is asked", () => {
    clone();
    const given = node("scripts/run.mjs", "gpt", "--epochs", "3");
    expect([given.status, given.stderr]).toEqual([2, 'npm run gpt takes no options; got "--epochs 3".\n']);
    const asked = node("scripts/run.mjs", "gpt", "--help");
    expect([asked.status, asked.stderr]).toEqual([0, "npm run gpt takes no options.\n"]);
  });

  it("keeps two warnings of Dawn's to itself, and nothing else of what native code or JavaScript says", () => {
    const warning =
      "Warning: maxDynamicUniformBuffersPerPipelineLayout artificially reduced from 1000000 to 16 to fit dynamic offset allocation limit.";
    const pieces = [
      `first\n${warning.slice(0, 12)}`,
      `${warning.slice(12)}\n`,
      "War",
      "ning: maxDynamic is a name\n",
      "no end",
    ];
    // Written to descriptor 2, in pieces, as native code does.
    example(`import { writeSync } from "node:fs";
      for (const piece of ${JSON.stringify(pieces)}) {
        writeSync(2, piece);
        await new Promise((done) => setTimeout(done, 60));
      }
      console.error("; said");`);
    const { stderr, status } = node("scripts/run.mjs", "quickstart");
    expect(status).toBe(0);
    expect(stderr).toBe("first\nWarning: maxDynamic is a name\nno end; said\n");
  });

  it("hands arguments on and brings the exit code back", () => {
    example("console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7;");
    const { status, stdout } = node("scripts/run.mjs", "quickstart", "--epochs", "2 3");
    expect(stdout).toContain('["--epochs","2 3"]');
    expect(status).toBe(7);
  });

  it.runIf(process.platform !== "win32").each([
    ["SIGINT", 51],
    ["SIGTERM", 61],
  ] as const)("passes %s on once, and waits for the task's orderly end", async (signal, expected) => {
    // Exit code: 50 or 60, plus how often the signal came.
    example(`let count = 0;
      const end = (base: number) => () => { count++; setTimeout(() => process.exit(base + count), 200); };
      process.on("SIGINT", end(50)).on("SIGTERM", end(60));
      setInterval(() => {}, 1000);
      console.log("ready");`);
    const child = spawn(process.execPath, ["scripts/run.mjs", "quickstart"], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const ended = new Promise((done) => child.on("exit", done));
    await new Promise<void>((done) => child.stdout.on("data", (text) => String(text).includes("ready") && done()));
    child.kill(signal);
    expect(await ended).toBe(expected);
  });
});
