/** The browser that pages are tried in. */
import { existsSync } from "node:fs";

export const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
export const missing = !existsSync(executablePath);
if (missing) {
  console.warn(
    `The browser test is skipped: there is no ${executablePath}. Install Chromium (Debian: apt-get install chromium), or name one in the environment variable CHROMIUM.`,
  );
}

/** With WebGPU on the processor. */
export const FLAGS = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * This process's environment without the Vulkan drivers that dawn() chose for it: Chromium brings
 * its own.
 */
export const environment = () =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || name === "VK_DRIVER_FILES" || name === "VK_ICD_FILENAMES" ? [] : [[name, value]],
    ),
  );
