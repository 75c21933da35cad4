/** Some samples together: as the loader gives them, and on the device. */

import { objectOf } from "../demand";
import { ArgumentError } from "../errors";
import type { Device } from "../gpu/device";
import { isPlain, shown } from "../io/shown";
import { Tensor } from "../tensor/tensor";
import type { Elements, ElementsOfField, Field, Fields, PerField } from "./fields";

/** One field of all samples of a batch, in host memory. */
export interface BatchArray<A = Elements> {
  readonly data: A;
  /** [n, …the field's own shape]. */
  readonly shape: readonly number[];
}

/** A {@link BatchArray} per field, put together as the fields are. */
export type BatchArrays<F extends Fields> = F extends Field
  ? BatchArray<ElementsOfField<F>>
  : { readonly [K in keyof F]: BatchArray<ElementsOfField<F[K]>> };

/**
 * Some samples in host memory, ready to be uploaded. See `DataLoader` for how long the arrays stay
 * valid.
 */
export interface HostBatch<I extends Fields = Fields, T extends Fields = Fields> {
  readonly inputs: BatchArrays<I>;
  readonly targets: BatchArrays<T>;
  /** n, the number of samples; the last batch of an epoch may be smaller than the others. */
  readonly size: number;
  /** Which batch of its epoch this is, from 0. */
  readonly index: number;
}

/** Some images or clouds and their labels, ready to be uploaded. */
export interface Batch extends HostBatch<Field, Field> {
  /** n × height × width × channels, channels last; n × points × 3 for clouds: the inputs. */
  readonly images: Float32Array;
  /** n class indices; the targets, where no transform of batches has made others of them. */
  readonly labels: Int32Array;
  /** Of the images. */
  readonly shape: readonly [n: number, ...sample: number[]];
}

/** Some samples on a device. */
export interface TensorBatch<I extends Fields = Fields, T extends Fields = Fields> {
  readonly inputs: PerField<I, Tensor>;
  readonly targets: PerField<T, Tensor>;
  /** n, the number of samples. */
  readonly size: number;
  /** Which batch of its epoch this is, from 0. */
  readonly index: number;
}

/**
 * Uploads a batch: each of its arrays becomes a tensor [n, …], put together as the arrays were.
 *
 *     for await (const batch of loader) {
 *       scope(() => {
 *         const { inputs, targets } = toTensors(batch);
 *         crossEntropy(model.forward(inputs), targets).backward();
 *       });
 *     }
 *
 * @param device default: the one that `init` made last
 * @throws ArgumentError for what is no batch; ShapeError, LimitError as `Tensor.from`
 */
export function toTensors(batch: Batch, device?: Device): TensorBatch<Field, Field>;
export function toTensors<I extends Fields, T extends Fields>(
  batch: HostBatch<I, T>,
  device?: Device,
): TensorBatch<I, T>;
export function toTensors(batch: HostBatch, device?: Device): TensorBatch {
  objectOf("toTensors", "a batch of a DataLoader", batch);
  const { size, index } = batch;
  const upload = (part: unknown): unknown => {
    if (isBatchArray(part)) return Tensor.from(part.data, part.shape, undefined, device);
    if (Array.isArray(part)) return part.map(upload);
    if (!isPlain(part)) {
      throw new ArgumentError(`toTensors: expected a batch of a DataLoader, got ${shown(part)} in it`);
    }
    return Object.fromEntries(Object.entries(part).map(([name, field]) => [name, upload(field)]));
  };
  return { inputs: upload(batch.inputs), targets: upload(batch.targets), size, index } as TensorBatch;
}

/** Tells the single array of a batch from several by name. */
export const isBatchArray = (part: unknown): part is BatchArray =>
  typeof part === "object" && part !== null && "data" in part && ArrayBuffer.isView(part.data);
