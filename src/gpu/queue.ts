import { GpuError } from "../errors";
import { type Command, isDispatch } from "./commands";
import { encode, type UniformRing } from "./encode";
import type { Failures } from "./failures";
import type { Compiled } from "./pipelines";
import type { Profiler } from "./profile";

/** Commands that are submitted together. */
export interface Batch {
  readonly serial: number;
  readonly commands: readonly Command[];
  readonly profiler: Profiler | null;
  /** Called once it is submitted, or lost. */
  readonly after: readonly (() => void)[];
}

/**
 * The device's queue, which keeps the order of what is put on it while kernels are still being compiled: then batches and writes wait for them in line.
 * Once everything is compiled, which is from the second step on, all goes straight through.
 */
export class Queue {
  /** Ends when everything put here so far is on the GPU's own queue; null when nothing waits. */
  private tail: Promise<void> | null = null;
  /** Kernels whose refusal has been told. */
  private readonly told = new Set<Compiled>();
  /** What was put on the GPU's own queue last. */
  current: readonly Command[] = [];

  constructor(
    private readonly gpu: GPUDevice,
    private readonly ring: UniformRing,
    private readonly failures: Failures,
    /** Is called with every batch that was submitted. */
    private readonly submitted: (batch: Batch) => void,
  ) {}

  submit(batch: Batch): void {
    const compiling = new Set<Promise<void>>();
    for (const c of batch.commands) if (isDispatch(c) && c.kernel.ready) compiling.add(c.kernel.ready);
    if (this.tail || compiling.size) this.wait(Promise.all(compiling), () => this.now(batch));
    else this.now(batch);
  }

  /** Writes to a buffer behind everything submitted so far. */
  write(buffer: GPUBuffer, data: ArrayBufferView): void {
    const put = ({ buffer: bytes, byteOffset, byteLength }: ArrayBufferView) =>
      this.gpu.queue.writeBuffer(buffer, 0, bytes as ArrayBuffer, byteOffset, byteLength);
    if (!this.tail) return put(data);
    // The caller's array may be another by then.
    const copy = new Uint8Array(data.byteLength);
    copy.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    this.wait(null, () => put(copy));
  }

  /** Resolves when everything put here so far is on the GPU's own queue. */
  async drained(): Promise<void> {
    await this.tail;
  }

  private wait(first: Promise<unknown> | null, then: () => void): void {
    const tail = Promise.all([this.tail, first])
      .then(then)
      .catch((e: unknown) => this.failures.add(new GpuError(`submitting failed: ${String(e)}`, { cause: e })))
      .finally(() => {
        if (this.tail === tail) this.tail = null;
      });
    this.tail = tail;
  }

  private now(batch: Batch): void {
    if (!this.failures.isLost) this.onto(batch);
    // Of a lost device too: who waits finds the failure.
    for (const f of batch.after) f();
  }

  private onto(batch: Batch): void {
    this.current = batch.commands;
    const refused = batch.commands.find((c) => isDispatch(c) && c.kernel.refusal !== null);
    if (refused) this.refuse((refused as { kernel: Compiled }).kernel);
    else this.gpu.queue.submit([encode(this.gpu, batch.commands, this.ring, batch.profiler)]);
    this.submitted(batch);
  }

  /** The batch is lost. That a module was faulty has been reported when it was made; a batch that uses it again is a mistake of its own. */
  private refuse(kernel: Compiled): void {
    if (!this.told.has(kernel) && this.failures.blames(kernel.label)) this.told.add(kernel);
    else this.failures.add(new GpuError(`WebGPU refused a command of kernel ${kernel.label}: ${kernel.refusal}`));
  }
}
