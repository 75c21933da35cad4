import { GpuError, LimitError, type PanError } from "../errors";
import type { Allocation } from "./allocator";
import { type Command, isDispatch, reads, writes } from "./commands";
import { UniformRing } from "./ring";

/**
 * What is lost with a command that cannot run, or that cannot even be given for want of memory.
 * Everything that was given to the device from its batch on, until its error is told, shares its
 * fate: what existed before stays as it was, as if none of it had been asked for; new memory whose
 * contents come from sound memory alone is filled (initial values, tables, that later steps rely
 * on); the rest of the new memory is marked, and refused from then on.
 */
export class Losses {
  private error: PanError | null = null;
  private from = 0;
  /** Holds something else than the commands from here on expect. */
  private readonly stale = new Set<Allocation>();

  constructor(private readonly ring: UniformRing) {}

  /** Whether there is one that nobody was told of. */
  get isOpen(): boolean {
    return this.error !== null;
  }

  /**
   * @param from The first batch that may need what cannot be had.
   * @param without The buffer that has no memory, where that is the cause.
   */
  open(error: PanError, from: number, without?: Allocation): void {
    this.from = this.error ? Math.min(this.from, from) : from;
    this.error ??= error;
    if (without) this.stale.add(without);
  }

  /** Those of a batch's commands that still run. */
  sift({ serial, commands }: { serial: number; commands: readonly Command[] }): readonly Command[] {
    if (!this.error || serial < this.from) return commands;
    return commands.filter((c) => {
      if (this.isSound(c)) return true;
      for (const b of writes(c)) this.stale.add(b);
      if (!isDispatch(c)) c.lost = this.error;
      return false;
    });
  }

  /** The error has been told: marks what holds nothing. */
  close(): void {
    const { error } = this;
    if (!error) return;
    for (const b of this.stale) {
      if (!b.usable || b.since < this.from || b.since === Number.POSITIVE_INFINITY) continue;
      const message = `this tensor holds nothing, as the commands that were to fill it were lost with an error: ${error.message}. Dispose of it and compute it anew`;
      b.lost = error instanceof LimitError ? new LimitError(message) : new GpuError(message);
    }
    this.stale.clear();
    this.error = null;
  }

  private isSound(c: Command): boolean {
    if (isDispatch(c)) {
      if (c.kernel.refusal !== null) return false;
      if (UniformRing.serves(c.kernel) && !this.ring.isUsable) return false;
    }
    return reads(c).every((b) => !this.stale.has(b)) && writes(c).every((b) => b.since >= this.from);
  }
}
