import type { PooledBuffer } from "./pool";

/**
 * Buffers that are written when somebody asks for them: work that may wait is given together then,
 * in fewer launches. A buffer counts as written from when its work was put off, so that who keeps
 * values for later is not told that they changed.
 */
export class Deferred {
  private readonly due = new Map<PooledBuffer, () => void>();

  /**
   * @param run gives the commands that write to it, and perhaps to others that are due; these say
   * so by {@link begin}.
   */
  add(b: PooledBuffer, run: () => void): void {
    b.version++;
    this.due.set(b, run);
  }

  /** Runs what writes to `b`, if it is due. */
  demand(b: PooledBuffer): void {
    if (this.due.size) this.due.get(b)?.();
  }

  /** Runs all that is due; what a run gives for others is due no more, and is not run again. */
  complete(): void {
    for (const run of this.due.values()) run();
  }

  /** The commands that write to `b` follow, and count it as written once more. */
  begin(b: PooledBuffer): void {
    if (this.due.delete(b)) b.version--;
  }

  /** Nothing that is due will be asked for any more. */
  drop(): void {
    this.due.clear();
  }
}
