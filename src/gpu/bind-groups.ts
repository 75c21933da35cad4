import type { Compiled } from "./pipelines";
import type { PooledBuffer } from "./pool";
import { RING_STRIDE, UniformRing } from "./ring";

/** Bind groups kept for reuse; a steady step repeats the same few hundred. */
const MOST = 8192;

/** Bind groups by kernel and buffers: making one costs more than a dispatch. */
export class BindGroups {
  private readonly groups = new Map<string, GPUBindGroup>();

  constructor(
    private readonly gpu: GPUDevice,
    private readonly ring: UniformRing,
  ) {}

  get(kernel: Compiled, bound: readonly PooledBuffer[]): GPUBindGroup {
    const { id, label, layout } = kernel;
    let key = String(id);
    for (const b of bound) key += "," + b.id;
    const known = this.groups.get(key);
    if (known) return known;
    if (this.groups.size >= MOST) this.groups.clear();
    const entries: GPUBindGroupEntry[] = bound.map((b, binding) => ({ binding, resource: { buffer: b.buffer } }));
    if (UniformRing.serves(kernel))
      entries.push({ binding: bound.length, resource: { buffer: this.ring.buffer!, size: RING_STRIDE } });
    const group = this.gpu.createBindGroup({ label, layout, entries });
    this.groups.set(key, group);
    return group;
  }

  /** Drops those of a buffer that is about to be destroyed. */
  forget(b: PooledBuffer): void {
    const id = String(b.id);
    for (const key of this.groups.keys()) if (key.split(",").indexOf(id, 1) > 0) this.groups.delete(key);
  }
}
