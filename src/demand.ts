/** What functions demand of their arguments: each check names the function and the argument, and says what was expected and found. */
import { ArgumentError } from "./errors";
import { isPlain, shown } from "./io/shown";

/** @throws ArgumentError: `what` expected something else of its argument `name`. */
export function refuse(what: string, name: string, expected: string, found: unknown): never {
  throw new ArgumentError(`${what}: ${name} is ${expected}, found ${shown(found)}`);
}

/**
 * Options as they were given, once they are a plain object and all their names are known: a misspelt option must not be passed over.
 * @param known left out where somebody else checks the names
 * @throws ArgumentError naming the first option that is not one of `known`.
 */
export function optionsOf<T extends object>(
  what: string,
  given: T | undefined,
  known?: readonly (keyof T & string)[],
): T {
  if (given === undefined) return {} as T;
  const names = known?.join(", ");
  if (!isPlain(given)) refuse(what, "its argument", `an object of options${names ? ` (${names})` : ""}`, given);
  if (!known) return given;
  const options = given as Record<string, unknown>;
  const unknown = Object.keys(options).find((key) => options[key] !== undefined && !known.includes(key as never));
  if (unknown !== undefined)
    throw new ArgumentError(`${what}: it has no option ${shown(unknown)}; its options are ${names}`);
  return given;
}

/** @throws ArgumentError unless `value` is a whole number of at least `from`. */
export function whole(what: string, name: string, value: unknown, from = 1): number {
  if (Number.isSafeInteger(value) && (value as number) >= from) return value as number;
  return refuse(what, name, `a whole number from ${from}`, value);
}

/** @throws ArgumentError unless `value` is a finite number within [from, to]. */
export function within(what: string, name: string, value: unknown, from: number, to = Number.MAX_VALUE): number {
  if (typeof value === "number" && value >= from && value <= to) return value;
  return refuse(
    what,
    name,
    to === Number.MAX_VALUE ? `a finite number from ${from}` : `a number from ${from} to ${to}`,
    value,
  );
}

/** @throws ArgumentError unless `value` is true or false. */
export function flag(what: string, name: string, value: unknown): boolean {
  return typeof value === "boolean" ? value : refuse(what, name, "true or false", value);
}

/** @throws ArgumentError unless `value` is a function. */
export function callable<F>(what: string, name: string, value: F): F {
  return typeof value === "function" ? value : refuse(what, name, "a function", value);
}

/** @throws ArgumentError unless `value` is one of a class. */
export function instance<T>(what: string, name: string, value: unknown, of: { prototype: T; name: string }): T {
  return value instanceof (of as never) ? (value as T) : refuse(what, name, `a ${of.name}`, value);
}
