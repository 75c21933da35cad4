/** Programs that use the package in a process of their own, as a bundle of it. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";

const ROOT = resolve(import.meta.dirname, "../..");

/** A program in a folder of its own. */
export interface Bundled {
  /** Its file, in the folder of {@link where}. */
  readonly file: string;
  /** What a process is started with: folder and environment. */
  readonly where: { cwd: string; env: NodeJS.ProcessEnv };
  remove(): void;
}

/**
 * Bundles a module that imports `@pan/core` and its entries; `webgpu` and `sharp` stay packages.
 * One for browsers has nothing of Node's.
 */
export async function bundleProgram(source: string, platform: "node" | "browser" = "node"): Promise<Bundled> {
  const cwd = mkdtempSync(join(tmpdir(), "pan-program-"));
  symlinkSync(join(ROOT, "node_modules"), join(cwd, "node_modules"));
  writeFileSync(join(cwd, "package.json"), '{ "type": "module" }');
  writeFileSync(join(cwd, "source.ts"), source);
  const require =
    'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);';
  await build({
    entryPoints: [join(cwd, "source.ts")],
    bundle: true,
    platform,
    format: "esm",
    target: "es2022",
    external: ["webgpu", "sharp"],
    plugins: [
      {
        name: "entries",
        setup: (build) =>
          build.onResolve({ filter: /^@pan\/core/ }, ({ path }) => ({
            path: join(ROOT, "src", "entry", `${path.slice("@pan/core/".length) || "index"}.ts`),
          })),
      },
    ],
    outfile: join(cwd, "program.mjs"),
    ...(platform === "node" && { banner: { js: require } }),
    logLevel: "silent",
  });
  // A search for SwiftShader from this folder upwards would find none.
  const env = { PAN_SWIFTSHADER: join(ROOT, ".adapter", "swiftshader"), ...process.env };
  return { file: "program.mjs", where: { cwd, env }, remove: () => rmSync(cwd, { recursive: true, force: true }) };
}
