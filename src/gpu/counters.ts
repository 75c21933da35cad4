/** Counters of what has been asked of a device since it was made. */
export interface DeviceCounters {
  /** Launches of a kernel. */
  dispatches: number;
  /** Command buffers given to the queue. */
  submits: number;
  /** Kernels compiled. */
  pipelines: number;
  /** GPU buffers created; those that are reused count once. */
  buffersCreated: number;
  /** From the host to the GPU. */
  bytesUploaded: number;
  /** From the GPU to the host. */
  bytesRead: number;
  /**
   * Sizes of all buffers bound to dispatches: what they move at most, if each reads or writes its
   * buffers once.
   */
  bytesBound: number;
}

/** Of a device that was asked nothing yet. */
export const noCounts = (): DeviceCounters => ({
  dispatches: 0,
  submits: 0,
  pipelines: 0,
  buffersCreated: 0,
  bytesUploaded: 0,
  bytesRead: 0,
  bytesBound: 0,
});
