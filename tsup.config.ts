import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { parse } from "node:path";
import { defineConfig, type Options } from "tsup";

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

type Plugin = NonNullable<Options["plugins"]>[number];

/** The folder of entries is the list of them. */
const entries = Object.fromEntries(readdirSync("src/entry").map((file) => [parse(file).name, `src/entry/${file}`]));

/**
 * Source maps hold the sources. Those of CommonJS would hold them a second time, a third of the
 * tarball, and go again. The line that names a map is written by tsup and by Rollup beneath it.
 */
const mapsOfModulesAlone: Plugin = {
  name: "maps-of-modules-alone",
  buildEnd({ writtenFiles }) {
    for (const { name } of writtenFiles.filter((file) => /\.c?js$/.test(file.name))) {
      const isModule = name.endsWith(".js");
      const code = readFileSync(name, "utf8").replace(/(\n\/\/# sourceMappingURL=\S+)+\s*$/, isModule ? "$1\n" : "\n");
      writeFileSync(name, code);
      if (!isModule) rmSync(`${name}.map`);
    }
  },
};

export default defineConfig({
  // What gives tensors their methods is a file of its own: package.json says that it does something
  // when it is loaded, and bundlers keep it. The command line shares the chunks of the entries.
  entry: { ...entries, methods: "src/tensor/methods.ts", cli: "src/cli/main.ts" },
  define: { PAN_VERSION: JSON.stringify(version) },
  format: ["esm", "cjs"],
  // Tensors are disposable. Types of WebGPU are asked for nowhere (`src/gpu/webgpu.ts`).
  dts: { entry: entries, banner: '/// <reference lib="esnext.disposable" />' },
  splitting: true,
  sourcemap: true,
  plugins: [mapsOfModulesAlone],
  treeshake: true,
  clean: true,
  target: "es2022",
  // `node:fs` stays `node:fs`: bundlers and other runtimes know at a glance what the entry needs.
  removeNodeProtocol: false,
  // Optional peers, loaded only when a Node program asks for Dawn or for a folder of pictures.
  external: ["webgpu", "sharp"],
  banner: {
    js: "/*! Contains wgsl-preprocessor, Copyright (c) 2022 Brandon Jones, parts of fflate, Copyright (c) 2026 Arjun Barrett, and parts of gl-matrix, Copyright (c) 2015-2025 Brandon Jones, Colin MacKenzie IV, under the terms of the MIT licence (see THIRD-PARTY-NOTICES.txt). */",
  },
});
