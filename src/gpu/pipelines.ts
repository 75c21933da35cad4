import { type Caps, type Kernel, moduleSource, type ParamType } from "./kernel";
import type { WebGpuBindGroupLayout, WebGpuComputePipeline, WebGpuDevice } from "./webgpu";

/**
 * A kernel's pipeline, from the moment its compilation begins, with what a dispatch needs to know
 * of it.
 */
export interface Compiled {
  readonly id: number;
  readonly label: string;
  readonly layout: WebGpuBindGroupLayout;
  readonly bindingNames: readonly string[];
  /** For each binding, whether the kernel writes to it. */
  readonly writes: readonly boolean[];
  readonly paramNames: readonly string[];
  readonly paramTypes: readonly ParamType[];
  /** Sizes travel as immediates rather than in the uniform ring. */
  readonly immediates: boolean;
  /** Null while it is being compiled, and where it was refused. */
  pipeline: WebGpuComputePipeline | null;
  /** Why WebGPU refused it. */
  refusal: string | null;
  /** Resolves when it is compiled or refused; null from then on. */
  ready: Promise<void> | null;
}

/**
 * Compute pipelines by kernel name and specification; each is compiled once per device, beside
 * whatever goes on: a first step asks for dozens, and compilers use all cores that are there.
 */
export class PipelineCache {
  private readonly compiled = new Map<string, Compiled>();
  /** Names of them all: one that is faulty is being made still when the error arrives. */
  private readonly begun = new Set<string>();
  private nextId = 0;

  constructor(
    private readonly device: WebGpuDevice,
    private readonly caps: Caps,
    /** Bytes of immediates the device offers, 0 for none. */
    private readonly immediateBytes: number,
  ) {}

  get size(): number {
    return this.compiled.size;
  }

  /** Names of all kernels that were ever asked for, refused ones included. */
  labels(): Iterable<string> {
    return this.begun;
  }

  get<S, B extends string, P extends string>(kernel: Kernel<S, B, P>, spec: S): Compiled {
    const key = kernel.key(spec);
    const label = key ? `${kernel.name}<${key}>` : kernel.name;
    let found = this.compiled.get(label);
    if (!found) {
      this.begun.add(label);
      found = this.compile(kernel, spec, label);
      this.compiled.set(label, found);
    }
    return found;
  }

  private compile<S, B extends string, P extends string>(kernel: Kernel<S, B, P>, spec: S, label: string): Compiled {
    const { device } = this;
    const params = Object.entries<ParamType>(kernel.params(spec));
    const immediates = params.length * 4 <= this.immediateBytes;
    const bindings = Object.entries(kernel.bindings(spec)) as [string, { access: string }][];
    const entries: GPUBindGroupLayoutEntry[] = bindings.map(([, b], binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: b.access === "read" ? "read-only-storage" : "storage" },
    }));
    if (params.length && !immediates) {
      entries.push({
        binding: bindings.length,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: "uniform", hasDynamicOffset: true },
      });
    }
    const layout = device.createBindGroupLayout({ label, entries });
    const layoutDescriptor = { label, bindGroupLayouts: [layout], immediateSize: immediates ? params.length * 4 : 0 };
    const module = device.createShaderModule({ label, code: moduleSource(kernel, spec, this.caps, immediates) });
    const compiled: Compiled = {
      id: this.nextId++,
      label,
      layout,
      bindingNames: bindings.map(([name]) => name),
      writes: bindings.map(([, { access }]) => access !== "read"),
      paramNames: params.map(([name]) => name),
      paramTypes: params.map(([, type]) => type),
      immediates,
      pipeline: null,
      refusal: null,
      ready: null,
    };
    compiled.ready = device
      .createComputePipelineAsync({
        label,
        layout: device.createPipelineLayout(layoutDescriptor),
        compute: { module, entryPoint: "main" },
      })
      .then(
        (pipeline) => {
          compiled.pipeline = pipeline;
        },
        (error: unknown) => {
          compiled.refusal = error instanceof Error ? error.message : String(error);
          // Not the kernel's fault, as one that is invalid: the next that asks for it tries again.
          if ((error as Partial<GPUPipelineError>).reason === "internal") this.compiled.delete(label);
        },
      )
      .finally(() => {
        compiled.ready = null;
      });
    return compiled;
  }
}
