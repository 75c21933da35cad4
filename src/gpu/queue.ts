import { GpuError, PanError } from "../errors";
import type { Allocation, Allocator } from "./allocator";
import type { BindGroups } from "./bind-groups";
import { type Command, isDispatch } from "./commands";
import { encode } from "./encode";
import type { Failures } from "./failures";
import { Losses } from "./losses";
import type { Compiled } from "./pipelines";
import type { Profiler } from "./profile";
import type { UniformRing } from "./ring";

/** Commands that are submitted together. */
export interface Batch {
  readonly serial: number;
  commands: readonly Command[];
  readonly profiler: Profiler | null;
  /** Called once it is submitted, or lost. */
  readonly after: readonly (() => void)[];
}

/**
 * The device's queue, which keeps the order of what is put on it while kernels are still being
 * compiled, and while it is not known whether buffers have memory: then batches and writes wait in
 * line. Once there is nothing new, which is from the second step on, all goes straight through.
 */
export class Queue {
  /** Ends when everything put here so far is on the GPU's own queue; null when nothing waits. */
  private tail: Promise<void> | null = null;
  /** Kernels whose refusal has been told. */
  private readonly told = new Set<Compiled>();
  /** Batches that are not on the GPU's own queue yet, in order. */
  private readonly waiting = new Set<Batch>();
  private readonly losses: Losses;
  /** Number of the first batch that is not on the GPU's own queue. */
  next = 0;
  /** What was put on the GPU's own queue last. */
  current: readonly Command[] = [];

  constructor(
    private readonly gpu: GPUDevice,
    private readonly allocator: Allocator,
    private readonly groups: BindGroups,
    private readonly ring: UniformRing,
    private readonly failures: Failures,
    /** Is called with every batch that was submitted. */
    private readonly submitted: (batch: Batch) => void,
  ) {
    this.losses = new Losses(ring);
  }

  submit(batch: Batch): void {
    const first = new Set<Promise<unknown>>();
    for (const c of batch.commands) if (isDispatch(c) && c.kernel.ready) first.add(c.kernel.ready);
    const { pending } = this.allocator;
    if (pending) first.add(pending);
    this.waiting.add(batch);
    if (this.tail || first.size) this.wait(Promise.all(first), () => this.now(batch));
    else this.now(batch);
  }

  /** Writes to a buffer behind everything submitted so far. */
  write(b: Allocation, data: ArrayBufferView): void {
    const put = ({ buffer: bytes, byteOffset, byteLength }: ArrayBufferView) => {
      if (b.usable) this.gpu.queue.writeBuffer(b.buffer, 0, bytes as ArrayBuffer, byteOffset, byteLength);
    };
    if (!this.tail && !b.proof) return put(data);
    // The caller's array may be another by then.
    const copy = new Uint8Array(data.byteLength);
    copy.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    this.wait(b.proof, () => put(copy));
  }

  /** Resolves when everything put here so far is on the GPU's own queue. */
  async drained(): Promise<void> {
    await this.allocator.pending;
    await this.tail;
  }

  /**
   * Something that batches from this one on need cannot be had: what hangs on it will not run
   * ({@link Losses}).
   * @param without The buffer that has no memory, where that is it.
   */
  lose(error: PanError, from: number, without?: Allocation): void {
    this.losses.open(error, from, without);
  }

  /** Whether something was lost that nobody was told of. */
  get hasLosses(): boolean {
    return this.losses.isOpen;
  }

  /** Somebody is told of what was lost: what is given from now on is new. */
  settle(): void {
    for (const batch of this.waiting) batch.commands = this.losses.sift(batch);
    this.losses.close();
  }

  private wait(first: Promise<unknown> | null, then: () => void): void {
    const tail = Promise.all([this.tail, first])
      .then(then)
      .catch((e: unknown) => this.fail(e))
      .finally(() => {
        if (this.tail === tail) this.tail = null;
      });
    this.tail = tail;
  }

  private now(batch: Batch): void {
    this.waiting.delete(batch);
    try {
      if (!this.failures.isLost) this.onto(batch);
    } catch (e) {
      this.fail(e);
    }
    // Of a lost device too: who waits finds the failure.
    for (const f of batch.after) f();
  }

  private fail(e: unknown): void {
    this.failures.add(e instanceof PanError ? e : new GpuError(`submitting failed: ${String(e)}`, { cause: e }));
  }

  private onto(batch: Batch): void {
    this.current = batch.commands;
    const refused = batch.commands.find((c) => isDispatch(c) && c.kernel.refusal !== null);
    if (refused) this.refuse((refused as { kernel: Compiled }).kernel, batch.serial);
    const commands = this.losses.sift(batch);
    // Where a faulty kernel was told of before this batch's turn, nobody will be told of the loss.
    if (refused && !this.failures.isWaiting) this.settle();
    this.next = batch.serial + 1;
    if (commands.length) this.gpu.queue.submit([encode(this.gpu, commands, this.groups, this.ring, batch.profiler)]);
    this.submitted(batch);
  }

  /**
   * That a module was faulty has been reported when it was made; a batch that uses it again is a
   * mistake of its own.
   */
  private refuse(kernel: Compiled, serial: number): void {
    const error = new GpuError(`WebGPU refused a command of kernel ${kernel.label}: ${kernel.refusal}`);
    if (!this.told.has(kernel) && this.failures.blames(kernel.label)) this.told.add(kernel);
    else this.failures.add(error);
    this.lose(error, serial);
  }
}
