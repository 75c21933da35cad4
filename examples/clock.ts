/** When a run began and what it took, over all the processes that went on with it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { EpochRecord } from "@pan/core/train";
import { saveText } from "./files";

/** Of one process; an epoch's own record says what it took, whoever trained it. */
export class RunClock {
  readonly #began = Date.now();
  #trained = 0;

  private constructor(readonly startedAt: string) {}

  /** Notes the beginning in the run's folder, or finds it there where the run goes on. */
  static async start(out: string, { resume }: { resume: boolean }): Promise<RunClock> {
    const path = join(out, "started");
    const known = resume ? await readFile(path, "utf8").catch(() => null) : null;
    const clock = new RunClock(known ?? new Date().toISOString());
    if (known === null) await saveText(path, clock.startedAt);
    return clock;
  }

  /** An epoch that this process trained. */
  epoch({ seconds }: Pick<EpochRecord, "seconds">): void {
    this.#trained += seconds;
  }

  /** Those of all epochs, and of what this process did beside training. */
  seconds(epochs: readonly Pick<EpochRecord, "seconds">[]): number {
    const beside = Math.max(0, (Date.now() - this.#began) / 1000 - this.#trained);
    return epochs.reduce((sum, e) => sum + e.seconds, beside);
  }
}
