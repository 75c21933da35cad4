/** What a sample is made of: arrays of known shape and element type, one, in a list, or by name. */

import { knownKeys, oneOf } from "../demand";
import { ArgumentError } from "../errors";
import { isObject, isPlain, shown } from "../io/shown";
import { ARRAYS, type DType, type ElementsOf } from "../tensor/elements";

/** One array of every sample. */
export interface Field {
  /** Its shape in one sample, without the batch's n: `[]` is a single number. */
  readonly shape: readonly number[];
  /** Default f32. */
  readonly dtype?: DType;
}

/** The arrays of a sample: a single one, some by their position, or some by name. */
export type Fields = Field | readonly Field[] | { readonly [name: string]: Field };

/** An `X` for each field, put together as the fields are. */
export type PerField<F extends Fields, X> = F extends Field ? X : { readonly [K in keyof F]: X };

/** Elements of any type. */
export type Elements = ElementsOf[DType];

/** The typed array of a field. */
export type ElementsOfField<F> = F extends { readonly dtype: infer D extends DType }
  ? ElementsOf[D]
  : "dtype" extends keyof F
    ? Elements
    : ElementsOf["f32"];

/** The typed arrays of a sample, put together as its fields are. */
export type Rows<F extends Fields> = F extends Field
  ? ElementsOfField<F>
  : { readonly [K in keyof F]: ElementsOfField<F[K]> };

/** How many elements a field has. */
export const sizeOfField = ({ shape }: Field): number => shape.reduce((a, b) => a * b, 1);

/** New memory for `count` samples of a field. */
export const memoryOf = (field: Field, count: number): Elements =>
  new ARRAYS[field.dtype ?? "f32"](sizeOfField(field) * count);

const isSingle = (fields: Fields): fields is Field => Array.isArray((fields as { shape?: unknown }).shape);

/** The fields in a row: a single one, in their order, or in the order of their names. */
export const listOf = (fields: Fields): readonly Field[] => (isSingle(fields) ? [fields] : Object.values(fields));

/** As many values as there are fields, put together as the fields are. */
export function perField<X>(fields: Fields, values: readonly X[]): PerField<Fields, X> {
  if (isSingle(fields)) return values[0]!;
  if (Array.isArray(fields)) return [...values];
  return Object.fromEntries(Object.keys(fields).map((name, i) => [name, values[i]!]));
}

/** @throws ArgumentError unless `fields` are {@link Fields} */
export function checkFields(what: string, name: string, fields: unknown): void {
  const expected = `${what}: ${name} is { shape, dtype? }, a list of such, or such by name`;
  const single = (field: unknown, at: string): void => {
    if (!isPlain(field) || !Array.isArray(field["shape"])) {
      throw new ArgumentError(`${expected}, found ${shown(field)}${at}`);
    }
    knownKeys(`${what}: ${name}${at}`, field, ["shape", "dtype"]);
    const { shape, dtype } = field as { shape: readonly unknown[]; dtype?: unknown };
    for (let i = 0; i < shape.length; i++) {
      if (Number.isSafeInteger(shape[i]) && (shape[i] as number) >= 1) continue;
      throw new ArgumentError(`${what}: ${name}${at} has a shape of whole numbers from 1, found ${shown(shape)}`);
    }
    if (dtype !== undefined) oneOf(what, `dtype of ${name}${at}`, dtype, Object.keys(ARRAYS) as DType[]);
  };
  if (Array.isArray(fields)) for (let i = 0; i < fields.length; i++) single(fields[i], `[${i}]`);
  else if (isObject(fields) && !("shape" in fields && Array.isArray(fields["shape"])) && isPlain(fields))
    for (const [key, field] of Object.entries(fields)) single(field, `.${key.slice(0, 80)}`);
  else single(fields, "");
}
