/** A training step on a card, kernel by kernel, as the model predicts it. */
import type { CapturedDispatch, CapturedStep } from "./capture";
import { type Card, peak } from "./cards";
import type { CompiledKernel } from "./compile";
import { binding, PARTS, type Part, timeOf } from "./model";

export interface KernelPrediction {
  readonly kernel: string;
  readonly dispatches: number;
  /** Of all its dispatches, launches included, and at the card's peak rates. */
  readonly milliseconds: number;
  readonly ideal: number;
  readonly binds: Part;
  readonly operations: number;
  readonly bytes: number;
  readonly waves: number;
  readonly registers: number;
  readonly spills: number;
  readonly workgroupMemory: number;
  /** Of the instructions in its hot loop; null without such a loop. */
  readonly multiplyAdds: number | null;
  /** Bytes of workgroup memory that its hot loop moves for one; null without any. */
  readonly workgroupBytes: number | null;
}

export interface StepPrediction {
  readonly milliseconds: number;
  readonly launches: number;
  readonly ideal: number;
  readonly dispatches: number;
  /** Share of the card's peak that all convolutions together reach; null without any. */
  readonly convolutions: number | null;
  /** Slowest first. */
  readonly kernels: readonly KernelPrediction[];
}

/** Invocations of a workgroup, as WGSL states them. */
export function workgroupSize(wgsl: string): number {
  const sizes = /@workgroup_size\(([^)]*)\)/.exec(wgsl)?.[1]?.split(",") ?? [];
  return sizes.map((size) => Number.parseInt(size, 10)).reduce((a, b) => a * b, 1);
}

const sum = <T>(values: readonly T[], of: (value: T) => number) => values.reduce((total, each) => total + of(each), 0);

export function predictStep(
  { kernels, dispatches }: CapturedStep,
  compiled: ReadonlyMap<string, CompiledKernel>,
  card: Card,
): StepPrediction {
  const rows = [...kernels].map(([kernel, wgsl]) => {
    const own = dispatches.filter((each) => each.kernel === kernel);
    return predictKernel(kernel, workgroupSize(wgsl), own, compiled.get(kernel)!, card);
  });
  const convolutions = rows.filter((row) => row.kernel.startsWith("conv2d"));
  const atPeak = (1000 * sum(convolutions, (row) => row.operations)) / peak(card);
  return {
    convolutions: convolutions.length ? atPeak / sum(convolutions, (row) => row.milliseconds) : null,
    milliseconds: sum(rows, (row) => row.milliseconds),
    launches: 1000 * card.launch * dispatches.length,
    ideal: sum(rows, (row) => row.ideal),
    dispatches: dispatches.length,
    kernels: rows.sort((a, b) => b.milliseconds - a.milliseconds),
  };
}

function predictKernel(
  kernel: string,
  size: number,
  dispatches: readonly CapturedDispatch[],
  { statistics, counts }: CompiledKernel,
  card: Card,
): KernelPrediction {
  const times = dispatches.map(({ groups: [x, y, z], operations, loads, bytes }) =>
    timeOf({ groups: x * y * z, size, operations, loads, bytes }, counts, card),
  );
  const parts = Object.fromEntries(PARTS.map((part) => [part, sum(times, (time) => time[part])]));
  const { turn } = counts;
  return {
    kernel,
    dispatches: dispatches.length,
    milliseconds: 1000 * sum(times, ({ total }) => total),
    ideal: 1000 * sum(times, ({ ideal }) => ideal),
    binds: binding(parts as Record<Part, number>),
    operations: sum(dispatches, ({ operations }) => operations),
    bytes: sum(dispatches, ({ bytes }) => bytes),
    waves: statistics.waves,
    registers: statistics.registers,
    spills: statistics.spills,
    workgroupMemory: statistics.workgroupMemory,
    multiplyAdds: turn && turn.multiplyAdds / turn.instructions,
    workgroupBytes: turn && turn.multiplyAdds > 0 ? turn.workgroupBytes / turn.multiplyAdds : null,
  };
}
