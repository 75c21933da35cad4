import { defineConfig } from "vitest/config";
import { ENTRY_ALIAS } from "./entries.config";

/**
 * Tests that replace modules, globals or the device, weigh the process, or open a browser: each
 * file gets a process of its own.
 */
const APART = [
  "test/{browser,engines,node}/**/*.test.ts",
  "test/bench/offline/guard.test.ts",
  "test/gpu/{allocation,init,steady-step,two-devices}.test.ts",
  "report/test/layout.test.ts",
];

const resolve = { alias: ENTRY_ALIAS };

/**
 * `only` would leave the others untried: refused here, as the linter takes `trainer.fit` for one.
 */
const COMMON = { testTimeout: 60_000, hookTimeout: 120_000, pool: "forks" as const, allowOnly: false };

export default defineConfig({
  test: {
    projects: [
      {
        // One process for all others: they share the device and its compiled pipelines (0.2-3 s
        // each on a software adapter).
        resolve,
        test: {
          ...COMMON,
          name: "shared",
          include: ["{report/,}test/**/*.test.ts"],
          exclude: APART,
          poolOptions: { forks: { singleFork: true } },
          isolate: false,
        },
      },
      { resolve, test: { ...COMMON, name: "apart", include: APART } },
    ],
  },
});
