/**
 * WGSL as the SPIR-V that Dawn makes of it: compiled on whatever adapter is here, in a process of
 * its own that prints it (`dump-shaders.ts`), and put into binary form by `spirv-as`.
 */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { GpuError } from "@pan/core";

/** Stands before each kernel's text, with its number. */
export const MARK = "##### kernel ";

/** The assembly text of each kernel in what Dawn printed, in order; null where there is none. */
export function readDump(dump: string): (string | null)[] {
  const parts = dump.split(MARK).slice(1);
  return parts.map((part) => {
    const from = part.indexOf("; SPIR-V");
    const end = part.lastIndexOf("OpFunctionEnd");
    if (from < 0 || end < from) return null;
    const lines = part.slice(from, end).split("\n");
    // Older spirv-as does not know this extension, which changes no code here.
    const known = lines.filter((line) => !/MaximallyReconverges|SPV_KHR_maximal_reconvergence/.test(line));
    return `${known.join("\n")}OpFunctionEnd\n`;
  });
}

/**
 * Writes the kernels into `folder` as SPIR-V.
 * @returns their files, in order.
 * @throws GpuError for one that Dawn or the assembler refused.
 */
export async function writeSpirv(kernels: ReadonlyMap<string, string>, folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const input = join(folder, "kernels.json");
  await writeFile(input, JSON.stringify([...kernels.values()]));
  const texts = readDump(await dump(input, join(folder, "dump.txt")));
  const labels = [...kernels.keys()];
  const files = labels.map((_, i) => join(folder, `${i}.spv`));
  for (const [i, label] of labels.entries()) {
    const text = texts[i];
    if (!text) throw new GpuError(`Dawn printed no SPIR-V of the kernel ${label}: see ${join(folder, "dump.txt")}`);
    const input = text;
    const made = spawnSync("spirv-as", ["--target-env", "vulkan1.3", "-o", files[i]!], { input, encoding: "utf8" });
    if (made.status !== 0) throw new GpuError(`spirv-as refused the kernel ${label}: ${made.stderr}`);
  }
  return files;
}

/**
 * Where `.ci/mesa` puts lavapipe, which prints what cards are given: it is nobody's adapter there.
 */
const LAVAPIPE = fileURLToPath(new URL("../../.adapter/mesa/lvp_icd.json", import.meta.url));

async function dump(kernels: string, path: string): Promise<string> {
  // One file for what Node and what Dawn write keeps their order.
  const log = openSync(path, "w");
  const script = fileURLToPath(new URL("dump-shaders.ts", import.meta.url));
  const apart = existsSync(LAVAPIPE) ? { VK_DRIVER_FILES: LAVAPIPE, VK_ICD_FILENAMES: LAVAPIPE } : {};
  const { status } = spawnSync(process.execPath, ["--import", "tsx", script, kernels], {
    stdio: ["ignore", log, log],
    env: { ...process.env, ...apart },
  });
  closeSync(log);
  if (status !== 0) throw new GpuError(`Dawn could not compile the kernels: see ${path}`);
  return readFile(path, "utf8");
}
