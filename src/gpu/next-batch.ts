import { type Command, type Copy, isDispatch } from "./commands";
import type { DeviceCounters } from "./counters";
import type { PooledBuffer } from "./pool";
import type { Profiler } from "./profile";
import type { Batch } from "./queue";
import { RING_SLOTS, UniformRing } from "./ring";

/**
 * The batch that is being put together: its commands in order, and who waits for it to be
 * submitted.
 */
export class NextBatch {
  /** Its number. */
  serial = 0;
  private commands: Command[] = [];
  /** How many of its dispatches go through the uniform ring. */
  private slots = 0;
  private after: (() => void)[] = [];

  constructor(
    private readonly ring: UniformRing,
    private readonly counters: DeviceCounters,
    /** Submits it, as it can take no more. */
    private readonly flush: () => void,
  ) {}

  /** Whether a command that is not submitted yet uses the buffer. */
  uses(b: PooledBuffer): boolean {
    return b.serial === this.serial && this.commands.length > 0;
  }

  /** Adds a command, which uses `buffers` and writes to `written`. */
  add(command: Command, buffers: readonly PooledBuffer[], written: readonly PooledBuffer[]): void {
    if (isDispatch(command)) {
      if (UniformRing.serves(command.kernel)) {
        this.ring.reserve();
        if (this.slots++ === RING_SLOTS) {
          this.flush();
          this.slots = 1;
        }
      }
      this.counters.dispatches++;
      this.counters.bytesBound += command.bytesBound;
    }
    for (const b of buffers) b.serial = this.serial;
    for (const b of written) {
      b.version++;
      b.since = Math.min(b.since, this.serial);
    }
    this.commands.push(command);
  }

  /** Adds a copy of a buffer to where the host reads it; resolves when it is submitted, or lost. */
  async copyOut(b: PooledBuffer, copy: Copy, submit: (() => void) | null): Promise<void> {
    b.serial = this.serial;
    this.commands.push(copy);
    const submitted = new Promise<void>((resolve) => this.after.push(resolve));
    submit?.();
    await submitted;
  }

  /** The batch as it is; the next one begins. Null where there is none. */
  take(profiler: Profiler | null): Batch | null {
    if (!this.commands.length) return null;
    const batch = { serial: this.serial++, commands: this.commands, profiler, after: this.after };
    this.commands = [];
    this.after = [];
    this.slots = 0;
    return batch;
  }

  /** No submit will come any more: who waits for one finds the failure. */
  drop(): void {
    const waiting = this.after;
    this.commands = [];
    this.after = [];
    for (const f of waiting) f();
  }
}
