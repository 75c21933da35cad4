import { summedSlots, sumSplitsKernel } from "../../../shaders/sum-splits.wgsl";
import type { Device } from "../../gpu/device";
import type { PooledBuffer } from "../../gpu/pool";
import type { Shape } from "../shape";
import { Tensor } from "../tensor";

/**
 * An output of `shape` that `run` fills; with `splits` > 1 it fills [splits, ...shape], whose parts
 * are then added in order.
 * @param sum what the output is added to, in place: by `run`, told so, where nothing is split
 */
export function inSplits(
  d: Device,
  shape: Shape,
  splits: number,
  run: (out: PooledBuffer, adds: boolean) => void,
  sum: Tensor | null = null,
): Tensor {
  const out = sum ?? Tensor.empty(shape, "f32", d);
  if (splits === 1) run(out.buffer, sum !== null);
  else addSplits(out, splits, (parts) => run(parts, false), sum !== null);
  return out;
}

/**
 * y = Σ of the parts [splits, ...y.shape] that `run` fills, in order; `adds` them to what is there.
 */
export function addSplits(y: Tensor, splits: number, run: (parts: PooledBuffer) => void, adds = false): void {
  sumsOf(y.device).add({ out: y.buffer, size: y.size, splits, adds }, run);
}

/** A sum of parts. */
interface Sum {
  readonly out: PooledBuffer;
  /** Elements of `out`. */
  readonly size: number;
  readonly splits: number;
  /** To what `out` holds. */
  readonly adds: boolean;
}

/**
 * Bytes of parts from which they are not waited with: later they would be read from memory instead
 * of a cache.
 */
const MOST_BYTES = 64 * 2 ** 20;

/**
 * Sums that nobody has asked for yet. A weight's gradient is needed by the optimiser's step, and
 * adding up its parts is little work for a launch: several go into one.
 */
class Sums {
  private waiting: (Sum & { readonly parts: PooledBuffer })[] = [];
  private bytes = 0;

  constructor(private readonly device: Device) {}

  /** On SwiftShader every invocation goes through the loads of all sums of its dispatch. */
  private get most(): number {
    const { adapter, maxStorageBuffers } = this.device.caps;
    return adapter === "swiftshader" ? 1 : summedSlots(maxStorageBuffers);
  }

  /** @param run fills the parts, which lie one after the other */
  add(sum: Sum, run: (parts: PooledBuffer) => void): void {
    const { device } = this;
    const bytes = 4 * sum.size * sum.splits;
    const parts = device.pool.acquire(bytes);
    try {
      run(parts);
    } catch (error) {
      device.pool.release(parts);
      throw error;
    }
    // Two sums of one launch cannot be added to the same numbers.
    if (this.waiting.some(({ out }) => out === sum.out)) this.give();
    if (!device.defer(sum.out, () => this.give())) return device.pool.release(parts);
    this.waiting.push({ ...sum, parts });
    this.bytes += bytes;
    if (this.waiting.length >= this.most || this.bytes > MOST_BYTES) this.give();
  }

  private give(): void {
    const { device, waiting } = this;
    this.waiting = [];
    this.bytes = 0;
    const sums = waiting.filter(({ out, parts, adds }) => {
      device.undeferred(out);
      // What is lost with the parts is lost as if it had been added up at once.
      if (parts.lost && !adds) out.lost = parts.lost;
      return out.usable && !parts.lost;
    });
    const buffers: Record<string, PooledBuffer> = {};
    const sizes: Record<string, number> = { adds: 0 };
    let end = 0;
    for (const [k, { parts, out, size, splits, adds }] of sums.entries()) {
      end += size;
      buffers[`parts${k}`] = parts;
      buffers[`out${k}`] = out;
      sizes[`end${k}`] = end;
      sizes[`splits${k}`] = splits;
      if (adds) sizes["adds"]! |= 1 << k;
    }
    try {
      if (sums.length) device.run(sumSplitsKernel, { slots: sums.length }, buffers, sizes);
    } finally {
      for (const { parts } of waiting) device.pool.release(parts);
    }
  }
}

const known = new WeakMap<Device, Sums>();

function sumsOf(d: Device): Sums {
  let sums = known.get(d);
  if (!sums) known.set(d, (sums = new Sums(d)));
  return sums;
}
