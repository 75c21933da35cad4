import type { PanError } from "../errors";
import type { Allocation } from "./allocator";
import type { Workgroups } from "./kernel";
import type { Compiled } from "./pipelines";
import type { PooledBuffer } from "./pool";
import type { WebGpuBindGroup } from "./webgpu";

/** One dispatch: everything that is needed to encode it, any number of times. */
export interface Dispatch {
  readonly kernel: Compiled;
  /** What it binds, in the kernel's order. */
  readonly bound: readonly PooledBuffer[];
  /**
   * Of these buffers; made when it is first encoded, as until then a buffer may turn out to have no
   * memory.
   */
  group: WebGpuBindGroup | null;
  /** The kernel's scalars, packed; null where it has none. */
  readonly params: ArrayBuffer | null;
  readonly groups: Workgroups;
  /** Sizes of the buffers it binds. */
  readonly bytesBound: number;
  /** Multiplications and additions, where the kernel counts them. */
  readonly operations: number;
  /** Numbers loaded by its invocations, likewise. */
  readonly loads: number;
}

/** Copies the first `bytes` of a buffer to another. */
export interface Copy {
  readonly from: Allocation;
  readonly to: Allocation;
  readonly bytes: number;
  /** Why it was not made, for who waits for it. */
  lost: PanError | null;
}

export type Command = Dispatch | Copy;

export const isDispatch = (c: Command): c is Dispatch => "kernel" in c;

/** Everything a command touches: what it writes, it may read as well. */
export const reads = (c: Command): readonly Allocation[] => (isDispatch(c) ? c.bound : [c.from, c.to]);

export const writes = (c: Command): readonly Allocation[] =>
  isDispatch(c) ? c.bound.filter((_, i) => c.kernel.writes[i]) : [c.to];

/** A kernel's scalars as it reads them; null where it has none. */
export function packed(
  { paramNames, paramTypes }: Compiled,
  params: Readonly<Record<string, number>>,
): ArrayBuffer | null {
  if (!paramNames.length) return null;
  const bytes = new ArrayBuffer(4 * paramNames.length);
  const view = new DataView(bytes);
  paramNames.forEach((name, i) => {
    const [value, type] = [params[name]!, paramTypes[i]];
    if (type === "f32") view.setFloat32(4 * i, value, true);
    else if (type === "i32") view.setInt32(4 * i, value, true);
    else view.setUint32(4 * i, value, true);
  });
  return bytes;
}

/** Copies to a length that is a multiple of four, as WebGPU writes whole words. */
export function padded(data: ArrayBufferView): Uint8Array {
  const out = new Uint8Array(Math.ceil(data.byteLength / 4) * 4);
  out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return out;
}
