import { defineConfig } from "tsup";

export default defineConfig({
  entry: { index: "src/index.ts", node: "src/node/index.ts" },
  format: ["esm", "cjs"],
  dts: true,
  splitting: true,
  sourcemap: false,
  treeshake: true,
  clean: true,
  target: "es2022",
  // `webgpu` is an optional peer, loaded only when a Node program asks for Dawn.
  external: ["webgpu", "@sparticuz/chromium"],
});
