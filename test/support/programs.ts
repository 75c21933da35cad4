/** Other JavaScripts than Node, where a machine has them. */
import { spawnSync } from "node:child_process";

/**
 * A program by its name in the environment, or on the path; null, and said, where it is missing.
 */
export function program(name: "deno" | "bun"): string | null {
  const variable = name.toUpperCase();
  const named = process.env[variable] ?? name;
  const { status } = spawnSync(named, ["--version"], { stdio: "ignore" });
  if (status === 0) return named;
  console.warn(
    `What runs in ${name} is skipped: there is none. Install it, or name it in the environment variable ${variable}.`,
  );
  return null;
}
