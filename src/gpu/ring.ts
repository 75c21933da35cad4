import type { Allocation, Allocator } from "./allocator";
import type { Compiled } from "./pipelines";

/** Dispatches of one submit that may take their scalars from the uniform ring. */
export const RING_SLOTS = 2048;
/** Bytes of a slot, and the alignment of dynamic offsets. */
export const RING_STRIDE = 256;

/** Bytes of a {@link UniformRing}. */
const RING_BYTES = RING_SLOTS * RING_STRIDE;

/**
 * Where scalars travel that do not go as immediates: a uniform buffer, a slot a dispatch, written
 * anew for every submit.
 */
export class UniformRing {
  private memory: Allocation | null = null;
  private readonly bytes = new Uint8Array(RING_BYTES);
  private used = 0;

  constructor(private readonly allocator: Allocator) {}

  get buffer(): GPUBuffer | null {
    return this.memory?.buffer ?? null;
  }

  get isUsable(): boolean {
    return this.memory?.usable === true;
  }

  /** Sees to it that there is a buffer. @throws LimitError when there is no memory for it. */
  reserve(): void {
    if (this.isUsable) return;
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    this.memory = this.allocator.create(
      { label: "kernel sizes", size: RING_BYTES, usage },
      `the sizes that kernels take (${RING_BYTES} bytes)`,
    );
  }

  /** Whether a dispatch of this kernel takes a slot. */
  static serves(kernel: Compiled): boolean {
    return kernel.paramNames.length > 0 && !kernel.immediates;
  }

  /** The dynamic offset of the slot that these scalars take. */
  put(params: ArrayBuffer): number {
    const at = this.used++ * RING_STRIDE;
    this.bytes.set(new Uint8Array(params), at);
    return at;
  }

  /** Puts what was taken on the queue, ahead of the submit that reads it. */
  upload(): void {
    const { queue } = this.allocator.gpu;
    if (this.used) queue.writeBuffer(this.buffer!, 0, this.bytes.buffer, 0, this.used * RING_STRIDE);
    this.used = 0;
  }
}
