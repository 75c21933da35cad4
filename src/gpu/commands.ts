import type { Workgroups } from "../../shaders/kernel";
import type { Compiled } from "./pipelines";

/** One dispatch: everything that is needed to encode it, any number of times. */
export interface Dispatch {
  readonly kernel: Compiled;
  readonly group: GPUBindGroup;
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
  readonly from: GPUBuffer;
  readonly to: GPUBuffer;
  readonly bytes: number;
}

export type Command = Dispatch | Copy;

export const isDispatch = (c: Command): c is Dispatch => "kernel" in c;

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
