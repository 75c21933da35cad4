import { LifetimeError } from "../errors";
import { type Command, type Dispatch, isDispatch } from "./commands";
import type { BufferPool, PooledBuffer } from "./pool";

/** What a {@link Recording} needs of its device. */
interface Player {
  readonly pool: BufferPool;
  play(commands: readonly Command[], buffers: Iterable<PooledBuffer>, written: Iterable<PooledBuffer>): void;
}

/** Who takes part in a recording beside its commands. */
export interface Follower {
  /** Recording ended well. */
  whole?(): void;
  /**
   * Why the commands would do something else by now than the code that gave them; null while they
   * would not.
   */
  stale?(): string | null;
  /** Is called before the commands are given again. */
  replay?(): void;
  /** The recording was disposed of, or its code threw. */
  gone?(): void;
}

/**
 * The commands that some code gave the device, kept to be given again without running that code:
 * same kernels, same scalars, same buffers. It owns its buffers as long as it lives: those that the
 * code freed go to nobody else.
 */
export class Recording {
  private readonly commands: Command[] = [];
  private readonly buffers = new Set<PooledBuffer>();
  private readonly written = new Set<PooledBuffer>();
  private readonly followers: Follower[] = [];
  private reason: string | null = null;
  private state: "open" | "whole" | "gone" = "open";

  constructor(private readonly player: Player) {}

  /** Notes a command that was just given. */
  add(command: Command, buffers: Iterable<PooledBuffer>, written: Iterable<PooledBuffer>): void {
    this.commands.push(command);
    for (const b of buffers) this.buffers.add(b);
    for (const b of written) this.written.add(b);
  }

  /** Whether a command that was noted takes this buffer. */
  uses(buffer: PooledBuffer): boolean {
    return this.buffers.has(buffer);
  }

  /** Notes what the host did besides, to be done with every replay; in the order of the notes. */
  follow(follower: Follower): void {
    this.followers.push(follower);
  }

  /** Notes that something happened which a replay would not repeat. */
  obstruct(reason: string): void {
    this.reason ??= reason;
  }

  /** Why this cannot be replayed; null when it can. */
  get obstacle(): string | null {
    return this.reason;
  }

  /**
   * Why a replay would do something else by now than the recorded code; null while it would not.
   */
  get stale(): string | null {
    for (const f of this.followers) {
      const reason = f.stale?.();
      if (reason) return reason;
    }
    return null;
  }

  /** Ends the recording: from here on its buffers are its own. */
  close(): this {
    for (const b of this.buffers) this.player.pool.pin(b);
    this.state = "whole";
    for (const f of this.followers) f.whole?.();
    return this;
  }

  /** Number of commands. */
  get length(): number {
    return this.commands.length;
  }

  /** Its dispatches, in order: what a step does, for who looks at it without running it. */
  get dispatches(): readonly Dispatch[] {
    return this.commands.filter(isDispatch);
  }

  /**
   * Kernels, scalars and grids in order, without the buffers: equal for two runs of code that
   * decides nothing anew.
   */
  trace(): string {
    const line = (c: Command) =>
      isDispatch(c)
        ? `${c.kernel.id}(${c.params ? new Uint32Array(c.params).join() : ""})${c.groups.join()}`
        : `copy ${c.bytes}`;
    return this.commands.map(line).join(";");
  }

  /**
   * Gives all commands again; they are submitted by the next flush.
   * @throws LifetimeError after {@link dispose}, where there is an {@link obstacle}, and when it is
   * {@link stale}; nothing is done then.
   */
  replay(): void {
    if (this.state !== "whole")
      throw new LifetimeError("replay() of a recorded step that was disposed: record it again");
    if (this.reason !== null) throw new LifetimeError(this.reason);
    const { stale } = this;
    if (stale) throw new LifetimeError(`replay() of a recorded step: ${stale}, or record it again`);
    for (const f of this.followers) f.replay?.();
    this.player.play(this.commands, this.buffers, this.written);
  }

  /** Frees the buffers that nothing else uses. */
  dispose(): void {
    if (this.state === "whole") for (const b of this.buffers) this.player.pool.unpin(b);
    this.state = "gone";
    this.commands.length = 0;
    this.buffers.clear();
    this.written.clear();
    for (const f of this.followers.splice(0)) f.gone?.();
  }
}
