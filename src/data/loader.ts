/**
 * Batches of images or point clouds, in an order and with augmentations that depend only on the
 * seed, the epoch and the position.
 */

import { flag, optionsOf, whole } from "../demand";
import { ArgumentError, FormatError } from "../errors";
import { Generator } from "../tensor/random";
import { floats } from "./check";
import { checkedSet, type Dataset, isPointSet } from "./dataset";
import { type SampleTransform, type SampleWriter, sampleWriter } from "./samples";

/**
 * Some images or clouds and their labels, ready to be uploaded. See {@link DataLoader} for how long
 * the arrays stay valid.
 */
export interface Batch {
  /** n × height × width × channels, channels last; n × points × 3 for clouds. */
  readonly images: Float32Array;
  /** n class indices. */
  readonly labels: Int32Array;
  /** n, the number of samples; the last batch of an epoch may be smaller than the others. */
  readonly size: number;
  readonly shape: readonly [n: number, ...sample: number[]];
  /** Which batch of its epoch this is, from 0. */
  readonly index: number;
}

/** Options of {@link DataLoader}. */
export interface DataLoaderOptions {
  batchSize: number;
  /** Visit the samples in a new random order every epoch. Default false. */
  shuffle?: boolean;
  /** Decides orders and augmentations. Default 0. */
  seed?: number;
  /** Leave out the last batch if it is not full. Default false. */
  dropLast?: boolean;
  /**
   * What is done to every sample. Default none: bytes of images become 0 … 1, coordinates of clouds
   * stay.
   */
  transform?: readonly SampleTransform[];
  /**
   * How many batches to prepare before they are asked for, while the caller waits for something
   * else; at most an epoch's. Default 1.
   */
  prefetch?: number;
  /** The epoch that the first plain `for await` over the loader runs. Default 0. */
  epoch?: number;
}

const OPTIONS = ["batchSize", "shuffle", "seed", "dropLast", "transform", "prefetch", "epoch"] as const;

/**
 * Iterates over images or point clouds in batches.
 *
 *     for await (const batch of loader.epoch(3)) …            // epoch 3
 *     for await (const batch of loader.epoch(3, 120)) …       // the same epoch from its batch 120 on: the same bits
 *     for await (const batch of loader) …                     // epoch 0, the next time epoch 1, …
 *
 * The order of epoch e is a permutation drawn from (seed, e); sample number i of that order is
 * augmented with a stream of its own, drawn from (seed, e, i). So neither depends on what ran
 * before, on `prefetch` or, for the order, on the batch size.
 *
 * Buffers are recycled: a batch's arrays are valid until `prefetch + 1` further batches have been
 * taken from the loader (with `prefetch: 0`, until the next). Uploading at once is safe; `slice()`
 * what must last. Iterations that overlap do not disturb one another.
 *
 * The set is checked when the loader is made, and read when a batch is: samples overwritten later
 * show in later batches, where labels and float pixels are checked again.
 *
 * @throws ArgumentError if batchSize is not a whole number from 1, prefetch, epoch or seed not one
 *   from 0, an option is of another type or unknown, or if there is not a single batch, or the
 *   transforms are for another kind of samples; ShapeError, FormatError if the set's parts do not
 *   agree; on use, LimitError if there is no memory for a batch
 */
export class DataLoader implements AsyncIterable<Batch> {
  /** Batches an epoch. */
  readonly length: number;
  /** Samples an epoch: the set's, less those that `dropLast` leaves out. */
  readonly samples: number;
  readonly batchSize: number;
  /**
   * Shape of a sample in a batch: height, width and channels of an image, points and 3 of a cloud.
   */
  readonly imageShape: readonly number[];
  readonly #set: Dataset;
  readonly #writer: SampleWriter;
  /** Floats a sample. */
  readonly #floats: number;
  readonly #shuffle: boolean;
  readonly #prefetch: number;
  readonly #orders: Generator;
  readonly #augmentations: Generator;
  readonly #idle: Ring[] = [];
  #nextEpoch: number;

  constructor(data: Dataset, options: DataLoaderOptions) {
    const {
      batchSize,
      shuffle = false,
      seed = 0,
      dropLast = false,
      transform = [],
      prefetch = 1,
      epoch = 0,
    } = optionsOf("DataLoader", options, OPTIONS);
    whole("DataLoader", "batchSize", batchSize);
    whole("DataLoader", "prefetch", prefetch, 0);
    whole("DataLoader", "epoch", epoch, 0);
    whole("DataLoader", "seed", seed, 0);
    flag("DataLoader", "shuffle", shuffle);
    flag("DataLoader", "dropLast", dropLast);
    const set = checkedSet(data);
    this.#set = set;
    this.length = dropLast ? Math.floor(set.length / batchSize) : Math.ceil(set.length / batchSize);
    if (this.length === 0) {
      throw new ArgumentError(
        set.length === 0
          ? "DataLoader: expected at least one sample, got an empty set"
          : `DataLoader: dropLast with batchSize ${batchSize} leaves no batch of the ${set.length} ` +
              `${isPointSet(set) ? "clouds" : "images"}; ` +
              "use a smaller batchSize or dropLast: false",
      );
    }
    this.samples = Math.min(this.length * batchSize, set.length);
    this.batchSize = batchSize;
    const random = new Generator(seed);
    this.#orders = random.fork("order");
    this.#augmentations = random.fork("augmentation");
    this.#writer = sampleWriter(set, transform, random);
    this.imageShape = this.#writer.shape;
    this.#floats = this.imageShape.reduce((a, b) => a * b);
    this.#shuffle = shuffle;
    // More batches than an epoch has are never ready.
    this.#prefetch = Math.min(prefetch, this.length);
    this.#nextEpoch = epoch;
  }

  /** The next epoch: `options.epoch` the first time, one more every further time. */
  [Symbol.asyncIterator](): AsyncGenerator<Batch, void, void> {
    return this.epoch(this.#nextEpoch++);
  }

  /**
   * The batches of one epoch, from `startBatch` on.
   *
   * @throws ArgumentError if `epoch` is not a whole number from 0, or `startBatch` not one from 0
   *   to `length`
   */
  epoch(epoch: number, startBatch = 0): AsyncGenerator<Batch, void, void> {
    whole("DataLoader", "epoch", epoch, 0);
    whole("DataLoader", "startBatch", startBatch, 0);
    if (startBatch > this.length) {
      throw new ArgumentError(
        `DataLoader: expected startBatch of at most ${this.length} (batches an epoch), got ${startBatch}`,
      );
    }
    return this.#run(epoch, startBatch);
  }

  async *#run(epoch: number, startBatch: number): AsyncGenerator<Batch, void, void> {
    const order = this.#shuffle ? this.#orders.fork(epoch).permutation(this.#set.length) : undefined;
    const augmentations = this.#augmentations.fork(epoch);
    const ring =
      this.#idle.pop() ?? new Ring(Math.min(this.batchSize, this.samples), this.#floats, 2 * this.#prefetch + 1);
    const ready: Batch[] = [];
    let next = startBatch;
    let failure: { error: unknown } | undefined;
    let running = true;

    const prepare = () => {
      ready.push(this.#fill(ring.ahead(ready.length), next, order, augmentations));
      next++;
    };
    const prepareAhead = () => {
      if (!running || failure || ready.length >= this.#prefetch || next >= this.length) return;
      try {
        prepare();
      } catch (error) {
        // Nobody is waiting now: whoever asks for this batch shall hear of it.
        failure = { error };
        return;
      }
      soon(prepareAhead);
    };

    try {
      while (ready.length > 0 || next < this.length) {
        if (ready.length === 0) {
          // A loop that awaits nothing else would otherwise keep timers, input and the device's
          // callbacks from running.
          await new Promise<void>(soon);
          if (failure) throw failure.error;
          if (ready.length === 0) prepare();
        }
        const batch = ready.shift()!;
        ring.advance();
        if (this.#prefetch > 0) soon(prepareAhead);
        yield batch;
      }
    } finally {
      running = false;
      this.#idle.push(ring);
    }
  }

  #fill(slot: Slot, index: number, order: Uint32Array | undefined, augmentations: Generator): Batch {
    const start = index * this.batchSize;
    const size = Math.min(this.batchSize, this.samples - start);
    const sampleSize = this.#floats;
    const { labels, classes } = this.#set;
    for (let i = 0; i < size; i++) {
      const position = start + i;
      const sample = order ? order[position]! : position;
      this.#writer.write(sample, slot.images, i * sampleSize, augmentations.fork(position));
      const label = labels[sample]!;
      // The set is a view: what was right when it was checked may have been overwritten.
      if (!(label >= 0 && label < classes.length)) {
        throw new FormatError(
          `DataLoader: sample ${sample} now has label ${label}, but there are ${classes.length} classes; ` +
            "leave the arrays of a set as they are while it is in use",
        );
      }
      slot.labels[i] = label;
    }
    const full = size * sampleSize === slot.images.length;
    return {
      images: full ? slot.images : slot.images.subarray(0, size * sampleSize),
      labels: full ? slot.labels : slot.labels.subarray(0, size),
      size,
      shape: [size, ...this.imageShape],
      index,
    };
  }
}

interface Slot {
  images: Float32Array;
  labels: Int32Array;
}

/**
 * The buffers of one iteration, used in turn. With p batches prepared ahead and the last p + 1
 * taken still valid, 2p + 1 are in use. It keeps its place between epochs, so the rule holds across
 * them.
 */
class Ring {
  readonly #slots: Slot[];
  #taken = 0;

  constructor(batchSize: number, sampleSize: number, count: number) {
    this.#slots = Array.from({ length: count }, () => ({
      images: floats("DataLoader", batchSize * sampleSize),
      labels: new Int32Array(batchSize),
    }));
  }

  /** The buffers `n` places after those taken last. */
  ahead(n: number): Slot {
    return this.#slots[(this.#taken + n) % this.#slots.length]!;
  }

  advance(): void {
    this.#taken = (this.#taken + 1) % this.#slots.length;
  }
}

/**
 * Calls back in a later turn of the event loop. A message does it in a browser, where a chain of
 * timeouts waits 4 ms each; Node's message ports would keep the process alive, but it has
 * `setImmediate`.
 */
function soon(callback: () => void): void {
  if (typeof setImmediate === "function") {
    setImmediate(callback);
  } else {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      callback();
    };
    port2.postMessage(null);
  }
}
