/**
 * The declarations of the package under several TypeScripts, ways of resolving modules and
 * libraries of types, each declaration checked too (`skipLibCheck: false`).
 */
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { STRICT } from "./programs.mjs";

/**
 * Compilers by the name that they are installed under. They are no development dependencies: each
 * has a `tsc`, and which of them `npx tsc` took would be chance.
 */
const COMPILERS = { "ts-5.6": "5.6.3", "ts-5.9": "5.9.3", "ts-6": "6.0.3", "ts-7": "7.0.2" };

const isBefore = (compiler, major) => Number(COMPILERS[compiler].split(".")[0]) < major;

const MODULES = {
  node16: { options: { module: "Node16", moduleResolution: "Node16" }, ends: ["mts", "cts"] },
  bundler: { options: { module: "ESNext", moduleResolution: "Bundler" }, ends: ["mts"] },
  node10: { options: { module: "CommonJS", moduleResolution: "node10" }, ends: ["cts"] },
};

const ES = ["ES2022"];
const DOM = [...ES, "DOM", "DOM.Iterable"];

/**
 * What programs are told of the platform, which are written for that, and how they find modules.
 */
const PLATFORMS = {
  page: { lib: DOM, types: [], programs: ["page-entries"], modules: ["node16", "bundler"] },
  "the language alone": { lib: ES, types: [], programs: ["page-entries"], modules: ["bundler"] },
  node: { lib: ES, types: ["node"], programs: ["entries", "server"], modules: ["node16", "bundler", "node10"] },
};

/** Those that name types of WebGPU. The library of the DOM has them since TypeScript 6. */
const WITH_WEBGPU = {
  page: { lib: DOM, types: [], programs: ["page", "page-entries"], modules: ["bundler"] },
  node: { lib: DOM, types: ["node"], programs: ["program", "entries", "server"], modules: ["node16"] },
};

/** Installs the compilers into a folder of their own. */
export function installCompilers(folder, install) {
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "compilers", private: true }));
  const aliases = Object.entries(COMPILERS).map(([name, version]) => `${name}@npm:typescript@${version}`);
  install(folder, "--no-bin-links", ...aliases);
}

/** Configurations of a compiler by what they are called. */
function configs(compiler, webgpu) {
  const own = webgpu && isBefore(compiler, 6) ? ["@webgpu/types"] : [];
  return Object.entries(webgpu ? WITH_WEBGPU : PLATFORMS).flatMap(([platform, { lib, types, programs, modules }]) =>
    modules
      .filter((name) => name !== "node10" || isBefore(compiler, 7)) // TypeScript 7 has dropped it.
      .map((name) => {
        const { options, ends } = MODULES[name];
        const compilerOptions = { ...STRICT, ...options, lib, types: [...types, ...own], skipLibCheck: false };
        if (name === "node10" && !isBefore(compiler, 6)) compilerOptions.ignoreDeprecations = "6.0";
        const files = programs.flatMap((program) => ends.map((end) => `${program}.${end}`));
        return [`${platform}, ${name}`, { compilerOptions: { ...compilerOptions, noEmit: true }, files }];
      }),
  );
}

/**
 * Compiles programs of a project that has the package installed in all settings, those that name
 * types of WebGPU or the others, which then need none to be installed.
 * @throws Error with what a compiler says that finds a fault.
 */
export async function checkTypes(project, compilers, { webgpu }) {
  const compile = promisify(execFile);
  const counts = await Promise.all(
    Object.keys(COMPILERS).map(async (compiler) => {
      const all = configs(compiler, webgpu);
      for (const [at, [name, config]] of all.entries()) {
        const file = join(project, `tsconfig.${compiler}.${at}.json`);
        writeFileSync(file, JSON.stringify(config));
        const tsc = join(compilers, "node_modules", compiler, "bin", "tsc");
        await compile(process.execPath, [tsc, "-p", file], { cwd: project }).catch(({ stdout, message }) => {
          throw new Error(`TypeScript ${COMPILERS[compiler]} (${name}):\n${stdout || message}`);
        });
      }
      return all.length;
    }),
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  const kind = webgpu ? "with types of WebGPU" : "without types of WebGPU";
  console.log(`types: ${total} settings of TypeScript ${Object.values(COMPILERS).join(", ")} pass, ${kind}`);
}
