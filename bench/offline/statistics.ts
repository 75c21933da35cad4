/** What a driver's compiler says of pipelines, as `pipeline-stats.c` prints it. */
import { GpuError } from "@pan/core";

export interface Statistics {
  /** Lanes of a subgroup (a wave). */
  readonly subgroup: number;
  /** Vector registers of a lane. */
  readonly registers: number;
  /** Registers that had to be kept in memory, vector and scalar. */
  readonly spills: number;
  /** Waves that one SIMD unit holds at a time: its occupancy. */
  readonly waves: number;
  /** Bytes of workgroup memory. */
  readonly workgroupMemory: number;
  readonly instructions: number;
}

/**
 * Statistics by file.
 * @throws GpuError for a shader that the driver refused, or a statistic that it does not give.
 */
export function parseStatistics(lines: string): Map<string, Statistics> {
  const parsed = lines.split("\n").filter((line) => line.startsWith("{"));
  return new Map(parsed.map((line) => statisticsOf(JSON.parse(line) as Record<string, unknown>)));
}

function statisticsOf(row: Record<string, unknown>): [string, Statistics] {
  const file = String(row["file"]);
  if (row["error"] !== undefined) throw new GpuError(`the driver refused ${file}: VkResult ${row["error"]}`);
  const number = (name: string): number => {
    const value = row[name];
    if (typeof value !== "number")
      throw new GpuError(`the driver gives no statistic "${name}" of ${file}: RADV of Mesa 23 or later expected`);
    return value;
  };
  const statistics: Statistics = {
    subgroup: number("subgroup"),
    registers: number("VGPRs"),
    spills: number("Spilled VGPRs") + number("Spilled SGPRs"),
    waves: number("Subgroups per SIMD"),
    workgroupMemory: number("LDS size"),
    instructions: number("Instructions"),
  };
  return [file, statistics];
}
