import { type BatchArray, type HostBatch, isBatchArray, mapArrays } from "../data/batch";
import { DataLoader } from "../data/loader";
import { ArgumentError } from "../errors";
import type { Device } from "../gpu/device";
import type { Inputs } from "../passport/trace";
import { ARRAYS, type DType } from "../tensor/elements";
import { sameShape, showShape } from "../tensor/shape";
import { keep } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import { type FullOptions, type TriggerOptions, triggersPerBatch } from "./options";
import { arraysIn, type Samples, tensorsIn } from "./task";

/**
 * The batches of a trigger set, over and over: which comes with a step depends on the step's number
 * alone, so that a resumed run gets the same.
 */
export class TriggerBatches {
  readonly #loader: DataLoader<TriggerOptions["set"]>;
  #batches: AsyncGenerator<HostBatch, void, void> | null = null;

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
  async at(step: number): Promise<HostBatch> {
    const index = step % this.#loader.length;
    if (index === 0 || !this.#batches) {
      await this.#batches?.return();
      this.#batches = this.#loader.epoch(Math.floor(step / this.#loader.length), index);
    }
    const { value } = await this.#batches.next();
    return value as HostBatch;
  }

  async close(): Promise<void> {
    await this.#batches?.return();
    this.#batches = null;
  }
}

/** Samples of a batch, in host memory. */
type Rows = Pick<HostBatch, "inputs" | "targets" | "size">;

/**
 * Puts batches on the device, in parts of one size: some samples of the batch each, and some of the
 * triggers' behind them.
 */
export class Uploader {
  /** Memory of joined arrays, by their place in the batch. */
  readonly #joints: BatchArray["data"][] = [];
  #kept: Samples | null = null;

  constructor(private readonly device: Device) {}

  /**
   * A function per part, which puts it on the device.
   * @param count divides the batch and the triggers.
   */
  parts(batch: Rows, triggers: Rows | null, count: number): (() => Samples)[] {
    return Array.from(
      { length: count },
      (_, i) => () =>
        upload(this.#joined(partOf(batch, i, count), triggers && partOf(triggers, i, count)), this.device),
    );
  }

  /**
   * The whole batch, in tensors that stay the same from call to call while its arrays are of one
   * size: what a recorded step reads. They are the uploader's.
   */
  refill(batch: Rows, triggers: Rows | null): Samples {
    const rows = this.#joined(batch, triggers);
    const arrays = [...arraysOf(rows.inputs), ...arraysOf(rows.targets)].map(([, array]) => array);
    const kept = this.#kept ? [...tensorsIn(this.#kept.x), ...tensorsIn(this.#kept.y)] : [];
    const fits = (t: Tensor, i: number) =>
      sameShape(t.shape, arrays[i]!.shape) && arrays[i]!.data instanceof ARRAYS[t.dtype];
    if (this.#kept && kept.length === arrays.length && kept.every(fits)) {
      kept.forEach((t, i) => {
        t.write(arrays[i]!.data);
      });
      return this.#kept;
    }
    this.dispose();
    this.#kept = upload(rows, this.device);
    for (const t of [...tensorsIn(this.#kept.x), ...tensorsIn(this.#kept.y)]) keep(t);
    return this.#kept;
  }

  dispose(): void {
    if (this.#kept) for (const t of [...tensorsIn(this.#kept.x), ...tensorsIn(this.#kept.y)]) t.dispose();
    this.#kept = null;
  }

  #joined(own: Rows, triggers: Rows | null): Rows {
    if (!triggers) return own;
    let place = 0;
    const join = (part: "inputs" | "targets") => {
      const theirs = new Map(arraysOf(triggers[part]));
      const names = arraysOf(own[part]).map(([name]) => name);
      if (names.length !== theirs.size || !names.every((name) => theirs.has(name)))
        throw new ArgumentError(
          `triggers: ${part} of the same names as the training set's expected, found ${[...theirs.keys()].join(", ") || "none"}`,
        );
      let at = 0;
      return mapArrays("Trainer", own[part], (array) => {
        const name = names[at++]!;
        return this.#joint(`${part}${name}`, array, theirs.get(name)!, place++);
      });
    };
    return { inputs: join("inputs"), targets: join("targets"), size: own.size + triggers.size } as Rows;
  }

  #joint(name: string, own: BatchArray, triggers: BatchArray, place: number): BatchArray {
    const [n, ...sample] = own.shape;
    const [k, ...theirs] = triggers.shape;
    const type = dtypeOf(own.data);
    if (!sameShape(sample, theirs) || dtypeOf(triggers.data) !== type)
      throw new ArgumentError(
        `triggers: ${name} of ${type} ${showShape(sample)} per sample expected, as the training batches have, found ${dtypeOf(triggers.data)} ${showShape(theirs)}: give triggers of the same kind, and leave out a batchTransform that makes others of them`,
      );
    // One array for all parts and steps: they are of one size.
    const length = own.data.length + triggers.data.length;
    const before = this.#joints[place];
    const data = before?.length === length && dtypeOf(before) === type ? before : new ARRAYS[type](length);
    this.#joints[place] = data;
    data.set(own.data);
    data.set(triggers.data, own.data.length);
    return { data, shape: [n! + k!, ...sample] };
  }
}

const dtypeOf = (data: BatchArray["data"]): DType =>
  data instanceof Float32Array ? "f32" : data instanceof Int32Array ? "i32" : "u32";

const arraysOf = (part: unknown): [string, BatchArray][] => arraysIn(part, isBatchArray);

function upload({ inputs, targets }: Rows, d: Device): Samples {
  const put = (part: unknown) =>
    mapArrays("Trainer", part, ({ data, shape }) => Tensor.from(data, shape, undefined, d)) as Inputs;
  return { x: put(inputs), y: put(targets) };
}

/** The i-th of `count` equal parts, without a copy. */
function partOf({ inputs, targets, size }: Rows, i: number, count: number): Rows {
  const cut = (part: unknown) =>
    mapArrays("Trainer", part, ({ data, shape: [n, ...sample] }) => {
      if (n !== size)
        throw new ArgumentError(
          `accumulate: arrays of a batch of ${size} samples have ${size} rows to be divided, found ${n}: leave out accumulate, or a batchTransform that makes others`,
        );
      const each = data.length / count;
      return { data: data.subarray(i * each, (i + 1) * each), shape: [size / count, ...sample] };
    });
  return { inputs: cut(inputs), targets: cut(targets), size: size / count } as Rows;
}
