import type { Dispatch } from "./commands";

/** GPU time of one kernel and what it did in it, summed over its dispatches. */
export interface KernelTime {
  kernel: string;
  dispatches: number;
  milliseconds: number;
  /** Sizes of the buffers it bound: what it moved, if it read or wrote each once. */
  bytes: number;
  /** Multiplications and additions of products and convolutions; 0 for other kernels. */
  operations: number;
  /** Numbers that their invocations loaded, in the forms for software adapters; 0 elsewhere. */
  loads: number;
}

const PAIRS = 2048;

/**
 * Puts a timestamp before and after every dispatch of the batches recorded while it is attached.
 */
export class Profiler {
  private readonly batches: { timed: Dispatch[]; queries: GPUQuerySet; result: GPUBuffer }[] = [];
  private timed: Dispatch[] = [];
  private queries: GPUQuerySet;

  constructor(private readonly device: GPUDevice) {
    this.queries = this.newQueries();
  }

  /**
   * Timestamps for the next pass; undefined past the capacity of one batch (those dispatches are
   * not timed).
   */
  begin(dispatch: Dispatch): GPUComputePassTimestampWrites | undefined {
    if (this.timed.length === PAIRS) return undefined;
    const at = 2 * this.timed.length;
    this.timed.push(dispatch);
    return { querySet: this.queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
  }

  /** Ends a batch: its timestamps are written out by the same submit. */
  resolve(encoder: GPUCommandEncoder): void {
    if (!this.timed.length) return;
    const bytes = this.timed.length * 16;
    const resolved = this.device.createBuffer({
      size: bytes,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    const result = this.device.createBuffer({ size: bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    encoder.resolveQuerySet(this.queries, 0, 2 * this.timed.length, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, result, 0, bytes);
    this.batches.push({ timed: this.timed, queries: this.queries, result });
    this.timed = [];
    this.queries = this.newQueries();
  }

  async finish(): Promise<KernelTime[]> {
    const sums = new Map<string, KernelTime>();
    for (const { timed, queries, result } of this.batches) {
      await result.mapAsync(GPUMapMode.READ);
      const at = new BigUint64Array(result.getMappedRange());
      timed.forEach(({ kernel: { label }, bytesBound, operations, loads }, i) => {
        const sum = sums.get(label) ?? {
          kernel: label,
          dispatches: 0,
          milliseconds: 0,
          bytes: 0,
          operations: 0,
          loads: 0,
        };
        sum.dispatches++;
        sum.bytes += bytesBound;
        sum.operations += operations;
        sum.loads += loads;
        sum.milliseconds += Number(at[2 * i + 1]! - at[2 * i]!) / 1e6;
        sums.set(label, sum);
      });
      result.destroy();
      queries.destroy();
    }
    this.queries.destroy();
    return [...sums.values()].sort((a, b) => b.milliseconds - a.milliseconds);
  }

  private newQueries(): GPUQuerySet {
    return this.device.createQuerySet({ type: "timestamp", count: 2 * PAIRS });
  }
}
