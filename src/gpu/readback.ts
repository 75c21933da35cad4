import type { Allocation, Allocator } from "./allocator";
import { sizeClass } from "./pool";

/** A place to copy to that waits to be mapped. */
export interface Ticket {
  readonly staging: Allocation;
  readonly bytes: number;
  /** `bytes` in whole words: what is to be copied. */
  readonly whole: number;
}

/**
 * Mappable buffers to copy to, which are reused; mapping waits for the GPU without holding anything
 * up.
 */
export class Readback {
  private readonly free = new Map<number, Allocation[]>();

  constructor(private readonly allocator: Allocator) {}

  /**
   * A place for `bytes`.
   * @throws LimitError when there is no memory for it; where that turns out later, it is `lost`.
   */
  take(bytes: number): Ticket {
    const whole = Math.ceil(bytes / 4) * 4;
    const size = sizeClass(whole);
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const staging =
      this.free.get(size)?.pop() ??
      this.allocator.create({ label: `readback ${size}`, size, usage }, `reading ${bytes} bytes back`);
    return { staging, bytes, whole };
  }

  /**
   * The bytes, once the submit that holds the copy has run. A place that cannot be mapped is given
   * up.
   */
  async finish(ticket: Ticket): Promise<ArrayBuffer> {
    const { staging, bytes, whole } = ticket;
    const { buffer } = staging;
    try {
      await buffer.mapAsync(GPUMapMode.READ, 0, whole);
      const data = buffer.getMappedRange(0, whole).slice(0, bytes);
      buffer.unmap();
      this.giveBack(ticket);
      return data;
    } catch (error) {
      destroy(staging);
      throw error;
    }
  }

  /** Ends a ticket that nothing was read from. */
  giveBack({ staging }: Ticket): void {
    if (!staging.usable) return;
    const list = this.free.get(staging.buffer.size);
    if (list) list.push(staging);
    else this.free.set(staging.buffer.size, [staging]);
  }

  /** Destroys what waits unused, and says how many bytes that was. */
  trim(): number {
    let bytes = 0;
    for (const list of this.free.values()) {
      for (const staging of list) {
        bytes += staging.buffer.size;
        destroy(staging);
      }
    }
    this.free.clear();
    return bytes;
  }
}

function destroy(staging: Allocation): void {
  staging.usable = false;
  staging.buffer.destroy();
}
