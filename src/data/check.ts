/**
 * What the functions of this folder demand of their arguments, and the errors when they are not
 * that.
 */
import { ArgumentError, LimitError } from "../errors";
import { clip, shown } from "../io/shown";
import { Generator } from "../tensor/random";

/** @throws ArgumentError naming the value that is not a whole number from `least` */
export function checkWhole(maker: string, values: Record<string, unknown>, least: number): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isSafeInteger(value) || (value as number) < least) {
      throw new ArgumentError(`${maker}: expected ${name} to be a whole number from ${least}, got ${shown(value)}`);
    }
  }
}

/** Largest number that a float32 holds. */
export const FLOAT_MAX = 3.4028234663852886e38;

/** @throws ArgumentError naming the value that is not a number from `low` to `high` */
export function checkBetween(maker: string, values: Record<string, unknown>, low: number, high: number): void {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== "number" || !(value >= low && value <= high)) {
      const range = high === FLOAT_MAX ? `to be a finite number from ${low}` : `from ${low} to ${high}`;
      throw new ArgumentError(`${maker}: expected ${name} ${range}, got ${shown(value)}`);
    }
  }
}

/** @throws ArgumentError naming the value that is neither true nor false */
export function checkFlags(maker: string, values: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== "boolean") {
      throw new ArgumentError(`${maker}: expected ${name} to be true or false, got ${shown(value)}`);
    }
  }
}

/** @throws ArgumentError naming the value that is none of those `allowed` */
export function checkOneOf(maker: string, values: Record<string, unknown>, allowed: readonly string[]): void {
  for (const [name, value] of Object.entries(values)) {
    if (allowed.includes(value as string)) continue;
    const choice = allowed
      .map((word) => JSON.stringify(word))
      .join(", ")
      .replace(/, (?=[^,]*$)/, " or ");
    throw new ArgumentError(`${maker}: expected ${name} to be ${choice}, got ${shown(value)}`);
  }
}

/**
 * Options with a misspelt name would be passed over in silence.
 *
 * @throws ArgumentError if `options` is no object, or has a name that is not among those `known`
 */
export function checkOptions(maker: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new ArgumentError(`${maker}: expected an object of options (${known.join(", ")}), got ${shown(options)}`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new ArgumentError(`${maker}: expected options among ${known.join(", ")}, got ${shown(unknown)}`);
  }
}

/** @throws ArgumentError if `names` is not an array of texts */
export function checkNames(maker: string, name: string, names: unknown): asserts names is readonly string[] {
  if (!Array.isArray(names)) {
    throw new ArgumentError(`${maker}: expected ${name} to be an array of names, got ${shown(names)}`);
  }
  for (let i = 0; i < names.length; i++) {
    if (typeof names[i] === "string") continue;
    throw new ArgumentError(`${maker}: expected ${name} to be names, but number ${i} is ${shown(names[i])}`);
  }
}

/** @throws ArgumentError if `random` is no {@link Generator} */
export function checkRandom(maker: string, random: unknown): void {
  if (random instanceof Generator) return;
  throw new ArgumentError(`${maker}: expected random to be a Generator, as new Generator(seed), got ${shown(random)}`);
}

/** @throws ArgumentError if `value` is no object, as which `name` was expected */
export function checkObject(maker: string, name: string, value: unknown): void {
  if (typeof value === "object" && value !== null) return;
  throw new ArgumentError(`${maker}: expected ${clip(name)}, got ${shown(value)}`);
}

/** @throws LimitError if there is no memory for so many floats */
export function floats(maker: string, count: number): Float32Array<ArrayBuffer> {
  try {
    return new Float32Array(count);
  } catch (cause) {
    throw new LimitError(`${maker}: there is no memory for ${count} floats in one array; ask for less`, { cause });
  }
}

/** @throws ArgumentError if there is no room for `size` floats in `out` from `offset` on */
export function checkRoom(maker: string, size: number, out: Float32Array, offset: number): void {
  if (out instanceof Float32Array && Number.isSafeInteger(offset) && offset >= 0 && offset + size <= out.length) return;
  throw new ArgumentError(
    `${maker}: expected room for ${size} floats in a Float32Array, got ${shown(out)} and offset ${shown(offset)}`,
  );
}
