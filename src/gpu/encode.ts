import type { Allocation, Allocator } from "./allocator";
import type { BindGroups } from "./bind-groups";
import { type Command, isDispatch } from "./commands";
import type { Compiled } from "./pipelines";
import type { Profiler } from "./profile";

/** Dispatches of one submit that may take their scalars from the uniform ring. */
export const RING_SLOTS = 2048;
/** Bytes of a slot, and the alignment of dynamic offsets. */
export const RING_STRIDE = 256;

/** Bytes of a {@link UniformRing}. */
const RING_BYTES = RING_SLOTS * RING_STRIDE;

/** Where scalars travel that do not go as immediates: a uniform buffer, a slot a dispatch, written anew for every submit. */
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

/** Immediates are in Dawn, and not yet in the types of WebGPU. */
interface Immediates {
  setImmediates(offset: number, data: ArrayBuffer, from: number, size: number): void;
}

/**
 * Encodes commands in order: one compute pass for dispatches that follow one another, ended by a copy; with a profiler, a pass each.
 * Every kernel is compiled by now, and every buffer known to have memory.
 */
export function encode(
  gpu: GPUDevice,
  commands: readonly Command[],
  groups: BindGroups,
  ring: UniformRing,
  profiler: Profiler | null,
): GPUCommandBuffer {
  const encoder = gpu.createCommandEncoder({ label: "step" });
  let pass: GPUComputePassEncoder | null = null;
  let last: Compiled | null = null;
  const end = () => {
    pass?.end();
    pass = last = null;
  };
  for (const c of commands) {
    if (!isDispatch(c)) {
      end();
      // Of a place to read from that has no memory, its reader is told.
      if (c.to.usable) encoder.copyBufferToBuffer(c.from.buffer, 0, c.to.buffer, 0, c.bytes);
      continue;
    }
    const { kernel, params } = c;
    c.group ??= groups.get(kernel, c.bound);
    if (!pass) {
      const timestampWrites = profiler?.begin(c);
      pass = encoder.beginComputePass(
        timestampWrites ? { label: kernel.label, timestampWrites } : { label: kernel.label },
      );
    }
    if (kernel !== last) pass.setPipeline(kernel.pipeline!);
    last = kernel;
    if (params && !kernel.immediates) pass.setBindGroup(0, c.group, [ring.put(params)]);
    else pass.setBindGroup(0, c.group);
    if (params && kernel.immediates) (pass as unknown as Immediates).setImmediates(0, params, 0, params.byteLength);
    pass.dispatchWorkgroups(c.groups[0], c.groups[1], c.groups[2]);
    if (profiler) end();
  }
  end();
  profiler?.resolve(encoder);
  ring.upload();
  return encoder.finish();
}
