/**
 * What operations take: every exported operation declares its arguments through these functions
 * before anything is computed, so that a mistake is told of with the operation's and the argument's
 * name, and no kernel reads the bits of another type.
 */
import { ArgumentError, type PanError, ShapeError } from "../../errors";
import { shown } from "../../io/shown";
import { type DType, elementsOf, type NumberArray, type NumberList } from "../elements";
import { type Pair, type Shape, showShape } from "../shape";
import { Tensor } from "../tensor";

/** What is computed with. */
export const FLOATS: readonly DType[] = ["f32"];
/** Labels and positions. */
export const INTEGERS: readonly DType[] = ["i32", "u32"];
/** What is only moved, bit for bit. */
export const ALL: readonly DType[] = ["f32", "i32", "u32"];

/**
 * @param tensors By argument name.
 * @throws ArgumentError for anything but a tensor, ShapeError for another element type.
 */
export function expectTensors(op: string, tensors: Readonly<Record<string, unknown>>, types = FLOATS): void {
  for (const name in tensors) {
    const t = tensors[name];
    if (!(t instanceof Tensor)) throw new ArgumentError(`${op}: ${name} is a tensor, found ${shown(t)}${advice(t)}`);
    if (!types.includes(t.dtype))
      throw new ShapeError(
        `${op}: ${name} is a tensor of ${types.join(" or ")}, found ${t.dtype} ${showShape(t.shape)}${
          types === INTEGERS ? ": upload integers as an Int32Array" : ""
        }`,
      );
  }
}

/** {@link expectTensors} of those that are given; null and undefined stand for none. */
export function expectOptional(op: string, tensors: Readonly<Record<string, unknown>>): void {
  for (const name in tensors) if (tensors[name] != null) expectTensors(op, { [name]: tensors[name] });
}

function advice(value: unknown): string {
  if (value instanceof Promise) return ": await it first";
  return ArrayBuffer.isView(value) || Array.isArray(value) ? ": upload it with Tensor.from" : "";
}

/** A list of tensors, of one type where there are several. @throws ArgumentError, ShapeError. */
export function expectTensorList(op: string, name: string, list: readonly Tensor[]): void {
  if (!Array.isArray(list)) throw new ArgumentError(`${op}: ${name} is a list of tensors, found ${shown(list)}`);
  if (!list.length) throw new ArgumentError(`${op}: ${name} is a list of at least one tensor, found none`);
  list.forEach((t, i) => {
    expectTensors(op, { [`${name}[${i}]`]: t }, ALL);
    const { dtype } = list[0]!;
    if (t.dtype !== dtype)
      throw new ShapeError(`${op}: ${name} are tensors of one type, found ${dtype} and ${t.dtype} (at ${i})`);
  });
}

/** @throws ArgumentError unless `options` is an object that may hold options. */
export function expectOptions(op: string, options: unknown): void {
  if (typeof options !== "object" || options === null || Array.isArray(options) || options instanceof Tensor)
    throw new ArgumentError(`${op}: options are an object, found ${shown(options)}`);
}

/** @throws ArgumentError unless `value` is a number from `least` to `most`; NaN is not. */
export function expectNumber(op: string, name: string, value: unknown, least = -Infinity, most = Infinity): void {
  if (typeof value === "number" && value >= least && value <= most) return;
  const range =
    most < Number.MAX_VALUE ? ` from ${least} to ${most}` : least > -Infinity ? ` of at least ${least}` : "";
  throw new ArgumentError(`${op}: ${name} is a number${range}, found ${shown(value)}`);
}

/** @throws ArgumentError unless `value` is a number; NaN and infinities are. */
export function expectScalar(op: string, name: string, value: unknown): void {
  if (typeof value !== "number") throw new ArgumentError(`${op}: ${name} is a number, found ${shown(value)}`);
}

/** @throws ArgumentError unless `value` is true or false. */
export function expectFlag(op: string, name: string, value: unknown): void {
  if (typeof value !== "boolean") throw new ArgumentError(`${op}: ${name} is true or false, found ${shown(value)}`);
}

/** @throws ArgumentError unless `value` is one of a few words. */
export function expectWord(op: string, name: string, value: unknown, words: readonly string[]): void {
  if (!words.includes(value as string))
    throw new ArgumentError(`${op}: ${name} is ${words.map((w) => `"${w}"`).join(" or ")}, found ${shown(value)}`);
}

/** @throws an error of `kind` unless `value` is a whole number of at least `least`. */
export function expectWhole(op: string, name: string, value: unknown, least: number, kind = ARGUMENT): void {
  if (!Number.isSafeInteger(value) || (value as number) < least)
    throw new kind(`${op}: ${name} is a whole number from ${least}, found ${shown(value)}`);
}

type ErrorClass = new (message: string) => PanError;
const ARGUMENT: ErrorClass = ArgumentError;

/** Both numbers of a {@link Pair}. @throws an error of `kind` unless they are whole and at least `least`. */
export function pairOf(
  op: string,
  name: string,
  value: Pair,
  least: number,
  kind = ARGUMENT,
): readonly [vertical: number, horizontal: number] {
  const both: unknown = typeof value === "number" ? [value, value] : value;
  const fits = Array.isArray(both) && both.length === 2 && both.every((v) => Number.isSafeInteger(v) && v >= least);
  if (fits) return both as unknown as readonly [number, number];
  const found = Array.isArray(value)
    ? `[${value
        .slice(0, 4)
        .map((v) => shown(v))
        .join(", ")}]`
    : shown(value);
  throw new kind(`${op}: ${name} is a whole number from ${least}, or two of them, found ${found}`);
}

/** A list of numbers, or one number for a list of it. @throws ArgumentError */
export function expectNumbers(op: string, name: string, value: Shape | number): readonly number[] {
  const list: unknown = typeof value === "number" ? [value] : value;
  if (Array.isArray(list) && list.every((v) => typeof v === "number")) return list;
  throw new ArgumentError(`${op}: ${name} is a list of whole numbers, found ${shown(value)}`);
}

/** Labels or positions: a tensor of integers, or whole numbers on the host, which are uploaded. */
export type Integers = Tensor | NumberArray | NumberList;

/**
 * Gives labels or positions to `body` as a tensor; one that was uploaded for it is freed after it.
 * @param below All must be less, and at least 0, where the host knows them: those it gives here,
 * and those of a tensor that it uploaded. With `Infinity` they may be any.
 * @param like A tensor on the device that they are wanted on.
 * @throws ArgumentError for anything else, fractions, and numbers out of range; ShapeError for a
 * tensor of floats.
 */
export function withIntegers<T>(
  op: string,
  name: string,
  value: Integers,
  below: number,
  like: { readonly device: Tensor["device"] } | null,
  body: (integers: Tensor) => T,
): T {
  if (value instanceof Tensor) {
    expectTensors(op, { [name]: value }, INTEGERS);
    expectBelow(op, name, value.range, below);
    return body(value);
  }
  if (typeof value !== "object" || value === null)
    throw new ArgumentError(
      `${op}: ${name} are a tensor of integers or a list of whole numbers, found ${shown(value)}`,
    );
  const { data, shape, range } = elementsOf(`${op}: ${name}`, value, undefined, "i32");
  expectBelow(op, name, range, below);
  const t = Tensor.from(data, shape, "i32", like?.device);
  try {
    return body(t);
  } finally {
    t.dispose();
  }
}

function expectBelow(op: string, name: string, range: readonly [number, number] | null, below: number): void {
  if (!range || below === Infinity || (range[0] >= 0 && range[1] < below)) return;
  const [wrong] = range[0] < 0 ? range : [range[1]];
  throw new ArgumentError(`${op}: ${name} are whole numbers from 0 to ${below - 1}, found ${wrong}`);
}
