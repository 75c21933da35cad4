/** GPU time of one kernel, summed over its dispatches. */
export interface KernelTime {
  kernel: string;
  dispatches: number;
  milliseconds: number;
}

const PAIRS = 2048;

/** Puts a timestamp before and after every dispatch of the batches recorded while it is attached. */
export class Profiler {
  private readonly batches: { labels: string[]; queries: GPUQuerySet; result: GPUBuffer }[] = [];
  private labels: string[] = [];
  private queries: GPUQuerySet;

  constructor(private readonly device: GPUDevice) {
    this.queries = this.newQueries();
  }

  /** Timestamps for the next pass; undefined past the capacity of one batch (those dispatches are not timed). */
  begin(label: string): GPUComputePassTimestampWrites | undefined {
    if (this.labels.length === PAIRS) return undefined;
    const at = 2 * this.labels.length;
    this.labels.push(label);
    return { querySet: this.queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
  }

  /** Ends a batch: its timestamps are written out by the same submit. */
  resolve(encoder: GPUCommandEncoder): void {
    if (!this.labels.length) return;
    const bytes = this.labels.length * 16;
    const resolved = this.device.createBuffer({
      size: bytes,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    const result = this.device.createBuffer({ size: bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    encoder.resolveQuerySet(this.queries, 0, 2 * this.labels.length, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, result, 0, bytes);
    this.batches.push({ labels: this.labels, queries: this.queries, result });
    this.labels = [];
    this.queries = this.newQueries();
  }

  async finish(): Promise<KernelTime[]> {
    const sums = new Map<string, KernelTime>();
    for (const { labels, queries, result } of this.batches) {
      await result.mapAsync(GPUMapMode.READ);
      const at = new BigUint64Array(result.getMappedRange());
      labels.forEach((kernel, i) => {
        const sum = sums.get(kernel) ?? { kernel, dispatches: 0, milliseconds: 0 };
        sum.dispatches++;
        sum.milliseconds += Number(at[2 * i + 1]! - at[2 * i]!) / 1e6;
        sums.set(kernel, sum);
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
