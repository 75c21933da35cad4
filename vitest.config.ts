import { defineConfig } from "vitest/config";

// One process for all GPU test files: they share the device and its compiled pipelines (0.2-3 s each on a software adapter).
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    poolOptions: { forks: { singleFork: true } },
    isolate: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
