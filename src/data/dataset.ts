/** The general data set: anything with a length that fills typed arrays. */

import { callable, knownKeys, objectOf, whole } from "../demand";
import { ShapeError } from "../errors";
import type { HostTensor } from "../io/host-tensor";
import { isObject, isPlain } from "../io/shown";
import { type DType, elementsOf, type NumberArray } from "../tensor/elements";
import type { Generator } from "../tensor/random";
import {
  checkFields,
  type Elements,
  type Field,
  type Fields,
  type PerField,
  perField,
  type Rows,
  sizeOfField,
} from "./fields";

/** Where one sample is written to. */
export interface Sample<I extends Fields = Fields, T extends Fields = Fields> {
  /** Typed arrays of exactly the fields' sizes, all zeros. */
  readonly inputs: Rows<I>;
  readonly targets: Rows<T>;
  /** Decides the augmentation: the same for the same seed, epoch and position. */
  readonly random: Generator;
}

/**
 * Anything with a length that fills typed arrays: tables, sequences of tokens, masks, pictures, of
 * any number and shape, for any task.
 *
 *     const text: Int32Array = …;
 *     const set = dataset({
 *       length: text.length - 16,
 *       inputs: { shape: [16], dtype: "i32" },
 *       targets: { shape: [16], dtype: "i32" },
 *       fill(index, { inputs, targets }) {
 *         inputs.set(text.subarray(index, index + 16));
 *         targets.set(text.subarray(index + 1, index + 17));
 *       },
 *     });
 *     for await (const batch of new DataLoader(set, { batchSize: 32, shuffle: true })) {
 *       const { inputs, targets } = toTensors(batch);   // i32 tensors of [32, 16]
 *     }
 */
export interface Dataset<I extends Fields = Fields, T extends Fields = Fields> {
  readonly length: number;
  /** What a network is given of a sample. */
  readonly inputs: I;
  /** What it should make of that; `{}` where there is nothing to be told. */
  readonly targets: T;
  /**
   * Writes sample `index` into the arrays of `sample`, now or by the time that a promise resolves.
   * The samples of a batch are asked for one after the other, without waiting in between.
   */
  fill(index: number, sample: Sample<I, T>): void | Promise<void>;
}

/** A {@link Dataset} of whatever fields. */
export interface AnyDataset extends Pick<Dataset, "length" | "inputs" | "targets"> {
  // What it takes is known where its fields are.
  fill(index: number, sample: never): void | Promise<void>;
}

/** Tells a general data set from images and clouds. */
export function isDataset(set: unknown): set is Dataset {
  return isObject(set) && "fill" in set;
}

/**
 * Checks a {@link Dataset} that was written by hand, and gives it back with the types of its
 * arrays.
 *
 * @throws ArgumentError if length is not a whole number from 0, the fields are none, or fill no
 *   function
 */
export function dataset<const I extends Fields, const T extends Fields>(set: Dataset<I, T>): Dataset<I, T> {
  objectOf("dataset", "an object with length, inputs, targets and fill", set);
  whole("dataset", "length", set.length, 0);
  checkFields("dataset", "inputs", set.inputs);
  checkFields("dataset", "targets", set.targets);
  callable("dataset", "fill", set.fill);
  return set;
}

/** Arrays of all samples: typed arrays with their shape, or tensors as file readers give them. */
export interface ArrayPart {
  readonly data: NumberArray;
  /** [n, …]; default [n], one number per sample. */
  readonly shape?: readonly number[];
  /**
   * Element type in batches. Default: f32 of floats, u32 of unsigned integers of 32 bits or more,
   * i32 of others, such as the bytes of a mask.
   */
  readonly dtype?: DType | HostTensor["dtype"];
}

/** Arrays of all samples, put together as batches shall be. */
export type ArrayParts = ArrayPart | readonly ArrayPart[] | { readonly [name: string]: ArrayPart };

/** The {@link Field} that an {@link ArrayPart} gives each sample. */
export type FieldOf<P extends ArrayPart> = P extends { readonly dtype: infer D extends DType }
  ? { readonly shape: readonly number[]; readonly dtype: D }
  : P extends { readonly data: Float32Array | Float64Array }
    ? { readonly shape: readonly number[] }
    : Field;

/** The {@link Fields} that {@link ArrayParts} give each sample, put together as they are. */
export type FieldsOf<P extends ArrayParts> = P extends ArrayPart
  ? FieldOf<P>
  : { readonly [K in keyof P]: P[K] extends ArrayPart ? FieldOf<P[K]> : never };

/**
 * A {@link Dataset} of arrays in memory, whose first dimension counts the samples: PyTorch's
 * `TensorDataset`.
 *
 *     arrays({ inputs: { data: table, shape: [n, 8] }, targets: { data: prices } })
 *     arrays({ inputs: decodeNpy(x), targets: { mask: decodeNpy(m), label: decodeNpy(y) } })
 *
 * The set is a view where elements need no conversion: Float32Array, Int32Array and Uint32Array.
 *
 * @throws ShapeError if an array holds other than its shape says, has no first dimension, or counts
 *   other samples than the first
 * @throws ArgumentError for what is no array, or for elements that the type cannot hold
 */
export function arrays<const I extends ArrayParts, const T extends ArrayParts = Record<string, never>>(parts: {
  inputs: I;
  targets?: T;
}): Dataset<FieldsOf<I>, FieldsOf<T>> {
  knownKeys("arrays", objectOf("arrays", "{ inputs, targets }", parts), ["inputs", "targets"]);
  const inputs = columnsOf("inputs", parts.inputs);
  const targets = columnsOf("targets", parts.targets ?? {});
  const columns = [...inputs.columns, ...targets.columns];
  const length = columns[0]?.length ?? 0;
  for (const column of columns) {
    if (column.length === length) continue;
    throw new ShapeError(
      `arrays: expected as many samples in all arrays, found ${length} in ${columns[0]!.name} and ${column.length} in ${column.name}`,
    );
  }
  const fill = (index: number, rows: Sample): void => {
    copyRows(inputs.columns, index, listOfRows(rows.inputs));
    copyRows(targets.columns, index, listOfRows(rows.targets));
  };
  return { length, inputs: inputs.fields, targets: targets.fields, fill } as unknown as Dataset<
    FieldsOf<I>,
    FieldsOf<T>
  >;
}

/** One array with its first dimension taken apart. */
interface Column {
  readonly name: string;
  readonly length: number;
  readonly field: Field;
  readonly data: Elements;
}

function columnsOf(name: string, parts: unknown): { fields: PerField<Fields, Field>; columns: Column[] } {
  objectOf("arrays", `${name} as { data, shape }, a list of such, or such by name`, Array.isArray(parts) ? {} : parts);
  // An array may be named "data" too.
  const isSingle = "data" in (parts as object) && !isPlain((parts as ArrayPart).data);
  const entries = isSingle ? [[name, parts] as const] : namedEntries(name, parts as object);
  const columns = entries.map(([at, part]) => columnOf(at, part));
  // Only how the parts are put together matters here, which the fields share.
  const like = (isSingle ? columns[0]!.field : parts) as Fields;
  return {
    fields: perField(
      like,
      columns.map(({ field }) => field),
    ),
    columns,
  };
}

const namedEntries = (name: string, parts: object): (readonly [string, unknown])[] =>
  Array.isArray(parts)
    ? Array.from(parts, (part: unknown, i) => [`${name}[${i}]`, part] as const)
    : Object.entries(parts).map(([key, part]) => [`${name}.${key.slice(0, 80)}`, part] as const);

function columnOf(name: string, part: unknown): Column {
  const { data, shape, dtype } = objectOf("arrays", `${name} as { data, shape }`, part as ArrayPart);
  // What a reader of files gives may say more of itself.
  if (isPlain(part)) knownKeys(`arrays: ${name}`, part, ["data", "shape", "dtype"]);
  const isHost = typeof dtype === "string" && !/^[fiu]32$/.test(dtype);
  const source = isHost ? part : data;
  const { shape: whole, ...elements } = elementsOf(
    `arrays: ${name}`,
    source,
    shape,
    isHost ? undefined : (dtype as DType),
  );
  const [length, ...own] = whole;
  if (length === undefined || own.some((d) => d === 0)) {
    throw new ShapeError(
      `arrays: ${name} has the shape [samples, …] with something in every sample, found ${JSON.stringify(whole)}`,
    );
  }
  return { name, length, field: { shape: own, dtype: elements.dtype }, data: elements.data };
}

const listOfRows = (rows: unknown): Column["data"][] =>
  ArrayBuffer.isView(rows) ? [rows as never] : Object.values(rows as object);

function copyRows(columns: readonly Column[], index: number, rows: readonly Column["data"][]): void {
  for (const [i, { data, field }] of columns.entries()) {
    const size = sizeOfField(field);
    rows[i]!.set(data.subarray(index * size, (index + 1) * size));
  }
}

/** The samples of these indices of a general data set, in this order; a view. */
export function selectFrom<I extends Fields, T extends Fields>(
  set: Dataset<I, T>,
  indices: ArrayLike<number>,
): Dataset<I, T> {
  const chosen = Float64Array.from(indices);
  return {
    length: chosen.length,
    inputs: set.inputs,
    targets: set.targets,
    fill: (index, sample) => set.fill(chosen[index]!, sample),
  };
}
