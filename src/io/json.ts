/** JSON out of files of strangers: read within bounds, and shown within bounds in messages. */
import { FormatError } from "../errors";
import { isObject, shown } from "./shown";

/**
 * Most characters of a JSON text in a file's metadata: 256 Ki, what a network of thousands of
 * layers takes.
 */
export const MAX_JSON = 2 ** 18;
/** Deepest nesting: configurations need five levels. */
const MAX_DEPTH = 32;

/**
 * A JSON text as a value, checked for its size and depth before it is parsed, so that whatever
 * walks the value afterwards may recurse.
 * @param what stands for the text in messages
 * @throws FormatError when it is no text, longer than `most` characters, nested deeper than 32
 * levels, or no JSON.
 */
export function parseJson(text: unknown, what: string, most = MAX_JSON): unknown {
  if (typeof text !== "string") throw new FormatError(`${what}: JSON expected, found ${shown(text)}`);
  if (text.length > most)
    throw new FormatError(`${what}: at most ${most} characters of JSON expected, found ${text.length}`);
  if (deeperThan(text, MAX_DEPTH))
    throw new FormatError(`${what}: JSON of at most ${MAX_DEPTH} levels expected, found a deeper one`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${what} is not readable JSON`, { cause });
  }
}

/** Whether brackets outside of strings nest deeper than so many levels. */
function deeperThan(text: string, most: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === '"') at = closing(text, at);
    else if (char === "{" || char === "[") {
      if (++depth > most) return true;
    } else if (char === "}" || char === "]") depth--;
  }
  return false;
}

/**
 * {@link parseJson}, refusing texts that two readers may understand differently: objects that name
 * something twice, of which some take the first and others the last.
 * @throws FormatError as {@link parseJson}, and for a name that appears twice.
 */
export function parseStrictJson(text: unknown, what: string, most = MAX_JSON): unknown {
  const value = parseJson(text, what, most);
  // Every name that was written stands before a colon; every one that was read is a key.
  if (colons(text as string) !== keys(value))
    throw new FormatError(`${what}: names that are unique within their object expected, found one twice`);
  return value;
}

/** Colons outside of strings. */
function colons(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === '"') at = closing(text, at);
    else if (char === ":") count++;
  }
  return count;
}

/** Where the string that begins at `at` ends. */
function closing(text: string, at: number): number {
  at++;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at;
}

/** Keys of all objects in a value, whose depth is bounded. */
function keys(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const parts = Object.values(value) as unknown[];
  return parts.reduce<number>((n, part) => n + keys(part), Array.isArray(value) ? 0 : parts.length);
}

/**
 * One text for one meaning: JSON without white space, the keys of every object in the order of
 * their UTF-16 units, as in RFC 8785. What is undefined is left out.
 * @param value plain data of bounded depth
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((entry) => canonicalJson(entry ?? null)).join()}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const known = Object.keys(value).filter((key) => value[key] !== undefined);
  return `{${known
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`)
    .join()}}`;
}
