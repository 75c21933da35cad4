/**
 * Batches of images, point clouds or any other samples, in an order and with augmentations that
 * depend only on the seed, the epoch and the position.
 */

import { callable, flag, optionsOf, whole } from "../demand";
import { ArgumentError, LimitError } from "../errors";
import { isObject, shown } from "../io/shown";
import { Generator } from "../tensor/random";
import { type Batch, type BatchArray, type HostBatch, isBatchArray } from "./batch";
import { type Dataset, isDataset, type Sample } from "./dataset";
import { type Elements, type Field, type Fields, listOf, memoryOf, perField, sizeOfField } from "./fields";
import { isPointSet, type TrainingSet } from "./sample-set";
import { type AnySet, type Filler, filler, type SampleTransform } from "./samples";

/** What a loader of a set gives: images and labels, or the arrays of a general data set. */
export type BatchOf<S extends AnySet> = S extends Dataset<infer I, infer T> ? HostBatch<I, T> : Batch;

/**
 * Something done to whole batches, such as {@link mixup}: changes their arrays in place, or gives
 * others. `random` is the same for the same seed, epoch and batch.
 */
export type BatchTransform = (batch: HostBatch, random: Generator) => Pick<HostBatch, "inputs" | "targets">;

/** Options of {@link DataLoader}. */
export interface DataLoaderOptions {
  /** Samples of a batch, a whole number from 1; the last one of an epoch may have fewer. */
  batchSize: number;
  /** Visit the samples in a new random order every epoch. Default false. */
  shuffle?: boolean;
  /** Decides orders and augmentations. Default 0. */
  seed?: number;
  /** Leave out the last batch if it is not full. Default false. */
  dropLast?: boolean;
  /**
   * What is done to every image or cloud. Default none: bytes of images become 0 … 1, coordinates
   * of clouds stay.
   */
  transform?: readonly SampleTransform[];
  /** What is done to every batch then. Default nothing. */
  batchTransform?: BatchTransform;
  /**
   * How many batches to prepare before they are asked for, while the caller waits for something
   * else; at most an epoch's. Default 1.
   */
  prefetch?: number;
  /** The epoch that the first plain `for await` over the loader runs. Default 0. */
  epoch?: number;
}

const OPTIONS = [
  "batchSize",
  "shuffle",
  "seed",
  "dropLast",
  "transform",
  "batchTransform",
  "prefetch",
  "epoch",
] as const;

/**
 * Iterates over images, point clouds or a general {@link Dataset} in batches. `toTensors` uploads
 * one.
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
 * taken from the loader (with `prefetch: 0`, until the next), a `prefetch` of more than an epoch's
 * batches counting as these. Uploading at once is safe; `slice()` what must last. Iterations that
 * overlap do not disturb one another.
 *
 * The set is checked when the loader is made, and read when a batch is: samples overwritten later
 * show in later batches, where labels and float pixels are checked again.
 *
 * @throws ArgumentError if batchSize is not a whole number from 1, prefetch, epoch or seed not one
 *   from 0, an option is of another type or unknown, or if there is not a single batch, or the
 *   transforms are for another kind of samples; ShapeError, FormatError if the set's parts do not
 *   agree; on use, LimitError if there is no memory for a batch
 */
export class DataLoader<S extends AnySet = TrainingSet> implements AsyncIterable<BatchOf<S>> {
  /** Batches an epoch. */
  readonly length: number;
  /** Samples an epoch: the set's, less those that `dropLast` leaves out. */
  readonly samples: number;
  readonly batchSize: number;
  /**
   * Shape of a sample's input, of the first if there are several: height, width and channels of an
   * image, points and 3 of a cloud.
   */
  readonly imageShape: readonly number[];
  readonly #set: Filler;
  /** Whether samples are images or clouds, whose batches say so. */
  readonly #hasClasses: boolean;
  readonly #inputs: readonly Field[];
  readonly #targets: readonly Field[];
  readonly #batchTransform: BatchTransform | undefined;
  readonly #shuffle: boolean;
  readonly #prefetch: number;
  readonly #orders: Generator;
  readonly #augmentations: Generator;
  readonly #mixtures: Generator;
  readonly #idle: Ring[] = [];
  #nextEpoch: number;

  constructor(data: S, options: DataLoaderOptions) {
    const {
      batchSize,
      shuffle = false,
      seed = 0,
      dropLast = false,
      transform = [],
      batchTransform,
      prefetch = 1,
      epoch = 0,
    } = optionsOf("DataLoader", options, OPTIONS);
    whole("DataLoader", "batchSize", batchSize);
    whole("DataLoader", "prefetch", prefetch, 0);
    whole("DataLoader", "epoch", epoch, 0);
    whole("DataLoader", "seed", seed, 0);
    flag("DataLoader", "shuffle", shuffle);
    flag("DataLoader", "dropLast", dropLast);
    if (batchTransform !== undefined) callable("DataLoader", "batchTransform", batchTransform);
    const random = new Generator(seed);
    const set = filler(data, transform, random);
    this.#set = set;
    this.#hasClasses = !isDataset(data);
    this.length = dropLast ? Math.floor(set.length / batchSize) : Math.ceil(set.length / batchSize);
    if (this.length === 0) {
      throw new ArgumentError(
        set.length === 0
          ? "DataLoader: expected at least one sample, got an empty set"
          : `DataLoader: dropLast with batchSize ${batchSize} leaves no batch of the ${set.length} ` +
              `${isPointSet(data) ? "clouds" : this.#hasClasses ? "images" : "samples"}; ` +
              "use a smaller batchSize or dropLast: false",
      );
    }
    this.samples = Math.min(this.length * batchSize, set.length);
    this.batchSize = batchSize;
    this.#orders = random.fork("order");
    this.#augmentations = random.fork("augmentation");
    this.#mixtures = random.fork("batches");
    this.#inputs = listOf(set.inputs);
    this.#targets = listOf(set.targets);
    this.imageShape = this.#inputs[0]?.shape ?? [];
    this.#batchTransform = batchTransform;
    this.#shuffle = shuffle;
    // More batches than an epoch has are never ready.
    this.#prefetch = Math.min(prefetch, this.length);
    this.#nextEpoch = epoch;
  }

  /** The next epoch: `options.epoch` the first time, one more every further time. */
  [Symbol.asyncIterator](): AsyncGenerator<BatchOf<S>, void, void> {
    return this.epoch(this.#nextEpoch++);
  }

  /**
   * The batches of one epoch, from `startBatch` on.
   *
   * @throws ArgumentError if `epoch` is not a whole number from 0, or `startBatch` not one from 0
   *   to `length`
   */
  epoch(epoch: number, startBatch = 0): AsyncGenerator<BatchOf<S>, void, void> {
    whole("DataLoader", "epoch", epoch, 0);
    whole("DataLoader", "startBatch", startBatch, 0);
    if (startBatch > this.length) {
      throw new ArgumentError(
        `DataLoader: expected startBatch of at most ${this.length} (batches an epoch), got ${startBatch}`,
      );
    }
    return this.#run(epoch, startBatch);
  }

  async *#run(epoch: number, startBatch: number): AsyncGenerator<BatchOf<S>, void, void> {
    const order = this.#shuffle ? this.#orders.fork(epoch).permutation(this.#set.length) : undefined;
    const draws = { samples: this.#augmentations.fork(epoch), batches: this.#mixtures.fork(epoch) };
    const ring =
      this.#idle.pop() ??
      new Ring(this.#inputs, this.#targets, Math.min(this.batchSize, this.samples), 2 * this.#prefetch + 1);
    const ready: BatchOf<S>[] = [];
    let next = startBatch;
    let failure: { error: unknown } | undefined;
    let running = true;
    let filling: Promise<void> | undefined;

    /** Prepares the next batch: at once, or by the time that `filling` ends. */
    const prepare = (): void => {
      const index = next++;
      const batch = this.#fill(ring.ahead(ready.length), index, order, draws);
      if (!(batch instanceof Promise)) {
        ready.push(batch);
        return;
      }
      filling = batch
        .then(
          (filled) => void ready.push(filled),
          (error: unknown) => void (failure = { error }),
        )
        .then(() => {
          filling = undefined;
          if (this.#prefetch > 0) soon(prepareAhead);
        });
    };
    const prepareAhead = () => {
      if (!running || failure || filling || ready.length >= this.#prefetch || next >= this.length) return;
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
      while (ready.length > 0 || filling || failure || next < this.length) {
        if (ready.length === 0) {
          // A loop that awaits nothing else would otherwise keep timers, input and the device's
          // callbacks from running.
          await new Promise<void>(soon);
          if (ready.length === 0 && !filling && !failure) prepare();
          if (ready.length === 0) await filling;
          if (ready.length === 0 && failure) throw failure.error;
        }
        const batch = ready.shift()!;
        ring.advance();
        if (this.#prefetch > 0) soon(prepareAhead);
        yield batch;
      }
    } finally {
      running = false;
      // Whatever is still being read goes to the buffers that the next epoch will use.
      await filling;
      this.#idle.push(ring);
    }
  }

  #fill(
    slot: Slot,
    index: number,
    order: Uint32Array | undefined,
    draws: Record<"samples" | "batches", Generator>,
  ): BatchOf<S> | Promise<BatchOf<S>> {
    const start = index * this.batchSize;
    const size = Math.min(this.batchSize, this.samples - start);
    const waits: Promise<void>[] = [];
    if (!this.#set.writesAll) for (const { data } of [...slot.inputs, ...slot.targets]) data.fill(0);
    for (let i = 0; i < size; i++) {
      const position = start + i;
      const sample: Sample = {
        inputs: this.#rows(this.#set.inputs, slot.inputs, i),
        targets: this.#rows(this.#set.targets, slot.targets, i),
        random: draws.samples.fork(position),
      };
      const written = this.#set.fill(order ? order[position]! : position, sample);
      if (written) waits.push(written);
    }
    const batch = () => this.#batch(slot, size, index, draws.batches);
    if (waits.length === 0) return batch();
    // All must have ended before the buffers are anybody else's, even if one has failed.
    return Promise.allSettled(waits).then((results) => {
      for (const result of results) if (result.status === "rejected") throw result.reason;
      return batch();
    });
  }

  /** Row `i` of each column, put together as the fields are. */
  #rows(fields: Fields, columns: readonly Column[], i: number): Sample["inputs"] {
    const rows = columns.map(({ data, size }) => data.subarray(i * size, (i + 1) * size));
    return perField(fields, rows) as Sample["inputs"];
  }

  #batch(slot: Slot, size: number, index: number, mixtures: Generator): BatchOf<S> {
    const arraysOf = (fields: Fields, columns: readonly Column[]) =>
      perField(
        fields,
        columns.map(({ data, size: each, field }): BatchArray => {
          const [count, shape] = [size * each, [size, ...field.shape]];
          return { data: count === data.length ? data : data.subarray(0, count), shape };
        }),
      ) as HostBatch["inputs"];
    const { inputs, targets } = this.#set;
    const made: HostBatch = {
      inputs: arraysOf(inputs, slot.inputs),
      targets: arraysOf(targets, slot.targets),
      size,
      index,
    };
    const batch = this.#batchTransform ? { ...made, ...this.#transformed(made, mixtures.fork(index)) } : made;
    if (!this.#hasClasses) return batch as BatchOf<S>;
    // Labels stay what they are, whatever targets a transform of batches makes of them.
    const [images, labels] = [batch.inputs as BatchArray, made.targets as BatchArray];
    return { ...batch, images: images.data, labels: labels.data, shape: images.shape } as BatchOf<S>;
  }

  #transformed(batch: HostBatch, random: Generator): Pick<HostBatch, "inputs" | "targets"> {
    const changed: unknown = this.#batchTransform!(batch, random);
    const { inputs, targets } = (isObject(changed) ? changed : {}) as Partial<HostBatch>;
    const isArrays = (part: unknown) => typeof part === "object" && part !== null;
    if (isArrays(inputs) && isArrays(targets) && (!this.#hasClasses || isBatchArray(inputs)))
      return { inputs: inputs!, targets: targets! };
    throw new ArgumentError(`DataLoader: batchTransform gives { inputs, targets }, found ${shown(changed)}`);
  }
}

/** One field of a batch. */
interface Column {
  readonly field: Field;
  /** Elements a sample. */
  readonly size: number;
  readonly data: Elements;
}

interface Slot {
  readonly inputs: readonly Column[];
  readonly targets: readonly Column[];
}

/**
 * The buffers of one iteration, used in turn. With p batches prepared ahead and the last p + 1
 * taken still valid, 2p + 1 are in use. It keeps its place between epochs, so the rule holds across
 * them.
 */
class Ring {
  readonly #slots: Slot[];
  #taken = 0;

  constructor(inputs: readonly Field[], targets: readonly Field[], batchSize: number, count: number) {
    const columns = (fields: readonly Field[]) => fields.map((field) => column(field, batchSize));
    this.#slots = Array.from({ length: count }, () => ({ inputs: columns(inputs), targets: columns(targets) }));
  }

  /** The buffers `n` places after those taken last. */
  ahead(n: number): Slot {
    return this.#slots[(this.#taken + n) % this.#slots.length]!;
  }

  advance(): void {
    this.#taken = (this.#taken + 1) % this.#slots.length;
  }
}

/** @throws LimitError if there is no memory for it */
function column(field: Field, batchSize: number): Column {
  const size = sizeOfField(field);
  try {
    return { field, size, data: memoryOf(field, batchSize) };
  } catch (cause) {
    throw new LimitError(
      `DataLoader: there is no memory for ${size * batchSize} numbers in one array; ask for smaller batches`,
      { cause },
    );
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
