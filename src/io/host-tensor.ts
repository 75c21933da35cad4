/** Tensors in host memory, as files hold them. */
import { unexpected } from "../demand";

/** Element types and the typed array of each. */
export const DTYPES = {
  U64: BigUint64Array,
  I64: BigInt64Array,
  F64: Float64Array,
  F32: Float32Array,
  U32: Uint32Array,
  I32: Int32Array,
  BF16: Uint16Array,
  F16: Uint16Array,
  U16: Uint16Array,
  I16: Int16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

/** Element types of the format that are understood here. */
export type SafetensorsDtype = keyof typeof DTYPES;

/**
 * Typed array holding a tensor's elements; F16 and BF16 are raw bits in a `Uint16Array`, BOOL is
 * one byte per element.
 */
export type HostArray = InstanceType<(typeof DTYPES)[SafetensorsDtype]>;

/**
 * A tensor in host memory: row-major, `data.length` equals the product of `shape` (1 for a scalar,
 * whose shape is `[]`).
 */
export interface HostTensor {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly data: HostArray;
}

/** Named tensors, in insertion order. */
export type StateDict = Map<string, HostTensor>;

/** IEEE 754 binary16 from its bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * A tensor's elements as 32-bit floats, in new memory: exact for F32, F16, BF16 and integers up to
 * 24 bits, rounded to nearest otherwise; BOOL becomes 0 or 1.
 *
 * @returns a new array as long as `tensor.data`
 * @throws ArgumentError for what is no tensor on the host
 */
export function toFloat32(tensor: HostTensor): Float32Array {
  const { dtype, data } = (tensor ?? {}) as Partial<HostTensor>;
  if (typeof dtype !== "string" || !Object.hasOwn(DTYPES, dtype) || !ArrayBuffer.isView(data))
    return unexpected("toFloat32: a tensor { dtype, shape, data }, data a typed array,", tensor);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    return Float32Array.from(data as ArrayLike<bigint>, Number);
  if (dtype === "F16") return Float32Array.from(data, halfToNumber);
  if (dtype === "BF16") return new Float32Array(Uint32Array.from(data, (bits) => bits << 16).buffer);
  if (dtype === "BOOL") return Float32Array.from(data, (byte) => (byte === 0 ? 0 : 1));
  return Float32Array.from(data);
}

/** One dimension of 32-bit floats. */
export const hostVector = (data: Float32Array<ArrayBuffer>): HostTensor => ({
  dtype: "F32",
  shape: [data.length],
  data,
});
