/** The page, built to static files: `npm run demo` builds and serves it. */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";
import { ENTRY_ALIAS } from "../entries.config";
import { HEADERS, POLICY } from "./policy";

/** The policy in the page itself, for whoever serves files without headers. */
const policy: Plugin = {
  name: "policy",
  apply: "build",
  transformIndexHtml: () => [
    { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: POLICY }, injectTo: "head-prepend" },
  ],
};

/**
 * `import bytes from "./file?bytes"`: a file inside a script, since the page may fetch nothing. Its
 * modules are loaded when they are asked for.
 */
const bytes: Plugin = {
  name: "bytes",
  enforce: "pre",
  resolveId(source, importer) {
    if (!source.endsWith("?bytes") || !importer) return null;
    // An ending of its own: what ends in .json, others read.
    return `\0${resolve(dirname(importer), source.replace(/\?bytes$/, ""))}.bytes`;
  },
  async load(id) {
    if (!/^\0.*\.bytes$/.test(id)) return null;
    const text = (await readFile(id.slice(1).replace(/\.bytes$/, ""))).toString("base64");
    return {
      code: `export default Uint8Array.from(atob("${text}"), (c) => c.charCodeAt(0));`,
      map: { mappings: "" },
      moduleSideEffects: false,
    };
  },
};

export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  resolve: { alias: ENTRY_ALIAS },
  plugins: [policy, bytes],
  worker: { format: "iife" },
  build: {
    outDir: "../out/web",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    // The sample of CIFAR-10 is a script of 16 MB, loaded when somebody trains.
    chunkSizeWarningLimit: 14_000,
    // Vite's stand-in for browsers without modulepreload would fetch.
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  preview: { headers: HEADERS },
});
