import { sizeClass } from "./pool";

/** A place to copy to that waits to be mapped. */
export interface Ticket {
  readonly staging: GPUBuffer;
  readonly bytes: number;
  /** `bytes` in whole words: what is to be copied. */
  readonly whole: number;
}

/** Mappable buffers to copy to, which are reused; mapping waits for the GPU without holding anything up. */
export class Readback {
  private readonly free = new Map<number, GPUBuffer[]>();

  constructor(private readonly device: GPUDevice) {}

  /** A place for `bytes`. */
  take(bytes: number): Ticket {
    const whole = Math.ceil(bytes / 4) * 4;
    const size = sizeClass(whole);
    const staging =
      this.free.get(size)?.pop() ??
      this.device.createBuffer({
        label: `readback ${size}`,
        size,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      });
    return { staging, bytes, whole };
  }

  /** The bytes, once the submit that holds the copy has run. */
  async finish({ staging, bytes, whole }: Ticket): Promise<ArrayBuffer> {
    await staging.mapAsync(GPUMapMode.READ, 0, whole);
    const data = staging.getMappedRange(0, whole).slice(0, bytes);
    staging.unmap();
    const list = this.free.get(staging.size);
    if (list) list.push(staging);
    else this.free.set(staging.size, [staging]);
    return data;
  }
}
