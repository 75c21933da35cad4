/** Words for what was found, bounded in length: a message must not grow with the file or argument it speaks of. */

/** Characters of a foreign text that a message repeats. */
const MOST = 80;

/** A text cut to `most` characters, in quotes, control characters escaped. */
export const quote = (text: string, most = MOST): string =>
  JSON.stringify(text.length > most ? `${text.slice(0, most - 3)}...` : text);

/** A text cut to `most` characters. */
export const clip = (text: string, most = MOST): string =>
  text.length > most ? `${text.slice(0, most - 3)}...` : text;

/** What kind of value an argument is, in words. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "string") return `the text ${quote(value)}`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object") return `the ${typeof value} ${clip(String(value))}`;
  if (isPromise(value)) return "a Promise";
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (tag !== "Object") return `a ${clip(tag)}`;
  const name: unknown = (Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null)?.constructor
    ?.name;
  if (typeof name === "string" && name !== "" && name !== "Object") return `a ${clip(name)}`;
  const keys = Object.keys(value);
  return keys.length === 0 ? "an empty object" : `an object of ${clip(keys.slice(0, 8).join(", "))}`;
}

/** Whether something is a promise, of this realm or another. */
export const isPromise = (value: unknown): boolean =>
  typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";

/** Whether something is an object made by braces: class instances, lists and promises are not. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || isPromise(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Another realm has an `Object.prototype` of its own, which is nobody's child.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
