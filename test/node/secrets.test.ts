import { spawn } from "node:child_process";
import { once } from "node:events";
import type * as FsPromises from "node:fs/promises";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ArgumentError, FormatError, PanError } from "../../src/errors";
import type { HostTensor, StateDict } from "../../src/io/host-tensor";
import { fileCheckpoints, saveSafetensors, writeFileAtomic } from "../../src/node/files";
import { temporaryName } from "../../src/node/leftovers";
import { loadSafetensors } from "../../src/node/read-files";
import { CREDENTIAL, DEPLOYED, FIRST_CREDENTIAL, FIRST_DEPLOYED } from "../../src/passport/files";

const fault = vi.hoisted(() => ({ code: "" }));

vi.mock("node:fs/promises", async (importActual) => {
  const actual = await importActual<typeof FsPromises>();
  const open: typeof actual.open = async (path, flags, mode) => {
    const handle = await actual.open(path, flags, mode);
    if (flags === "r" && fault.code !== "")
      handle.sync = () => Promise.reject(Object.assign(new Error(`${fault.code}: injected`), { code: fault.code }));
    return handle;
  };
  return { ...actual, open };
});

const posix = describe.skipIf(process.platform === "win32");
let folder: string;
let umask: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pan-secrets-"));
  umask = process.umask();
});
afterEach(async () => {
  fault.code = "";
  process.umask(umask);
  await rm(folder, { recursive: true });
});

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
const w: HostTensor = { dtype: "F32", shape: [1], data: Float32Array.of(1) };
const state = (...names: string[]): StateDict => new Map(names.map((name) => [name, w]));
const bytes = Uint8Array.of(1, 2, 3);

posix("permissions", () => {
  const files: [what: string, tensors: StateDict, metadata: Record<string, string>, secret: boolean][] = [
    ["the deployed model", state("features.0.conv.weight"), { format: DEPLOYED, model: "{}" }, false],
    ["a plain state dict", state("layer.weight", "monkey.weight"), {}, false],
    ["a file of PyTorch's", state("w"), { format: "pt" }, false],
    ["the deployed model of the first format", state("features.0.conv.weight"), { format: FIRST_DEPLOYED }, false],
    ["a credential", state("features.3.bn.passport.b"), { format: CREDENTIAL }, true],
    ["a credential of the first format", state("features.3.b"), { format: FIRST_CREDENTIAL }, true],
    ["the secrets of a network of one's own", state("a.weight", "a.passport.skey"), {}, true],
    ["a feature watermark", state("x", "bits"), { format: "pan-feature-watermark-1" }, true],
    ["a checkpoint", state("model.w"), { format: "pan-checkpoint-2" }, true],
    ["a format that is yet to come", state("w"), { format: "pan-something-9" }, true],
    ["a whole state dict with passports", state("a.weight", "a.key_private"), {}, true],
    ["one of V1", state("a.weight", "a.skey"), {}, true],
  ];

  for (const mask of [0o000, 0o022, 0o077]) {
    it.each(files)(`under umask ${mask.toString(8)}: %s`, async (_, tensors, metadata, secret) => {
      process.umask(mask);
      const path = join(folder, "file.safetensors");
      const usual = 0o666 & ~mask;
      await saveSafetensors(path, tensors, metadata);
      expect(await modeOf(path)).toBe(secret ? 0o600 : usual);
      // A secret over a file that all can read; an ordinary file keeps what was chosen for it.
      await chmod(path, 0o644);
      await saveSafetensors(path, { tensors, metadata });
      expect(await modeOf(path)).toBe(secret ? 0o600 : 0o644);
      await saveSafetensors(path, tensors, metadata, { mode: 0o640 });
      expect(await modeOf(path)).toBe(0o640);
      await saveSafetensors(path, Object.fromEntries(tensors) as never, metadata, { mode: undefined as never });
      expect(await modeOf(path)).toBe(secret ? 0o600 : 0o640);
    });
  }

  it("of checkpoints and of written bytes", async () => {
    process.umask(0);
    const path = join(folder, "run.checkpoint");
    await writeFile(path, "older", { mode: 0o666 });
    await fileCheckpoints(path).save(bytes);
    expect(await modeOf(path)).toBe(0o600);
    await fileCheckpoints(path, { mode: 0o640 }).save(bytes);
    expect(await modeOf(path)).toBe(0o640);
    const other = join(folder, "other");
    process.umask(0o077);
    await writeFileAtomic(other, bytes, { mode: 0o644 });
    expect(await modeOf(other)).toBe(0o644);
    await writeFileAtomic(other, bytes, { mode: 0o600 });
    await writeFileAtomic(other, bytes);
    expect(await modeOf(other)).toBe(0o600);
  });
});

describe("arguments", () => {
  it.each([600, 644, -1, 0o1000, 1.5, Number.NaN, "600", "rw", null])("mode %s", async (mode) => {
    const path = join(folder, "x");
    await expect(writeFileAtomic(path, bytes, { mode: mode as never })).rejects.toThrow(ArgumentError);
    if (mode !== null) expect(() => fileCheckpoints(path, { mode: mode as never })).toThrow(ArgumentError);
    expect(await readdir(folder)).toEqual([]);
  });

  const notBytes = ["text", undefined, null, 7, {}, [1, 2], Promise.resolve(bytes), new Blob(["x"]), new Map()];
  it.each(notBytes)("bytes %s", async (value) => {
    await expect(writeFileAtomic(join(folder, "x"), value as never)).rejects.toThrow(ArgumentError);
    await expect(fileCheckpoints(join(folder, "x")).save(value as never)).rejects.toThrow(ArgumentError);
    expect(await readdir(folder)).toEqual([]);
  });

  const notTensors = [undefined, null, {}, [], "model", Promise.resolve(state("w")), new Set(), new Map([["w", 1]])];
  it.each(notTensors)("tensors %s", async (value) => {
    await expect(saveSafetensors(join(folder, "x"), value as never)).rejects.toThrow(PanError);
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    undefined,
    null,
    "",
    "a\0b",
    3,
    {},
    new URL("https://example.org/x"),
    Promise.resolve("x"),
  ])("path %s", async (path) => {
    await expect(writeFileAtomic(path as never, bytes)).rejects.toThrow(ArgumentError);
    await expect(saveSafetensors(path as never, state("w"))).rejects.toThrow(ArgumentError);
    await expect(loadSafetensors(path as never)).rejects.toThrow(ArgumentError);
    expect(() => fileCheckpoints(path as never)).toThrow(ArgumentError);
  });
});

posix("targets that are no files", () => {
  async function refused(path: string, what: RegExp): Promise<void> {
    const before = await readdir(folder);
    await expect(writeFileAtomic(path, bytes)).rejects.toThrow(what);
    await expect(writeFileAtomic(path, bytes)).rejects.toThrow(PanError);
    await expect(loadSafetensors(path)).rejects.toThrow(FormatError);
    expect(await readdir(folder)).toEqual(before);
  }

  it("are refused and stay: pipes, sockets, devices, folders, links to nothing", async () => {
    const pipe = join(folder, "pipe");
    await once(spawn("mkfifo", [pipe]), "exit");
    await refused(pipe, /named pipe/);
    await expect(fileCheckpoints(pipe).load()).rejects.toThrow(/named pipe/);
    const path = join(folder, "socket");
    const server = createServer().listen(path);
    await once(server, "listening");
    await refused(path, /socket/);
    server.close();
    await refused("/dev/null", /device/);
    await mkdir(join(folder, "inner"));
    await refused(join(folder, "inner"), /folder/);
    await symlink(join(folder, "nowhere"), join(folder, "link"));
    await refused(join(folder, "link"), /symbolic link to .*nowhere/);
    await symlink(join(folder, "b"), join(folder, "a"));
    await symlink(join(folder, "a"), join(folder, "b"));
    await refused(join(folder, "a"), /circle/);
  }, 20_000);

  it("a folder that cannot be forced to disk is reported, the file being there", async () => {
    const path = join(folder, "x");
    fault.code = "EIO";
    const error = await writeFileAtomic(path, bytes).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(PanError);
    expect((error as Error).message).toMatch(/was written.*EIO.*save again/s);
    expect(Uint8Array.from(await readFile(path))).toEqual(bytes);
    expect(await readdir(folder)).toEqual(["x"]);
    for (const code of ["EINVAL", "ENOTSUP", "EISDIR", "EPERM"]) {
      fault.code = code;
      await writeFileAtomic(path, bytes);
    }
  });
});

describe("temporary files of killed writers", () => {
  it.skipIf(process.platform !== "linux")(
    "are removed by the next save of the same target, a living writer's are not",
    async () => {
      const path = join(folder, "model.bin");
      const program = `
      import { temporaryName } from ${JSON.stringify(resolve("src/node/leftovers.ts"))};
      import { writeFileSync } from "node:fs";
      writeFileSync(${JSON.stringify(folder)} + "/" + (await temporaryName("model.bin")), "half");
      writeFileSync(${JSON.stringify(folder)} + "/" + (await temporaryName("other.bin")), "half");
      console.log("written");
      setInterval(() => {}, 1000);`;
      const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await once(child.stdout, "data");
      const own = await temporaryName("model.bin");
      await writeFile(join(folder, own), "in the making, here");
      await writeFileAtomic(path, bytes);
      expect((await readdir(folder)).filter((n) => n.startsWith(".model.bin.")).length).toBe(2);
      child.kill("SIGKILL");
      await once(child, "exit");
      // The same process number, begun at another time: it was another process.
      const reused = own.replace(/-(\d+)-(\d+)\./, "-$1-1.");
      await writeFile(join(folder, reused), "half");
      await writeFileAtomic(path, bytes);
      const left = (await readdir(folder)).sort();
      expect(left.filter((n) => n.startsWith(".model.bin."))).toEqual([own]);
      expect(left.filter((n) => n.startsWith(".other.bin.")).length).toBe(1);
    },
    30_000,
  );

  it("of other machines and earlier versions are removed when nothing was written to them for a day", async () => {
    const uuid = "01234567-89ab-cdef-0123-456789abcdef";
    const foreign = [`.m.00000000-1-1.${uuid}.tmp`, `.m.${uuid}.tmp`];
    const kept = [`.m.notes.tmp`, `.m.00000000-1-1.${uuid}.tmp.bak`, `m.${uuid}.tmp`, `.mm.${uuid}.tmp`];
    const old = new Date(Date.now() - 25 * 3600 * 1000);
    for (const name of [...foreign, ...kept]) await writeFile(join(folder, name), "x");
    await writeFileAtomic(join(folder, "m"), bytes);
    expect((await readdir(folder)).sort()).toEqual([...foreign, ...kept, "m"].sort());
    for (const name of [...foreign, ...kept]) await utimes(join(folder, name), old, old);
    await writeFileAtomic(join(folder, "m"), bytes);
    expect((await readdir(folder)).sort()).toEqual([...kept, "m"].sort());
  });
});
