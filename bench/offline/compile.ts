/** Kernels through the compiler of a card that is not here. */
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { GpuError, UnavailableError } from "@pan/core";
import { type CodeCounts, countCode } from "./hot-loop";
import { writeSpirv } from "./spirv";
import { parseStatistics, type Statistics } from "./statistics";
import { demandTools, INSTALL } from "./tools";

export interface CompiledKernel {
  readonly statistics: Statistics;
  readonly counts: CodeCounts;
}

/** Kernels, compiled for as many cards as are asked for. */
export class OfflineCompiler {
  readonly #manifest = demandTools();
  readonly #files = new Map<string, string>();
  #built: string | null = null;

  /** @param folder where files are left, for who wants to look at them. */
  constructor(readonly folder: string) {}

  /** Makes SPIR-V of those kernels that are new: WGSL by label. */
  async add(kernels: ReadonlyMap<string, string>): Promise<void> {
    const fresh = new Map([...kernels].filter(([label]) => !this.#files.has(label)));
    if (!fresh.size) return;
    const files = await writeSpirv(fresh, join(this.folder, String(this.#files.size)));
    [...fresh.keys()].forEach((label, i) => this.#files.set(label, files[i]!));
  }

  /**
   * Compiles all of them for a card.
   * @param family as `RADV_FORCE_FAMILY` names it.
   * @throws UnavailableError where the driver does not know the card.
   */
  async compile(family: string): Promise<Map<string, CompiledKernel>> {
    const { stdout, stderr, status } = spawnSync(this.#program(), [...this.#files.values()], {
      env: { ...process.env, VK_DRIVER_FILES: this.#manifest, RADV_FORCE_FAMILY: family },
      encoding: "utf8",
      maxBuffer: 2 ** 28,
    });
    if (stderr.includes("Unknown family"))
      throw new UnavailableError(`this machine's Mesa does not know ${family}, a newer one does: ${INSTALL}`);
    if (status !== 0) throw new GpuError(`Mesa's driver RADV compiled nothing for ${family}: ${stderr.trim()}`);
    const all = parseStatistics(stdout);
    const compiled = new Map<string, CompiledKernel>();
    for (const [label, file] of this.#files) {
      const code = await readFile(`${file}.s`, "utf8");
      const statistics = all.get(file)!;
      compiled.set(label, { statistics, counts: countCode(code, statistics.subgroup) });
    }
    return compiled;
  }

  /** Builds the C program that speaks to Vulkan, once. */
  #program(): string {
    if (this.#built) return this.#built;
    const program = join(this.folder, "pipeline-stats");
    const source = fileURLToPath(new URL("pipeline-stats.c", import.meta.url));
    const made = spawnSync("gcc", ["-std=c11", "-O1", "-o", program, source, "-lvulkan"], { encoding: "utf8" });
    if (made.status !== 0) throw new UnavailableError(`gcc could not build ${source}: ${made.stderr}`);
    this.#built = program;
    return program;
  }
}
