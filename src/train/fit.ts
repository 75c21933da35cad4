import type { EpochRecord, History } from "./history";

/**
 * A training under way, of which nothing runs before somebody asks for it: `for await (const epoch
 * of trainer.fit(…))` gives a record after each epoch, `await trainer.fit(…)` trains to the end and
 * gives the history.
 */
export class Fit implements AsyncIterableIterator<EpochRecord, void, void>, PromiseLike<History> {
  readonly #epochs: AsyncGenerator<EpochRecord, void, void>;
  readonly #history: History;
  #running = 0;

  /** @internal */
  constructor(epochs: AsyncGenerator<EpochRecord, void, void>, history: History) {
    this.#epochs = epochs;
    this.#history = history;
  }

  /**
   * Whether it stands before its first epoch or between two, until somebody asks for the next.
   * @internal
   */
  get isWaiting(): boolean {
    return this.#running === 0;
  }

  /** Trains an epoch. */
  async next(): Promise<IteratorResult<EpochRecord, void>> {
    this.#running++;
    try {
      return await this.#epochs.next();
    } finally {
      this.#running--;
    }
  }

  /** Ends the run where it stands, as `break` does. */
  return(): Promise<IteratorResult<EpochRecord, void>> {
    return this.#epochs.return();
  }

  throw(error: unknown): Promise<IteratorResult<EpochRecord, void>> {
    return this.#epochs.throw(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Trains to the end, and gives the trainer's history. */
  // biome-ignore lint/suspicious/noThenProperty: `await trainer.fit(…)` would train nothing without
  then<A = History, B = never>(
    done?: ((history: History) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#rest().then(done, failed);
  }

  async #rest(): Promise<History> {
    while (!(await this.next()).done);
    return this.#history;
  }
}
