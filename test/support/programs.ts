/** Other JavaScripts than Node, where a machine has them. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";

/**
 * A program by its name in the environment, of `test/engines`, or on the path; null, and said,
 * where it is missing.
 */
export function program(name: "deno" | "bun"): string | null {
  const variable = name.toUpperCase();
  const own = resolve(import.meta.dirname, "../engines/node_modules/.bin", name);
  const named = process.env[variable] ?? (existsSync(own) ? own : name);
  const { status } = spawnSync(named, ["--version"], { stdio: "ignore" });
  if (status === 0) return named;
  console.warn(
    `What runs in ${name} is skipped: there is none. Install it${name === "deno" ? " (npm ci --prefix test/engines)" : ""}, or name it in the environment variable ${variable}.`,
  );
  return null;
}
