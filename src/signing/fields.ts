/** What stands in an object out of a JSON file of a stranger, by exact types. */
import { FormatError } from "../errors";
import { isObject, listed, shown } from "../io/shown";

/** @throws FormatError: something else was expected. */
export function expected(what: string, form: string, found: unknown): never {
  throw new FormatError(`${what}: ${form} expected, found ${shown(found)}`);
}

/**
 * An object's fields.
 * @param known all names that it may have; left out where the format says that others are ignored
 * @throws FormatError for no object, and names that are not known.
 */
export function fieldsOf(value: unknown, what: string, known?: readonly string[]): Readonly<Record<string, unknown>> {
  // What stands in its place may be a secret, in a file that was mistaken for another.
  if (!isObject(value))
    throw new FormatError(`${what}: an object expected, found ${Array.isArray(value) ? "a list" : typeof value}`);
  const foreign = known ? Object.keys(value).filter((key) => !known.includes(key)) : [];
  if (foreign.length)
    throw new FormatError(`${what}: no other fields than ${known!.join(", ")} expected, found ${listed(foreign)}`);
  // Own fields alone: a file does not name what every object inherits.
  return Object.assign(Object.create(null) as object, value);
}

/** @throws FormatError unless it is a text of at most `most` characters. */
export function textField(value: unknown, what: string, most = 4096): string {
  if (typeof value !== "string" || value.length > most)
    return expected(what, `a text of at most ${most} characters`, value);
  return value;
}

/** A text; nothing, and null, are the empty one, as in the JSON of protocol buffers. */
export const optionalText = (value: unknown, what: string): string => textField(value ?? "", what);

/** @throws FormatError unless it is a list of at most `most` entries. */
export function listField(value: unknown, what: string, most: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > most) return expected(what, `a list of at most ${most} entries`, value);
  // Holes of a sparse list are entries too.
  return Array.from(value as unknown[]);
}

/** @throws FormatError unless it is a digest in lower-case hexadecimal, of so many digits. */
export function hexField(value: unknown, what: string, digits: number): string {
  if (typeof value !== "string" || value.length !== digits || !/^[0-9a-f]*$/.test(value))
    return expected(what, `${digits} hexadecimal digits in lower case`, value);
  return value;
}
