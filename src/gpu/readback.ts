import { sizeClass } from "./pool";

/** A copy that is recorded and waits to be mapped. */
export interface Ticket {
  readonly staging: GPUBuffer;
  readonly bytes: number;
}

/** Copies buffers to mappable ones, which are reused; mapping waits for the GPU without holding anything up. */
export class Readback {
  private readonly free = new Map<number, GPUBuffer[]>();

  constructor(private readonly device: GPUDevice) {}

  record(encoder: GPUCommandEncoder, source: GPUBuffer, bytes: number): Ticket {
    const whole = Math.ceil(bytes / 4) * 4;
    const size = sizeClass(whole);
    const staging =
      this.free.get(size)?.pop() ??
      this.device.createBuffer({
        label: `readback ${size}`,
        size,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      });
    encoder.copyBufferToBuffer(source, 0, staging, 0, whole);
    return { staging, bytes };
  }

  /** The bytes, once the submit that holds the copy has run. */
  async finish({ staging, bytes }: Ticket): Promise<ArrayBuffer> {
    const whole = Math.ceil(bytes / 4) * 4;
    await staging.mapAsync(GPUMapMode.READ, 0, whole);
    const data = staging.getMappedRange(0, whole).slice(0, bytes);
    staging.unmap();
    const list = this.free.get(staging.size);
    if (list) list.push(staging);
    else this.free.set(staging.size, [staging]);
    return data;
  }
}
