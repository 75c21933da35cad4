/**
 * What functions demand of their arguments, in one voice: `WHAT: NAME is EXPECTED, found FOUND`,
 * and what to do where that is not plain. Each check gives the value back.
 */
import { ArgumentError, type PanError } from "./errors";
import { isObject, isPlain, shown } from "./io/shown";

/** A class of errors. */
type Kind = new (message: string) => PanError;

/** A check of one argument: whose, its name, its value. */
export type Check = (what: string, name: string, value: unknown) => unknown;

/** @throws ArgumentError: something else was expected, which is no argument with a name. */
export function unexpected(expected: string, found: unknown): never {
  throw new ArgumentError(`${expected} expected, found ${shown(found)}`);
}

/** @throws an error of `kind`: `what` expected something else of its argument `name`. */
export function refuse(
  what: string,
  name: string,
  expected: string,
  found: unknown,
  advice = "",
  kind: Kind = ArgumentError,
): never {
  throw new kind(`${what}: ${name} is ${expected}, found ${shown(found)}${advice && `: ${advice}`}`);
}

/**
 * A name that nobody reads is a misspelt one: it is refused instead of ignored.
 * @throws ArgumentError naming the first key that is not known.
 */
export function knownKeys(what: string, value: object, known: readonly string[]): void {
  for (const key in value)
    if (Object.hasOwn(value, key) && !known.includes(key)) unexpected(`${what}: one of ${known.join(", ")}`, key);
}

/**
 * Options as they were given, once they are a plain object and all their names are known; {} for
 * none.
 * @param known left out where somebody else checks the names
 * @throws ArgumentError naming the first option that is not one of `known`.
 */
export function optionsOf<T extends object>(
  what: string,
  given: T | undefined,
  known?: readonly (keyof T & string)[],
): T {
  if (given === undefined) return {} as T;
  if (!isPlain(given)) {
    const names = known ? ` (${known.join(", ")})` : "";
    refuse(what, "its argument", `an object of options${names}`, given);
  }
  if (!known) return given;
  const unknown = Object.keys(given).find((key) => !known.includes(key as never) && isGiven(given, key));
  if (unknown === undefined) return given;
  throw new ArgumentError(`${what}: it has no option ${shown(unknown)}; its options are ${known.join(", ")}`);
}

/** Nothing is read of a name that is not known: it may be somebody else's getter. */
function isGiven(options: object, key: string): boolean {
  const { get, value } = Object.getOwnPropertyDescriptor(options, key)!;
  return get !== undefined || value !== undefined;
}

/**
 * Options by name, each that is given with its check.
 * @throws ArgumentError for what is no object, or has a name that is not known; else as the checks.
 */
export function checkOptions(what: string, options: unknown, checks: Readonly<Record<string, Check>>): void {
  if (!isObject(options)) return unexpected(`${what}: options`, options);
  knownKeys(`options of ${what}`, options, Object.keys(checks));
  for (const [name, check] of Object.entries(checks)) if (options[name] !== undefined) check(what, name, options[name]);
}

/** @throws an error of `kind` unless `value` is a whole number of at least `from`. */
export function whole(what: string, name: string, value: unknown, from = 1, kind: Kind = ArgumentError): number {
  if (Number.isSafeInteger(value) && (value as number) >= from) return value as number;
  return refuse(what, name, `a whole number from ${from}`, value, "", kind);
}

/** Largest number that a 32-bit float holds. */
export const FLOAT_MAX = 3.4028234663852886e38;

/**
 * @throws ArgumentError unless `value` is a number within [from, to], by default a finite one; NaN
 * never is.
 */
export function within(what: string, name: string, value: unknown, from: number, to = Number.MAX_VALUE): number {
  if (typeof value === "number" && value >= from && value <= to) return value;
  const kind = to < Infinity && to >= FLOAT_MAX ? "a finite number" : "a number";
  const least = from > -FLOAT_MAX ? ` from ${from}` : "";
  return refuse(what, name, kind + least + (to < FLOAT_MAX ? ` to ${to}` : ""), value);
}

/** @throws ArgumentError unless `value` is a number; NaN and infinities are. */
export function number(what: string, name: string, value: unknown): number {
  return typeof value === "number" ? value : refuse(what, name, "a number", value);
}

/** @throws ArgumentError unless `value` is true or false. */
export function flag(what: string, name: string, value: unknown): boolean {
  return typeof value === "boolean" ? value : refuse(what, name, "true or false", value);
}

/** @throws ArgumentError unless `value` is a text. */
export function text(what: string, name: string, value: unknown): string {
  return typeof value === "string" ? value : refuse(what, name, "a text", value);
}

/**
 * Whether a text can be hashed as what it is: halves of surrogate pairs are all the same bytes in
 * UTF-8.
 */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text);

/** @throws ArgumentError unless `value` is one of a few. */
export function oneOf<T extends string>(what: string, name: string, value: unknown, few: readonly T[]): T {
  if (few.includes(value as T)) return value as T;
  const choice = few.map((word) => JSON.stringify(word)).join(", ");
  return refuse(what, name, choice.replace(/, (?=[^,]*$)/, " or "), value);
}

/** @throws ArgumentError unless `value` is a list of texts. */
export function texts(what: string, name: string, value: unknown): readonly string[] {
  if (!Array.isArray(value)) return refuse(what, name, "a list of texts", value);
  // By index: holes of a sparse list are entries too.
  for (let i = 0; i < value.length; i++) text(what, `${name}[${i}]`, value[i]);
  return value;
}

/** @throws ArgumentError unless `value` is a list of numbers, plain or typed; NaN is none. */
export function numbers(what: string, name: string, value: unknown): ArrayLike<number> {
  const list = Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
  if (list && Array.prototype.every.call(value, (n) => typeof n === "number" && !Number.isNaN(n)))
    return value as unknown as ArrayLike<number>;
  return refuse(what, name, "a list of numbers", value);
}

/** @throws ArgumentError unless `value` is a function. */
export function callable<F>(what: string, name: string, value: F): F {
  return typeof value === "function" ? value : refuse(what, name, "a function", value);
}

/** @throws ArgumentError unless `value` is one of a class. */
export function instance<T>(what: string, name: string, value: unknown, of: { prototype: T; name: string }): T {
  return value instanceof (of as never) ? (value as T) : refuse(what, name, `a ${of.name}`, value);
}

/**
 * @throws ArgumentError unless `value` is an object, and no list.
 * @param expected what it should be, in words
 */
export function objectOf<T>(what: string, expected: string, value: T): T {
  return isObject(value) ? value : unexpected(`${what}: ${expected}`, value);
}
