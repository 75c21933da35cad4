/** What the offline compiler needs of the machine. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { UnavailableError } from "@pan/core";
import { driverManifests } from "../../src/node/vulkan.mjs";

/** What to install, for Debian. */
export const INSTALL =
  "apt-get install -t bookworm-backports mesa-vulkan-drivers && apt-get install libvulkan-dev spirv-tools gcc (Debian 12; later ones need no backports)";

/** Where `.ci/mesa` puts the driver, which is nobody's adapter there. */
const APART = resolve(import.meta.dirname, "../../.adapter/mesa/radeon_icd.json");

/**
 * Vulkan's manifest of Mesa's driver for AMD's cards; `PAN_RADV` names it where it is not
 * installed.
 */
function radvManifest(): string | undefined {
  const named = process.env["PAN_RADV"];
  if (named) return existsSync(named) ? named : undefined;
  if (existsSync(APART)) return APART;
  // What the loader would look at, had nobody chosen a driver for the tests.
  const { VK_DRIVER_FILES: _, VK_ICD_FILENAMES: __, ...others } = process.env;
  return driverManifests(others).find((path) => basename(path).startsWith("radeon_icd"));
}

const runs = (command: string, ...options: string[]) => spawnSync(command, options).status === 0;
const hasHeaders = () => runs("gcc", "-E", "-include", "vulkan/vulkan.h", "-x", "c", "/dev/null", "-o", "/dev/null");

/**
 * The manifest of Mesa's driver.
 * @throws UnavailableError with all that is missing, and what to install.
 */
export function demandTools(): string {
  const manifest = radvManifest();
  const missing = [
    ...(manifest ? [] : ["Mesa's driver RADV (radeon_icd*.json, or its path in PAN_RADV)"]),
    ...(runs("gcc", "--version") ? [] : ["gcc"]),
    ...(hasHeaders() ? [] : ["the headers of Vulkan"]),
    ...(runs("spirv-as", "--version") ? [] : ["spirv-as"]),
  ];
  if (manifest && !missing.length) return manifest;
  throw new UnavailableError(`offline compilation needs ${missing.join(", ")}: ${INSTALL}`);
}
