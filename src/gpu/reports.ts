import { GpuError, LimitError } from "../errors";
import { isDispatch } from "./commands";
import type { Failures } from "./failures";
import type { PipelineCache } from "./pipelines";
import type { Queue } from "./queue";

/**
 * Puts what WebGPU reports beside the calls among a device's failures, mistakes with the name of
 * their kernel.
 */
export function listen(gpu: GPUDevice, failures: Failures, pipelines: PipelineCache, queue: Queue): void {
  gpu.addEventListener("uncapturederror", (event) => {
    (event as Event).preventDefault();
    const { error: found } = event as GPUUncapturedErrorEvent;
    const { message } = found;
    if (found instanceof GPUOutOfMemoryError) {
      const what = "the device has no memory for what was asked of it: use a smaller batch, or give it in parts";
      failures.add(new LimitError(`${what} (${message})`));
      return;
    }
    // Shader modules, pipelines and bind groups carry their kernel's name as their label, which
    // WebGPU quotes.
    const label = [...pipelines.labels()].find((name) => message.includes(`"${name}"`));
    failures.add(new GpuError(`WebGPU refused a command${suspects(label, queue)}: ${message}`), label);
  });
}

/** Which kernel an error may be of. */
function suspects(label: string | undefined, queue: Queue): string {
  if (label !== undefined) return ` of kernel ${label}`;
  const names = new Set(queue.current.filter(isDispatch).map((c) => c.kernel.label));
  return names.size ? ` among the kernels ${[...names].join(", ")}` : "";
}
