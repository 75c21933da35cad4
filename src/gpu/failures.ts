import { DeviceLostError } from "../errors";

/**
 * What went wrong on a device and who was told. WebGPU reports most mistakes late and beside the
 * call; the first is thrown by the next call that waits, once. A lost device's stays.
 */
export class Failures {
  /** The first error that nobody was told of yet. */
  private failure: Error | null = null;
  /** Errors reported so far, and the last of them. */
  private reports = 0;
  private latest: Error | null = null;
  private readonly blamed = new Set<string>();

  /** @param told Is called when somebody is told, just before. */
  constructor(private readonly told: () => void) {}

  /** @param culprit The kernel it names. */
  add(error: Error, culprit?: string): void {
    if (culprit !== undefined) this.blamed.add(culprit);
    this.reports++;
    this.latest = error;
    this.failure ??= error;
  }

  /** Whether an error that was reported names this kernel. */
  blames(label: string): boolean {
    return this.blamed.has(label);
  }

  /** The device is gone, for good. */
  lose(message: string): void {
    if (!this.isLost) this.failure = new DeviceLostError(message);
  }

  get isLost(): boolean {
    return this.failure instanceof DeviceLostError;
  }

  /** @throws DeviceLostError when the device is gone. */
  demandAlive(): void {
    if (this.isLost) throw this.failure;
  }

  /** Throws the error that nobody was told of, if there is one. */
  tell(): void {
    if (!this.failure) return;
    const error = this.failure;
    if (!this.isLost) {
      this.told();
      this.failure = null;
    }
    throw error;
  }

  /** Whether an error waits to be told. */
  get isWaiting(): boolean {
    return this.failure !== null;
  }

  /** A watch from now on: throws when anything was reported since, to whomever. */
  watch(): () => void {
    const before = this.reports;
    return () => {
      this.tell();
      // Somebody else was told, but what this one waits for may come from a batch that never ran.
      if (this.reports !== before) throw this.latest;
    };
  }
}
