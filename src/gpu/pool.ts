import { LimitError } from "../errors";
import type { Allocation, Allocator } from "./allocator";

/**
 * A GPU buffer owned by a {@link BufferPool}; its size is that of its class, at least what was
 * asked for.
 */
export interface PooledBuffer extends Allocation {
  readonly id: number;
  readonly bytes: number;
  /** Bytes that its holder asked for, rounded up to a class: at most `bytes`. */
  taken: number;
  /** Number of the submit that the last command recorded on this buffer belongs to. */
  serial: number;
  /** Recordings that hold it: while there are some, it is given back to nobody. */
  pins: number;
  /** It was given back while it was held. */
  parked: boolean;
  /** Whose it is: kernels of another device cannot use it. */
  readonly pool: BufferPool;
  /**
   * How many commands and uploads have written to it: who keeps values for later sees whether they
   * are still the same.
   */
  version: number;
}

/** What a pool holds. */
export interface PoolStats {
  /** Buffers that exist, in use or waiting. */
  buffers: number;
  bytes: number;
  /** Bytes of the waiting ones. */
  freeBytes: number;
  /** Buffers ever created: constant over a steady training step. */
  created: number;
  /**
   * Most bytes in use at once since the last {@link BufferPool.resetPeak}: what takers asked for
   * and did not give back, in whole size classes.
   */
  peakUsed: number;
  /**
   * Most bytes that existed at once since then, waiting buffers included: what the device had to
   * hold.
   */
  peakBytes: number;
}

/**
 * Rounds up to a size class: multiples of 256 bytes up to 1 KiB, then four classes an octave, so
 * that at most a fifth of a larger buffer is unused and tensors of nearby sizes share buffers.
 */
export function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = Math.max(256, 2 ** (Math.floor(Math.log2(bytes - 1)) - 2));
  return Math.ceil(bytes / step) * step;
}

/** Of all pools, so that buffers of two devices are never taken for each other. */
let nextId = 1;

/**
 * From this size on a waiting buffer of up to twice what is asked for is taken before one is made.
 */
const WORTH_SHARING = 2 ** 16;

/**
 * Storage buffers by size class. Creating a buffer costs milliseconds on a software adapter, so
 * released ones wait for the next taker; when those waiting exceed `budget` bytes, {@link trim}
 * destroys some.
 */
export class BufferPool {
  private readonly free = new Map<number, PooledBuffer[]>();
  private readonly stats: PoolStats = {
    buffers: 0,
    bytes: 0,
    freeBytes: 0,
    created: 0,
    peakUsed: 0,
    peakBytes: 0,
  };
  /** Bytes that takers asked for and did not give back, in whole classes. */
  private inUse = 0;

  constructor(
    private readonly allocator: Allocator,
    /** Bytes that may wait unused. */
    private readonly budget: number,
    private readonly onDestroy: (buffer: PooledBuffer) => void,
  ) {}

  /**
   * A buffer of at least `bytes`, which holds anything. That there is no memory for it may turn out
   * later: it is `lost` then.
   * @param notSerial Do not hand out one with commands in this unsubmitted batch:
   * `queue.writeBuffer` would overtake them.
   * @throws LimitError when the device cannot bind a buffer of that size, or has no memory for it.
   */
  acquire(bytes: number, notSerial?: number): PooledBuffer {
    const { limits } = this.allocator.gpu;
    const most = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
    // Kernels walk whole vectors of 16 bytes.
    const limit = most - (most % 16);
    const size = Math.min(sizeClass(bytes), limit);
    if (bytes > limit) {
      throw new LimitError(
        `a tensor of ${bytes} bytes was asked for, and this device binds at most ${limit} bytes: use a smaller batch, or an adapter with a higher maxStorageBufferBindingSize`,
      );
    }
    const found = this.waiting(size, notSerial);
    if (found) {
      found.taken = size;
      this.inUse += size;
      this.raisePeaks();
      // The contents are the new owner's to make.
      found.lost = null;
      found.since = Number.POSITIVE_INFINITY;
      return found;
    }
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const { peakUsed, peakBytes } = this.stats;
    const memory = this.allocator.create({ label: `tensor ${size}`, size, usage }, `a tensor of ${bytes} bytes`, () =>
      this.strike(made, { peakUsed, peakBytes }),
    );
    const made: PooledBuffer = Object.assign(memory, {
      id: nextId++,
      bytes: size,
      taken: size,
      serial: -1,
      pins: 0,
      parked: false,
      pool: this,
      version: 0,
    });
    this.stats.buffers++;
    this.stats.bytes += size;
    this.stats.created++;
    this.inUse += size;
    this.raisePeaks();
    return made;
  }

  /** Gives a buffer back; commands already recorded on it still run before any later taker's. */
  release(b: PooledBuffer): void {
    // What has no memory is handed to nobody again.
    if (!b.usable) return;
    if (b.pins) {
      b.parked = true;
      return;
    }
    let list = this.free.get(b.bytes);
    if (!list) this.free.set(b.bytes, (list = []));
    list.push(b);
    this.stats.freeBytes += b.bytes;
    this.inUse -= b.taken;
  }

  /** Keeps `b` from other takers until {@link unpin}, also where it waits already. */
  pin(b: PooledBuffer): void {
    if (b.pins++) return;
    if (!this.withdraw(b)) return;
    b.parked = true;
    this.inUse += b.taken;
    this.raisePeaks();
  }

  /** Ends one {@link pin}; after the last the buffer waits for a taker, if it was given back. */
  unpin(b: PooledBuffer): void {
    if (--b.pins || !b.parked) return;
    b.parked = false;
    this.release(b);
  }

  /**
   * Destroys waiting buffers, large ones first, until at most `budget` bytes wait. Call between
   * submits only.
   * @param before Spare buffers that commands of this batch or a later one used: the next step
   * wants them again, however many.
   * @returns the bytes that were destroyed.
   */
  trim(budget = this.budget, before = Number.POSITIVE_INFINITY): number {
    const { bytes } = this.stats;
    if (this.stats.freeBytes <= budget) return 0;
    for (const [size, list] of [...this.free].sort((a, b) => b[0] - a[0])) {
      for (let i = 0; i < list.length && this.stats.freeBytes > budget; ) {
        const b = list[i]!;
        if (b.serial >= before) {
          i++;
          continue;
        }
        list.splice(i, 1);
        this.stats.freeBytes -= b.bytes;
        this.stats.bytes -= b.bytes;
        this.stats.buffers--;
        this.onDestroy(b);
        b.usable = false;
        b.buffer.destroy();
      }
      if (!list.length) this.free.delete(size);
    }
    return bytes - this.stats.bytes;
  }

  get current(): Readonly<PoolStats> {
    return this.stats;
  }

  /** Counts the peaks anew, from what is in use and what exists now. */
  resetPeak(): void {
    this.stats.peakUsed = 0;
    this.stats.peakBytes = 0;
    this.raisePeaks();
  }

  /**
   * Takes a buffer of this class out of the waiting ones, the last one given back first; of the
   * next larger classes where there is none, since what the device has to hold is what existed at
   * once.
   */
  private waiting(size: number, notSerial: number | undefined): PooledBuffer | null {
    const most = size < WORTH_SHARING ? size : 2 * size;
    for (let of = size; of <= most; of = sizeClass(of + 1)) {
      const list = this.free.get(of) ?? [];
      for (let i = list.length - 1; i >= 0; i--) {
        if (list[i]!.serial === notSerial) continue;
        const [found] = list.splice(i, 1);
        this.stats.freeBytes -= of;
        return found!;
      }
    }
    return null;
  }

  /** Takes a waiting buffer out of the free ones; whether it was waiting. */
  private withdraw(b: PooledBuffer): boolean {
    const list = this.free.get(b.bytes);
    const at = list?.indexOf(b) ?? -1;
    if (at < 0) return false;
    list!.splice(at, 1);
    this.stats.freeBytes -= b.bytes;
    return true;
  }

  /** Strikes a buffer that never was out of the books, where the peaks were `before` it. */
  private strike(b: PooledBuffer, before: Pick<PoolStats, "peakUsed" | "peakBytes">): void {
    if (!this.withdraw(b)) this.inUse -= b.taken;
    this.stats.buffers--;
    this.stats.bytes -= b.bytes;
    this.stats.created--;
    for (const peak of ["peakUsed", "peakBytes"] as const) {
      const without = Math.max(before[peak], this.stats[peak] - b.bytes);
      this.stats[peak] = Math.min(this.stats[peak], without);
    }
  }

  private raisePeaks(): void {
    const { bytes, peakUsed, peakBytes } = this.stats;
    this.stats.peakUsed = Math.max(peakUsed, this.inUse);
    this.stats.peakBytes = Math.max(peakBytes, bytes);
  }
}
