import { spawn } from "node:child_process";
import { once } from "node:events";
import type * as FsPromises from "node:fs/promises";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ArgumentError, FormatError, PanError } from "../../src/errors";
import type { HostTensor } from "../../src/io/host-tensor";
import { encodeSafetensors } from "../../src/io/safetensors";
import { fileCheckpoints, saveSafetensors, writeFileAtomic } from "../../src/node/files";
import { loadSafetensors, loadWeights } from "../../src/node/read-files";

/** The step of a write that the disk refuses, and the system's code for it. */
const fault = vi.hoisted(() => ({ step: "", code: "" }));

vi.mock("node:fs/promises", async (importActual) => {
  const actual = await importActual<typeof FsPromises>();
  const refuse = (step: string) => {
    if (fault.step === step) throw Object.assign(new Error(`${fault.code}: injected`), { code: fault.code });
  };
  const open: typeof actual.open = async (path, flags, mode) => {
    refuse(flags === "r" ? "open folder" : "open");
    const handle = await actual.open(path, flags, mode);
    const write = handle.writeFile.bind(handle);
    handle.writeFile = async (data, options) => {
      if (fault.step === "write") await write((data as Uint8Array).subarray(0, 2), options);
      refuse("write");
      await write(data, options);
    };
    const sync = handle.sync.bind(handle);
    handle.sync = async () => {
      refuse("sync");
      await sync();
    };
    return handle;
  };
  const rename: typeof actual.rename = async (from, to) => {
    refuse("rename");
    await actual.rename(from, to);
  };
  return { ...actual, open, rename };
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pan-files-"));
});
afterEach(async () => {
  fault.step = "";
  await rm(folder, { recursive: true });
});

const bytes = (...values: number[]) => Uint8Array.from(values);
const contents = async (path: string) => Uint8Array.from(await readFile(path));

describe("options of files", () => {
  const tensors = { x: { dtype: "F32", shape: [1], data: Float32Array.of(1) } } as const;
  const calls: Record<string, (path: string, options: never) => unknown> = {
    writeFileAtomic: (path, options) => writeFileAtomic(path, bytes(1), options),
    saveSafetensors: (path, options) => saveSafetensors(path, tensors as never, {}, options),
    fileCheckpoints: (path, options) => fileCheckpoints(path, options),
    loadSafetensors: (path, options) => loadSafetensors(path, options),
    loadWeights: (path, options) => loadWeights(path, options),
  };

  it.each(Object.keys(calls))("of %s are refused where they are misspelt or none", async (name) => {
    const path = join(folder, "model.safetensors");
    await saveSafetensors(path, tensors as never);
    const before = await contents(path);
    for (const options of [{ sha265: "00" }, { perm: 0o600 }, { mod: 0o600 }, null, 3, "x", [1], new Map()]) {
      const call = async () => calls[name]!(path, options as never);
      await expect(call(), String(options)).rejects.toThrow(ArgumentError);
      await expect(call()).rejects.toThrow(new RegExp(`^${name}: .*(sha256|mode)`));
    }
    expect(await contents(path)).toEqual(before);
  });
});

describe("writeFileAtomic", () => {
  it("creates and replaces a file, leaving nothing else behind", async () => {
    const path = join(folder, "model.bin");
    await writeFileAtomic(path, bytes(1, 2, 3));
    expect(await contents(path)).toEqual(bytes(1, 2, 3));
    await writeFileAtomic(path, bytes(4));
    expect(await contents(path)).toEqual(bytes(4));
    await writeFileAtomic(path, bytes());
    expect(await contents(path)).toEqual(bytes());
    expect(await readdir(folder)).toEqual(["model.bin"]);
  });

  it.each([
    ["open", "EACCES", /permission/],
    ["write", "ENOSPC", /disk is full/],
    ["sync", "EIO", /EIO/],
    ["rename", "EPERM", /permission/],
  ])("keeps the earlier file when the disk refuses to %s (%s)", async (step, code, reason) => {
    const path = join(folder, "model.bin");
    await writeFileAtomic(path, bytes(1, 2, 3));
    Object.assign(fault, { step, code });
    const error = await writeFileAtomic(path, bytes(9, 9, 9, 9)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(PanError);
    const { message, cause } = error as PanError;
    expect(message).toContain(path);
    expect(message).toMatch(reason);
    expect(message).toMatch(/intact/);
    expect(cause).toMatchObject({ code });
    expect(await contents(path)).toEqual(bytes(1, 2, 3));
    expect(await readdir(folder)).toEqual(["model.bin"]);
  });

  it("succeeds where a folder cannot be opened for syncing", async () => {
    Object.assign(fault, { step: "open folder", code: "EISDIR" });
    await writeFileAtomic(join(folder, "model.bin"), bytes(1));
    expect(await contents(join(folder, "model.bin"))).toEqual(bytes(1));
  });

  it("refuses a folder as target, and a folder that is missing", async () => {
    const target = join(folder, "out");
    await mkdir(target);
    await writeFile(join(target, "inside"), "kept");
    await expect(writeFileAtomic(target, bytes(1))).rejects.toThrow(PanError);
    expect(await readdir(folder)).toEqual(["out"]);
    expect(await readFile(join(target, "inside"), "utf8")).toBe("kept");
    await expect(writeFileAtomic(join(folder, "none", "x"), bytes(1))).rejects.toThrow(/create it first/);
  });

  it("lets writers at the same time leave one whole file", async () => {
    const path = join(folder, "model.bin");
    const versions = Array.from({ length: 8 }, (_, i) => new Uint8Array(300_000 + i).fill(i));
    await Promise.all(versions.map((version) => writeFileAtomic(path, version)));
    const found = await contents(path);
    expect(versions.some((version) => Buffer.compare(version, found) === 0)).toBe(true);
    expect(await readdir(folder)).toEqual(["model.bin"]);
  });

  it("copes with names near the length limit", async () => {
    const name = "\u{1F600}".repeat(60);
    await writeFileAtomic(join(folder, name), bytes(1));
    expect(await readdir(folder)).toEqual([name]);
  });

  it.skipIf(process.platform === "win32")("keeps permissions and follows a symbolic link", async () => {
    const path = join(folder, "owner.passport");
    const link = join(folder, "link");
    await writeFile(path, "old");
    await chmod(path, 0o600);
    await symlink(path, link);
    await writeFileAtomic(link, bytes(7));
    expect(await contents(path)).toEqual(bytes(7));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readdir(folder)).sort()).toEqual(["link", "owner.passport"]);
  });

  it("leaves a whole file when the process is killed while it writes", async () => {
    const path = join(folder, "model.bin");
    const size = 2_000_000;
    const program = `
      import { writeFileAtomic } from ${JSON.stringify(resolve("src/node/files.ts"))};
      for (let i = 0; ; i++) {
        await writeFileAtomic(${JSON.stringify(path)}, new Uint8Array(${size}).fill(i));
        if (i === 0) console.log("started");
      }`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    await sleep(37);
    child.kill("SIGKILL");
    await once(child, "exit");
    const found = await contents(path);
    expect(found.length).toBe(size);
    expect(found.every((byte) => byte === found[0])).toBe(true);
  }, 30_000);
});

describe("saveSafetensors and loadSafetensors", () => {
  const weight: HostTensor = { dtype: "F32", shape: [2, 1], data: Float32Array.of(1, -2) };

  it("round-trips a state dict and a whole file, the metadata given last winning", async () => {
    const path = join(folder, "model.safetensors");
    await saveSafetensors(path, new Map([["w", weight]]), { a: "1", b: "2" });
    const file = await loadSafetensors(path);
    expect(file).toEqual({ tensors: new Map([["w", weight]]), metadata: { a: "1", b: "2" } });
    await saveSafetensors(path, file, { b: "3" });
    expect((await loadSafetensors(path)).metadata).toEqual({ a: "1", b: "3" });
    await saveSafetensors(path, new Map([["w", weight]]));
    expect((await loadSafetensors(path)).metadata).toEqual({});
  });

  it("leaves the earlier file when the tensors cannot be encoded", async () => {
    const path = join(folder, "model.safetensors");
    await saveSafetensors(path, new Map([["w", weight]]));
    await expect(saveSafetensors(path, new Map([["__metadata__", weight]]))).rejects.toThrow(ArgumentError);
    expect((await loadSafetensors(path)).tensors.has("w")).toBe(true);
  });

  it("says which file is missing or unreadable", async () => {
    const path = join(folder, "none.safetensors");
    const error = await loadSafetensors(path).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).message.startsWith(`${path}: there is no such file`)).toBe(true);
    expect((error as FormatError).cause).toMatchObject({ code: "ENOENT" });
    await expect(loadSafetensors(folder)).rejects.toThrow(/could not be read/);
  });

  it("puts the path before what is wrong with the contents", async () => {
    const path = join(folder, "cut.safetensors");
    await writeFile(path, encodeSafetensors({ w: weight }).subarray(0, -1));
    const error = await loadSafetensors(path).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).message).toMatch(/cut\.safetensors: Not a valid safetensors file: tensor "w"/);
  });
});
