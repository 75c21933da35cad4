import type { BindGroups } from "./bind-groups";
import { type Command, isDispatch } from "./commands";
import type { Compiled } from "./pipelines";
import type { Profiler } from "./profile";
import type { UniformRing } from "./ring";

/** Immediates are in Dawn, and not yet in the types of WebGPU. */
interface Immediates {
  setImmediates(offset: number, data: ArrayBuffer, from: number, size: number): void;
}

/**
 * Encodes commands in order: one compute pass for dispatches that follow one another, ended by a
 * copy; with a profiler, a pass each. Every kernel is compiled by now, and every buffer known to
 * have memory.
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
