/** `pan` as its users run it: built, in a process of its own. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";

const ROOT = resolve(import.meta.dirname, "../..");

/** What a run of `pan` came to. */
export interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface Pan {
  /** A folder for the files of commands, where they are run. */
  readonly folder: string;
  run(...words: string[]): Promise<Run>;
  /** A line of bash, in which `pan` is this one. */
  shell(line: string): Promise<Run>;
  /** What `--json` prints. */
  json<T = Record<string, unknown>>(...words: string[]): Promise<T>;
  remove(): void;
}

/**
 * Builds the command line as it is, far from any `node_modules`.
 * @param options `packages` puts those of the clone beside it: `webgpu` is installed then
 */
export async function pan({ packages = false } = {}): Promise<Pan> {
  const place = mkdtempSync(join(tmpdir(), "pan-cli-"));
  if (packages) symlinkSync(join(ROOT, "node_modules"), join(place, "node_modules"));
  const folder = mkdtempSync(join(tmpdir(), "pan-files-"));
  await build({
    entryPoints: { pan: join(ROOT, "src/cli/main.ts") },
    absWorkingDir: ROOT,
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    outdir: place,
    outExtension: { ".js": ".mjs" },
    external: ["webgpu", "sharp"],
    define: { PAN_VERSION: '"1.2.3"' },
    logLevel: "silent",
  });
  const spawned = (program: string, words: readonly string[]) =>
    new Promise<Run>((done) => {
      const { NODE_OPTIONS: _, ...own } = process.env;
      const env = { PAN_ADAPTER: "swiftshader", PAN_SWIFTSHADER: join(ROOT, ".adapter/swiftshader"), ...own };
      const child = spawn(program, words, { cwd: folder, env });
      let [out, err] = ["", ""];
      child.stdout.on("data", (text: Buffer) => (out += text));
      child.stderr.on("data", (text: Buffer) => (err += text));
      child.on("close", (code) => done({ code, out, err }));
    });
  const run = (...words: string[]) => spawned(process.execPath, [join(place, "pan.mjs"), ...words]);
  return {
    folder,
    run,
    shell: (line) =>
      spawned("bash", ["-c", `pan() { '${process.execPath}' '${join(place, "pan.mjs")}' "$@"; }\n${line}`]),
    json: async (...words) => {
      const { out, err } = await run(...words, "--json");
      try {
        return JSON.parse(out);
      } catch {
        throw new Error(`no JSON of pan ${words.join(" ")}: ${out}${err}`);
      }
    },
    remove: () => {
      for (const path of [place, folder]) rmSync(path, { recursive: true, force: true });
    },
  };
}
