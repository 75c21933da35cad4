/** A browser to look at pages with: the system's Chromium, or the one among the packages. */
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

/** Chromium of the environment variable CHROMIUM, or where Debian puts it. */
export const SYSTEM_CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

/**
 * A browser without a graphics card, for pages and not for WebGPU. Where the system has none, it is
 * unpacked from `@sparticuz/chromium`, which is for x86-64 Linux.
 */
export async function openChromium(): Promise<Browser> {
  const args = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];
  if (existsSync(SYSTEM_CHROMIUM)) return chromium.launch({ executablePath: SYSTEM_CHROMIUM, args });
  const { default: packed } = await import("@sparticuz/chromium");
  return chromium.launch({ executablePath: await packed.executablePath(), args: [...packed.args, ...args] });
}
