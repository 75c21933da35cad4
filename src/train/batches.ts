import type { Batch } from "../data/batch";
import { DataLoader } from "../data/loader";
import type { Device } from "../gpu/device";
import { sameShape } from "../tensor/shape";
import { keep } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import { type FullOptions, type TriggerOptions, triggersPerBatch } from "./options";
import type { Samples } from "./step";

/**
 * The batches of a trigger set, over and over: which comes with a step depends on the step's number
 * alone, so that a resumed run gets the same.
 */
export class TriggerBatches {
  readonly #loader: DataLoader;
  #batches: AsyncGenerator<Batch, void, void> | null = null;

  constructor(triggers: TriggerOptions, { seed, testTransform }: FullOptions) {
    const { set, transform } = triggers;
    this.#loader = new DataLoader(set, {
      // An empty set is the loader's to refuse.
      batchSize: Math.max(1, triggersPerBatch(triggers)),
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

  /**
   * The batch of step `step`, from 0; steps follow one another, from the first after {@link close}
   * on.
   */
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

/** Samples of a batch, in host memory. */
type Rows = Pick<Batch, "images" | "labels" | "size" | "shape">;

/**
 * Puts batches on the device, in parts of one size: some images and labels of the batch each, and
 * some of the triggers' behind them.
 */
export class Uploader {
  #images = new Float32Array(0);
  #labels = new Int32Array(0);
  #kept: Samples | null = null;

  constructor(private readonly device: Device) {}

  /**
   * A function per part, which puts it on the device.
   * @param count divides the batch and the triggers.
   */
  parts(batch: Batch, triggers: Batch | null, count: number): (() => Samples)[] {
    return Array.from(
      { length: count },
      (_, i) => () =>
        upload(this.#joined(partOf(batch, i, count), triggers && partOf(triggers, i, count)), this.device),
    );
  }

  /**
   * The whole batch, in tensors that stay the same from call to call while its size does: what a
   * recorded step reads. They are the uploader's.
   */
  refill(batch: Batch, triggers: Batch | null): Samples {
    const rows = this.#joined(batch, triggers);
    if (this.#kept && sameShape(this.#kept.x.shape, rows.shape)) {
      this.#kept.x.write(rows.images);
      this.#kept.y.write(rows.labels);
      return this.#kept;
    }
    this.dispose();
    const { x, y } = upload(rows, this.device);
    return (this.#kept = { x: keep(x), y: keep(y) });
  }

  dispose(): void {
    this.#kept?.x.dispose();
    this.#kept?.y.dispose();
    this.#kept = null;
  }

  #joined(own: Rows, triggers: Rows | null): Rows {
    if (!triggers) return own;
    const size = own.size + triggers.size;
    const floats = own.images.length + triggers.images.length;
    // One pair of arrays for all parts and steps: they are of one size.
    if (this.#images.length !== floats) [this.#images, this.#labels] = [new Float32Array(floats), new Int32Array(size)];
    this.#images.set(own.images);
    this.#images.set(triggers.images, own.images.length);
    this.#labels.set(own.labels);
    this.#labels.set(triggers.labels, own.size);
    const [, ...sample] = own.shape;
    return { images: this.#images, labels: this.#labels, size, shape: [size, ...sample] };
  }
}

const upload = ({ images, labels, shape, size }: Rows, d: Device): Samples => ({
  x: Tensor.from(images, shape, d),
  y: Tensor.from(labels, [size], d),
});

/** The i-th of `count` equal parts, without a copy. */
function partOf({ images, labels, size, shape: [, ...sample] }: Batch, i: number, count: number): Rows {
  const [part, floats] = [size / count, images.length / count];
  return {
    images: images.subarray(i * floats, (i + 1) * floats),
    labels: labels.subarray(i * part, (i + 1) * part),
    size: part,
    shape: [part, ...sample],
  };
}
