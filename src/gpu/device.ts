import type { Caps, Kernel, Workgroups } from "../../shaders/kernel";
import { DeviceLostError, GpuError, LimitError } from "../errors";
import { classifyAdapter } from "./adapter";
import { PipelineCache } from "./pipelines";
import { BufferPool, type PooledBuffer, type PoolStats } from "./pool";
import { type KernelTime, Profiler } from "./profile";
import { Readback } from "./readback";

/** How a {@link Device} uses what it has. */
export interface DeviceOptions {
  /** Use subgroup operations where the adapter has them (default true). */
  subgroups?: boolean;
  /** Pass sizes as immediates where WebGPU has them (default true); otherwise through a uniform buffer. */
  immediates?: boolean;
  /** Bytes of released buffers that are kept for reuse beyond what the last few submits used (default 512 MiB). */
  poolBytes?: number;
}

/** Counters of what has been asked of the device since it was made. */
export interface DeviceCounters {
  dispatches: number;
  submits: number;
  pipelines: number;
  buffersCreated: number;
  bytesUploaded: number;
  bytesRead: number;
  /** Sizes of all buffers bound to dispatches: what they move at most, if each reads or writes its buffers once. */
  bytesBound: number;
}

/** What is bound to a kernel: one pooled buffer a binding name. */
export type Bound<B extends string> = Readonly<Record<B, PooledBuffer>>;

/** Dispatches of one submit that may take their sizes from the uniform ring before the batch is submitted early. */
const RING_SLOTS = 2048;
const RING_STRIDE = 256;
/** Bytes that immediates hold at most (WebGPU's guaranteed `maxImmediateSize`). */
const IMMEDIATE_BYTES = 64;
/** A buffer that one of so many last batches used is kept, whatever the pool's budget: a step is a batch or a few. */
const WARM_BATCHES = 4;
/** Bind groups kept for reuse; a steady step repeats the same few hundred. */
const MAX_BIND_GROUPS = 8192;

/**
 * A GPU device with what the package needs around it: a buffer pool, a pipeline cache, and one command encoder that collects
 * dispatches until {@link Device.flush} submits them together.
 *
 * WebGPU reports most mistakes late and beside the call; they are recorded here and thrown, typed, by the next call that waits
 * ({@link Device.read}, {@link Device.sync}) or flushes. The batch with the mistake is lost, the device goes on.
 */
export class Device {
  readonly caps: Caps;
  readonly pool: BufferPool;
  readonly counters: DeviceCounters;
  /** Human-readable name of the adapter. */
  readonly name: string;
  private readonly pipelines: PipelineCache;
  private readonly bindGroups = new Map<string, GPUBindGroup>();
  private readonly readback: Readback;
  private readonly immediates: boolean;
  private readonly ring: GPUBuffer | null;
  private readonly ringData: DataView;
  private ringUsed = 0;
  private readonly scratch = new DataView(new ArrayBuffer(RING_STRIDE));
  private encoder: GPUCommandEncoder | null = null;
  private pass: GPUComputePassEncoder | null = null;
  private readonly recorded = new Set<string>();
  private afterSubmit: (() => void)[] = [];
  private profiler: Profiler | null = null;
  /** The first error that nobody was told of yet; a lost device's stays. */
  private failure: Error | null = null;
  /** Errors reported so far, and the last of them. */
  private reports = 0;
  private latest: Error | null = null;
  /** Number of the batch now being recorded. */
  serial = 0;

  constructor(
    readonly gpu: GPUDevice,
    info: GPUAdapterInfo,
    options: DeviceOptions = {},
  ) {
    const subgroups = (options.subgroups ?? true) && gpu.features.has("subgroups" as GPUFeatureName);
    const { subgroupMinSize: least, subgroupMaxSize: most } = info as {
      subgroupMinSize?: number;
      subgroupMaxSize?: number;
    };
    this.caps = {
      adapter: classifyAdapter(info),
      subgroupSize: subgroups && least !== undefined && least === most ? least : 0,
      maxInvocations: Math.min(gpu.limits.maxComputeInvocationsPerWorkgroup, gpu.limits.maxComputeWorkgroupSizeX),
      maxStorageBuffers: gpu.limits.maxStorageBuffersPerShaderStage,
    };
    this.name =
      info.description || [info.vendor, info.architecture, info.device].filter(Boolean).join(" ") || "unknown";
    const room = (gpu.limits as { maxImmediateSize?: number }).maxImmediateSize ?? 0;
    this.immediates =
      (options.immediates ?? true) && room >= IMMEDIATE_BYTES && "setImmediates" in GPUComputePassEncoder.prototype;
    this.counters = {
      dispatches: 0,
      submits: 0,
      pipelines: 0,
      buffersCreated: 0,
      bytesUploaded: 0,
      bytesRead: 0,
      bytesBound: 0,
    };
    this.pool = new BufferPool(gpu, options.poolBytes ?? 512 * 2 ** 20, (b) => this.forget(b));
    this.pipelines = new PipelineCache(gpu, this.caps, this.immediates ? IMMEDIATE_BYTES : 0);
    this.readback = new Readback(gpu);
    this.ringData = new DataView(new ArrayBuffer(RING_SLOTS * RING_STRIDE));
    this.ring = gpu.createBuffer({
      label: "kernel sizes",
      size: RING_SLOTS * RING_STRIDE,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    gpu.addEventListener("uncapturederror", (event) => {
      (event as Event).preventDefault();
      const { error } = event as GPUUncapturedErrorEvent;
      this.fail(new GpuError(`WebGPU refused a command${this.culprit(error.message)}: ${error.message}`));
    });
    void gpu.lost.then((lost) => {
      this.lose(
        `the GPU device is gone (${lost.reason}): ${lost.message}. Saved files are whole; call init() again and resume from the last checkpoint`,
      );
    });
  }

  /** Records one dispatch of `kernel`; nothing runs before {@link flush}. */
  run<S, B extends string, P extends string>(
    kernel: Kernel<S, B, P>,
    spec: S,
    buffers: Bound<NoInfer<B>>,
    params: Readonly<Record<NoInfer<P>, number>>,
  ): void {
    this.demandAlive();
    const groups = kernel.workgroups(spec, params, this.caps);
    if (groups[0] * groups[1] * groups[2] === 0) return;
    const pipeline = this.pipelines.get(kernel, spec);
    this.counters.pipelines = this.pipelines.size;
    this.checkGrid(pipeline.label, groups);
    const { paramNames } = pipeline;
    const useRing = paramNames.length > 0 && !pipeline.immediates;
    if (useRing && this.ringUsed === RING_SLOTS) this.flush();
    const bound: PooledBuffer[] = [];
    let key = String(pipeline.id);
    for (const name of pipeline.bindingNames) {
      const b = buffers[name as B];
      b.serial = this.serial;
      bound.push(b);
      key += "," + b.id;
      this.counters.bytesBound += b.bytes;
    }
    const group = this.bindGroup(key, pipeline.layout, pipeline.label, bound, useRing);
    const target = useRing ? this.ringData : this.scratch;
    const at = useRing ? this.ringUsed * RING_STRIDE : 0;
    paramNames.forEach((name, i) => {
      const value = params[name as P];
      if (pipeline.paramTypes[i] === "f32") target.setFloat32(at + 4 * i, value, true);
      else if (pipeline.paramTypes[i] === "i32") target.setInt32(at + 4 * i, value, true);
      else target.setUint32(at + 4 * i, value, true);
    });
    const pass = this.openPass(pipeline.label);
    pass.setPipeline(pipeline.pipeline);
    if (useRing) pass.setBindGroup(0, group, [at]);
    else pass.setBindGroup(0, group);
    if (paramNames.length && pipeline.immediates) {
      (
        pass as unknown as { setImmediates(offset: number, data: ArrayBuffer, from: number, size: number): void }
      ).setImmediates(0, this.scratch.buffer as ArrayBuffer, 0, 4 * paramNames.length);
    }
    if (useRing) this.ringUsed++;
    pass.dispatchWorkgroups(groups[0], groups[1], groups[2]);
    this.recorded.add(kernel.name);
    this.counters.dispatches++;
    if (this.profiler) this.closePass();
  }

  /** Records a copy of the first `bytes` (a multiple of 4) of `from` to `to`. */
  copy(from: PooledBuffer, to: PooledBuffer, bytes: number): void {
    this.demandAlive();
    if (bytes === 0) return;
    from.serial = to.serial = this.serial;
    this.closePass();
    this.openEncoder().copyBufferToBuffer(from.buffer, 0, to.buffer, 0, bytes);
  }

  /**
   * Writes `data` into `b` ahead of everything that is recorded afterwards.
   * A buffer that recorded commands still use forces a submit first, so upload a step's data before recording it.
   */
  write(b: PooledBuffer, data: ArrayBufferView): void {
    this.demandAlive();
    if (data.byteLength === 0) return;
    if (b.serial === this.serial && this.encoder) this.flush();
    const whole = data.byteLength % 4 === 0 ? data : padded(data);
    this.gpu.queue.writeBuffer(b.buffer, 0, whole.buffer as ArrayBuffer, whole.byteOffset, whole.byteLength);
    this.counters.bytesUploaded += data.byteLength;
  }

  /** Submits everything recorded, as one command buffer. @throws GpuError when WebGPU refused something since the last call. */
  flush(): void {
    this.demandAlive();
    // First the submit, then the check: a mistake in this batch ends with it, and is told of once.
    if (this.encoder) this.submit(this.encoder);
    this.check();
  }

  private submit(encoder: GPUCommandEncoder): void {
    this.closePass();
    this.profiler?.resolve(encoder);
    if (this.ring && this.ringUsed)
      this.gpu.queue.writeBuffer(this.ring, 0, this.ringData.buffer as ArrayBuffer, 0, this.ringUsed * RING_STRIDE);
    const commands = encoder.finish();
    this.encoder = null;
    this.ringUsed = 0;
    this.gpu.queue.submit([commands]);
    this.counters.submits++;
    this.serial++;
    this.recorded.clear();
    const waiting = this.afterSubmit;
    this.afterSubmit = [];
    for (const f of waiting) f();
    this.pool.trim(undefined, this.serial - WARM_BATCHES);
    this.counters.buffersCreated = this.pool.current.created;
  }

  /**
   * Reads the first `bytes` of a buffer as they are after everything recorded so far. Never blocks: the copy is recorded, and the promise resolves when the GPU got there.
   * @param defer Do not submit now; the copy goes with the step's own submit.
   */
  async read(b: PooledBuffer, bytes: number, defer = false): Promise<ArrayBuffer> {
    this.demandAlive();
    if (bytes === 0) return new ArrayBuffer(0);
    const reports = this.reports;
    this.closePass();
    b.serial = this.serial;
    const ticket = this.readback.record(this.openEncoder(), b.buffer, bytes);
    const submitted = new Promise<void>((resolve) => this.afterSubmit.push(resolve));
    if (!defer) this.flush();
    await submitted;
    const data = await this.readback.finish(ticket).catch((e: unknown) => {
      throw this.failure ?? new GpuError(`reading ${bytes} bytes back failed: ${String(e)}`, { cause: e });
    });
    this.counters.bytesRead += bytes;
    this.check();
    // Somebody else was told, but these bytes may come from a batch that never ran.
    if (this.reports !== reports) throw this.latest;
    return data;
  }

  /** Submits what is recorded and waits until the GPU has done it. */
  async sync(): Promise<void> {
    this.flush();
    await this.gpu.queue.onSubmittedWorkDone();
    this.check();
  }

  /**
   * Runs `body` with a timestamp around every dispatch and gives the time a kernel, longest first.
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

  /** Throws the first error that WebGPU reported since the device was made, if any. A lost device stays lost. */
  check(): void {
    if (!this.failure) return;
    const error = this.failure;
    if (!(error instanceof DeviceLostError)) this.failure = null;
    throw error;
  }

  /** Whether the device is gone for good. */
  get isLost(): boolean {
    return this.failure instanceof DeviceLostError;
  }

  /** Ends the device; every tensor on it is gone, and who waits for one gets a DeviceLostError. */
  destroy(): void {
    this.gpu.destroy();
    this.lose("this device was destroyed: call init() for a new one");
  }

  private lose(message: string): void {
    if (!this.isLost) this.failure = new DeviceLostError(message);
    this.encoder = null;
    this.pass = null;
    // No submit will come any more: let the readers that wait for one find the failure.
    const waiting = this.afterSubmit;
    this.afterSubmit = [];
    for (const f of waiting) f();
  }

  private fail(error: Error): void {
    this.reports++;
    this.latest = error;
    this.failure ??= error;
  }

  private demandAlive(): void {
    if (this.isLost) throw this.failure;
  }

  /** Names the kernel of an error: shader modules, pipelines and bind groups carry its name as their label, which WebGPU quotes. */
  private culprit(message: string): string {
    const named = [...this.pipelines.labels()].find((label) => message.includes(`"${label}"`));
    if (named) return ` of kernel ${named}`;
    return this.recorded.size ? ` among the kernels ${[...this.recorded].join(", ")}` : "";
  }

  private checkGrid(label: string, [x, y, z]: Workgroups): void {
    const most = this.gpu.limits.maxComputeWorkgroupsPerDimension;
    if (x > most || y > most || z > most) {
      throw new LimitError(
        `kernel ${label} needs ${x}×${y}×${z} workgroups and this device runs at most ${most} a dimension: use a smaller batch`,
      );
    }
  }

  private bindGroup(
    key: string,
    layout: GPUBindGroupLayout,
    label: string,
    bound: PooledBuffer[],
    ring: boolean,
  ): GPUBindGroup {
    const known = this.bindGroups.get(key);
    if (known) return known;
    if (this.bindGroups.size >= MAX_BIND_GROUPS) this.bindGroups.clear();
    const entries: GPUBindGroupEntry[] = bound.map((b, binding) => ({ binding, resource: { buffer: b.buffer } }));
    if (ring) entries.push({ binding: bound.length, resource: { buffer: this.ring!, size: RING_STRIDE } });
    const group = this.gpu.createBindGroup({ label, layout, entries });
    this.bindGroups.set(key, group);
    return group;
  }

  /** Drops bind groups of a buffer that is about to be destroyed. */
  private forget(b: PooledBuffer): void {
    const id = String(b.id);
    for (const key of this.bindGroups.keys()) if (key.split(",").indexOf(id, 1) > 0) this.bindGroups.delete(key);
  }

  private openEncoder(): GPUCommandEncoder {
    this.encoder ??= this.gpu.createCommandEncoder({ label: "step" });
    return this.encoder;
  }

  private openPass(label: string): GPUComputePassEncoder {
    if (this.pass) return this.pass;
    const encoder = this.openEncoder();
    const timestampWrites = this.profiler?.begin(label);
    this.pass = encoder.beginComputePass(timestampWrites ? { label, timestampWrites } : {});
    return this.pass;
  }

  private closePass(): void {
    this.pass?.end();
    this.pass = null;
  }
}

/** Copies to a length that is a multiple of four, as WebGPU writes whole words. */
function padded(data: ArrayBufferView): Uint8Array {
  const out = new Uint8Array(Math.ceil(data.byteLength / 4) * 4);
  out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return out;
}
