import { type Batch, DataLoader } from "../data/loader";
import { Tensor } from "../tensor/tensor";
import type { FullOptions, TriggerOptions } from "./options";

/** The batches of a trigger set, over and over: which comes with a step depends on the step's number alone, so that a resumed run gets the same. */
export class TriggerBatches {
  readonly #loader: DataLoader;
  #batches: AsyncGenerator<Batch, void, void> | null = null;

  constructor({ set, batchSize = 2, transform }: TriggerOptions, { seed, testTransform }: FullOptions) {
    this.#loader = new DataLoader(set, {
      // An empty set is the loader's to refuse.
      batchSize: Math.max(1, Math.min(batchSize, set.length)),
      seed: seed + 1,
      shuffle: true,
      dropLast: true,
      transform: transform ?? testTransform,
    });
  }

  get batchSize(): number {
    return this.#loader.batchSize;
  }

  get imageShape(): readonly number[] {
    return this.#loader.imageShape;
  }

  /** The batch of step `step`, from 0; steps follow one another, from the first after {@link close} on. */
  async at(step: number): Promise<Batch> {
    const index = step % this.#loader.length;
    if (index === 0 || !this.#batches) {
      await this.#batches?.return();
      this.#batches = this.#loader.epoch(Math.floor(step / this.#loader.length), index);
    }
    const { value } = await this.#batches.next();
    return value as Batch;
  }

  async close(): Promise<void> {
    await this.#batches?.return();
    this.#batches = null;
  }
}

/** Images and labels of a batch on the device, those of a trigger batch behind them. */
export class Uploader {
  #images = new Float32Array(0);
  #labels = new Int32Array(0);

  upload(batch: Batch, triggers: Batch | null): { x: Tensor; y: Tensor } {
    if (!triggers) return { x: Tensor.from(batch.images, batch.shape), y: Tensor.from(batch.labels, [batch.size]) };
    const size = batch.size + triggers.size;
    const floats = batch.images.length + triggers.images.length;
    // One pair of arrays for all steps: batches are of one size.
    if (this.#images.length !== floats) [this.#images, this.#labels] = [new Float32Array(floats), new Int32Array(size)];
    this.#images.set(batch.images);
    this.#images.set(triggers.images, batch.images.length);
    this.#labels.set(batch.labels);
    this.#labels.set(triggers.labels, batch.size);
    const [, ...image] = batch.shape;
    return { x: Tensor.from(this.#images, [size, ...image]), y: Tensor.from(this.#labels, [size]) };
  }
}
