import { ArgumentError, GpuError, LifetimeError, LimitError } from "../errors";
import { type Allocation, Allocator } from "./allocator";
import { BindGroups } from "./bind-groups";
import { type CapsOptions, deviceCaps } from "./caps";
import { type Command, type Copy, packed, padded } from "./commands";
import { type DeviceCounters, noCounts } from "./counters";
import { Deferred } from "./deferred";
import { Failures } from "./failures";
import type { Kernel, ProductCaps, Workgroups } from "./kernel";
import { NextBatch } from "./next-batch";
import { PipelineCache } from "./pipelines";
import { BufferPool, type PooledBuffer, type PoolStats } from "./pool";
import { type KernelTime, Profiler } from "./profile";
import { type Batch, Queue } from "./queue";
import { Readback } from "./readback";
import { Recording } from "./recording";
import { listen } from "./reports";
import { UniformRing } from "./ring";
import type { WebGpuAdapterInfo, WebGpuDevice } from "./webgpu";

/** How a {@link Device} uses what it has. */
export interface DeviceOptions extends CapsOptions {
  /**
   * Pass sizes as immediates where WebGPU has them (default true); otherwise through a uniform
   * buffer.
   */
  immediates?: boolean;
  /**
   * Bytes of released buffers that are kept for reuse beyond what the last few submits used
   * (default 512 MiB).
   */
  poolBytes?: number;
  /**
   * Warn on the console, once, of a training loop whose steps leave more and more tensors alive
   * (default true).
   */
  leakWarning?: boolean;
}

/** What is bound to a kernel: one pooled buffer a binding name. */
export type Bound<B extends string> = Readonly<Record<B, PooledBuffer>>;

/** Bytes that immediates hold at most (WebGPU's guaranteed `maxImmediateSize`). */
const IMMEDIATE_BYTES = 64;
/**
 * A buffer that one of so many last batches used is kept, whatever the pool's budget: a step is a
 * batch or a few.
 */
const WARM_BATCHES = 4;

/**
 * A GPU device with what the package needs around it: a buffer pool, kernels compiled beside the
 * work, and a list of commands that grows until {@link Device.flush} submits them together. The
 * list of a steady step can be kept and given again: {@link Device.record}.
 *
 * WebGPU reports most mistakes late and beside the call; they are recorded here and thrown, typed,
 * by the next call that waits ({@link Device.read}, {@link Device.sync}) or flushes. The batch with
 * the mistake is lost, the device goes on. That there is no memory is known before anything runs on
 * it: nothing that existed is changed by what is lost then, and tensors that hold nothing are
 * refused.
 */
export class Device {
  /** What the adapter can do, and how kernels are chosen for it. */
  readonly caps: ProductCaps;
  /** Buffers of tensors that are gone, kept for the next ones. @internal */
  readonly pool: BufferPool;
  /** What was asked of the device since it was made; changed in place. */
  readonly counters: DeviceCounters = noCounts();
  /** Human-readable name of the adapter. */
  readonly name: string;
  /** Whether a loop that frees nothing is told of. */
  readonly leakWarning: boolean;
  private readonly failures = new Failures(() => this.settle());
  private readonly pipelines: PipelineCache;
  private readonly bindGroups: BindGroups;
  private readonly ring: UniformRing;
  private readonly readback: Readback;
  private readonly queue: Queue;
  private readonly batch: NextBatch;
  private readonly deferred = new Deferred();
  private profiler: Profiler | null = null;
  private recording: Recording | null = null;
  private dry = false;

  constructor(
    readonly gpu: WebGpuDevice,
    info: WebGpuAdapterInfo,
    options: DeviceOptions = {},
  ) {
    this.caps = deviceCaps(gpu, info, options);
    this.leakWarning = options.leakWarning ?? true;
    this.name =
      info.description || [info.vendor, info.architecture, info.device].filter(Boolean).join(" ") || "unknown";
    const room = (gpu.limits as { maxImmediateSize?: number }).maxImmediateSize ?? 0;
    const immediates =
      (options.immediates ?? true) && room >= IMMEDIATE_BYTES && "setImmediates" in GPUComputePassEncoder.prototype;
    const allocator = new Allocator(gpu, {
      serial: () => this.serial,
      used: () => this.pool.current.bytes - this.pool.current.freeBytes,
      reclaim: () => this.reclaim(),
      refused: (error, made) => this.refused(error, made),
    });
    this.pool = new BufferPool(allocator, options.poolBytes ?? 512 * 2 ** 20, (b) => this.bindGroups.forget(b));
    this.pipelines = new PipelineCache(gpu, this.caps, immediates ? IMMEDIATE_BYTES : 0);
    this.readback = new Readback(allocator);
    this.ring = new UniformRing(allocator);
    this.batch = new NextBatch(this.ring, this.counters, () => this.flushed());
    this.bindGroups = new BindGroups(gpu, this.ring);
    this.queue = new Queue(gpu, allocator, this.bindGroups, this.ring, this.failures, (b) => this.submitted(b));
    listen(gpu, this.failures, this.pipelines, this.queue);
    void gpu.lost.then((lost) => {
      this.lose(
        `the GPU device is gone (${lost.reason}): ${lost.message}. Saved files are whole; call init() again and resume from the last checkpoint`,
      );
    });
  }

  /** In JSON its name: what it holds is the GPU's. */
  toJSON(): string {
    return `Device ${this.name}`;
  }

  /** Number of the batch now being put together. @internal */
  get serial(): number {
    return this.batch.serial;
  }

  /** Adds one dispatch of `kernel`; nothing runs before {@link flush}. @internal */
  run<S, B extends string, P extends string>(
    kernel: Kernel<S, B, P>,
    spec: S,
    buffers: Bound<NoInfer<B>>,
    params: Readonly<Record<NoInfer<P>, number>>,
  ): void {
    this.failures.demandAlive();
    if (this.dry) return;
    const groups = kernel.workgroups(spec, params, this.caps);
    if (groups[0] * groups[1] * groups[2] === 0) return;
    const compiled = this.pipelines.get(kernel, spec);
    this.counters.pipelines = this.pipelines.size;
    this.checkGrid(compiled.label, groups);
    const bound = compiled.bindingNames.map((name) => buffers[name as B]);
    this.demandOwn(compiled.label, bound);
    for (const b of bound) this.demandSound(b);
    this.add(
      {
        kernel: compiled,
        bound,
        group: null,
        params: packed(compiled, params),
        groups,
        bytesBound: bound.reduce((sum, b) => sum + b.taken, 0),
        operations: kernel.operations?.(spec, params) ?? 0,
        loads: kernel.loads?.(spec, params) ?? 0,
      },
      bound,
      bound.filter((_, i) => compiled.writes[i]),
    );
  }

  /** Adds a copy of the first `bytes` (a multiple of 4) of `from` to `to`. @internal */
  copy(from: PooledBuffer, to: PooledBuffer, bytes: number): void {
    this.failures.demandAlive();
    this.demandOwn("a copy", [from, to]);
    if (bytes === 0 || this.dry) return;
    this.demandSound(from);
    this.demandSound(to);
    this.add({ from, to, bytes, lost: null }, [from, to], [to]);
  }

  /**
   * Writes `data` into `b` ahead of everything that is added afterwards.
   * A buffer that commands not yet submitted use forces a submit first, so upload a step's data
   * before its commands. What is being recorded cannot be replayed then: an upload is no command.
   * @internal
   */
  write(b: PooledBuffer, data: ArrayBufferView): void {
    this.failures.demandAlive();
    this.demandOwn("an upload", [b]);
    if (data.byteLength === 0 || this.dry) return;
    this.recording?.obstruct(
      `${data.byteLength} bytes were uploaded while a step was recorded, which a replay would not repeat: make its tensors before, and write() to them between replays`,
    );
    this.deferred.demand(b);
    b.version++;
    if (this.batch.uses(b)) this.flush();
    if (!b.usable) this.demandSound(b);
    b.lost = null;
    b.since = -1;
    this.queue.write(b, data.byteLength % 4 === 0 ? data : padded(data));
    this.counters.bytesUploaded += data.byteLength;
  }

  /**
   * Puts off what writes to `b` until a command, an upload or a read takes it, or until what was
   * added is submitted. `run` calls {@link undeferred} for `b` and gives the commands then. False
   * where no commands are given.
   * @internal
   */
  defer(b: PooledBuffer, run: () => void): boolean {
    if (this.dry) return false;
    this.deferred.add(b, run);
    // As if a command used it: it is not to be destroyed meanwhile.
    b.serial = this.serial;
    return true;
  }

  /** What was put off for `b` is about to be given. @internal */
  undeferred(b: PooledBuffer): void {
    this.deferred.begin(b);
  }

  /**
   * Submits everything added, as one command buffer.
   * @throws GpuError when WebGPU refused something since the last call.
   */
  flush(): void {
    this.failures.demandAlive();
    this.deferred.complete();
    this.flushed();
  }

  /**
   * Reads the first `bytes` of a buffer as they are after everything added so far. Never blocks:
   * the copy is a command, and the promise resolves when the GPU got there.
   * @param defer Do not submit now; the copy goes with the step's own submit.
   * @throws LimitError when there is no memory to read it into.
   * @internal
   */
  async read(b: PooledBuffer, bytes: number, defer = false): Promise<ArrayBuffer> {
    this.failures.demandAlive();
    this.demandOwn("a read", [b]);
    this.recording?.obstruct(
      `${bytes} bytes were read back while a step was recorded, which a replay would not repeat: return the tensor, and read it after the step and after each replay`,
    );
    if (bytes === 0) return new ArrayBuffer(0);
    this.demandSound(b);
    this.deferred.complete();
    const verify = this.failures.watch();
    const ticket = this.readback.take(bytes);
    const copy: Copy = { from: b, to: ticket.staging, bytes: ticket.whole, lost: null };
    await this.batch.copyOut(b, copy, defer ? null : () => this.submit());
    const lost = ticket.staging.lost ?? copy.lost;
    if (lost) {
      this.readback.giveBack(ticket);
      verify();
      throw lost;
    }
    const data = await this.readback.finish(ticket).catch((e: unknown) => {
      this.check();
      throw new GpuError(`reading ${bytes} bytes back failed: ${String(e)}`, { cause: e });
    });
    this.counters.bytesRead += bytes;
    verify();
    return data;
  }

  /** Submits what was added and waits until the GPU has done it. */
  async sync(): Promise<void> {
    this.flush();
    await this.queue.drained();
    await this.gpu.queue.onSubmittedWorkDone();
    this.check();
  }

  /**
   * Runs `body` without its kernels, copies and uploads: tensors get their shapes, and no values.
   * Nothing is compiled.
   * @internal
   */
  dryly<T>(body: () => T): T {
    const before = this.dry;
    this.deferred.complete();
    this.dry = true;
    try {
      return body();
    } finally {
      this.dry = before;
    }
  }

  /**
   * Runs `body`, and keeps the commands it gives, to be given again by its `replay()`.
   * @returns what `body` returned, and the recording; dispose of it to free its buffers.
   * @throws LifetimeError inside another recording.
   * @internal
   */
  record<T>(body: () => T): { result: T; recording: Recording } {
    if (this.recording) throw new LifetimeError("a step is being recorded already: recordings do not nest");
    const recording = new Recording(this);
    this.deferred.complete();
    this.recording = recording;
    try {
      const result = body();
      this.deferred.complete();
      recording.close();
      return { result, recording };
    } catch (error) {
      recording.dispose();
      throw error;
    } finally {
      this.recording = null;
    }
  }

  /**
   * Does something on the host now, and again whenever the step being recorded is replayed:
   * counters that follow the steps.
   * @internal
   */
  effect(action: () => void): void {
    action();
    this.recording?.follow({ replay: action });
  }

  /**
   * The step that is being recorded, to be followed by who must do more than repeat an
   * {@link effect}.
   * @internal
   */
  get underRecording(): Recording | null {
    return this.recording;
  }

  /**
   * Gives commands that are no part of the step being recorded: what a replay has to find, and not
   * to repeat.
   * @internal
   */
  aside<T>(body: () => T): T {
    const recording = this.recording;
    this.deferred.complete();
    this.recording = null;
    try {
      return body();
    } finally {
      this.deferred.complete();
      this.recording = recording;
    }
  }

  /** Adds commands that were recorded, which use `buffers` and write to `written`. @internal */
  play(commands: readonly Command[], buffers: Iterable<PooledBuffer>, written: Iterable<PooledBuffer>): void {
    this.failures.demandAlive();
    if (this.recording)
      throw new LifetimeError("a recorded step was replayed inside another recording: they do not nest");
    for (const b of buffers) this.demandSound(b);
    for (const c of commands) this.batch.add(c, [], []);
    for (const b of buffers) b.serial = this.serial;
    for (const b of written) b.version++;
  }

  /**
   * Runs `body` with a timestamp around every dispatch and gives the time per kernel, longest
   * first.
   * @throws GpuError when the adapter has no timestamp queries.
   */
  async profile(body: () => void | Promise<void>): Promise<KernelTime[]> {
    if (!this.gpu.features.has("timestamp-query")) {
      throw new GpuError(
        `per-kernel times need the WebGPU feature "timestamp-query", which ${this.name} does not offer`,
      );
    }
    await this.sync();
    const profiler = new Profiler(this.gpu);
    this.profiler = profiler;
    try {
      await body();
      this.flush();
    } finally {
      this.profiler = null;
    }
    await this.sync();
    return profiler.finish();
  }

  /** Memory of the pool. */
  get poolStats(): Readonly<PoolStats> {
    return this.pool.current;
  }

  /**
   * Throws the first error that WebGPU reported since the device was made, if any. A lost device
   * stays lost.
   */
  check(): void {
    this.failures.tell();
  }

  /** Whether the device is gone for good. */
  get isLost(): boolean {
    return this.failures.isLost;
  }

  /** Ends the device; every tensor on it is gone, and who waits for one gets a DeviceLostError. */
  destroy(): void {
    this.gpu.destroy();
    this.lose("this device was destroyed: call init() for a new one");
  }

  private lose(message: string): void {
    this.failures.lose(message);
    this.deferred.drop();
    this.batch.drop();
  }

  /**
   * @throws ArgumentError when one of the buffers is another device's: its memory is not to be had
   * here.
   */
  private demandOwn(what: string, buffers: readonly PooledBuffer[]): void {
    for (const { pool } of buffers) {
      if (pool === this.pool) continue;
      throw new ArgumentError(
        `${what} on the device ${this.name} was given a tensor that lives on another device: operands of an operation live on one; make them there (Tensor.from(data, shape, device)), or read and upload them again`,
      );
    }
  }

  /**
   * Submits what was added, and not what is put off: that may be given only where a command may.
   */
  private flushed(): void {
    this.failures.demandAlive();
    // First the submit, then the check: a mistake in this batch ends with it, and is told of once.
    this.submit();
    this.check();
  }

  /** Puts what was added on the queue. */
  private submit(): void {
    const batch = this.batch.take(this.profiler);
    if (batch) this.queue.submit(batch);
  }

  /**
   * Destroys what waits unused, of which no command knows that is not submitted yet.
   * @returns the bytes that tensors can have instead.
   */
  private reclaim(): number {
    this.readback.trim();
    return this.pool.trim(0, this.queue.next);
  }

  /**
   * There was no memory for something. It makes no difference how WebGPU says so: whoever asked is
   * told at once, or somebody is later, and what was given with it is lost.
   */
  private refused(error: LimitError, made: Allocation | null): void {
    this.recording?.obstruct(`the step that was recorded did not run: ${error.message}`);
    if (made) {
      this.failures.add(error);
      this.queue.lose(error, made.born, made);
    } else {
      this.queue.lose(error, this.serial);
      this.settle();
    }
  }

  /**
   * Somebody is about to be told what went wrong: what was given before that is one loss, what
   * comes after begins anew.
   */
  private settle(): void {
    if (!this.queue.hasLosses) return;
    this.submit();
    this.queue.settle();
  }

  /**
   * Gives what was put off for `b`.
   * @throws PanError for a buffer without memory, or without contents; first of all what nobody was
   * told of, which it may come from.
   */
  private demandSound(b: PooledBuffer): void {
    this.deferred.demand(b);
    if (!b.lost) return;
    this.check();
    throw b.lost;
  }

  private add(command: Command, buffers: readonly PooledBuffer[], written: readonly PooledBuffer[]): void {
    this.batch.add(command, buffers, written);
    this.recording?.add(command, buffers, written);
  }

  private submitted({ serial }: Batch): void {
    this.counters.submits++;
    this.pool.trim(undefined, serial + 1 - WARM_BATCHES);
    this.counters.buffersCreated = this.pool.current.created;
  }

  private checkGrid(label: string, [x, y, z]: Workgroups): void {
    const most = this.gpu.limits.maxComputeWorkgroupsPerDimension;
    if (x > most || y > most || z > most) {
      throw new LimitError(
        `kernel ${label} needs ${x}×${y}×${z} workgroups and this device runs at most ${most} a dimension: use a smaller batch`,
      );
    }
  }
}
