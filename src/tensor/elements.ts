import { refuse } from "../demand";
import { ArgumentError, ShapeError } from "../errors";
import { DTYPES, type HostTensor, toFloat32 } from "../io/host-tensor";
import { shown } from "../io/shown";
import type { NonSharedFloat32Array, NonSharedInt32Array, NonSharedUint32Array } from "../io/typed-arrays";
import { type Shape, sameShape, showShape, sizeOf } from "./shape";

/** Element types: 32 bits each. */
export type DType = "f32" | "i32" | "u32";

/** Typed arrays whose elements are numbers, `Float16Array` included where the JavaScript has it. */
export type NumberArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Numbers in lists, to any depth; lists beside each other are of one length. */
export type NumberList = readonly (number | NumberArray | NumberList)[];

/**
 * What a tensor can be made of: typed arrays, lists of numbers, one number, tensors that a file
 * reader gave.
 */
export type TensorSource = NumberArray | NumberList | number | HostTensor;

/** The typed array of each element type. */
export const ARRAYS = { f32: Float32Array, i32: Int32Array, u32: Uint32Array } as const;

/** Elements as the GPU has them. */
export interface ElementsOf {
  readonly f32: NonSharedFloat32Array;
  readonly i32: NonSharedInt32Array;
  readonly u32: NonSharedUint32Array;
}

type Elements = ElementsOf[DType];

const LIMITS = { i32: [-(2 ** 31), 2 ** 31 - 1], u32: [0, 2 ** 32 - 1] } as const;
const MAX_F32 = 3.4028234663852886e38;
/** From here on a finite number is rounded to infinity: the largest f32 and half a step. */
const F32_OVERFLOW = MAX_F32 + 2 ** 103;

/** Host data ready for upload. */
export interface HostElements {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: Elements;
  /** Least and greatest element of integers that are not empty. */
  readonly range: readonly [min: number, max: number] | null;
}

/**
 * Host data as elements of a tensor. Nothing is reinterpreted: values are converted, or refused.
 *
 * Without `dtype`: floats (also F16, BF16 and F64 of files) and lists of numbers become f32,
 * rounded to nearest; unsigned 32- and 64-bit integers u32, other integers (and BOOL) i32. Integers
 * asked for as f32 are rounded above 2²⁴, as PyTorch's `float()` does.
 *
 * @param what The caller's name, for messages.
 * @param shape Default: that of the source.
 * @throws ShapeError when the number of elements is another, or lists are ragged.
 * @throws ArgumentError for a source that is none of {@link TensorSource}; for an element that the
 * type cannot hold: a fraction, NaN or a number out of range as an integer, a finite number beyond
 * f32.
 */
export function elementsOf(what: string, source: unknown, shape?: Shape, dtype?: DType): HostElements {
  const found = flat(what, source);
  const type = dtype === undefined ? found.dtype : dtypeOf(what, dtype);
  const wanted = shape ?? found.shape;
  if (found.values.length !== sizeOf(wanted)) {
    throw new ShapeError(
      `${what}: shape ${showShape(wanted)} holds ${sizeOf(wanted)} elements, the data has ${found.values.length}`,
    );
  }
  const data = type === "f32" ? floats(what, found.values) : integers(what, found.values, type);
  return { dtype: type, shape: [...wanted], data, range: type === "f32" ? null : rangeOf(data) };
}

/**
 * @throws ArgumentError unless `value` names an element type; names that every object has are none.
 */
export function dtypeOf(what: string, value: unknown): DType {
  if (typeof value === "string" && Object.hasOwn(ARRAYS, value)) return value as DType;
  return refuse(what, "dtype", '"f32", "i32" or "u32"', value);
}

/** @throws ArgumentError unless `value` is a number that the type can hold ({@link elementsOf}). */
export function checkElement(what: string, value: unknown, dtype: DType): number {
  if (typeof value !== "number") throw new ArgumentError(`${what}: a number expected, found ${shown(value)}`);
  elementsOf(what, value, [], dtype);
  return value;
}

type Values = NumberArray | readonly number[];

/** The elements in a row, with the shape and type that the source has by itself. */
function flat(what: string, source: unknown): { values: Values; shape: Shape; dtype: DType } {
  if (typeof source === "number") return { values: [source], shape: [], dtype: "f32" };
  if (isNumberArray(source)) return { values: source, shape: [source.length], dtype: typeOf(source) };
  if (Array.isArray(source)) {
    const values: number[] = [];
    return { values, shape: flatten(what, source, values), dtype: "f32" };
  }
  if (isHostTensor(source)) return { ...flatHost(source), shape: source.shape };
  throw new ArgumentError(
    `${what}: a typed array, numbers in lists, or a tensor as files hold them expected, found ${shown(source)}${advice(source)}`,
  );
}

function flatHost(source: HostTensor): { values: Values; dtype: DType } {
  const { dtype, data } = source;
  if (dtype === "F16" || dtype === "BF16") return { values: toFloat32(source), dtype: "f32" };
  if (dtype === "BOOL") return { values: Int32Array.from(data as Uint8Array, (b) => (b ? 1 : 0)), dtype: "i32" };
  return { values: data, dtype: typeOf(data) };
}

/** Appends a list's numbers to `values`. @returns its shape. */
function flatten(what: string, list: readonly unknown[], values: number[]): number[] {
  let inner: number[] | null = null;
  for (let i = 0; i < list.length; i++) {
    const item = list[i];
    let shape: number[];
    if (typeof item === "number") {
      shape = [];
      values.push(item);
    } else if (Array.isArray(item)) shape = flatten(what, item, values);
    else if (isNumberArray(item) && !isBig(item)) {
      shape = [item.length];
      for (const v of item) values.push(v);
    } else throw new ArgumentError(`${what}: numbers expected in lists, found ${shown(item)} at ${i}`);
    inner ??= shape;
    if (!sameShape(inner, shape))
      throw new ShapeError(
        `${what}: lists beside each other are of one shape, found ${showShape(inner)} and ${showShape(shape)} (at ${i})`,
      );
  }
  return [list.length, ...(inner ?? [])];
}

function floats(what: string, values: Values): NonSharedFloat32Array {
  if (values instanceof Float32Array) return own(values);
  const out = isBig(values) ? Float32Array.from(values as ArrayLike<bigint>, Number) : Float32Array.from(values);
  const mayOverflow = values instanceof Float64Array || Array.isArray(values);
  if (mayOverflow) {
    const at = (values as Float64Array).findIndex((v) => Math.abs(v) >= F32_OVERFLOW && Number.isFinite(v));
    if (at >= 0)
      throw new ArgumentError(
        `${what}: element ${at} is ${values[at]}, and f32 goes to ±${MAX_F32}: scale the data first`,
      );
  }
  return out;
}

function integers(what: string, values: Values, dtype: "i32" | "u32"): Elements {
  const [Ints, [low, high]] = [ARRAYS[dtype], LIMITS[dtype]];
  if (values instanceof Ints) return own(values);
  const out = new Ints(values.length);
  for (let i = 0; i < values.length; i++) {
    const v = values[i]!;
    if (!(v >= low && v <= high) || (typeof v === "number" && !Number.isInteger(v))) {
      throw new ArgumentError(
        `${what}: element ${i} is ${v}, and ${dtype} holds whole numbers from ${low} to ${high}: round the data first, or use f32`,
      );
    }
    out[i] = Number(v);
  }
  return out;
}

/** Least and greatest element. */
function rangeOf(data: Elements): readonly [number, number] | null {
  if (data.length === 0) return null;
  let [min, max] = [data[0]!, data[0]!];
  for (let i = 1; i < data.length; i++) {
    const v = data[i]!;
    if (v < min) min = v;
    else if (v > max) max = v;
  }
  return [min, max];
}

/** The array itself where it can be uploaded as it lies; WebGPU does not take shared memory. */
function own<A extends Float32Array | Int32Array | Uint32Array>(data: A): A & Elements {
  const isShared = typeof SharedArrayBuffer !== "undefined" && data.buffer instanceof SharedArrayBuffer;
  return (isShared ? data.slice() : data) as A & Elements;
}

const isBig = (v: unknown): v is BigInt64Array | BigUint64Array =>
  v instanceof BigInt64Array || v instanceof BigUint64Array;

const isNumberArray = (v: unknown): v is NumberArray => ArrayBuffer.isView(v) && !(v instanceof DataView);

function typeOf(data: NumberArray): DType {
  if (data instanceof Uint32Array || data instanceof BigUint64Array) return "u32";
  const isInteger = isBig(data) || /^U?int/i.test(data[Symbol.toStringTag]);
  return isInteger ? "i32" : "f32";
}

const isHostTensor = (v: unknown): v is HostTensor => {
  if (typeof v !== "object" || v === null) return false;
  const { dtype, shape, data } = v as Partial<HostTensor>;
  return (
    typeof dtype === "string" && Object.hasOwn(DTYPES, dtype) && Array.isArray(shape) && data instanceof DTYPES[dtype]
  );
};

function advice(source: unknown): string {
  if (source instanceof Promise) return ": await it first";
  if (source instanceof ArrayBuffer || source instanceof DataView)
    return ": say what its bytes are, for example new Float32Array(buffer)";
  if (typeof source === "object" && source !== null && "requiresGrad" in source)
    return ": it is on the GPU already; detach() gives the same values without a graph";
  return "";
}

/** The 32 bits of an element, as an unsigned number. */
export function bitsOf(value: number, dtype: DType): number {
  const view = new DataView(new ArrayBuffer(4));
  if (dtype === "f32") view.setFloat32(0, value, true);
  else if (dtype === "i32") view.setInt32(0, value, true);
  else view.setUint32(0, value, true);
  return view.getUint32(0, true);
}
