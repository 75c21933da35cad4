import type { Device } from "../gpu/device";
import type { Tensor } from "../tensor/tensor";

/**
 * Vectors from which a tensor has a dispatch of its own on SwiftShader, where every invocation goes
 * through the loads and stores of all tensors of its dispatch.
 */
const ALONE = 256;

/** A tensor of a batch: its number, and where its state begins in the batch's, in vectors. */
export interface Member {
  readonly index: number;
  readonly at: number;
}

/** Tensors that one dispatch walks, with their state side by side in one buffer. */
export interface Members {
  readonly members: readonly Member[];
  /** Of one state of all. */
  readonly vectors: number;
}

/**
 * Cuts tensors, given with their numbers, into batches of at most `slots` whose state fits the
 * device's bindings; empty ones are in none.
 * @param states how many of the tensors' size are kept of each
 */
export function batched(device: Device, tensors: ReadonlyMap<number, Tensor>, slots: number, states = 1): Members[] {
  const { limits } = device.gpu;
  const most = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
  const batches: Members[] = [];
  let members: Member[] = [];
  let vectors = 0;
  const close = () => {
    if (members.length) batches.push({ members, vectors });
    members = [];
    vectors = 0;
  };
  const isAlone = ([, t]: readonly [number, Tensor]) => device.caps.adapter === "swiftshader" && t.vectors > ALONE;
  const filled = [...tensors].filter(([, t]) => t.size > 0);
  for (const entry of [...filled.filter((e) => !isAlone(e)), ...filled.filter(isAlone)]) {
    const [index, { vectors: own }] = entry;
    if (members.length === slots || 16 * states * (vectors + own) > most || isAlone(entry)) close();
    members.push({ index, at: vectors });
    vectors += own;
  }
  close();
  return batches;
}
