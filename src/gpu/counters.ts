/** Counters of what has been asked of a device since it was made. */
export interface DeviceCounters {
  dispatches: number;
  submits: number;
  pipelines: number;
  buffersCreated: number;
  bytesUploaded: number;
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
