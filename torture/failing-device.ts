/**
 * A GPU device whose buffers run out when told to, as a full one behaves: by an exception, or by an
 * error object and an out-of-memory report that comes later.
 */

/**
 * How an allocation fails. `throws`: at once; `reports`: as WebGPU says, through the error scope
 * around it or as an uncaptured error.
 */
export type Manner = "throws" | "reports";

interface Scope {
  filter: GPUErrorFilter;
  error: GPUError | null;
}

/** Control over the buffers of a device. */
export interface Allocations {
  /** Buffers asked for so far. */
  count: number;
  /** Let the n-th buffer from now on fail, from 1, and with `lasting` all after it; 0 none. */
  failAt(n: number, manner?: Manner, lasting?: boolean): void;
}

/** Takes control of a device's allocations. Call it before anything else listens to the device. */
export function control(gpu: GPUDevice): Allocations {
  const real = {
    createBuffer: gpu.createBuffer.bind(gpu),
    push: gpu.pushErrorScope.bind(gpu),
    pop: gpu.popErrorScope.bind(gpu),
    listen: gpu.addEventListener.bind(gpu),
  };
  const scopes: Scope[] = [];
  const listeners: ((event: GPUUncapturedErrorEvent) => void)[] = [];
  let [countdown, manner, lasting] = [0, "throws" as Manner, false];
  const allocations: Allocations = {
    count: 0,
    failAt(n, how = "throws", on = false) {
      [countdown, manner, lasting] = [n, how, on];
    },
  };
  const report = (error: GPUError) => {
    const scope = scopes.findLast((s) => s.filter === "out-of-memory");
    if (scope) scope.error ??= error;
    else
      setImmediate(() => {
        const event = { error, preventDefault() {} } as unknown as GPUUncapturedErrorEvent;
        for (const listener of listeners) listener(event);
      });
  };
  /** What an exhausted device gives: a buffer that is none. */
  const invalid = (): GPUBuffer => {
    real.push("validation");
    const buffer = real.createBuffer({ label: "not there", size: 4, usage: 0 });
    void real.pop();
    return buffer;
  };
  Object.assign(gpu, {
    createBuffer(descriptor: GPUBufferDescriptor): GPUBuffer {
      allocations.count++;
      if (countdown === 0 || --countdown > 0) return real.createBuffer(descriptor);
      if (lasting) countdown = 1;
      const message = `out of memory: ${descriptor.size} bytes for "${descriptor.label}" (on purpose)`;
      if (manner === "throws") throw new DOMException(message, "OperationError");
      report(new GPUOutOfMemoryError(message));
      return invalid();
    },
    pushErrorScope(filter: GPUErrorFilter): void {
      scopes.push({ filter, error: null });
      real.push(filter);
    },
    async popErrorScope(): Promise<GPUError | null> {
      const own = scopes.pop()?.error ?? null;
      return (await real.pop()) ?? own;
    },
    addEventListener(type: string, listener: never, options: never): void {
      if (type === "uncapturederror") listeners.push(listener);
      real.listen(type as "uncapturederror", listener, options);
    },
  });
  return allocations;
}
