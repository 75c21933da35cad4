/** Which of an adapter's ceilings binds a kernel, and how near it comes. */
import { type Device, scope } from "@pan/core";
import { type Ceiling, copyCeiling, fmaCeiling, loadCeiling } from "./ceiling";
import { median } from "./median";

/**
 * What something does: operations, numbers loaded by invocations (0 where that is not counted: then
 * each number of its buffers once), bytes of its buffers.
 */
export interface Work {
  readonly operations: number;
  readonly loads: number;
  readonly bytes: number;
}

/** Rates a second of each. */
export type Roof = Work;

export const BINDS = { operations: "multiply-adds", loads: "loads", bytes: "bytes" } as const;

/** The ceiling under which `work` takes longest, and that shortest time as a share of `seconds`. */
export function shareOfRoof(work: Work, roof: Roof, seconds: number): { binds: keyof Work; share: number } {
  const names = ["operations", "loads", "bytes"] as const;
  const done = { ...work, loads: work.loads || work.bytes / 4 };
  const least = (name: keyof Work) => done[name] / roof[name];
  const binds = names.reduce((a, b) => (least(b) > least(a) ? b : a));
  return { binds, share: least(binds) / seconds };
}

/**
 * Runs, and frees what it gives: a result that is kept would have the next run make a new buffer.
 */
export const once = (run: () => unknown): void => scope(() => void run());

/** Milliseconds of a call until the GPU has done it. */
export async function timed(device: Device, run: () => unknown): Promise<number> {
  await device.sync();
  const started = performance.now();
  once(run);
  await device.sync();
  return performance.now() - started;
}

/** The adapter's ceilings, measured a round at a time between other things. */
export class RoofMeter {
  readonly #ceilings: Readonly<Record<keyof Work, Ceiling>>;
  readonly #milliseconds: Record<keyof Work, number[]> = { operations: [], loads: [], bytes: [] };

  constructor(readonly device: Device) {
    this.#ceilings = { operations: fmaCeiling(device), loads: loadCeiling(device), bytes: copyCeiling(device) };
  }

  /** @param counts whether the round goes into the medians; the first compiles. */
  async round(counts: boolean): Promise<void> {
    for (const name of ["operations", "loads", "bytes"] as const) {
      const ms = await timed(this.device, this.#ceilings[name].run);
      if (counts) this.#milliseconds[name].push(ms);
    }
  }

  get roof(): Roof {
    const rate = (name: keyof Work) => this.#ceilings[name].work / (median(this.#milliseconds[name]) / 1000);
    return { operations: rate("operations"), loads: rate("loads"), bytes: rate("bytes") };
  }
}

/** What one run of something does, summed over its kernels. */
export async function workOf(device: Device, run: () => unknown): Promise<Work> {
  const kernels = await device.profile(() => once(run));
  const sum = (name: keyof Work) => kernels.reduce((total, k) => total + k[name], 0);
  return { operations: sum("operations"), loads: sum("loads"), bytes: sum("bytes") };
}

/** `roof` in a line. */
export const describeRoof = ({ operations, loads, bytes }: Roof): string =>
  `ceilings: ${(operations / 1e9).toFixed(1)} GFLOP/s of multiply-adds in registers, ${(loads / 1e9).toFixed(2)} G numbers/s loaded, ${(bytes / 1e9).toFixed(1)} GB/s copied`;
