/**
 * What operations take: every exported operation declares its arguments through these functions
 * before anything is computed, so that a mistake is told of with the operation's and the argument's
 * name, and no kernel reads the bits of another type.
 */
import { optionsOf, refuse, unexpected } from "../../demand";
import { ArgumentError, type PanError, ShapeError } from "../../errors";
import { isPlain } from "../../io/shown";
import { type DType, elementsOf, type NumberArray, type NumberList } from "../elements";
import { refuseParts } from "../parts";
import { type Pair, type Shape, sameShape, showShape } from "../shape";
import { Tensor } from "../tensor";

export {
  flag as expectFlag,
  number as expectScalar,
  oneOf as expectWord,
  whole as expectWhole,
  within as expectNumber,
} from "../../demand";

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
    if (!(t instanceof Tensor)) refuse(op, name, "a tensor", t, advice(t));
    else if (!types.includes(t.dtype))
      throw new ShapeError(
        `${op}: ${name} is a tensor of ${types.join(" or ")}, found ${t.dtype} ${showShape(t.shape)}${
          types === INTEGERS ? ": upload integers as an Int32Array" : ""
        }`,
      );
    else refuseParts(op, t);
  }
}

/** {@link expectTensors} of those that are given; null and undefined stand for none. */
export function expectOptional(op: string, tensors: Readonly<Record<string, unknown>>): void {
  for (const name in tensors) if (tensors[name] != null) expectTensors(op, { [name]: tensors[name] });
}

function advice(value: unknown): string {
  if (value instanceof Promise) return "await it first";
  return ArrayBuffer.isView(value) || Array.isArray(value) ? "upload it with Tensor.from" : "";
}

/** @throws ShapeError unless `t` is f32 and has that shape. */
export function expectShape(what: string, name: string, t: Tensor, shape: Shape): void {
  expectTensors(what, { [name]: t });
  if (sameShape(t.shape, shape)) return;
  throw new ShapeError(`${what}: ${name} of shape ${showShape(shape)} is expected, found ${showShape(t.shape)}`);
}

/** A list of tensors, of one type where there are several. @throws ArgumentError, ShapeError. */
export function expectTensorList(op: string, name: string, list: readonly Tensor[]): void {
  if (!Array.isArray(list) || !list.length) refuse(op, name, "a list of one tensor or more", list);
  list.forEach((t, i) => {
    expectTensors(op, { [`${name}[${i}]`]: t }, ALL);
    const { dtype } = list[0]!;
    if (t.dtype !== dtype)
      throw new ShapeError(`${op}: ${name} are tensors of one type, found ${dtype} and ${t.dtype} (at ${i})`);
  });
}

type ErrorClass = new (message: string) => PanError;

/**
 * Both numbers of a {@link Pair}.
 * @throws an error of `kind` unless they are whole and at least `least`.
 */
export function pairOf(
  op: string,
  name: string,
  value: Pair,
  least: number,
  kind?: ErrorClass,
): readonly [vertical: number, horizontal: number] {
  const both: unknown = typeof value === "number" ? [value, value] : value;
  const fits = Array.isArray(both) && both.length === 2 && both.every((v) => Number.isSafeInteger(v) && v >= least);
  if (fits) return both as unknown as readonly [number, number];
  return refuse(op, name, `a whole number from ${least}, or one for each of the two axes`, value, "", kind);
}

/**
 * @throws ArgumentError unless `options` is an object of options, with no name but `known` ones.
 */
export function expectOptions<T extends object>(op: string, options: T, known: readonly (keyof T & string)[]): void {
  if (!isPlain(options)) unexpected(`${op}: an object of options`, options);
  optionsOf(op, options, known);
}

/** A list of numbers, or one number for a list of it. @throws ArgumentError */
export function expectNumbers(op: string, name: string, value: Shape | number): readonly number[] {
  const list: unknown = typeof value === "number" ? [value] : value;
  if (Array.isArray(list) && list.every((v) => typeof v === "number")) return list;
  return refuse(op, name, "a list of whole numbers", value);
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
    return refuse(op, name, "a tensor of integers or a list of whole numbers", value);
  const { data, shape, range } = elementsOf(`${op}: ${name}`, value, undefined, "i32");
  expectBelow(op, name, range, below);
  const t = Tensor.from(data, shape, "i32", like?.device);
  try {
    return body(t);
  } finally {
    t.dispose();
  }
}

/**
 * @param except a number that is allowed besides
 * @throws ArgumentError where the least or the greatest number is known, and is not from 0 to
 * below − 1.
 */
export function expectBelow(
  op: string,
  name: string,
  range: readonly [number, number] | null,
  below: number,
  except?: number,
): void {
  if (!range || below === Infinity) return;
  const wrong = range.find((v) => (v < 0 || v >= below) && v !== except);
  if (wrong === undefined) return;
  const besides = except === undefined ? "" : ` or ${except}`;
  throw new ArgumentError(`${op}: ${name} are whole numbers from 0 to ${below - 1}${besides}, found ${wrong}`);
}

/** @throws ArgumentError unless `value` is a whole number of 32 bits with a sign. */
export function expectInt32(op: string, name: string, value: unknown): void {
  if (typeof value !== "number" || (value | 0) !== value)
    refuse(op, name, "a whole number from −2³¹ to 2³¹ − 1", value);
}
