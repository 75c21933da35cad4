/**
 * Values of state dicts, in PyTorch's order on the host, as the tensors of modules hold them; both
 * ways.
 */

import { ArgumentError, StateDictError } from "../errors";
import { DTYPES, type HostTensor, type StateDict, toFloat32 } from "../io/host-tensor";
import { isPlain, shown } from "../io/shown";
import type { ElementsOf } from "../tensor/elements";
import { sameShape, showShape, sizeOf, stridesOf } from "../tensor/shape";
import type { DType, Tensor } from "../tensor/tensor";

/**
 * How a tensor of ours is ordered against PyTorch's, which is the order of state dicts: `conv2d`
 * [kH, kW, I, O] ↔ [O, I, kH, kW], `conv1d` [k, I, O] ↔ [O, I, k], `linear` [I, O] ↔ [O, I],
 * `image` [N, H, W, C] ↔ [N, C, H, W], `sequence` [N, L, C] ↔ [N, C, L], `map` [H, W, C] ↔ [C, H,
 * W].
 */
export type Layout = "same" | "conv2d" | "conv1d" | "linear" | "image" | "sequence" | "map";

/** Our dimensions, in the order PyTorch has them. */
export const TO_TORCH: Record<Exclude<Layout, "same">, readonly number[]> = {
  conv2d: [3, 2, 0, 1],
  conv1d: [2, 1, 0],
  linear: [1, 0],
  image: [0, 3, 1, 2],
  sequence: [0, 2, 1],
  map: [2, 0, 1],
};

/** A tensor's elements on the host. */
export type TensorData = ElementsOf[DType];

/** @throws ArgumentError when this is no state dict, saying what to pass. */
export function checkStateDict(dict: unknown): asserts dict is StateDict {
  if (dict instanceof Map) return;
  let hint = "pass what stateDict() gave, or the `tensors` of a file";
  if (isPlain(dict)) hint = dict["tensors"] instanceof Map ? "pass its `tensors`" : "pass new Map(Object.entries(…))";
  throw new ArgumentError(`a state dict is a Map from names to tensors, found ${shown(dict)}: ${hint}`);
}

/** @throws StateDictError unless type, shape and elements of a tensor on the host go together. */
export function checkHostTensor(name: string, value: HostTensor): void {
  const { dtype, shape, data } = (value ?? {}) as Partial<HostTensor>;
  const known = typeof dtype === "string" && Object.hasOwn(DTYPES, dtype) && data instanceof DTYPES[dtype];
  const dimensions = Array.isArray(shape) && shape.every((d) => Number.isSafeInteger(d) && d >= 0);
  if (known && dimensions && data.length === sizeOf(shape)) return;
  const found = known && dimensions ? `${dtype} ${showShape(shape)} with ${data.length} elements` : shown(value);
  throw new StateDictError(
    `${name}: a tensor { dtype, shape, data } expected, data a typed array of that type with as many elements as the shape, found ${found}`,
  );
}

/**
 * Elements of a tensor on the host as whole numbers, whatever type they are stored in.
 * @throws StateDictError for one that is not whole or lies outside least … most.
 */
export function wholeNumbers(name: string, value: HostTensor, least: number, most: number): number[] {
  const { dtype, data } = value;
  const floats = dtype === "F16" || dtype === "BF16" || dtype === "BOOL" ? toFloat32(value) : data;
  return Array.from(floats as ArrayLike<number | bigint>, (element) => {
    const n = Number(element);
    if (Number.isInteger(n) && element >= least && element <= most) return n;
    throw new StateDictError(`${name}: whole numbers from ${least} to ${most} expected, found ${element} (${dtype})`);
  });
}

/** Whether two arrays hold the same bits. */
export function sameBytes(a: TensorData, b: TensorData): boolean {
  const words = ({ buffer, byteOffset, length }: TensorData) => new Uint32Array(buffer, byteOffset, length);
  const [x, y] = [words(a), words(b)];
  return x.length === y.length && x.every((word, i) => word === y[i]);
}

const TYPES = { f32: ["F32", Float32Array], i32: ["I32", Int32Array], u32: ["U32", Uint32Array] } as const;

/** A shape in our order as PyTorch has it. */
export const torchShape = (shape: readonly number[], layout: Layout): readonly number[] =>
  layout === "same" ? shape : TO_TORCH[layout].map((d) => shape[d]!);

/** Host data in our order as a tensor in PyTorch's. */
export function toTorch<A extends TensorData>(
  data: A,
  shape: readonly number[],
  layout: Layout,
): HostTensor & { data: A } {
  const [dtype] = Object.values(TYPES).find(([, type]) => data instanceof type)!;
  if (layout === "same") return { dtype, shape, data };
  return { dtype, shape: torchShape(shape, layout), data: permuted(data, shape, TO_TORCH[layout]) };
}

/**
 * A tensor in PyTorch's order as host data in ours, 32-bit floats. @throws StateDictError when the
 * shape is another, or a number is too large.
 */
export function fromTorch(
  value: HostTensor,
  shape: readonly number[],
  layout: Layout,
  name: string,
): Float32Array<ArrayBuffer> {
  return ordered(value, shape, layout, name, floats);
}

/**
 * As {@link fromTorch}, of the tensor's own type. @throws LifetimeError when the tensor is
 * disposed; StateDictError when it cannot hold an element.
 */
export function dataFor(tensor: Tensor, value: HostTensor, layout: Layout, name: string): TensorData {
  void tensor.buffer;
  const { dtype, shape } = tensor;
  if (dtype === "f32") return fromTorch(value, shape, layout, name);
  const [least, most] = dtype === "i32" ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
  return ordered(value, shape, layout, name, () => TYPES[dtype][1].from(wholeNumbers(name, value, least, most)));
}

function floats(value: HostTensor, name: string): Float32Array<ArrayBuffer> {
  const data = toFloat32(value) as Float32Array<ArrayBuffer>;
  if (value.dtype !== "F64") return data;
  const at = data.findIndex((x, i) => !Number.isFinite(x) && Number.isFinite(value.data[i] as number));
  if (at < 0) return data;
  throw new StateDictError(`${name}: ${value.data[at]} (F64) is beyond the largest 32-bit float`);
}

function ordered<A extends TensorData>(
  value: HostTensor,
  shape: readonly number[],
  layout: Layout,
  name: string,
  convert: (value: HostTensor, name: string) => A,
): A {
  checkHostTensor(name, value);
  const order = layout === "same" ? null : TO_TORCH[layout];
  const expected = torchShape(shape, layout);
  if (!sameShape(value.shape, expected)) {
    throw new StateDictError(
      `${name}: shape ${showShape(value.shape)} in the state dict, ${showShape(expected)} in this module`,
    );
  }
  const data = convert(value, name);
  if (!order) return data;
  const inverse = order.map((_, d) => order.indexOf(d));
  return permuted(data, value.shape, inverse);
}

/** Transposes on the host: dimension d of the result is dimension order[d] of the source. */
function permuted<A extends TensorData>(data: A, shape: readonly number[], order: readonly number[]): A {
  const strides = stridesOf(shape);
  const out = data.slice() as A;
  const walk = order.map((d) => ({ size: shape[d]!, stride: strides[d]! }));
  let at = 0;
  const visit = (d: number, from: number): void => {
    const { size, stride } = walk[d]!;
    for (let i = 0; i < size; i++) {
      if (d === walk.length - 1) out[at++] = data[from + i * stride]!;
      else visit(d + 1, from + i * stride);
    }
  };
  visit(0, 0);
  return out;
}
