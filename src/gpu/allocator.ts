import { LimitError, type PanError } from "../errors";
import type { WebGpuBuffer, WebGpuBufferDescriptor, WebGpuDevice } from "./webgpu";

/** Memory that WebGPU was asked for, and what became of it. */
export interface Allocation {
  /**
   * Another one where the first was refused and a second try was not: commands ask for it when they
   * are encoded.
   */
  buffer: WebGpuBuffer;
  /** False from when WebGPU refused it or it was destroyed: no command may name it any more. */
  usable: boolean;
  /** Resolves when it is known whether WebGPU gave the memory; null from then on. */
  proof: Promise<void> | null;
  /**
   * Why it holds nothing that may be used: no memory, or the commands that were to fill it never
   * ran.
   */
  lost: PanError | null;
  /** Number of the batch that was being put together when it was made. */
  readonly born: number;
  /**
   * Number of the batch whose commands first filled it for its owner; −1 for the host's data,
   * infinite before both.
   */
  since: number;
}

/** Characters of WebGPU's own words that an error repeats. */
const QUOTED = 200;

/** What an {@link Allocator} asks of its device, and tells it. */
export interface AllocatorEvents {
  /** Number of the batch that is being put together. */
  serial(): number;
  /** Bytes in use. */
  used(): number;
  /** Destroys buffers that wait unused, and says how many bytes of them. */
  reclaim(): number;
  /** There is no memory: known at once, and then thrown, or late, of the buffer `made`. */
  refused(error: LimitError, made: Allocation | null): void;
}

/**
 * Creates buffers, and finds out which of them have memory. WebGPU says that late, and gives out a
 * buffer all the same: batches wait for {@link Allocator.pending}, which a steady step never has,
 * so that nothing is ever run on a buffer that is none.
 */
export class Allocator {
  private readonly proofs = new Set<Promise<void>>();
  /** Bytes that were destroyed so far to make room. */
  private reclaimed = 0;

  constructor(
    readonly gpu: WebGpuDevice,
    private readonly events: AllocatorEvents,
  ) {}

  /**
   * Creates a buffer. Where there is no memory, buffers that wait unused are destroyed, and if they
   * were as large it is tried once more.
   * @param what What it is for, with its size, for the error.
   * @param struck Is called when it turns out later that there is no memory.
   * @throws LimitError when WebGPU says so at once.
   */
  create(descriptor: WebGpuBufferDescriptor, what: string, struck?: () => void): Allocation {
    const before = this.reclaimed;
    const { buffer, verdict } = this.tryTwice(descriptor, what);
    const made: Allocation = {
      buffer,
      usable: true,
      proof: null,
      lost: null,
      born: this.events.serial(),
      since: Number.POSITIVE_INFINITY,
    };
    const proof = verdict
      .then((reason) => (reason === null ? null : this.again(made, descriptor, reason, before)))
      .then((reason) => {
        if (reason === null) return;
        made.usable = false;
        const error = this.error(what, reason);
        made.lost = error;
        struck?.();
        this.events.refused(error, made);
      })
      .finally(() => {
        made.proof = null;
        this.proofs.delete(proof);
      });
    made.proof = proof;
    this.proofs.add(proof);
    return made;
  }

  /**
   * Resolves when it is known of every buffer created so far whether it has memory; null when it is
   * known already.
   */
  get pending(): Promise<unknown> | null {
    return this.proofs.size ? Promise.all(this.proofs) : null;
  }

  private tryTwice(descriptor: WebGpuBufferDescriptor, what: string) {
    try {
      return this.attempt(descriptor);
    } catch (first) {
      if (this.makeRoom() < descriptor.size) throw this.refusal(what, first);
      try {
        return this.attempt(descriptor);
      } catch (second) {
        throw this.refusal(what, second);
      }
    }
  }

  private refusal(what: string, cause: unknown): LimitError {
    const error = this.error(what, String(cause), cause);
    this.events.refused(error, null);
    return error;
  }

  /**
   * The late second try, of use only where as much was destroyed since the first.
   * @returns why it was refused too, or null.
   */
  private async again(made: Allocation, descriptor: WebGpuBufferDescriptor, reason: string, before: number) {
    this.makeRoom();
    if (this.reclaimed - before < descriptor.size) return reason;
    // Destroyed buffers are freed when the GPU is done with what used them.
    await this.gpu.queue.onSubmittedWorkDone();
    try {
      const { buffer, verdict } = this.attempt(descriptor);
      made.buffer = buffer;
      return await verdict;
    } catch (error) {
      return String(error);
    }
  }

  private attempt(descriptor: WebGpuBufferDescriptor): { buffer: WebGpuBuffer; verdict: Promise<string | null> } {
    const { gpu } = this;
    gpu.pushErrorScope("validation");
    gpu.pushErrorScope("out-of-memory");
    let buffer: WebGpuBuffer;
    let verdict: Promise<string | null>;
    try {
      buffer = gpu.createBuffer(descriptor);
    } finally {
      // A lost device has no verdict; that it is lost is told elsewhere.
      const scope = () =>
        gpu.popErrorScope().then(
          (error) => error?.message ?? null,
          () => null,
        );
      verdict = Promise.all([scope(), scope()]).then(([memory, validation]) => memory ?? validation);
    }
    return { buffer, verdict };
  }

  private makeRoom(): number {
    const bytes = this.events.reclaim();
    this.reclaimed += bytes;
    return bytes;
  }

  private error(what: string, reason: string, cause?: unknown): LimitError {
    const said = reason.split("\n")[0]!.slice(0, QUOTED);
    return new LimitError(
      `the device has no memory for ${what} (${said}); tensors hold ${this.events.used()} bytes: use a smaller batch, or give it in parts (the trainer's \`accumulate\`), and dispose of tensors that are not needed. What was given to the device with it is lost too, and changes nothing`,
      { cause },
    );
  }
}
